//! From an accepted socket to a connection that is served: at once, or after a handshake of TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
#[cfg(feature = "tls")]
use tokio_rustls::TlsAcceptor;

use crate::core::Peer;
use crate::net::connection;
use crate::net::shared::Shared;

/// What precedes the protocol on a new connection.
#[derive(Clone, Default)]
pub(crate) struct Handshake {
    #[cfg(feature = "tls")]
    acceptor: Option<TlsAcceptor>,
}

impl Handshake {
    #[cfg(feature = "tls")]
    pub(crate) fn tls(acceptor: TlsAcceptor) -> Self {
        Self {
            acceptor: Some(acceptor),
        }
    }

    /// Serves a connection until it ends.
    pub(crate) async fn serve(
        self,
        stream: TcpStream,
        shared: Arc<Shared>,
        member: usize,
        address: SocketAddr,
    ) {
        // Without it small replies are delayed. An error here is harmless.
        let _ = stream.set_nodelay(true);
        let peer = Peer::Socket(address);
        #[cfg(feature = "tls")]
        if let Some(acceptor) = self.acceptor {
            return tls::serve(acceptor, stream, shared, member, peer).await;
        }
        connection::serve(stream, shared, member, peer).await;
    }
}

#[cfg(feature = "tls")]
mod tls {
    use std::sync::Arc;

    use tokio::net::TcpStream;
    use tokio::time::timeout;
    use tokio_rustls::TlsAcceptor;
    use tracing::debug;

    use crate::core::Peer;
    use crate::net::connection::{self, HANDSHAKE_TIMEOUT, stopped, thawed};
    use crate::net::shared::Shared;

    pub(super) async fn serve(
        acceptor: TlsAcceptor,
        stream: TcpStream,
        shared: Arc<Shared>,
        member: usize,
        peer: Peer,
    ) {
        let Some(gate) = shared.gates.get(member).cloned() else {
            return;
        };
        let at_start = gate.get();
        if at_start.slam || at_start.mute {
            // No byte is sent on such a connection, of TLS neither.
            return connection::serve(stream, shared, member, peer).await;
        }
        let handshake = async {
            thawed(&gate).await;
            timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await
        };
        let accepted = tokio::select! {
            accepted = handshake => accepted,
            () = stopped(&gate) => return,
        };
        match accepted {
            Ok(Ok(stream)) => connection::serve(stream, shared, member, peer).await,
            Ok(Err(error)) => debug!(?peer, %error, "the TLS handshake failed"),
            Err(_) => debug!(
                ?peer,
                "the TLS handshake took longer than {HANDSHAKE_TIMEOUT:?}"
            ),
        }
    }
}
