//! What the prompt shows, and what the line editor needs of the session.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use reedline::{
    ExternalPrinter, Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus,
};
use tokio::sync::Notify;
use zk_client::{Client, State};

use crate::output::terminal::{unhidden, visible_line};

/// The current state of a shell. Its clones are one.
#[derive(Clone)]
pub(crate) struct Status {
    shown: Arc<Mutex<Shown>>,
    printer: ExternalPrinter<String>,
    printed: Arc<Notify>,
}

struct Shown {
    /// Whether the editor has a line that it has not printed yet.
    prints: bool,
    client: Option<Client>,
    /// The servers, before one of them serves the session.
    hosts: String,
    path: String,
}

impl Status {
    pub(crate) fn new(hosts: &str) -> Self {
        Status {
            shown: Arc::new(Mutex::new(Shown {
                prints: false,
                client: None,
                hosts: hosts.to_owned(),
                path: "/".to_owned(),
            })),
            printer: ExternalPrinter::new(1),
            printed: Arc::default(),
        }
    }

    /// Prints to the terminal above the line that is edited.
    pub(crate) fn printer(&self) -> ExternalPrinter<String> {
        self.printer.clone()
    }

    /// Has the editor print a line, and waits until it has: now, or above the next prompt.
    ///
    /// One line at a time, because the editor loses the place of its prompt on the screen when it finds several: it
    /// requests the position of the cursor before it writes them.
    pub(crate) async fn print(&self, line: String) {
        // In one step, so that a prompt in between is not taken for the one below the line.
        let sent = self.with(|shown| {
            shown.prints = true;
            self.printer.sender().try_send(line).is_ok()
        });
        if sent {
            self.printed.notified().await;
        }
    }

    /// A prompt is being drawn. If the editor has taken the line, it is above this prompt.
    fn drawn(&self) {
        let printed = self
            .with(|shown| self.printer.receiver().is_empty() && std::mem::take(&mut shown.prints));
        if printed {
            self.printed.notify_one();
        }
    }

    pub(crate) fn set_client(&self, client: Option<&Client>, hosts: &str) {
        self.with(|shown| {
            shown.client = client.cloned();
            shown.hosts = hosts.to_owned();
        });
    }

    pub(crate) fn set_path(&self, path: &str) {
        self.with(|shown| shown.path = path.to_owned());
    }

    pub(crate) fn client(&self) -> Option<Client> {
        self.with(|shown| shown.client.clone())
    }

    pub(crate) fn path(&self) -> String {
        self.with(|shown| shown.path.clone())
    }

    fn with<T>(&self, see: impl FnOnce(&mut Shown) -> T) -> T {
        see(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As in `[zk1:2181 connected] /app`.
    fn text(&self) -> String {
        self.with(|shown| {
            let server = shown.client.as_ref().and_then(Client::server);
            let server = match server {
                Some(server) => server.to_string(),
                None => shorter(&shown.hosts),
            };
            let state = word(shown.client.as_ref().map(Client::state));
            let text = format!("[{server} {state}] {}", shown.path);
            unhidden(&visible_line(&text)).into_owned()
        })
    }
}

/// The first of several servers, without the options of a URL.
fn shorter(hosts: &str) -> String {
    let hosts = hosts.split('?').next().unwrap_or(hosts);
    match hosts.split_once(',') {
        Some((first, others)) => format!("{first},+{}", others.split(',').count()),
        None => hosts.to_owned(),
    }
}

fn word(state: Option<State>) -> &'static str {
    match state {
        None | Some(State::Closed) => "closed",
        Some(State::Connecting) => "connecting",
        Some(State::Connected { .. }) => "connected",
        Some(State::ConnectedReadOnly { .. }) => "read-only",
        Some(State::Suspended { .. }) => "suspended",
        Some(State::Expired { .. }) => "expired",
        Some(State::AuthFailed) => "authentication failed",
        Some(_) => "unknown",
    }
}

impl Prompt for Status {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        self.drawn();
        self.text().into()
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        "".into()
    }

    fn render_prompt_indicator(&self, _: PromptEditMode) -> Cow<'_, str> {
        "> ".into()
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        "> ".into()
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let found = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "nothing ",
        };
        format!("({found}found: {}) ", search.term).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_names_one_server() {
        assert_eq!(shorter("zk1:2181"), "zk1:2181");
        assert_eq!(shorter("zk1:2181,zk2:2181,zk3:2181/app"), "zk1:2181,+2");
        assert_eq!(shorter("zks://zk1/app?tls_ca=/x,y"), "zks://zk1/app");
    }

    #[test]
    fn a_prompt_shows_state_and_path() {
        let status = Status::new("zk1:2181");
        status.set_path("/a\u{1b}[2J\u{202e}");
        assert_eq!(status.text(), "[zk1:2181 closed] /a\\u{1b}[2J\\u{202e}");
        assert_eq!(word(Some(State::Expired { epoch: 1 })), "expired");
        assert_eq!(
            word(Some(State::ConnectedReadOnly { epoch: 0 })),
            "read-only"
        );
    }
}
