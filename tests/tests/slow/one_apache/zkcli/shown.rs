//! What zkCli prints, in the form of `zkctl`'s JSON.

use serde_json::{Value, json};

/// zkCli's stat, by the names of `zkctl`. Of the times it shows the seconds.
pub(super) fn stat_of(lines: &[String]) -> Value {
    let value = |key: &str| {
        let mut found = lines.iter().filter_map(|line| line.split_once(" = "));
        let (_, value) = found.find(|(name, _)| *name == key).expect(key);
        value.to_owned()
    };
    let number = |key: &str| value(key).parse::<i64>().unwrap();
    json!({
        "czxid": value("cZxid"),
        "mzxid": value("mZxid"),
        "pzxid": value("pZxid"),
        "ctime": second(&value("ctime")),
        "mtime": second(&value("mtime")),
        "version": number("dataVersion"),
        "cversion": number("cversion"),
        "aversion": number("aclVersion"),
        "data_length": number("dataLength"),
        "num_children": number("numChildren"),
        "ephemeral_owner": value("ephemeralOwner"),
    })
}

/// `Mon Nov 30 14:30:48 UTC 2026` as `2026-11-30T14:30:48`.
pub(super) fn second(date: &str) -> String {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let parts: Vec<_> = date.split_whitespace().collect();
    let month = MONTHS.find(parts[1]).unwrap() / 3 + 1;
    let day: u32 = parts[2].parse().unwrap();
    format!("{}-{month:02}-{day:02}T{}", parts[5], parts[3])
}

/// The stat of `zkctl` with what zkCli shows of it.
pub(super) fn comparable(stat: &Value) -> Value {
    let mut stat = stat.clone();
    let object = stat.as_object_mut().unwrap();
    object.remove("kind");
    object.remove("ttl_ms");
    for time in ["ctime", "mtime"] {
        let (second, _) = object[time].as_str().unwrap().split_once('.').unwrap();
        object.insert(time.to_owned(), second.to_owned().into());
    }
    if object["ephemeral_owner"].is_null() {
        object.insert("ephemeral_owner".to_owned(), "0x0".into());
    }
    stat
}

/// Those of a stat's values that two znodes with the same history share.
pub(super) fn counts(stat: &Value) -> Value {
    let keys = [
        "version",
        "cversion",
        "aversion",
        "data_length",
        "num_children",
    ];
    keys.map(|key| stat[key].clone()).into_iter().collect()
}

/// The names in zkCli's `[a, b]`.
pub(super) fn list_of(line: &str) -> Vec<&str> {
    let names = line.trim_start_matches('[').trim_end_matches(']');
    names.split(", ").filter(|name| !name.is_empty()).collect()
}
