//! Holds a lock or a leadership without a command, until a signal arrives or it is lost.

use serde_json::{Value, json};

use super::contest::Held;
use super::{Ended, Guarding};
use crate::cli::guarded::Guarded;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::terminal::visible_line;
use crate::output::timestamp;
use crate::signals::{Signal, Signals};

impl Guarding<'_> {
    /// Prints what is held, and waits for its loss or a signal, which ends the process with its code.
    pub(super) async fn hold(
        &self,
        held: &Held,
        guarded: &Guarded,
        output: &mut Output,
        signals: &mut Signals,
    ) -> Result<Ended, Failure> {
        let path = visible_line(&guarded.path);
        let session = self.client.session().id;
        let uncaught = |error| Failure::io("catch signals", error);
        signals.catch_suspend().map_err(uncaught)?;
        let text = format!("holding {path}  token {}  session {session}", held.token());
        let object = json!({
            "type": "holding",
            "path": guarded.path,
            "znode": held.path(),
            "token": held.token().to_string(),
            "session": session.to_string(),
            "time": timestamp::now(),
        });
        show(output, &text, &object).await?;
        let reason = loop {
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::Suspend => self.notices.say("not suspended: it would be lost meanwhile"),
                    signal => return Err(Failure::Signalled(signal)),
                },
                reason = held.lost() => break reason,
            }
        };
        let object = json!({
            "type": "lost",
            "path": guarded.path,
            "reason": reason.to_string(),
            "time": timestamp::now(),
        });
        show(output, &format!("lost {path}: {reason}"), &object).await?;
        Ok(Ended::lost(guarded))
    }
}

/// Writes at once. Other programs wait for what is held, so that a closed output does not end the command.
async fn show(output: &mut Output, text: &str, object: &Value) -> Result<(), Failure> {
    let written = match output.is_json() {
        true => output.json(object).await,
        false => output.line(text).await,
    };
    Failure::unless_reader_gone(written)?;
    Failure::unless_reader_gone(output.flush().await)
}
