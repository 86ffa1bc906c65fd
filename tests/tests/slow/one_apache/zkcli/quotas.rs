//! The commands for quotas.

use serde_json::json;

use super::Pair;
use crate::common::zkctl::output;

pub(super) fn set_quota(pair: &mut Pair) {
    for (option, ctl) in [
        ("-n 7", ["-n", "7"]),
        ("-b 100", ["-b", "100"]),
        ("-N 8", ["-N", "8"]),
        ("-B 101", ["-B", "101"]),
    ] {
        for name in ["cli", "ctl"] {
            pair.zkctl(&["create", "-p", &format!("/quota-{name}/child"), "data"]);
        }
        pair.cli.run(&format!("setquota {option} /quota-cli"));
        pair.zkctl(&["quota", "set", ctl[0], ctl[1], "/quota-ctl"]);
        assert_quotas(pair);
        // Another limit is added to the first.
        pair.cli.run("setquota -b 99 /quota-cli");
        pair.zkctl(&["quota", "set", "-b", "99", "/quota-ctl"]);
        assert_quotas(pair);
        for path in ["/quota-cli", "/quota-ctl"] {
            pair.cli.run(&format!("delquota {path}"));
            pair.zkctl(&["delete", "-r", path]);
        }
    }
}

/// Both quotas have the same limits and the same usage, by both programs.
pub(super) fn assert_quotas(pair: &mut Pair) {
    let quota = |pair: &Pair, path: &str| {
        let mut quota = pair.one(&["quota", "get", path]);
        quota["path"].take();
        quota
    };
    let by_zkctl = quota(pair, "/quota-cli");
    assert_eq!(by_zkctl, quota(pair, "/quota-ctl"));
    for path in ["/quota-cli", "/quota-ctl"] {
        let shown = pair.cli.run(&format!("listquota {path}"));
        let number = |line: &str, key: &str| {
            let mut pairs = line
                .split([' ', ',', ';'])
                .filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(name, _)| *name == key)?;
            let value: i64 = value.trim_end_matches('=').parse().unwrap();
            Some(value).filter(|value| *value >= 0)
        };
        let line = |what: &str| {
            shown
                .iter()
                .find(|line| line.starts_with(what))
                .unwrap()
                .clone()
        };
        let (limits, used) = (line("Output quota"), line("Output stat"));
        let by_zkcli = json!({
            "count": number(&limits, "count"),
            "bytes": number(&limits, "bytes"),
            "hard_count": number(&limits, "countHardLimit"),
            "hard_bytes": number(&limits, "byteHardLimit"),
        });
        assert_eq!(by_zkctl["limits"], by_zkcli, "{path}: {limits}");
        let used = json!({ "count": number(&used, "count"), "bytes": number(&used, "bytes") });
        assert_eq!(by_zkctl["used"], used, "{path}");
    }
}

pub(super) fn list_quota(pair: &mut Pair) {
    pair.zkctl(&["create", "/no-quota"]);
    let said = pair.cli.run("listquota /no-quota").concat();
    assert!(said.contains("does not exist"), "{said}");
    let none = output(&pair.hosts, &["quota", "get", "/no-quota"]);
    assert_eq!(none.status.code(), Some(1));
    // What there is to list is compared in `set_quota`.
    set_quota(pair);
}

pub(super) fn del_quota(pair: &mut Pair) {
    for name in ["cli", "ctl"] {
        let path = format!("/quota-{name}");
        pair.zkctl(&["create", &path]);
        pair.zkctl(&[
            "quota", "set", "-n", "5", "-b", "6", "-N", "7", "-B", "8", &path,
        ]);
    }
    for option in ["-n", "-b", "-N", "-B"] {
        pair.cli.run(&format!("delquota {option} /quota-cli"));
        pair.zkctl(&["quota", "delete", option, "/quota-ctl"]);
        assert_quotas(pair);
    }
    pair.cli.run("delquota /quota-cli");
    pair.zkctl(&["quota", "delete", "/quota-ctl"]);
    assert_eq!(pair.node("/zookeeper/quota").unwrap().children, [""; 0]);
}
