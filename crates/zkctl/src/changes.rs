//! What happens to the session, as news.

use zk_client::{SessionId, State};

/// Something a person who depends on the session wants to know.
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
                "connection lost; the session lives on for now, looking for a server".to_owned()
            }
            Change::ConnectionRestored => "connection restored, with the session".to_owned(),
            Change::SessionExpired { .. } => "session expired; what it held is gone".to_owned(),
            Change::SessionRenewed { session } => format!("new session {session}"),
            Change::AuthFailed => {
                "the server does not serve this client: authentication failed".to_owned()
            }
            Change::Closed => "the client is closed".to_owned(),
        }
    }
}

/// Finds the news in a sequence of states.
#[derive(Default)]
pub(crate) struct Changes {
    epoch: u64,
    connected: bool,
}

impl Changes {
    /// What a state means after those before it; the first session is no news.
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
            // `watch` does not ask for read-only servers, and connecting follows what was told.
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_first_session_is_no_news_and_everything_after_it_is() {
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
        let news: Vec<_> = states.into_iter().filter_map(|s| changes.next(s)).collect();
        assert_eq!(
            news,
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
