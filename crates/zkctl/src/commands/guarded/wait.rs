//! How long to try to obtain a lock or a leadership.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use zk_client::ErrorKind;

use crate::cli::Command;
use crate::cli::guarded::Guarded;

/// How long to connect with --no-wait, unless --connect-timeout is given.
const NO_WAIT_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long to try, including the time to connect.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Forever,
    AtMost { limit: Duration, since: Instant },
    NotAtAll,
}

impl Wait {
    /// The options of `lock` and `elect`; for any other command, forever. The time begins now.
    pub(crate) fn of(command: &Command) -> Self {
        match guarded(command) {
            Some(args) if args.no_wait => Wait::NotAtAll,
            Some(args) => match args.wait {
                Some(Duration::ZERO) => Wait::NotAtAll,
                Some(limit) => Wait::AtMost {
                    limit,
                    since: Instant::now(),
                },
                None => Wait::Forever,
            },
            None => Wait::Forever,
        }
    }

    /// How long to try to open a session.
    pub(crate) fn connect_timeout(self, given: Option<Duration>, default: Duration) -> Duration {
        match self {
            Wait::Forever => given.unwrap_or(default),
            Wait::AtMost { limit, .. } => given.unwrap_or(default).min(limit),
            Wait::NotAtAll => given.unwrap_or(NO_WAIT_CONNECT_TIMEOUT.min(default)),
        }
    }

    /// The exit code if the time was up before a session was opened; `None` if the error has another
    /// reason.
    pub(crate) fn code_without_session(
        self,
        command: &Command,
        error: &zk_client::Error,
    ) -> Option<ExitCode> {
        let is_over = match self {
            Wait::Forever => false,
            Wait::AtMost { limit, since } => since.elapsed() >= limit,
            Wait::NotAtAll => true,
        };
        if !is_over || error.kind() != ErrorKind::ConnectTimeout {
            return None;
        }
        guarded(command).map(|args| ExitCode::from(args.conflict_exit_code))
    }
}

fn guarded(command: &Command) -> Option<&Guarded> {
    match command {
        Command::Lock(lock) => Some(&lock.guarded),
        Command::Elect(elect) => Some(&elect.guarded),
        _ => None,
    }
}
