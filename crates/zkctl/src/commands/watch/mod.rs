//! `watch`: reports the changes of znodes until interrupted, or runs a command for them.

mod entry;
mod format;
mod handler;
mod one_shot;
mod pending;

use std::pin::pin;
use std::process::ExitCode;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use zk_client::{Client, ErrorKind, WatchEvent, WatchMode};
use zk_recipes::{GapCause, PersistentEvent, PersistentWatch};

use crate::cli::znode::Watch;
use crate::output::explain::explain_recipe;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::session_changes::{Change, Changes};
use crate::output::{Output, reader_gone, timestamp};
use entry::{Entry, Report};
use format::{as_json, as_text};
use handler::Handler;
use one_shot::End;

/// How many reports the tasks may be ahead of what is written. Beyond that the client's buffers fill,
/// and events that do not fit are reported as `Lagged`.
const QUEUE_LENGTH: usize = 64;

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
    let mut handler = Handler::of(&args, notices);
    let (sender, mut reports) = mpsc::channel(QUEUE_LENGTH);
    // Dropping the set aborts the tasks.
    let mut tasks = JoinSet::new();
    for path in &args.paths {
        tasks.spawn(watch_path(
            client.clone(),
            path.clone(),
            mode,
            sender.clone(),
        ));
    }
    drop(sender);
    let mut states = client.states();
    let mut changes = Changes::default();
    let (mut failed, mut one_shot_only) = (false, false);
    let mut reader = pin!(reader_gone());
    loop {
        let entry = tokio::select! {
            // States first: a gap is shown after the restored connection that caused it.
            biased;
            state = states.next() => match state.map(|state| changes.next(state)) {
                Some(Some(Change::AuthFailed | Change::Closed)) => {
                    // Fails with the reason.
                    return Err(match client.connected().await {
                        Err(error) => error.into(),
                        Ok(()) => Failure::Failed("the client is closed".to_owned()),
                    });
                }
                Some(Some(change)) => Entry::Session(change),
                Some(None) => continue,
                None => return Err(Failure::Failed("the watch has ended".to_owned())),
            },
            report = reports.recv() => match report {
                Some(Report::Entry(entry)) => entry,
                Some(Report::OneShotOnly(why)) => {
                    if !std::mem::replace(&mut one_shot_only, true) {
                        notices.say(format_args!(
                            "{why}; one-shot watches are set instead, and of changes in quick \
                             succession only the last may be seen"
                        ));
                    }
                    continue;
                }
                Some(Report::Failed(text)) => {
                    // The other znodes are still watched.
                    notices.say(text);
                    failed = true;
                    continue;
                }
                None if failed => return Err(Failure::Reported),
                None => return Err(Failure::Failed("the watch has ended".to_owned())),
            },
            code = handler.run(), if handler.has_command() => return Ok(ExitCode::from(code?)),
            failure = &mut reader, if !handler.has_command() => return Err(failure),
        };
        if handler.has_command() {
            match &entry {
                Entry::Session(change) => notices.say(change.text()),
                entry => handler.add(entry),
            }
            continue;
        }
        if output.is_json() {
            output.json(&as_json(&entry, args.recursive)).await?;
        } else {
            let text = as_text(&entry, args.recursive);
            output
                .line(format_args!("{}  {text}", timestamp::now()))
                .await?;
        }
        if reports.is_empty() {
            output.flush().await?;
        }
    }
}

/// Watches a znode, in every session, until the receiver is dropped or the server refuses.
async fn watch_path(client: Client, path: String, mode: WatchMode, reports: mpsc::Sender<Report>) {
    let mut events = PersistentWatch::new(&client, &path, mode);
    while let Some(event) = events.next().await {
        let armed = |again| Entry::Armed {
            path: path.clone(),
            again,
            one_shot: false,
        };
        let event = match event {
            Ok(PersistentEvent::Armed) => Ok(armed(false)),
            // The end of the session is reported once, from the client's states.
            Ok(PersistentEvent::Gap(GapCause::NewSession)) => Ok(armed(true)),
            Ok(PersistentEvent::Node(event)) => Err(WatchEvent::Node(event)),
            Ok(PersistentEvent::Gap(GapCause::Reconnected { since })) => {
                Err(WatchEvent::Gap { since })
            }
            Ok(PersistentEvent::Gap(GapCause::Lagged { dropped })) => {
                Err(WatchEvent::Lagged { dropped })
            }
            Ok(PersistentEvent::Gap(_)) => continue,
            Err(error) if error.kind() == Some(ErrorKind::Unimplemented) => {
                let why = Report::OneShotOnly(explain_recipe(&error));
                if reports.send(why).await.is_ok()
                    && let End::Failed(text) =
                        one_shot::watch_path(&client, &path, mode, &reports).await
                {
                    let _ = reports.send(Report::Failed(text)).await;
                }
                return;
            }
            Err(error) => {
                // An error means that the command has ended.
                let _ = reports.send(Report::Failed(explain_recipe(&error))).await;
                return;
            }
        };
        let entry = event.unwrap_or_else(|event| Entry::Event {
            path: path.clone(),
            event,
        });
        if reports.send(Report::Entry(entry)).await.is_err() {
            return;
        }
    }
}
