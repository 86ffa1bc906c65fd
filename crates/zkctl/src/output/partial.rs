//! Commands that have done a part of their work.

use zk_client::Client;

use super::notices::Notices;
use crate::signals::Signal;

/// The text of an error, with how many znodes are done: those that `what` names. A repetition of the command does the
/// others.
pub(crate) fn partly(text: &str, what: &str, done: u64) -> String {
    match done {
        0 => text.to_owned(),
        _ => format!("{text}; {what} before: {done} (run the command again for the others)"),
    }
}

/// The writes of a session that a command makes.
pub(crate) struct Writes<'a> {
    client: &'a Client,
    before: u64,
}

impl<'a> Writes<'a> {
    /// Those from here on.
    pub(crate) fn from_now(client: &'a Client) -> Self {
        let before = client.statistics().writes.answered;
        Writes { client, before }
    }

    /// Those since the session began.
    pub(crate) fn all(client: &'a Client) -> Self {
        Writes { client, before: 0 }
    }

    /// Says how many are done when a signal ends the command, if it makes many.
    pub(crate) fn report(&self, signal: Signal, notices: &Notices) {
        let statistics = self.client.statistics();
        let done = statistics.writes.answered.saturating_sub(self.before);
        if done > 1 {
            let (signal, waiting) = (signal.name(), statistics.outstanding);
            let text = format!("ended by {signal} with {waiting} requests under way");
            notices.say(partly(&text, "writes done", done));
        }
    }
}
