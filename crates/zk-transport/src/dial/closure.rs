//! A closure as a [`Dial`].

use std::fmt;
use std::future::Future;

use zk_proto::HostPort;

use super::open::{Dial, DialError, Dialing, Transport};

/// Opens streams with a closure, which gets the host to connect to: for a server in memory, a pipe or
/// a proxy.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use zk_transport::{Dial, dial_fn};
///
/// let dial = dial_fn(|_host| async {
///     let (near, _server) = tokio::io::duplex(4096);
///     std::io::Result::Ok(near)
/// });
/// assert!(dial.dial(&"zk1:2181".parse().unwrap()).await.is_ok());
/// # });
/// ```
pub fn dial_fn<F, Fut, S, E>(connect: F) -> DialFn<F>
where
    F: Fn(HostPort) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<S, E>> + Send + 'static,
    S: Transport,
    E: Into<DialError>,
{
    DialFn {
        connect,
        authenticates_host: true,
    }
}

/// The result of [`dial_fn`].
#[derive(Clone)]
pub struct DialFn<F> {
    connect: F,
    authenticates_host: bool,
}

impl<F> DialFn<F> {
    /// Says that the closure does not authenticate its peer by name, so that names may come from the
    /// DNS ([`Dial::authenticates_host`]).
    #[must_use]
    pub fn without_authentication(mut self) -> Self {
        self.authenticates_host = false;
        self
    }
}

impl<F> fmt::Debug for DialFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DialFn").finish_non_exhaustive()
    }
}

impl<F, Fut, S, E> Dial for DialFn<F>
where
    F: Fn(HostPort) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<S, E>> + Send + 'static,
    S: Transport,
    E: Into<DialError> + 'static,
{
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        let connecting = (self.connect)(host.clone());
        Box::pin(async move {
            let stream = connecting.await.map_err(Into::into)?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }

    fn authenticates_host(&self) -> bool {
        self.authenticates_host
    }
}
