//! The data model as JSON, and back.
#![allow(clippy::unwrap_used, reason = "test code outside #[test] functions")]

use std::fmt::Debug;

use serde_json::{Value, json};
use zk_proto::config::{EnsembleConfig, Server};
use zk_proto::records::{Children, ClientInfo};
use zk_proto::{Acl, ConnectString, CreateMode, HostPort, SessionId, Stat, Zxid};

fn both_ways<T>(value: T, expected: Value)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug,
{
    let written = serde_json::to_value(&value).unwrap();
    assert_eq!(written, expected);
    assert_eq!(serde_json::from_value::<T>(written).unwrap(), value);
    let text = serde_json::to_string(&value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&text).unwrap(), value);
}

#[test]
fn json_and_back() {
    both_ways(Zxid(i64::MAX), json!(i64::MAX));
    both_ways(SessionId(-1), json!(-1));
    both_ways(
        CreateMode::PersistentSequentialWithTtl,
        json!("persistent_sequential_with_ttl"),
    );
    both_ways(
        Acl::open(),
        json!([{ "perms": 31, "id": { "scheme": "world", "id": "anyone" } }]),
    );
    let mut stat = Stat::default();
    (stat.czxid, stat.version) = (Zxid(7), 3);
    both_ways(
        stat,
        json!({
            "czxid": 7, "mzxid": 0, "ctime": 0, "mtime": 0, "version": 3, "cversion": 0,
            "aversion": 0, "ephemeral_owner": 0, "data_length": 0, "num_children": 0, "pzxid": 0,
        }),
    );
    let info = ClientInfo {
        auth_scheme: "ip".into(),
        user: "127.0.0.1".into(),
    };
    both_ways(info, json!({ "auth_scheme": "ip", "user": "127.0.0.1" }));
    both_ways::<ConnectString>("a,[::1]:2/c".parse().unwrap(), json!("a:2181,[::1]:2/c"));
    both_ways::<HostPort>("a".parse().unwrap(), json!("a:2181"));
    both_ways::<Server>(
        "server.1=a:1:2;3".parse().unwrap(),
        json!("server.1=a:1:2:participant;3"),
    );
    let config: EnsembleConfig = "server.1=a:1:2;3\nversion=a".parse().unwrap();
    both_ways(config, json!("server.1=a:1:2:participant;3\nversion=a"));
    let names: Children = ["a", "b"].iter().collect();
    assert_eq!(serde_json::to_value(&names).unwrap(), json!(["a", "b"]));
}

#[test]
fn serde_errors_name_the_problem() {
    let error = serde_json::from_str::<ConnectString>(r#""zk1:x""#).unwrap_err();
    assert!(error.to_string().contains("byte 4: not a port"), "{error}");
}
