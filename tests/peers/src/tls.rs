//! The constant-answer server over TLS, and what clients need for it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use zk_client::rustls::crypto::ring;
use zk_client::rustls::pki_types::pem::PemObject;
use zk_client::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zk_client::rustls::{ServerConfig, ServerConnection, StreamOwned};
use zk_tests::constant;

use crate::client::Outcome;

/// What the address of a server with TLS begins with.
const SCHEME: &str = "tls://";

fn input(name: &str) -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../crates/zk-transport/tests/inputs/tls/formats"
    ))
    .join(name)
}

/// The host and port of a server with TLS; `None` if it is one without.
pub fn secured(address: &str) -> Option<&str> {
    address.strip_prefix(SCHEME)
}

/// The CA that issued the server's certificate.
pub fn ca() -> PathBuf {
    input("ec.pem")
}

/// Answers on a port of its own, with a thread for each connection. Returns its address.
pub fn serve(size: usize) -> Outcome<String> {
    let chain = CertificateDer::pem_file_iter(input("server.pem"))?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(input("server.key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = format!("{SCHEME}{}", listener.local_addr()?);
    let config = Arc::new(config);
    thread::spawn(move || {
        for (id, stream) in (1..).zip(listener.incoming()) {
            let Ok(stream) = stream else { continue };
            let config = Arc::clone(&config);
            thread::spawn(move || {
                // How a connection ends is the client's affair.
                let _ = answer(stream, config, id, size);
            });
        }
    });
    Ok(address)
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>, id: u64, size: usize) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, stream);
    Ok(constant::answer(&mut stream, id, size)?)
}
