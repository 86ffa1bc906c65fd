//! A znode's metadata and data, as text and as JSON.

use base64ct::{Base64, Encoding};
use serde_json::{Map, Value, json};
use zk_client::Stat;

use super::timestamp::iso_8601;

/// The metadata as several lines of text.
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

/// Most servers return an owner for ephemeral znodes only.
const UNKNOWN_KIND: &str = "persistent, container or ttl: the server does not show which";

/// The kind of the znode, if the stat shows it.
fn kind(stat: &Stat) -> Option<&'static str> {
    if stat.is_ephemeral() {
        Some("ephemeral")
    } else if stat.is_container() {
        Some("container")
    } else {
        stat.ttl().map(|_| "ttl")
    }
}

/// The metadata as a JSON object. Ids are strings: they have 64 bits, and many readers of JSON keep 53.
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

/// Adds the data to `object`: as `data` if they are UTF-8, otherwise as `data_base64`.
pub(crate) fn add_data(object: &mut Map<String, Value>, data: &[u8]) {
    add_text(object, "data", data);
}

/// Adds bytes to `object`: as `key` if they are UTF-8, otherwise as `key` with `_base64`.
pub(crate) fn add_text(object: &mut Map<String, Value>, key: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(key.to_owned(), text.into()),
        Err(_) => object.insert(format!("{key}_base64"), Base64::encode_string(bytes).into()),
    };
}

/// The columns of `ls -l`; without a stat, a placeholder of the same width.
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

    fn with_data(data: &[u8]) -> String {
        let mut object = Map::new();
        add_data(&mut object, data);
        Value::Object(object).to_string()
    }

    #[test]
    fn data_are_text_if_they_are_utf_8() {
        assert_eq!(with_data("é\n".as_bytes()), r#"{"data":"é\n"}"#);
    }

    #[test]
    fn other_data_are_padded_base64() {
        for (data, text) in [
            (&b"\xff\x00"[..], "/wA="),
            (b"\xff", "/w=="),
            (b"\xfb\xff\xfe", "+//+"),
        ] {
            assert_eq!(with_data(data), format!(r#"{{"data_base64":"{text}"}}"#));
        }
    }

    /// Guards: P41.
    #[test]
    fn a_kind_is_shown_where_the_stat_has_it() {
        let owned = |ephemeral_owner| {
            let mut stat = Stat::default();
            stat.ephemeral_owner = ephemeral_owner;
            stat
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
    fn columns_line_up_without_a_stat_too() {
        let seen = stat_columns(Some(&Stat::default()));
        assert_eq!(seen.len(), stat_columns(None).len(), "{seen}");
    }
}
