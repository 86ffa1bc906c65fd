//! Reading the identities that the server has accepted for this client.

use std::time::Duration;

use bytes::BytesMut;
use zk_proto::records::WhoAmIResponse;
use zk_proto::{Encode, OpCode};

pub use zk_proto::records::ClientInfo;

use crate::client::Client;
use crate::ops::operation::operation;
use crate::ops::pending::{Call, Pending};

/// Reads the identities that the server has accepted for this client, one for each scheme, without
/// secrets. Needs servers of version 3.7 or newer.
///
/// # Errors
/// [`Unimplemented`](crate::ErrorKind::Unimplemented) and a lost connection from older servers.
///
/// # Cancel safety
/// Dropping the future has no effect but that the reply is not seen.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct WhoAmI<'a> {
    client: &'a Client,
    deadline: Option<Duration>,
}

impl<'a> WhoAmI<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        WhoAmI {
            client,
            deadline: None,
        }
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<Vec<ClientInfo>> {
        Call::read(self.client, OpCode::WhoAmI, "")
            .without_path_check()
            .deadline(self.deadline)
            .submit(&Nothing, |reply, _| {
                Ok(reply.decode::<WhoAmIResponse>()?.clients)
            })
    }
}

operation!(WhoAmI -> Vec<ClientInfo>);

/// The empty record of the request.
struct Nothing;

impl Encode for Nothing {
    fn encode(&self, _: &mut BytesMut) {}
}
