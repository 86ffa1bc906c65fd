//! The output of `watch`, as text and as JSON.

use serde_json::{Map, Value, json};
use zk_client::{NodeEventKind, WatchEvent};

use super::entry::Entry;
use crate::output::session_changes::Change;
use crate::output::terminal::visible_line;
use crate::output::timestamp;

pub(super) fn word(kind: NodeEventKind) -> &'static str {
    match kind {
        NodeEventKind::Created => "created",
        NodeEventKind::Deleted => "deleted",
        NodeEventKind::DataChanged => "data_changed",
        NodeEventKind::ChildrenChanged => "children_changed",
    }
}

pub(super) fn as_text(entry: &Entry, recursive: bool) -> String {
    let below = if recursive {
        " and everything below it"
    } else {
        ""
    };
    match entry {
        Entry::Armed {
            path, again: false, ..
        } => format!("watching {}{below}", visible_line(path)),
        Entry::Armed {
            path, again: true, ..
        } => format!(
            "watching {}{below} again; events may have been missed between the sessions, read \
             again what matters",
            visible_line(path)
        ),
        Entry::Event { path, event } => match event {
            WatchEvent::Node(event) => {
                let zxid = event.zxid.map(|zxid| format!("  zxid {zxid}"));
                format!(
                    "{:<16}  {}{}",
                    word(event.kind).replace('_', " "),
                    visible_line(&event.path),
                    zxid.unwrap_or_default()
                )
            }
            WatchEvent::Gap { since } => format!(
                "gap               {}  events may have been missed since zxid {since}, read again \
                 what matters",
                visible_line(path)
            ),
            WatchEvent::Lagged { dropped } => format!(
                "lagged            {}  {dropped} events were dropped because they were not read \
                 in time, read again what matters",
                visible_line(path)
            ),
            WatchEvent::SessionEnded => "session ended".to_owned(),
        },
        Entry::Session(change) => change.text(),
    }
}

pub(super) fn as_json(entry: &Entry, recursive: bool) -> Value {
    let mut object = Map::new();
    let mut set = |key: &str, value: Value| object.insert(key.to_owned(), value);
    set("time", timestamp::now().into());
    let kind = match entry {
        Entry::Armed {
            path,
            again,
            one_shot,
        } => {
            set("path", path.as_str().into());
            set("recursive", recursive.into());
            set("again", (*again).into());
            set("one_shot", (*one_shot).into());
            "watching"
        }
        Entry::Event { path, event } => match event {
            WatchEvent::Node(event) => {
                set("kind", word(event.kind).into());
                set("path", event.path.as_str().into());
                set("zxid", json!(event.zxid.map(|zxid| zxid.to_string())));
                "event"
            }
            WatchEvent::Gap { since } => {
                set("path", path.as_str().into());
                set("since", since.to_string().into());
                "gap"
            }
            WatchEvent::Lagged { dropped } => {
                set("path", path.as_str().into());
                set("dropped", (*dropped).into());
                "lagged"
            }
            WatchEvent::SessionEnded => "session_ended",
        },
        Entry::Session(change) => match change {
            Change::ConnectionLost => "connection_lost",
            Change::ConnectionRestored => "connection_restored",
            Change::SessionExpired { epoch } => {
                set("epoch", (*epoch).into());
                "session_expired"
            }
            Change::SessionRenewed { session } => {
                set("session", session.to_string().into());
                "session_renewed"
            }
            Change::AuthFailed => "auth_failed",
            Change::Closed => "closed",
        },
    };
    set("type", kind.into());
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use zk_client::{NodeEvent, Zxid};

    use super::*;

    fn event(event: WatchEvent) -> Entry {
        Entry::Event {
            path: "/a".to_owned(),
            event,
        }
    }

    #[test]
    fn a_gap_says_since_when_and_what_to_do() {
        let gap = event(WatchEvent::Gap { since: Zxid(0x1f) });
        let text = as_text(&gap, true);
        assert!(
            text.contains("/a  events may have been missed since zxid 0x1f"),
            "{text}"
        );
        let object = as_json(&gap, true);
        assert_eq!(
            (&object["type"], &object["since"]),
            (&json!("gap"), &json!("0x1f"))
        );
    }

    /// The keys of the other kinds are tested in `tests/manners`.
    #[test]
    fn rare_lines_have_the_documented_keys() {
        let document = include_str!("../../../OUTPUT.md");
        let session = zk_client::SessionId(1);
        for entry in [
            event(WatchEvent::Gap { since: Zxid(1) }),
            event(WatchEvent::Lagged { dropped: 1 }),
            Entry::Session(Change::ConnectionLost),
            Entry::Session(Change::ConnectionRestored),
            Entry::Session(Change::SessionExpired { epoch: 1 }),
            Entry::Session(Change::SessionRenewed { session }),
        ] {
            let object = as_json(&entry, false);
            let kind = object["type"].as_str().unwrap();
            let is_row = |line: &&str| {
                line.starts_with("| `watch`: ") && line.contains(&format!("`{kind}`"))
            };
            let row = document.lines().find(is_row).expect(kind);
            let keys = row
                .rsplit('|')
                .nth(1)
                .unwrap()
                .split('`')
                .skip(1)
                .step_by(2);
            let mut keys: Vec<_> = keys.collect();
            keys.sort_unstable();
            let mut found: Vec<_> = object.as_object().unwrap().keys().collect();
            found.sort_unstable();
            assert_eq!(found, keys, "{kind}");
        }
    }

    #[test]
    fn a_missing_zxid_is_null_in_json() {
        let created = NodeEvent::new(NodeEventKind::Created, "/a\u{7}", None);
        let created = event(WatchEvent::Node(created));
        assert_eq!(as_text(&created, false), "created           /a\\u{7}");
        assert_eq!(as_json(&created, false)["zxid"], Value::Null);
    }
}
