//! A znode's metadata and data, for people and as JSON.

use serde_json::{Map, Value, json};
use zk_client::Stat;

use crate::base64;
use crate::time::iso_8601;

/// Several lines for people.
pub(crate) fn stat_lines(stat: &Stat) -> String {
    let owner = match stat.owner() {
        Some(session) => format!("session {session}"),
        None => "none".to_owned(),
    };
    let kind = match stat.ttl() {
        Some(ttl) => format!("ttl {} ms", ttl.as_millis()),
        None => kind(stat).unwrap_or(UNKNOWN_KIND).to_owned(),
    };
    format!(
        "created      {}  zxid {}\n\
         modified     {}  zxid {}  version {}\n\
         children     {}  zxid {}  version {}\n\
         data         {} bytes\n\
         acl version  {}\n\
         kind         {kind}\n\
         ephemeral    {owner}",
        iso_8601(stat.ctime),
        stat.czxid,
        iso_8601(stat.mtime),
        stat.mzxid,
        stat.version,
        stat.num_children,
        stat.pzxid,
        stat.cversion,
        stat.data_length,
        stat.aversion,
    )
}

/// Most servers mark only ephemeral znodes in what they show.
const UNKNOWN_KIND: &str = "persistent, container or ttl: the server does not show which";

/// What ends it besides being deleted, if the stat has it.
fn kind(stat: &Stat) -> Option<&'static str> {
    if stat.is_ephemeral() {
        Some("ephemeral")
    } else if stat.is_container() {
        Some("container")
    } else {
        stat.ttl().map(|_| "ttl")
    }
}

/// An object for programs. Ids are texts: they have 64 bits, and many readers of JSON keep 53.
pub(crate) fn stat_json(stat: &Stat) -> Value {
    json!({
        "czxid": stat.czxid.to_string(),
        "mzxid": stat.mzxid.to_string(),
        "pzxid": stat.pzxid.to_string(),
        "ctime": iso_8601(stat.ctime),
        "mtime": iso_8601(stat.mtime),
        "version": stat.version,
        "cversion": stat.cversion,
        "aversion": stat.aversion,
        "kind": kind(stat),
        "ttl_ms": stat.ttl().map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
        "ephemeral_owner": stat.owner().map(|session| session.to_string()),
        "data_length": stat.data_length,
        "num_children": stat.num_children,
    })
}

/// Adds `data`, a text, or `data_base64` if they are none.
pub(crate) fn add_data(object: &mut Map<String, Value>, data: &[u8]) {
    match std::str::from_utf8(data) {
        Ok(text) => object.insert("data".to_owned(), text.into()),
        Err(_) => object.insert("data_base64".to_owned(), base64::encode(data).into()),
    };
}

/// One line, as in `ls -l`; `None` for a znode that could not be looked at.
pub(crate) fn stat_columns(stat: Option<&Stat>) -> String {
    let Some(stat) = stat else {
        return format!("{:<65}", "?  could not be read");
    };
    format!(
        "{}  {:<5} {:>6} children {:>8} bytes  {}",
        kind(stat).and_then(|kind| kind.get(..1)).unwrap_or("-"),
        format!("v{}", stat.version),
        stat.num_children,
        stat.data_length,
        iso_8601(stat.mtime),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_text_where_they_can_be() {
        let object = |data: &[u8]| {
            let mut object = Map::new();
            add_data(&mut object, data);
            Value::Object(object).to_string()
        };
        assert_eq!(object("é\n".as_bytes()), r#"{"data":"é\n"}"#);
        assert_eq!(object(b"\xff\x00"), r#"{"data_base64":"/wA="}"#);
    }

    /// Guards: P41.
    #[test]
    fn a_kind_is_shown_where_the_stat_has_it() {
        let owned = |ephemeral_owner| Stat {
            ephemeral_owner,
            ..Stat::default()
        };
        for (owner, letter, line, ttl) in [
            (0, '-', UNKNOWN_KIND, Value::Null),
            (7, 'e', "ephemeral", Value::Null),
            (Stat::container_owner(), 'c', "container", Value::Null),
            (Stat::ttl_owner(5).unwrap(), 't', "ttl 5 ms", json!(5)),
        ] {
            let stat = owned(owner);
            assert!(stat_columns(Some(&stat)).starts_with(letter), "{line}");
            let lines = stat_lines(&stat);
            assert!(lines.contains(&format!("kind         {line}\n")), "{lines}");
            let object = stat_json(&stat);
            assert_eq!(object["ttl_ms"], ttl);
            match object["kind"].as_str() {
                Some(kind) => assert!(line.starts_with(kind)),
                None => assert_eq!(line, UNKNOWN_KIND),
            }
        }
    }

    #[test]
    fn columns_line_up_whether_or_not_the_znode_may_be_seen() {
        let seen = stat_columns(Some(&Stat::default()));
        assert_eq!(seen.len(), stat_columns(None).len(), "{seen}");
    }
}
