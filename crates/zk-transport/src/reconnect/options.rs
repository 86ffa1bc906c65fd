//! How connections are made.

use std::sync::Arc;

use crate::dial::Dial;
use crate::sasl::Login;

/// How connections are made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReconnectOptions {
    /// Opens the streams.
    pub dial: Arc<dyn Dial>,
    /// The login of each connection, if there is one.
    pub login: Option<Arc<dyn Login>>,
    /// The longest frame in bytes that is accepted from a server; 8 MiB by default.
    pub frame_limit: usize,
}

impl ReconnectOptions {
    /// Connections over the streams of `dial`, without a login.
    pub fn new(dial: impl Dial) -> Self {
        Self::shared(Arc::new(dial))
    }

    /// The same with a [`Dial`] that has other users.
    pub fn shared(dial: Arc<dyn Dial>) -> Self {
        ReconnectOptions {
            dial,
            login: None,
            frame_limit: 8 << 20,
        }
    }

    /// Begins each connection with a login.
    #[must_use]
    pub fn login(mut self, login: Option<Arc<dyn Login>>) -> Self {
        self.login = login;
        self
    }

    /// The longest frame in bytes that is accepted from a server.
    #[must_use]
    pub fn frame_limit(mut self, limit: usize) -> Self {
        self.frame_limit = limit;
        self
    }
}
