use proptest::prelude::*;

use super::*;
use crate::ids::Zxid;

/// Guards: P11.
#[test]
fn short_answers() {
    let unexpected = |text: &str| AdminError::Unexpected(text.to_owned());
    assert_eq!(ruok("imok"), Ok(()));
    assert_eq!(ruok("imno"), Err(unexpected("imno")));
    assert_eq!((isro("ro"), isro("rw\n")), (Ok(true), Ok(false)));
    assert_eq!(isro("null"), Err(AdminError::NotServing));
    assert_eq!(isro("imok"), Err(unexpected("imok")));
    let refused = "ruok is not executed because it is not in the whitelist.\n";
    assert_eq!(ruok(refused), Err(AdminError::NotAllowed));
    assert_eq!(isro(refused), Err(AdminError::NotAllowed));
}

#[test]
fn answers_of_one_value() {
    assert_eq!(reset("Connection stats reset.\n"), Ok(()));
    assert_eq!(reset("Server stats reset.\n"), Ok(()));
    assert!(reset("imok").is_err());
    assert_eq!((trace_mask("306"), apiv("3")), (Ok(306), Ok(3)));
    assert!(trace_mask("x").is_err() && apiv("-1").is_err());
    for reply in [
        "datadir_size: 12\nlogdir_size: 34\n",
        "snapshot_dir_size: 12\nlog_dir_size: 34\n",
    ] {
        let sizes = dirs(reply).unwrap();
        assert_eq!((sizes.snapshots, sizes.logs), (12, 34));
        assert!(dirs(&reply.replace("34", "x")).is_err());
    }
    let digests = hash("100000080: -12\nx: 1\n100000100: 34\n").unwrap();
    assert_eq!(digests[0].zxid, Zxid(0x1_0000_0080));
    assert_eq!((digests[0].digest, digests[1].digest), (-12, 34));
    assert_eq!(digests.unreadable()[0].line, 2);
    assert_eq!(hash("").unwrap().len(), 0);
}

/// The errors of all readers for one reply.
fn errors(reply: &str) -> [Option<AdminError>; 13] {
    [
        ruok(reply).err(),
        isro(reply).err(),
        mntr(reply).err(),
        properties(reply).err(),
        connections(reply).err(),
        reply.parse::<ServerStatus>().err(),
        reply.parse::<SessionDump>().err(),
        wchs(reply).err(),
        wchc(reply).err(),
        wchp(reply).err(),
        reset(reply).err(),
        trace_mask(reply).err(),
        dirs(reply).err(),
    ]
}

/// Guards: P11.
#[test]
fn replies_of_every_command() {
    for (reply, expected) in [
        ("", AdminError::Empty),
        (
            "This instance is not currently serving requests",
            AdminError::NotServing,
        ),
        (
            "This ZooKeeper instance is not currently serving requests\n",
            AdminError::NotServing,
        ),
        (
            "cons is not executed because it is not in the whitelist.\n",
            AdminError::NotAllowed,
        ),
    ] {
        for error in errors(reply) {
            assert_eq!(error.as_ref(), Some(&expected), "{reply}");
        }
    }
    assert_eq!(mntr("\n"), Err(AdminError::Empty));
    assert_eq!(properties(" \n"), Err(AdminError::Empty));
    assert!(
        AdminError::Empty
            .to_string()
            .contains("4lw.commands.whitelist")
    );
    // The same text on a later line is not the server's state.
    let conf = "a=1\nnote=This instance is not currently serving requests\n";
    assert_eq!(properties(conf).unwrap().len(), 2);
}

fn owned<const N: usize>(pairs: [(&str, &str); N]) -> [(String, String); N] {
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned()))
}

#[test]
fn keys_and_values() {
    let reply = "zk_version\t3.8.0-x, built on 2024\nzk_server_state\tstandalone\n";
    let read = mntr(reply).unwrap();
    let expected = owned([
        ("zk_version", "3.8.0-x, built on 2024"),
        ("zk_server_state", "standalone"),
    ]);
    assert_eq!(read[..], expected);
    assert_eq!(read.get("zk_server_state"), Some("standalone"));
    let read = mntr("zk_a\t1\nzk_b 2\nzk_c\t3\n").unwrap();
    assert_eq!(read[..], owned([("zk_a", "1"), ("zk_c", "3")]));
    assert_eq!(
        read.unreadable()[0].to_string(),
        "line 2: \"zk_b 2\" is not a key, a tab and a value"
    );
    let reply = "Environment:\nhost.name=localhost\njava.opts=-Da=b\n";
    let read = properties(reply).unwrap();
    let expected = owned([("host.name", "localhost"), ("java.opts", "-Da=b")]);
    assert_eq!(read[..], expected);
    assert_eq!(read.unreadable(), []);
    assert_eq!(
        mntr("imok\n"),
        Err(AdminError::Unexpected("imok".to_owned()))
    );
}

/// Guards: P12.
#[test]
fn the_configuration_of_a_member() {
    let reply = "clientPort=2181\nserverId=1\npeerType=0\nmembership: \n\
                 server.1=zk1:2888:3888:participant;0.0.0.0:2181\nversion=100000000\n";
    let read = properties(reply).unwrap();
    assert_eq!((read.len(), read.unreadable()), (5, &[][..]));
    assert_eq!(read.get("version"), Some("100000000"));
    let server = "zk1:2888:3888:participant;0.0.0.0:2181";
    assert_eq!(read.get("server.1"), Some(server));
}

proptest! {
    #[test]
    fn a_damaged_line_costs_at_most_itself(
        at in 0_usize..4,
        line in "\\PC{0,40}",
        inserted in any::<bool>(),
    ) {
        let keys = ["a", "b", "c", "d"];
        for (separator, read) in [("\t", mntr as fn(&str) -> _), ("=", properties)] {
            let mut lines: Vec<_> = keys.map(|key| format!("{key}{separator}1")).into();
            if !inserted {
                lines.remove(at);
            }
            lines.insert(at, line.clone());
            let entries = read(&lines.join("\n")).unwrap();
            for (index, key) in keys.into_iter().enumerate() {
                let lost = !inserted && index == at;
                prop_assert!(lost || entries.get(key).is_some());
            }
            prop_assert!(entries.unreadable().len() <= 1);
        }
    }
}
