//! Counting the znodes below a znode, and listing the ephemeral ones of the session.

use std::time::Duration;

use zk_proto::OpCode;
use zk_proto::records::{
    GetAllChildrenNumberRequest, GetAllChildrenNumberResponse, GetEphemeralsRequest,
    GetEphemeralsResponse,
};

use crate::client::Client;
use crate::error::Error;
use crate::ops::operation::operation;
use crate::ops::pending::{Call, Pending};

/// Counts all znodes below a znode, itself not included. Needs servers of version 3.6 or newer.
///
/// # Errors
/// [`NoNode`](crate::ErrorKind::NoNode), [`NoAuth`](crate::ErrorKind::NoAuth).
///
/// # Cancel safety
/// Dropping the future has no effect but that the reply is not seen.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Count<'a> {
    client: &'a Client,
    path: &'a str,
    deadline: Option<Duration>,
}

impl<'a> Count<'a> {
    pub(crate) fn new(client: &'a Client, path: &'a str) -> Self {
        Count {
            client,
            path,
            deadline: None,
        }
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<u32> {
        let record = GetAllChildrenNumberRequest {
            path: self.client.root().wire(self.path),
        };
        Call::read(self.client, OpCode::GetAllChildrenNumber, self.path)
            .deadline(self.deadline)
            .submit(&record, |reply, _| {
                let response: GetAllChildrenNumberResponse = reply.decode()?;
                u32::try_from(response.total)
                    .map_err(|_| Error::unexpected("negative number of znodes"))
            })
    }
}

operation!(Count -> u32);

/// Lists the ephemeral znodes of this session at and below the handle's root, in no particular
/// order; [`Client::chroot`] narrows it. Needs servers of version 3.6 or newer.
///
/// # Cancel safety
/// Dropping the future has no effect but that the reply is not seen.
#[derive(Debug, Clone, Copy)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Ephemerals<'a> {
    client: &'a Client,
    deadline: Option<Duration>,
}

impl<'a> Ephemerals<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Ephemerals {
            client,
            deadline: None,
        }
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<Vec<String>> {
        let root = self.client.root().to_string();
        let record = GetEphemeralsRequest {
            prefix: Some(&root),
        };
        Call::read(self.client, OpCode::GetEphemerals, "/")
            .deadline(self.deadline)
            .submit(&record, |reply, client| {
                let response: GetEphemeralsResponse = reply.decode()?;
                // Servers compare the prefix as text: for /a they list /ab as well.
                let below = |path| client.root().strip(path).map(str::to_owned);
                Ok(response.paths.iter().filter_map(below).collect())
            })
    }
}

operation!(Ephemerals -> Vec<String>);
