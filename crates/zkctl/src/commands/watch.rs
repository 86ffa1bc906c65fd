//! `watch`: what happens to znodes, until interrupted.

mod one_shot;
mod report;

use std::pin::pin;
use std::process::ExitCode;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zk_client::{Client, ErrorKind, WatchEvent, WatchMode};

use self::one_shot::End;
use self::report::{as_json, as_text};
use crate::args::Watch;
use crate::changes::{Change, Changes};
use crate::failure::{Failure, explain};
use crate::output::{Notices, Output, reader_gone};
use crate::time;

/// How much may be found out ahead of what is printed. When it is used up, the client's own buffers
/// fill, and what they cannot hold is told as lagging.
const AHEAD: usize = 64;

/// What is written to standard output.
enum Entry {
    Armed {
        path: String,
        again: bool,
        one_shot: bool,
    },
    Event {
        path: String,
        event: WatchEvent,
    },
    Session(Change),
}

/// What a task that follows a znode reports.
enum News {
    Entry(Entry),
    /// There is no lasting watch to be had of the server; the text says why.
    NoneLasting(String),
    /// The znode is not watched any more; the text says why.
    Failed(String),
}

pub(super) async fn watch(
    args: Watch,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
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
    let (mut failed, mut none_lasting) = (false, false);
    let mut reader = pin!(reader_gone());
    loop {
        let entry = tokio::select! {
            // A gap is shown after the restored connection that it came with.
            biased;
            state = states.next() => match state.map(|state| changes.next(state)) {
                Some(Some(Change::AuthFailed | Change::Closed)) => {
                    // The client knows why.
                    return Err(match client.connected().await {
                        Err(error) => error.into(),
                        Ok(()) => Failure::Failed("the client is closed".to_owned()),
                    });
                }
                Some(Some(change)) => Entry::Session(change),
                Some(None) => continue,
                None => return Err(Failure::Failed("the watch has ended".to_owned())),
            },
            news = receiver.recv() => match news {
                Some(News::Entry(entry)) => entry,
                Some(News::NoneLasting(why)) => {
                    if !std::mem::replace(&mut none_lasting, true) {
                        notices.say(format_args!(
                            "{why}; one-shot watches are set instead, and of changes in quick \
                             succession only the last may be seen"
                        ));
                    }
                    continue;
                }
                Some(News::Failed(text)) => {
                    // The other znodes are watched on.
                    notices.say(text);
                    failed = true;
                    continue;
                }
                None if failed => return Err(Failure::Reported),
                None => return Err(Failure::Failed("the watch has ended".to_owned())),
            },
            failure = &mut reader => return Err(failure),
        };
        if output.is_json() {
            output.json(&as_json(&entry, args.recursive)).await?;
        } else {
            let text = as_text(&entry, args.recursive);
            output.line(format_args!("{}  {text}", time::now())).await?;
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
            Err(error) if error.kind() == ErrorKind::Unimplemented => {
                let why = News::NoneLasting(explain(&error));
                if news.send(why).await.is_ok()
                    && let End::Failed(text) = one_shot::follow(&client, &path, mode, &news).await
                {
                    let _ = news.send(News::Failed(text)).await;
                }
                return;
            }
            Err(error) => {
                // The receiver is gone only when the command is over.
                let _ = news.send(News::Failed(explain(&error))).await;
                return;
            }
        };
        let path = || path.clone();
        let armed = Entry::Armed {
            path: path(),
            again,
            one_shot: false,
        };
        if news.send(News::Entry(armed)).await.is_err() {
            return;
        }
        while let Some(event) = events.next().await {
            // The session's end is told once, not for each path; here it means to begin again.
            if event == WatchEvent::SessionEnded {
                break;
            }
            let event = Entry::Event {
                path: path(),
                event,
            };
            if news.send(News::Entry(event)).await.is_err() {
                return;
            }
        }
        again = true;
        // However long it takes until there is a server again.
        asking = client.with_deadline(None);
    }
}
