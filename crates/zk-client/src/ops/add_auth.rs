//! Adding credentials to a client.

use std::fmt;
use std::time::Duration;

use crate::client::Client;
use crate::ops::operation::operation;
use crate::ops::pending::Pending;

/// Adds credentials to this and every later connection, and waits until the server has accepted them.
/// Credentials that the client has already are not added again.
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// zk.add_auth("digest", "app:secret").await?;
/// zk.create("/private", "").acl(zk_client::Acl::creator_all()).await?;
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
///
/// # Errors
/// [`AuthFailed`](crate::ErrorKind::AuthFailed) if the server refuses them; it then closes the
/// connection, and the client is over. [`QueueFull`](crate::ErrorKind::QueueFull) if the client holds
/// as many credentials as it may hold requests.
///
/// # Cancel safety
/// Dropping the future does not remove the credentials.
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct AddAuth<'a> {
    client: &'a Client,
    scheme: String,
    credentials: Vec<u8>,
    deadline: Option<Duration>,
}

impl<'a> AddAuth<'a> {
    pub(crate) fn new(client: &'a Client, scheme: &str, credentials: Vec<u8>) -> Self {
        AddAuth {
            client,
            scheme: scheme.to_owned(),
            credentials,
            deadline: None,
        }
    }

    /// Puts the credentials on the wire.
    pub fn submit(self) -> Pending<()> {
        Pending::auth(self.client, self.scheme, self.credentials, self.deadline)
    }
}

operation!(AddAuth -> ());

/// Without the credentials.
impl fmt::Debug for AddAuth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddAuth")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}
