//! The seam for resolvers.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use zk_proto::HostPort;

use super::name_servers::NameServers;

/// The future of [`Resolve::resolve`].
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'a>>;

/// The future of [`Resolve::servers`].
pub type Servers<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<HostPort>>> + Send + 'a>>;

/// How names are looked up. The seam for other resolvers, and for tests.
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// The addresses of a host, in the order to try them. The caller limits how long it takes.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the query.
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Resolving<'a>;

    /// The servers of a service: its SRV records. The default implementation queries the name servers
    /// of `/etc/resolv.conf`. The caller limits how long it takes.
    ///
    /// The answers are not authenticated: no server may be verified by a name in them.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the query.
    fn servers<'a>(&'a self, service: &'a str) -> Servers<'a> {
        Box::pin(async move { NameServers::of_system().await?.servers(service).await })
    }
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Resolving<'a> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.host.as_str(), host.port)).await?;
            Ok(found.collect())
        })
    }
}
