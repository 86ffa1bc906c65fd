//! What the commands of a shell share: its session, its current znode, its terminal.

use tokio::task::AbortHandle;
use zk_client::{Client, State};

use super::editor::status::Status;
use super::terminal::Terminal;
use crate::cli::Command;
use crate::cli::credentials::Credential;
use crate::cli::global::Global;
use crate::cli::servers::Servers;
use crate::cli::shell::Shell as Arguments;
use crate::commands::guarded::wait::Wait;
use crate::output::between::{Between, Lines};
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::session_changes::Changes;
use crate::session::{builder, close};
use crate::signals::Signals;

/// What the command line of the shell gives.
pub(crate) struct Settings {
    pub(crate) global: Global,
    /// Without the options of the servers' URL.
    pub(crate) given: Global,
    pub(crate) servers: Servers,
    pub(crate) credentials: Vec<Credential>,
}

/// A shell, which runs one line at a time.
pub(super) struct Shell {
    pub(super) settings: Settings,
    pub(super) args: Arguments,
    pub(super) definition: clap::Command,
    /// `None` after `close`.
    pub(super) client: Option<Client>,
    /// The task that reports the states of `client`.
    pub(super) reports: Option<AbortHandle>,
    /// Whether ephemeral znodes were created, so that other clients may wait for the end of the session.
    pub(super) has_ephemerals: bool,
    /// Whether `addauth` has added credentials.
    pub(super) has_added_auth: bool,
    pub(super) status: Status,
    pub(super) between: Between,
    pub(super) path: String,
    pub(super) previous_path: String,
    /// The lines for `history` and `redo`.
    pub(super) lines: Vec<String>,
    pub(super) is_interactive: bool,
    /// Whether lines come from standard input.
    pub(super) reads_stdin: bool,
    /// `None` unless a user writes lines.
    pub(super) terminal: Option<Terminal>,
}

impl Shell {
    /// Opens a session, in place of the last one.
    pub(super) async fn connect(&mut self, signals: &mut Signals) -> Result<(), Failure> {
        let settings = &self.settings;
        let hosts = &settings.global.server;
        // The session is that of all commands, some of which do not write.
        let command = Command::Whoami;
        let builder = builder(
            &settings.servers,
            &settings.global,
            settings.credentials.clone(),
            &command,
            Wait::of(&command),
        )?;
        let client = tokio::select! {
            biased;
            signal = signals.next() => return Err(Failure::Signalled(signal)),
            client = builder.connect() => client.map_err(|error| {
                Failure::Failed(format!("cannot connect to {hosts}: {}", explain(&error)))
            })?,
        };
        self.status.set_client(Some(&client), hosts);
        let reports = tokio::spawn(report_states(client.clone(), self.between.clone()));
        self.reports = Some(reports.abort_handle());
        self.client = Some(client);
        Ok(())
    }

    /// Ends the session, and the watches in it.
    pub(super) async fn disconnect(&mut self, signals: &mut Signals, notices: &Notices) {
        self.between.end_all();
        if let Some(reports) = self.reports.take() {
            reports.abort();
        }
        self.status.set_client(None, &self.settings.global.server);
        if let Some(client) = self.client.take() {
            let limit = self.settings.global.close_timeout;
            let others_wait = std::mem::take(&mut self.has_ephemerals);
            close(client, limit, others_wait, signals, notices).await;
        }
    }
}

/// Shows the changes of the session's state, until the client is closed.
async fn report_states(client: Client, between: Between) {
    let mut changes = Changes::default();
    let mut states = client.states();
    while let Some(state) = states.next().await {
        let text = match state {
            State::ConnectedReadOnly { .. } => Some(
                "connected to a server without a quorum: it may show old data, and accepts no changes".to_owned(),
            ),
            State::AuthFailed => Some(
                "authentication failed: the server does not serve this client; `connect` opens a new session"
                    .to_owned(),
            ),
            state => changes.next(state).map(|change| change.text()),
        };
        if let Some(text) = text {
            between
                .show(Lines::Messages(format!("zkctl: {text}\n")))
                .await;
        }
    }
}
