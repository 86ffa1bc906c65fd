//! kazoo's parties: the programs that take part announce themselves by znodes with random names.

use std::fmt;

use bytes::Bytes;
use zk_client::{Client, ErrorKind, Guid, path};

use super::persistent_node::{NodeStates, PersistentNode};
use super::plan::Parents;
use crate::error::Result;
use crate::reads::{READS, get_all, read};

/// The mark in the names of a [`Party`].
const PARTY: &str = "__party__";

/// A group of programs, each with an identifier that need not be unique. The identifiers are the data of
/// the members' znodes; a [`ShallowParty`] has them in the names.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::Party;
///
/// let party = Party::new(&zk, "/workers").identifier("host-7");
/// let membership = party.join().await?;
/// for identifier in party.members().await? {
///     println!("{identifier}");
/// }
/// membership.leave().await?;
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// `path/<hex>__party__`, ephemeral, with the identifier as data. The znode at `path` is persistent. These
/// are kazoo's; Curator has no counterpart.
///
/// # Cost
///
/// To join, that of a [`PersistentNode`]; no member reads the others. [`members`](Self::members) is one read of
/// the names, and one read for each member, in round trips of 128. [`len`](Self::len) is one read.
///
/// # Losing the session
///
/// A member that has lost its session joins again in the next one, under the same name. (kazoo's does not: its
/// program has to call `join` again.)
///
/// # After a crash
///
/// The member of an earlier process stays as long as its session. With [`adopt_by`](Self::adopt_by), a process
/// that has resumed the session takes up the member's znode, and the others see no change.
///
/// # Cancel safety
///
/// Dropping a [`join`](Self::join) leaves nothing. The other methods only read.
#[derive(Debug, Clone)]
pub struct Party {
    base: Base,
}

/// A group of programs as a [`Party`], with the identifiers in the names of the znodes, so that one read returns
/// all of them.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::ShallowParty;
///
/// let party = ShallowParty::new(&zk, "/workers").identifier("host-7");
/// let membership = party.join().await?;
/// println!("{} with this one: {:?}", party.len().await?, party.members().await?);
/// # drop(membership);
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// `path/<hex>-<identifier>`, ephemeral, with the identifier as data. The znode at `path` is persistent. These
/// are kazoo's; Curator has no counterpart.
///
/// # Cost
///
/// To join, that of a [`PersistentNode`]; no member reads the others. [`members`](Self::members) and
/// [`len`](Self::len) are one read each. To follow the members, give the names of a `ChildrenWatch` to
/// [`identifiers`](Self::identifiers): each join is one more read then, of all names, for each program that
/// watches.
///
/// # Losing the session
///
/// As for a [`Party`].
///
/// # After a crash
///
/// As for a [`Party`].
///
/// # Cancel safety
///
/// As for a [`Party`].
#[derive(Debug, Clone)]
pub struct ShallowParty {
    base: Base,
}

/// What both kinds have in common.
#[derive(Debug, Clone)]
struct Base {
    client: Client,
    path: String,
    identifier: String,
    id: Option<Guid>,
}

impl Base {
    fn new(client: &Client, path: &str) -> Self {
        Base {
            client: client.clone(),
            path: path.to_owned(),
            identifier: String::new(),
            id: None,
        }
    }

    /// The beginning of a member's name.
    fn hex(&self) -> String {
        self.id.unwrap_or_else(Guid::random).hex()
    }

    async fn join(&self, name: &str) -> Result<Membership> {
        let node = PersistentNode::builder(&self.client, &path::join(&self.path, name))
            .data(Bytes::copy_from_slice(self.identifier.as_bytes()))
            .parents(Parents::Persistent)
            .unique()
            .start();
        node.wait_created().await?;
        Ok(Membership { node })
    }

    async fn names(&self) -> Result<Vec<String>> {
        let client = self.client.with_deadline(None);
        let listed = read(&client, |zk| async move { zk.children(&self.path).await });
        let mut names = match listed.await {
            Ok(children) => children.to_vec(),
            Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        names.sort_unstable();
        Ok(names)
    }

    /// The data of these members, without those that leave meanwhile.
    async fn data(&self, names: &[String]) -> Result<Vec<String>> {
        let client = self.client.with_deadline(None);
        let members = names.iter().map(|name| ((), path::join(&self.path, name)));
        let got = get_all(&client, members.collect(), READS).await?;
        let data = got.into_iter().map(|(.., data, _)| data);
        Ok(data
            .map(|data| String::from_utf8_lossy(&data).into_owned())
            .collect())
    }
}

impl Party {
    /// The party at `path`.
    pub fn new(client: &Client, path: &str) -> Self {
        let base = Base::new(client, path);
        Party { base }
    }

    /// The identifier of this program; empty unless given.
    #[must_use]
    pub fn identifier(mut self, identifier: impl Into<String>) -> Self {
        self.base.identifier = identifier.into();
        self
    }

    /// An id by which the member is recognised after a crash, kept in a file or in the configuration: it
    /// begins the znode's name, so the member may be in the party once. A process that has resumed the
    /// session of an earlier one takes up its znode, and one with another session deletes it and creates
    /// its own.
    ///
    /// It belongs to one program at a time: two that run with the same id replace each other's znode again
    /// and again, with growing delays.
    #[must_use]
    pub fn adopt_by(mut self, id: Guid) -> Self {
        self.base.id = Some(id);
        self
    }

    /// Joins, and returns when the other members can see it. Each call adds a member, unless all have the
    /// [same id](Self::adopt_by).
    ///
    /// # Errors
    /// As [`PersistentNode::wait_created`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves no znode.
    pub async fn join(&self) -> Result<Membership> {
        let name = format!("{}{PARTY}", self.base.hex());
        self.base.join(&name).await
    }

    /// The identifiers of the members, one for each member, in no particular order. A byte that is not UTF-8
    /// is replaced.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn members(&self) -> Result<Vec<String>> {
        let names = self.names().await?;
        self.base.data(&names).await
    }

    /// The number of members.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn len(&self) -> Result<usize> {
        Ok(self.names().await?.len())
    }

    /// Whether there are no members.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.names().await?.is_empty())
    }

    async fn names(&self) -> Result<Vec<String>> {
        let mut names = self.base.names().await?;
        names.retain(|name| name.contains(PARTY));
        Ok(names)
    }
}

impl ShallowParty {
    /// The party at `path`.
    pub fn new(client: &Client, path: &str) -> Self {
        let base = Base::new(client, path);
        ShallowParty { base }
    }

    /// The identifier of this program, which becomes a part of a znode's name; empty unless given.
    #[must_use]
    pub fn identifier(mut self, identifier: impl Into<String>) -> Self {
        self.base.identifier = identifier.into();
        self
    }

    /// As [`Party::adopt_by`].
    #[must_use]
    pub fn adopt_by(mut self, id: Guid) -> Self {
        self.base.id = Some(id);
        self
    }

    /// As [`Party::join`].
    ///
    /// # Errors
    /// As [`Party::join`]; an identifier that cannot be part of a name is an error before anything is sent
    /// ([`InvalidPath`](ErrorKind::InvalidPath)).
    ///
    /// # Cancel safety
    /// As [`Party::join`].
    pub async fn join(&self) -> Result<Membership> {
        let identifier = &self.base.identifier;
        if identifier.contains('/') {
            return Err(zk_client::Error::invalid_path(format!(
                "the identifier {identifier:?} of a shallow party contains a slash, and cannot be part of a \
                 znode's name"
            ))
            .into());
        }
        let name = format!("{}-{identifier}", self.base.hex());
        self.base.join(&name).await
    }

    /// The identifiers of the members, one for each member, in no particular order.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn members(&self) -> Result<Vec<String>> {
        Ok(Self::identifiers(&self.base.names().await?))
    }

    /// The identifiers in the names of the members' znodes: what follows the first hyphen, or the whole name.
    pub fn identifiers<S: AsRef<str>>(names: &[S]) -> Vec<String> {
        let identifier = |name: &S| {
            let name = name.as_ref();
            let identifier = name
                .split_once('-')
                .map_or(name, |(_, identifier)| identifier);
            identifier.to_owned()
        };
        names.iter().map(identifier).collect()
    }

    /// The number of members. As in kazoo, all children of the znode count.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn len(&self) -> Result<usize> {
        Ok(self.base.names().await?.len())
    }

    /// Whether there are no members.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.base.names().await?.is_empty())
    }
}

/// The membership of this program in a [`Party`] or a [`ShallowParty`]. Dropping it leaves the party in the
/// background.
#[must_use = "dropping a membership leaves the party"]
pub struct Membership {
    node: PersistentNode,
}

impl Membership {
    /// The znode of the member, with its states.
    pub fn node(&self) -> &PersistentNode {
        &self.node
    }

    /// A stream of the states of the member's znode.
    pub fn states(&self) -> NodeStates {
        self.node.states()
    }

    /// Leaves the party, and returns when the other members can see it.
    ///
    /// # Errors
    /// As [`PersistentNode::close`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the party in the background.
    pub async fn leave(self) -> Result<()> {
        self.node.close().await
    }
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership")
            .field("node", &self.node)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_follows_the_first_hyphen() {
        let names = ["0f-host-7", "0f-", "0f", "0f-a"];
        let identifiers = ShallowParty::identifiers(&names);
        assert_eq!(identifiers, ["host-7", "", "0f", "a"]);
    }
}
