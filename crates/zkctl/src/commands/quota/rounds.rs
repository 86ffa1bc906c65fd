//! The attempts of a change, which is decided by what the quota is.

use zk_client::{Error, ErrorKind, Outcome, Repetition};

use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::terminal::visible_line;

/// How often a change is tried while other clients change the quota.
const ROUNDS: u32 = 10;

/// Counts the attempts.
pub(super) struct Rounds<'a> {
    path: &'a str,
    conflicts: u32,
    repetition: Repetition,
    /// Whether the reply to a request was lost that may have taken effect.
    pub(super) is_unknown: bool,
}

impl<'a> Rounds<'a> {
    pub(super) fn of(path: &'a str) -> Self {
        Rounds {
            path,
            conflicts: 0,
            repetition: Repetition::default(),
            is_unknown: false,
        }
    }

    /// Fails unless there is another round after this error: another client has changed the quota meanwhile, or a
    /// reply was lost.
    pub(super) async fn another(&mut self, error: Error) -> Result<(), Failure> {
        self.is_unknown |= error.outcome() == Outcome::Unknown;
        let is_conflict = matches!(
            error.kind(),
            ErrorKind::BadVersion | ErrorKind::NodeExists | ErrorKind::NoNode
        );
        if is_conflict {
            self.conflicts += 1;
            return match self.conflicts < ROUNDS {
                true => Ok(()),
                false => Err(Failure::Failed(format!(
                    "{}: the quota was not changed in {ROUNDS} attempts, because other clients change it as well; \
                     run the command again ({})",
                    visible_line(self.path),
                    explain(&error)
                ))),
            };
        }
        if !self.repetition.may_go_on(&error) {
            return Err(error.into());
        }
        tokio::time::sleep(self.repetition.next_delay()).await;
        Ok(())
    }
}
