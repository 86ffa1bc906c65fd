//! Creating znodes.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::BytesMut;
use zk_proto::records::{Create2Response, CreateRequest, CreateTtlRequest, MultiOp};
use zk_proto::{Acl, CreateMode, Encode, MAX_TTL_MS, OpCode, Stat};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::pending::{Call, Pending, Success, operation, validate};

/// A znode that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its path, with the number a sequential one was given.
    pub path: String,
    /// Its stat.
    pub stat: Stat,
}

/// Creates a znode: persistent, with the client's default ACL, unless told otherwise.
///
/// # Errors
/// [`NodeExists`](ErrorKind::NodeExists), [`NoNode`](ErrorKind::NoNode) if the parent does not,
/// [`NoChildrenForEphemerals`](ErrorKind::NoChildrenForEphemerals),
/// [`InvalidAcl`](ErrorKind::InvalidAcl), [`NoAuth`](ErrorKind::NoAuth),
/// [`RequestTooLarge`](ErrorKind::RequestTooLarge);
/// [`Unimplemented`](ErrorKind::Unimplemented) for a TTL unless the servers have
/// `extendedTypesEnabled`.
///
/// # Other servers
/// The request is `create2`, of version 3.5, or `createContainer`, of 3.5.1. A server that knows
/// neither is sent `create`; a container is a persistent znode there. The client learns that from the
/// first answer:
///
/// - Apache ZooKeeper answers that it does not know the operation, and closes the connection. The
///   request is made again as `create` over the next one, with all that was submitted after it; the
///   session goes on. If another write is on its way, the error is
///   [`Unimplemented`](ErrorKind::Unimplemented), and [`retryable`](Error::is_retryable): the two must
///   not change places.
/// - ClickHouse Keeper says with its feature flags what it knows, which the client reads first.
/// - Any other server may close the connection, and end the session as well. The error then has
///   [`Outcome::Unknown`](crate::Outcome::Unknown), and [`Error::lacks_operation`] says why that may be.
///   The client sends `create` once the server has ended a session that it must have known to be alive,
///   or has closed two connections in a row, each as soon as it had the request, and within a session
///   timeout of each other. A server that has lost its leader closes connections too, but later.
///
/// The reply to `create` has no stat. The znode is read afterwards for the time of its creation, so the
/// result comes a round trip later, and after the replies to what was submitted next. The rest of the
/// stat is that of the creation, whatever has been changed in between: version 0, no children, the
/// length of the data, the transaction that created the znode, and the session it belongs to. If the
/// znode is gone by then, deleted or with its session, both times are 0.
///
/// # Cancel safety
/// Dropping the future does not stop a request that is on the wire; whoever must know what became
/// of the znode awaits it, or creates it [`protected`](Self::protected).
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Create<'a, D> {
    pub(crate) client: &'a Client,
    pub(crate) path: &'a str,
    pub(crate) data: D,
    pub(crate) options: Options<'a>,
    pub(crate) deadline: Option<Duration>,
}

/// What kind of znode to create.
#[derive(Debug, Clone)]
pub(crate) struct Options<'a> {
    ephemeral: bool,
    sequential: bool,
    container: bool,
    ttl: Option<Duration>,
    acl: Cow<'a, [Acl]>,
}

impl Options<'_> {
    pub(crate) fn is_ephemeral(&self) -> bool {
        self.ephemeral
    }

    fn mode(&self) -> Result<CreateMode> {
        Ok(
            match (
                self.ephemeral,
                self.sequential,
                self.container,
                self.ttl.is_some(),
            ) {
                (false, false, false, false) => CreateMode::Persistent,
                (true, false, false, false) => CreateMode::Ephemeral,
                (false, true, false, false) => CreateMode::PersistentSequential,
                (true, true, false, false) => CreateMode::EphemeralSequential,
                (false, false, true, false) => CreateMode::Container,
                (false, false, false, true) => CreateMode::PersistentWithTtl,
                (false, true, false, true) => CreateMode::PersistentSequentialWithTtl,
                _ => {
                    return Err(Error::invalid_argument(
                        "a container is neither ephemeral nor sequential, and neither it nor an \
                     ephemeral znode has a TTL",
                    ));
                }
            },
        )
    }
}

impl<'a, D: AsRef<[u8]>> Create<'a, D> {
    pub(crate) fn new(client: &'a Client, path: &'a str, data: D) -> Self {
        let options = Options {
            ephemeral: false,
            sequential: false,
            container: false,
            ttl: None,
            acl: Cow::Borrowed(client.default_acl()),
        };
        Create {
            client,
            path,
            data,
            options,
            deadline: None,
        }
    }

    /// The znode goes when the session ends. It cannot have children.
    pub fn ephemeral(mut self) -> Self {
        self.options.ephemeral = true;
        self
    }

    /// The server appends a number to the path: ten digits, counted by the parent.
    pub fn sequential(mut self) -> Self {
        self.options.sequential = true;
        self
    }

    /// The znode goes some time after its last child is deleted. On servers without containers, as
    /// Apache ZooKeeper before 3.5.1 and ClickHouse Keeper, it is persistent, and stays.
    pub fn container(mut self) -> Self {
        self.options.container = true;
        self
    }

    /// The znode goes when it has no children and has not been changed for this long: between 1 ms
    /// and about 34 years. The servers must have `extendedTypesEnabled`.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// The kind of znode, for who has it as a value. A mode with a TTL needs [`ttl`](Self::ttl) as
    /// well.
    pub fn mode(mut self, mode: CreateMode) -> Self {
        self.options.ephemeral = mode.is_ephemeral();
        self.options.sequential = mode.is_sequential();
        self.options.container = mode.is_container();
        if mode.has_ttl() {
            self.options.ttl.get_or_insert(Duration::ZERO);
        }
        self
    }

    /// The znode's ACL.
    pub fn acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.options.acl = Cow::Owned(acl.into());
        self
    }

    /// Creates the znodes above it as well, the chroot's included, persistent, with the same ACL,
    /// unless they exist.
    pub fn parents(self) -> CreateParents<'a, D> {
        CreateParents { create: self }
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<Created> {
        self.submit_with(self.client, self.path, self.deadline)
    }

    /// Whether a path and the kind of znode can be.
    pub(crate) fn validate(&self, path: &str) -> Result<()> {
        validate(OpCode::Create2, path, self.options.sequential)?;
        self.options.mode().map(drop)
    }

    pub(crate) fn is_sequential(&self) -> bool {
        self.options.sequential
    }

    /// Puts the request on the wire, for another path, through a handle that has this one's root.
    pub(crate) fn submit_with(
        &self,
        client: &Client,
        path: &str,
        deadline: Option<Duration>,
    ) -> Pending<Created> {
        match self.op(path) {
            Ok(op) => Call::write(client, op.op_code(), path)
                .sequential(self.options.sequential)
                .deadline(deadline)
                .submit(&Alone(op), created),
            Err(error) => {
                let error = error.at(OpCode::Create, path);
                Pending::failed(client, OpCode::Create, error, created)
            }
        }
    }

    /// The creation as an operation of the protocol.
    pub(crate) fn op<'r>(&'r self, path: &'r str) -> Result<MultiOp<'r>> {
        let mode = self.options.mode()?;
        let root = self.client.root();
        let path = match mode.is_sequential() {
            true => root.wire_numbered(path),
            false => root.wire(path),
        };
        let data = Some(self.data.as_ref());
        let acl = Cow::Borrowed(&*self.options.acl);
        let flags = mode.flags();
        let Some(ttl) = self.options.ttl else {
            let create = CreateRequest {
                path,
                data,
                acl,
                flags,
            };
            return Ok(if mode.is_container() {
                MultiOp::CreateContainer(create)
            } else {
                MultiOp::Create2(create)
            });
        };
        let ttl_ms = i64::try_from(ttl.as_millis())
            .ok()
            .filter(|ms| (1..=MAX_TTL_MS).contains(ms))
            .ok_or_else(|| {
                Error::invalid_argument(format!(
                    "a TTL of {} ms is not between 1 and {MAX_TTL_MS}",
                    ttl.as_millis()
                ))
            })?;
        Ok(MultiOp::CreateTtl(CreateTtlRequest {
            path,
            data,
            acl,
            flags,
            ttl_ms,
        }))
    }
}

operation!(Create<D> -> Created);

/// The record of a creation that is no part of a transaction.
struct Alone<'a>(MultiOp<'a>);

impl Encode for Alone<'_> {
    fn encode(&self, out: &mut BytesMut) {
        match &self.0 {
            MultiOp::CreateTtl(create) => create.encode(out),
            MultiOp::Create2(create) | MultiOp::CreateContainer(create) => create.encode(out),
            other => other.encode(out),
        }
    }
}

fn created(reply: &Success, client: &Client) -> Result<Created> {
    let Create2Response { path, stat } = reply.decode()?;
    Ok(Created {
        path: strip(client, path),
        stat,
    })
}

/// The path without the client's chroot. A server answers with the path it was given.
pub(crate) fn strip(client: &Client, path: String) -> String {
    match client.root().strip(&path) {
        Some(stripped) if stripped.len() != path.len() && !zk_proto::seeded_bug!("B61") => {
            stripped.to_owned()
        }
        _ => path,
    }
}

crate::ops::pending::blocking!(
    [<'a, D: AsRef<[u8]> + Send + Sync + 'a>] CreateParents<'a, D>, Created, |op| op.create.client
);

/// [`Create`], and the znodes above it.
///
/// # Errors
/// Those of [`Create`], of the znode or of one above it.
///
/// # Cancel safety
/// Dropping the future leaves the znodes that were created.
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited"]
pub struct CreateParents<'a, D> {
    create: Create<'a, D>,
}

impl<D> CreateParents<'_, D> {
    /// How long all of it may take; each of its requests has the client's default unless given.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.create.deadline = Some(deadline);
        self
    }
}

impl<'a, D: AsRef<[u8]> + Send + Sync + 'a> IntoFuture for CreateParents<'a, D> {
    type Output = Result<Created>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Created>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        let create = self.create;
        Box::pin(async move {
            let client = create.client.within(create.deadline);
            let tried = create.submit_with(&client, create.path, None).await;
            // The root always exists, unless it is a chroot.
            let parent = zk_proto::path::parent(create.path)
                .filter(|parent| *parent != "/" || !client.root().is_none());
            match (tried, parent) {
                (Err(error), Some(parent)) if error.kind() == ErrorKind::NoNode => {
                    client
                        .ensure_path(parent)
                        .acl(create.options.acl.to_vec())
                        .await?;
                    create.submit_with(&client, create.path, None).await
                }
                (tried, _) => tried,
            }
        })
    }
}
