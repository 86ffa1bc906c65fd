//! The option `-w` of the commands that read: the next change after what they have shown.

use std::pin::pin;

use serde_json::json;
use zk_client::{NodeEvent, NodeEventKind, Watch, WatchEvent};

use crate::output::between::Between;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;
use crate::output::{Format, Output, reader_gone, timestamp};

/// Waits for the event of a watch, and shows it: as an object of JSON on standard output, as `zkctl watch`
/// prints it, or as a message.
///
/// Ends early if the reader of standard output is gone. In a shell it does not wait: the event is shown when it
/// arrives.
pub(super) async fn next_change(
    path: &str,
    watch: Watch,
    output: &mut Output,
    notices: &Notices,
) -> Result<(), Failure> {
    output.flush().await?;
    if let Some(between) = output.between() {
        later(path, watch, output.format(), between);
        return Ok(());
    }
    let mut reader = pin!(reader_gone());
    let event = tokio::select! {
        biased;
        event = watch => event,
        failure = &mut reader => return Err(failure),
    };
    show(&change(path, event)?, output, notices).await
}

/// Shows the event of a watch when it arrives.
fn later(path: &str, watch: Watch, format: Format, between: &Between) {
    let mut output = Output::in_background(format, between.clone());
    let notices = Notices::in_background(between.clone());
    let znode = path.to_owned();
    between.spawn(vec![path.to_owned()], async move {
        let shown = match change(&znode, watch.await) {
            Ok(event) => show(&event, &mut output, &notices).await,
            Err(failure) => Err(failure),
        };
        if let Err(Failure::Failed(text)) = shown {
            notices.say(text);
        }
        // Lines in the background have no reader that could be gone.
        let _ = output.flush().await;
    });
}

/// [`next_change`] for a command whose exit code matters without its output. Returns the kind of the change;
/// `None` in a shell, which does not wait.
pub(super) async fn next_change_unread(
    path: &str,
    watch: Watch,
    output: &mut Output,
    notices: &Notices,
) -> Result<Option<NodeEventKind>, Failure> {
    Failure::unless_reader_gone(output.flush().await)?;
    if let Some(between) = output.between() {
        later(path, watch, output.format(), between);
        return Ok(None);
    }
    let event = change(path, watch.await)?;
    Failure::unless_reader_gone(show(&event, output, notices).await)?;
    Ok(Some(event.kind))
}

fn change(path: &str, event: WatchEvent) -> Result<NodeEvent, Failure> {
    match event {
        WatchEvent::Node(event) => Ok(event),
        _ => Err(Failure::Failed(format!(
            "{}: the session has ended, and changes may have been missed; read it again",
            visible_line(path)
        ))),
    }
}

async fn show(event: &NodeEvent, output: &mut Output, notices: &Notices) -> Result<(), Failure> {
    if output.is_json() {
        let object = json!({
            "type": "event",
            "kind": event.kind.as_str(),
            "path": event.path,
            "zxid": event.zxid.map(|zxid| zxid.to_string()),
            "time": timestamp::now(),
        });
        return output.json(&object).await;
    }
    let zxid = event.zxid.map(|zxid| format!("  zxid {zxid}"));
    let text = format!(
        "{}  {}{}",
        event.kind.as_str().replace('_', " "),
        visible_line(&event.path),
        zxid.unwrap_or_default()
    );
    if output.is_in_background() {
        return output.line(text).await;
    }
    notices.say(text);
    Ok(())
}
