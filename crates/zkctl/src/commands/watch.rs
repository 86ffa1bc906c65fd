//! `watch`: what happens to znodes, until interrupted.

use std::process::ExitCode;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zk_client::{Client, NodeEventKind, WatchEvent, WatchMode};

use crate::args::Watch;
use crate::changes::{Change, Changes};
use crate::failure::{Failure, explain};
use crate::output::{Output, name};
use crate::time;

/// How much may be found out ahead of what is printed. When it is used up, the client's own buffers
/// fill, and what they cannot hold is told as lagging.
const AHEAD: usize = 64;

/// Something to tell.
enum News {
    Armed { path: String, again: bool },
    Event { path: String, event: WatchEvent },
    Session(Change),
    Failed(zk_client::Error),
}

pub(super) async fn watch(
    args: Watch,
    client: &Client,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let mode = if args.recursive {
        WatchMode::PersistentRecursive
    } else {
        WatchMode::Persistent
    };
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    // Its tasks end with it.
    let mut tasks = JoinSet::new();
    for path in args.paths {
        tasks.spawn(follow_node(client.clone(), path, mode, sender.clone()));
    }
    drop(sender);
    let mut states = client.states();
    let mut changes = Changes::default();
    loop {
        let news = tokio::select! {
            // A gap is told after the restored connection that it came with.
            biased;
            state = states.next() => match state.map(|state| changes.next(state)) {
                Some(Some(change)) => Some(News::Session(change)),
                Some(None) => continue,
                None => None,
            },
            news = receiver.recv() => news,
        };
        let news = match news {
            None => return Err(Failure::Failed("the watch has ended".to_owned())),
            Some(News::Failed(error)) => return Err(error.into()),
            Some(News::Session(change @ (Change::AuthFailed | Change::Closed))) => {
                return Err(Failure::Failed(change.text()));
            }
            Some(news) => news,
        };
        if output.is_json() {
            output.json(&as_json(&news, args.recursive)).await?;
        } else {
            output
                .line(format_args!(
                    "{}  {}",
                    time::now(),
                    as_text(&news, args.recursive)
                ))
                .await?;
        }
        if receiver.is_empty() {
            output.flush().await?;
        }
    }
}

async fn follow_node(client: Client, path: String, mode: WatchMode, news: mpsc::Sender<News>) {
    let mut again = false;
    let mut asking = client.clone();
    loop {
        let mut events = match asking.watch(&path, mode).await {
            Ok(events) => events,
            Err(error) => {
                // The receiver is gone only when the command is over.
                let _ = news.send(News::Failed(error)).await;
                return;
            }
        };
        let path = || path.clone();
        let armed = News::Armed {
            path: path(),
            again,
        };
        if news.send(armed).await.is_err() {
            return;
        }
        while let Some(event) = events.next().await {
            // The session's end is told once, not for each path; here it means to begin again.
            if event == WatchEvent::SessionEnded {
                break;
            }
            let event = News::Event {
                path: path(),
                event,
            };
            if news.send(event).await.is_err() {
                return;
            }
        }
        again = true;
        // However long it takes until there is a server again.
        asking = client.with_deadline(None);
    }
}

fn word(kind: NodeEventKind) -> &'static str {
    match kind {
        NodeEventKind::Created => "created",
        NodeEventKind::Deleted => "deleted",
        NodeEventKind::DataChanged => "data_changed",
        NodeEventKind::ChildrenChanged => "children_changed",
    }
}

fn as_text(news: &News, recursive: bool) -> String {
    let below = if recursive {
        " and everything below it"
    } else {
        ""
    };
    match news {
        News::Armed { path, again: false } => format!("watching {}{below}", name(path)),
        News::Armed { path, again: true } => format!(
            "watching {}{below} again; events may have been missed between the sessions, read \
             again what matters",
            name(path)
        ),
        News::Event { path, event } => match event {
            WatchEvent::Node(event) => {
                let zxid = event.zxid.map(|zxid| format!("  zxid {zxid}"));
                format!(
                    "{:<16}  {}{}",
                    word(event.kind).replace('_', " "),
                    name(&event.path),
                    zxid.unwrap_or_default()
                )
            }
            WatchEvent::Gap { since } => format!(
                "gap               {}  events may have been missed since zxid {since}, read again \
                 what matters",
                name(path)
            ),
            WatchEvent::Lagged { dropped } => format!(
                "lagged            {}  {dropped} events were dropped because they were not read \
                 in time, read again what matters",
                name(path)
            ),
            WatchEvent::SessionEnded => "session ended".to_owned(),
        },
        News::Session(change) => change.text(),
        News::Failed(error) => explain(error),
    }
}

fn as_json(news: &News, recursive: bool) -> Value {
    let mut object = Map::new();
    let mut set = |key: &str, value: Value| object.insert(key.to_owned(), value);
    set("time", time::now().into());
    let kind = match news {
        News::Armed { path, again } => {
            set("path", path.as_str().into());
            set("recursive", recursive.into());
            set("again", (*again).into());
            "watching"
        }
        News::Event { path, event } => match event {
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
        News::Session(change) => match change {
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
        News::Failed(_) => "failed",
    };
    set("type", kind.into());
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use zk_client::{NodeEvent, Zxid};

    use super::*;

    fn event(event: WatchEvent) -> News {
        News::Event {
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

    #[test]
    fn an_event_without_a_zxid_says_so_in_json_and_nothing_in_text() {
        let created = event(WatchEvent::Node(NodeEvent {
            kind: NodeEventKind::Created,
            path: "/a\u{7}".to_owned(),
            zxid: None,
        }));
        assert_eq!(as_text(&created, false), "created           /a\\u{7}");
        assert_eq!(as_json(&created, false)["zxid"], Value::Null);
    }
}
