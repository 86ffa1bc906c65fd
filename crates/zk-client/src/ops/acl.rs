//! Reading and replacing ACLs.

use std::borrow::Cow;
use std::time::Duration;

use zk_proto::records::{GetAclRequest, GetAclResponse, SetAclRequest, StatResponse};
use zk_proto::{Acl, OpCode, Stat};

use crate::client::Client;
use crate::ops::operation::operation;
use crate::ops::pending::{ANY_VERSION, Call, Pending};

/// Reads a znode's ACL and stat. Servers mask the hashes of digests in it unless the client may
/// administer the znode.
///
/// # Errors
/// [`NoNode`](crate::ErrorKind::NoNode), [`NoAuth`](crate::ErrorKind::NoAuth).
///
/// # Cancel safety
/// Dropping the future has no effect but that the reply is not seen.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct GetAcl<'a> {
    client: &'a Client,
    path: &'a str,
    deadline: Option<Duration>,
}

impl<'a> GetAcl<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        GetAcl {
            client,
            path,
            deadline: None,
        }
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<(Vec<Acl>, Stat)> {
        let record = GetAclRequest {
            path: self.client.root().wire(self.path),
        };
        Call::read(self.client, OpCode::GetAcl, self.path)
            .deadline(self.deadline)
            .submit(&record, |reply, _| {
                let response: GetAclResponse = reply.decode()?;
                Ok((response.acl, response.stat))
            })
    }
}

operation!(GetAcl -> (Vec<Acl>, Stat));

/// Replaces a znode's ACL and returns its new stat.
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// use zk_client::{Acl, Client, ErrorKind, Permissions};
///
/// zk.add_auth("digest", "app:secret").await?;
/// zk.create("/private", "").acl(Acl::creator_all()).await?;
/// // Another user may read it.
/// let reader = Acl::digest("reader", "password", Permissions::READ);
/// let acl = [Acl::creator_all(), vec![reader]].concat();
/// zk.set_acl("/private", acl).await?;
///
/// let stranger = Client::connect(server.connect_string()).await?;
/// let error = stranger.get("/private").await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NoAuth);
/// stranger.add_auth("digest", "reader:password").await?;
/// stranger.get("/private").await?;
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
///
/// # Errors
/// [`NoNode`](crate::ErrorKind::NoNode), [`NoAuth`](crate::ErrorKind::NoAuth),
/// [`InvalidAcl`](crate::ErrorKind::InvalidAcl), [`BadVersion`](crate::ErrorKind::BadVersion).
///
/// # Cancel safety
/// Dropping the future does not stop a request that is on the wire.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct SetAcl<'a> {
    client: &'a Client,
    path: &'a str,
    acl: Vec<Acl>,
    version: i32,
    deadline: Option<Duration>,
}

impl<'a> SetAcl<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str, acl: Vec<Acl>) -> Self {
        SetAcl {
            client,
            path,
            acl,
            version: ANY_VERSION,
            deadline: None,
        }
    }

    /// Only if the znode's ACL has this version (`aversion`); otherwise
    /// [`BadVersion`](crate::ErrorKind::BadVersion).
    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<Stat> {
        let record = SetAclRequest {
            path: self.client.root().wire(self.path),
            acl: Cow::Borrowed(&self.acl),
            version: self.version,
        };
        Call::write(self.client, OpCode::SetAcl, self.path)
            .deadline(self.deadline)
            .submit(&record, |reply, _| Ok(reply.decode::<StatResponse>()?.stat))
    }
}

operation!(SetAcl -> Stat);
