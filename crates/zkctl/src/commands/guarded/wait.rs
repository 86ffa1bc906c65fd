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

    /// The time that is left; `None` for no limit.
    pub(crate) fn left(self) -> Option<Duration> {
        match self {
            Wait::Forever => None,
            Wait::AtMost { limit, since } => Some(limit.saturating_sub(since.elapsed())),
            Wait::NotAtAll => Some(Duration::ZERO),
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

    /// The same after a part of the time has passed.
    pub(crate) fn connect_timeout_left(
        self,
        given: Option<Duration>,
        default: Duration,
    ) -> Duration {
        let timeout = self.connect_timeout(given, default);
        match self {
            Wait::AtMost { .. } => self.left().unwrap_or(timeout).min(timeout),
            Wait::Forever | Wait::NotAtAll => timeout,
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
        conflict_code(command)
    }
}

/// The exit code if the lock was not obtained in time.
pub(crate) fn conflict_code(command: &Command) -> Option<ExitCode> {
    guarded(command).map(|args| ExitCode::from(args.conflict_exit_code))
}

fn guarded(command: &Command) -> Option<&Guarded> {
    match command {
        Command::Lock(lock) => Some(&lock.guarded),
        Command::Elect(elect) => Some(&elect.guarded),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An earlier zkctl's command may have taken most of the time.
    #[test]
    fn the_time_to_connect_is_what_is_left() {
        let second = Duration::from_secs(1);
        let now = Instant::now();
        let later = |passed: Duration| Wait::AtMost {
            limit: 5 * second,
            since: now.checked_sub(passed).unwrap_or(now),
        };
        for given in [None, Some(5 * second)] {
            let timeout = later(4 * second).connect_timeout_left(given, 5 * second);
            assert!(timeout <= second, "{timeout:?}");
            let timeout = later(6 * second).connect_timeout_left(given, 5 * second);
            assert_eq!(timeout, Duration::ZERO);
        }
        let timeout = later(Duration::ZERO).connect_timeout_left(Some(second / 1000), 5 * second);
        assert!(timeout <= second / 1000, "{timeout:?}");
        // As the error says it.
        assert_eq!(later(second).connect_timeout(None, 9 * second), 5 * second);
        let at_once = Wait::NotAtAll;
        assert_eq!(at_once.connect_timeout_left(None, 5 * second), second);
        assert_eq!(
            at_once.connect_timeout_left(Some(2 * second), second),
            2 * second
        );
        assert_eq!(Wait::Forever.connect_timeout_left(None, second), second);
    }
}
