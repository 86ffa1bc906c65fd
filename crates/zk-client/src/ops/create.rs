//! Creating znodes.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use zk_proto::records::{Create2Response, CreateRequest, CreateTtlRequest, MultiOp};
use zk_proto::{Acl, CreateMode, Encode, MAX_TTL_MS, OpCode, Stat, path};

use crate::client::Client;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::ops::operation::operation;
use crate::ops::parents::{Parents, ParentsAcl};
use crate::ops::pending::{Call, Pending, validate};
use crate::session::requests::Reply;

/// A znode that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Created {
    /// Its path; that of a sequential znode ends with the number that the server gave it.
    pub path: String,
    /// Its stat.
    pub stat: Stat,
}

impl Created {
    /// The path and stat of a znode, for tests and for layers above.
    pub fn new(path: impl Into<String>, stat: Stat) -> Self {
        let path = path.into();
        Created { path, stat }
    }
}

/// Creates a znode: persistent and with the client's default ACL by default.
///
/// # Errors
/// [`NodeExists`](ErrorKind::NodeExists), which [`or_exists`](Self::or_exists) makes a result;
/// [`NoNode`](ErrorKind::NoNode) if the parent does not exist, which [`parents`](Self::parents)
/// creates;
/// [`NoChildrenForEphemerals`](ErrorKind::NoChildrenForEphemerals),
/// [`InvalidAcl`](ErrorKind::InvalidAcl), [`NoAuth`](ErrorKind::NoAuth),
/// [`RequestTooLarge`](ErrorKind::RequestTooLarge);
/// [`Unimplemented`](ErrorKind::Unimplemented) for a TTL unless the servers have
/// `extendedTypesEnabled`.
///
/// # Other servers
/// The request is `create2`, of version 3.5, or `createContainer`, of 3.5.1. To a server that knows
/// neither the client sends `create`; a container is a persistent znode there. The client learns
/// which one to send from the first answer:
///
/// - Apache ZooKeeper answers that it does not know the operation, and closes the connection. The
///   client makes the request again as `create` over the next connection, with everything that was
///   submitted after it; the session continues. If another write is in flight, the two must not
///   change places, so the error is [`Unimplemented`](ErrorKind::Unimplemented), which is
///   [`retryable`](Error::is_retryable).
/// - ClickHouse Keeper reports what it knows in its feature flags, which the client reads first.
/// - Any other server may close the connection, and end the session as well. The error then has
///   [`Outcome::Unknown`](crate::Outcome::Unknown), and [`Error::lacks_operation`] is true. The
///   client sends `create` once the server has ended a session that it must have known to be alive,
///   or has closed two connections in a row, each as soon as it had the request, and within a
///   session timeout of each other. (A server that has lost its leader closes connections too, but
///   later.)
///
/// The reply to `create` has no stat. The client reads the znode afterwards for the time of its
/// creation, so the result comes one round trip later, and after the replies to the requests that
/// were submitted next. The rest of the stat is that of the creation, whatever has changed in
/// between: version 0, no children, the length of the data, the transaction that created the znode,
/// and the session that owns it. If the znode no longer exists by then, both times are 0.
///
/// # Cancel safety
/// Dropping the future does not stop a request that is on the wire. To know what became of the
/// znode, await the future, or create the znode [`protected`](Self::protected).
#[derive(Debug)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Create<'a, D> {
    pub(crate) client: &'a Client,
    pub(crate) path: &'a str,
    pub(crate) data: D,
    pub(crate) options: Options<'a>,
    pub(crate) deadline: Option<Duration>,
}

/// The kind of znode to create, and its ACL.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    ephemeral: bool,
    sequential: bool,
    container: bool,
    ttl: Option<Duration>,
    /// The data are null.
    null: bool,
    acl: Cow<'a, [Acl]>,
    /// The caller has given the ACL.
    has_own_acl: bool,
}

impl Options<'_> {
    fn borrowed(&self) -> Options<'_> {
        let acl = Cow::Borrowed(&*self.acl);
        Options { acl, ..*self }
    }

    fn into_owned(self) -> Options<'static> {
        let acl = Cow::Owned(self.acl.into_owned());
        Options { acl, ..self }
    }

    pub(crate) fn is_ephemeral(&self) -> bool {
        self.ephemeral
    }

    /// Whether the data are null.
    pub(crate) fn is_null(&self) -> bool {
        self.null
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
                        "a container cannot be ephemeral or sequential, and only a persistent znode \
                         can have a TTL",
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
            null: false,
            acl: client.default_acl(path),
            has_own_acl: false,
        };
        Create {
            client,
            path,
            data,
            options,
            deadline: None,
        }
    }

    /// The server deletes the znode when the session ends. An ephemeral znode cannot have children.
    pub fn ephemeral(mut self) -> Self {
        self.options.ephemeral = true;
        self
    }

    /// The server appends a number to the path: ten digits, counted by the parent.
    pub fn sequential(mut self) -> Self {
        self.options.sequential = true;
        self
    }

    /// The server deletes the znode some time after its last child is deleted. On servers without
    /// containers (Apache ZooKeeper before 3.5.1, ClickHouse Keeper) the znode is persistent.
    pub fn container(mut self) -> Self {
        self.options.container = true;
        self
    }

    /// The server deletes the znode when it has no children and has not been changed for this long:
    /// between 1 ms and about 34 years. The servers must have `extendedTypesEnabled`.
    #[doc(alias = "withTtl")]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// The kind of znode as a value, instead of the methods above. A mode with a TTL needs
    /// [`ttl`](Self::ttl) as well.
    #[doc(alias = "withMode")]
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
    #[doc(alias = "withACL")]
    pub fn acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.options.acl = Cow::Owned(acl.into());
        self.options.has_own_acl = true;
        self
    }

    /// Writes null, which is no data, in place of the given data: `zk.create("/a", "").null()`, as
    /// kazoo's `value=None` and Java's `null`. [`Get::nullable`](crate::Get::nullable) distinguishes
    /// null from empty data; [`Get`](crate::Get) reads both as empty.
    pub fn null(mut self) -> Self {
        self.options.null = true;
        self
    }

    /// Puts the request on the wire.
    pub fn submit(self) -> Pending<Created> {
        self.submit_with(self.client, self.path, self.deadline)
    }

    /// Checks a path, and that the options go together.
    pub(crate) fn validate(&self, path: &str) -> Result<()> {
        validate(OpCode::Create2, path, self.options.sequential)?;
        self.options.mode().map(drop)
    }

    pub(crate) fn is_sequential(&self) -> bool {
        self.options.sequential
    }

    /// The same creation, through `client`, which has the same root, and without borrows.
    pub(crate) fn into_owned(self, client: Client) -> OwnedCreate {
        OwnedCreate {
            client,
            path: self.path.to_owned(),
            data: Bytes::copy_from_slice(self.data.as_ref()),
            options: self.options.into_owned(),
        }
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
        let data = (!self.options.null).then_some(self.data.as_ref());
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

fn created(reply: &Reply, client: &Client) -> Result<Created> {
    let Create2Response { path, stat } = reply.decode()?;
    Ok(Created {
        path: strip(client, path),
        stat,
    })
}

/// The path without the client's chroot. A server answers with the path it was given.
pub(crate) fn strip(client: &Client, path: String) -> String {
    match client.root().strip(&path) {
        Some(stripped) if stripped.len() != path.len() => stripped.to_owned(),
        _ => path,
    }
}

/// A [`Create`] without borrows, for futures that send it more than once.
pub(crate) struct OwnedCreate {
    pub(crate) client: Client,
    pub(crate) path: String,
    pub(crate) data: Bytes,
    pub(crate) options: Options<'static>,
}

impl OwnedCreate {
    /// Puts the request on the wire.
    pub(crate) fn submit(&self, path: &str) -> Pending<Created> {
        self.as_create().submit_with(&self.client, path, None)
    }

    fn as_create(&self) -> Create<'_, &[u8]> {
        Create {
            client: &self.client,
            path: &self.path,
            data: &self.data,
            options: self.options.borrowed(),
            deadline: None,
        }
    }

    /// Creates the znodes above a path. Returns false if there can be none.
    pub(crate) async fn ensure_parent(&self, path: &str, parents: Parents) -> Result<bool> {
        let Some(parent) = path::parent(path) else {
            return Ok(false);
        };
        // The root always exists, unless it is a chroot.
        if parent == "/" && self.client.root().is_none() {
            return Ok(false);
        }
        let mut ensured = self.client.ensure_path(parent);
        if parents.containers {
            ensured = ensured.containers();
        }
        let acl = match parents.acl {
            ParentsAcl::AsNode if self.options.has_own_acl => Some(self.options.acl.to_vec()),
            ParentsAcl::AsNode | ParentsAcl::Default => None,
            ParentsAcl::Own(acl) => Some(acl),
        };
        if let Some(acl) = acl {
            ensured = ensured.acl(acl);
        }
        ensured.await?;
        Ok(true)
    }
}
