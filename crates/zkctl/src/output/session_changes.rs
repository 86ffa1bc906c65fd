//! Changes of the session's state, as messages.

use zk_client::{SessionId, State};

/// A change that matters to a user whose command depends on the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    ConnectionLost,
    ConnectionRestored,
    SessionExpired {
        epoch: u64,
    },
    SessionRenewed {
        session: SessionId,
    },
    /// Credentials were refused, or are missing. Final.
    AuthFailed,
    /// Final.
    Closed,
}

impl Change {
    pub(crate) fn text(self) -> String {
        match self {
            Change::ConnectionLost => {
                "connection lost; the session may still be alive, looking for a server".to_owned()
            }
            Change::ConnectionRestored => "connection restored, with the session".to_owned(),
            Change::SessionExpired { .. } => {
                "session expired; its locks and ephemeral znodes are gone".to_owned()
            }
            Change::SessionRenewed { session } => format!("new session {session}"),
            Change::AuthFailed => {
                "authentication failed: the server does not serve this client".to_owned()
            }
            Change::Closed => "the client is closed".to_owned(),
        }
    }
}

/// Finds the changes in a sequence of states.
#[derive(Default)]
pub(crate) struct Changes {
    epoch: u64,
    connected: bool,
}

impl Changes {
    /// The change from the previous states to this one. The first session is not a change.
    pub(crate) fn next(&mut self, state: State) -> Option<Change> {
        match state {
            State::Connected { session, epoch } => {
                let change = if epoch != self.epoch {
                    (self.epoch != 0).then_some(Change::SessionRenewed { session })
                } else {
                    (!self.connected).then_some(Change::ConnectionRestored)
                };
                (self.epoch, self.connected) = (epoch, true);
                change
            }
            State::Suspended { .. } => {
                std::mem::take(&mut self.connected).then_some(Change::ConnectionLost)
            }
            State::Expired { epoch } => {
                self.connected = false;
                Some(Change::SessionExpired { epoch })
            }
            State::AuthFailed => Some(Change::AuthFailed),
            State::Closed => Some(Change::Closed),
            // `Connecting` follows a change that has been reported; the commands that report changes
            // do not connect to read-only servers.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn changes_begin_after_the_first_session() {
        let connected = |session, epoch| State::Connected {
            session: SessionId(session),
            epoch,
        };
        let lost = State::Suspended {
            until: Instant::now(),
        };
        let states = [
            State::Connecting,
            connected(5, 1),
            lost,
            connected(5, 1),
            connected(5, 1),
            lost,
            State::Expired { epoch: 1 },
            State::Connecting,
            connected(6, 2),
            State::Closed,
        ];
        let mut changes = Changes::default();
        let found: Vec<_> = states.into_iter().filter_map(|s| changes.next(s)).collect();
        assert_eq!(
            found,
            [
                Change::ConnectionLost,
                Change::ConnectionRestored,
                Change::ConnectionLost,
                Change::SessionExpired { epoch: 1 },
                Change::SessionRenewed {
                    session: SessionId(6)
                },
                Change::Closed,
            ]
        );
    }
}
