//! Server sets, the format of Finagle and Aurora.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zk_client::path::{join, name};
use zk_client::{Client, Guid};

use super::catalog::Meaning;
use super::instance::ServiceInstance;
use super::json;
use super::service_cache::ServiceCache;
use crate::error::{Error, Result};
use crate::membership::{DataWrite, NodeState, NodeStates, Parents, PersistentNode};

const PREFIX: &str = "member_";

/// A host and a port of a [`ServerSetMember`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Endpoint {
    /// A host name or an IP address.
    pub host: String,
    /// The port, 0 to 65,535.
    pub port: i32,
}

impl Endpoint {
    /// An endpoint.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Endpoint {
            host: host.into(),
            port: port.into(),
        }
    }
}

/// A member of a [`ServerSet`]. Fields of the data that this version does not know are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ServerSetMember {
    /// Where it serves.
    pub service_endpoint: Endpoint,
    /// Further endpoints by their names.
    #[serde(default)]
    pub additional_endpoints: BTreeMap<String, Endpoint>,
    /// `ALIVE` if it is to be used. Others are `DEAD`, `STARTING`, `STOPPING`, `STOPPED` and `WARNING`.
    #[serde(default = "alive")]
    pub status: String,
    /// The number of the shard that it serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<i32>,
    #[serde(flatten)]
    unknown: BTreeMap<String, Value>,
}

fn alive() -> String {
    "ALIVE".to_owned()
}

impl ServerSetMember {
    /// A member that is alive and serves here.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        ServerSetMember {
            service_endpoint: Endpoint::new(host, port),
            additional_endpoints: BTreeMap::new(),
            status: alive(),
            shard: None,
            unknown: BTreeMap::new(),
        }
    }

    /// Adds an endpoint.
    pub fn endpoint(mut self, name: impl Into<String>, endpoint: Endpoint) -> Self {
        self.additional_endpoints.insert(name.into(), endpoint);
        self
    }

    /// Replaces the number of the shard.
    pub fn shard(mut self, shard: i32) -> Self {
        self.shard = Some(shard);
        self
    }

    /// Replaces the status.
    pub fn status(mut self, status: impl Into<String>) -> Self {
        self.status = status.into();
        self
    }
}

/// A set of servers in the format of Finagle and Aurora.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use zk_recipes::{ServerSet, ServerSetMember};
///
/// let set = ServerSet::new(&zk, "/discovery/prod/search");
/// let membership = set.join(&ServerSetMember::new("10.0.0.7", 9200)).await?;
/// for member in set.cache().initialized().await?.iter() {
///     println!("{:?}:{:?}", member.address, member.port);
/// }
/// membership.leave().await?;
/// # Ok(()) }
/// ```
///
/// # Losing the session
///
/// A [`ServerSetMembership`] is kept as a [`PersistentNode`](crate::PersistentNode) keeps its znode.
///
/// # Cost
///
/// To join, one round trip, and two more for a missing parent. The cache costs what a
/// [`ServiceCache`] costs.
///
/// # Znodes
///
/// `<path>/member_<digits>`, ephemeral, with JSON: `{"serviceEndpoint":{"host":…,"port":…},
/// "additionalEndpoints":{…},"status":"ALIVE","shard":0}`. Others let the servers number their members;
/// the digits here are random, ten of them and greater than any number of a server, so that the znode is
/// recognized as this member's after a lost reply, and keeps its name. Znodes with other names
/// are passed over. Curator and kazoo have no counterpart.
///
/// # Cancel safety
///
/// A dropped [`join`](Self::join) leaves no znode.
#[derive(Debug, Clone)]
pub struct ServerSet {
    client: Client,
    path: String,
}

impl ServerSet {
    /// The set at `path`, which need not exist.
    pub fn new(client: &Client, path: &str) -> Self {
        ServerSet {
            client: client.clone(),
            path: path.to_owned(),
        }
    }

    /// Joins, and returns when the member is in the set. While there is no connection, this waits.
    ///
    /// # Errors
    /// The path is invalid, or the ensemble refuses. The member is not in the set.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no znode.
    pub async fn join(&self, member: &ServerSetMember) -> Result<ServerSetMembership> {
        loop {
            let path = join(&self.path, &random_name());
            let node = PersistentNode::builder(&self.client, &path)
                .data(encode(&path, member)?)
                .parents(Parents::Persistent)
                .start();
            match node.wait_created().await {
                Ok(_) => return Ok(ServerSetMembership { node }),
                // Another member has drawn the same number.
                Err(Error::Occupied { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The members, kept up to date, each as an instance: `name` is the last part of the path, `id` the
    /// name of the znode, `address` and `port` are those of the service endpoint, and `enabled` is
    /// whether the status is `ALIVE`. The path need not exist.
    pub fn cache(&self) -> ServiceCache<ServerSetMember> {
        let service = name(&self.path).to_owned();
        let decode = move |node: &str, data: &[u8]| meaning(&service, node, data);
        ServiceCache::start(&self.client, self.path.clone(), Arc::new(decode))
    }
}

/// A member that stays in its set until this is dropped. Made by [`ServerSet::join`].
#[must_use = "dropping a membership leaves the set"]
pub struct ServerSetMembership {
    node: PersistentNode,
}

impl ServerSetMembership {
    /// The path of the znode.
    pub fn path(&self) -> String {
        self.node.path().unwrap_or_default()
    }

    /// The state of the znode.
    pub fn state(&self) -> NodeState {
        self.node.state()
    }

    /// A stream of the states, the present one first.
    pub fn states(&self) -> NodeStates {
        self.node.states()
    }

    /// Replaces the member, usually for another status. Without a connection the result is
    /// [`DataWrite::Pending`], and the member is written on the next one. If the ensemble refuses it then,
    /// the last member stays.
    ///
    /// # Errors
    /// The ensemble refuses the data.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the member to be written.
    pub async fn update(&self, member: &ServerSetMember) -> Result<DataWrite> {
        let data = encode(&self.path(), member)?;
        self.node.set_data(data).await
    }

    /// Deletes the znode, and returns when it is gone.
    ///
    /// # Errors
    /// As [`PersistentNode::close`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the deletion to the background.
    pub async fn leave(self) -> Result<()> {
        self.node.close().await
    }
}

impl fmt::Debug for ServerSetMembership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSetMembership")
            .field("node", &self.node)
            .finish()
    }
}

fn encode(path: &str, member: &ServerSetMember) -> Result<String> {
    json::text(member).map_err(|source| Error::Unencodable {
        path: path.to_owned(),
        source: source.into(),
    })
}

/// A name with ten random digits that fit into Java's `int`, at least 1,000,000,000: the servers number
/// from 0.
fn random_name() -> String {
    const FIRST: u32 = 1_000_000_000;
    let random = Guid::random().hex();
    let random = (random.get(..8)).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let number = FIRST + random.unwrap_or_default() % (i32::MAX.unsigned_abs() - FIRST);
    format!("{PREFIX}{number}")
}

fn meaning(service: &str, node: &str, data: &[u8]) -> Meaning<ServerSetMember> {
    if !node.starts_with(PREFIX) {
        return Meaning::Foreign;
    }
    let member: ServerSetMember = match serde_json::from_slice(data) {
        Ok(member) => member,
        Err(error) => return Meaning::Unreadable(Arc::new(error)),
    };
    let endpoint = &member.service_endpoint;
    let mut instance = ServiceInstance::new(service, &endpoint.host).id(node);
    instance.port = Some(endpoint.port);
    instance.registration_time_utc = 0;
    instance.enabled = member.status == "ALIVE";
    Meaning::Instance(Box::new(instance.payload(member)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Finagle and Aurora write it.
    const DATA: &str = r#"{"serviceEndpoint":{"host":"h","port":1},"additionalEndpoints":{"aurora":{"host":"h","port":2}},"status":"ALIVE","shard":3}"#;

    #[test]
    fn members_are_those_of_finagle() {
        let member = ServerSetMember::new("h", 1)
            .endpoint("aurora", Endpoint::new("h", 2))
            .shard(3);
        assert_eq!(encode("/", &member).unwrap(), DATA);
        let Meaning::Instance(instance) = meaning("s", "member_0000000001", DATA.as_bytes()) else {
            panic!("unreadable");
        };
        assert_eq!(instance.payload, Some(member));
        assert_eq!((&*instance.name, &*instance.id), ("s", "member_0000000001"));
        assert!(instance.enabled && instance.port == Some(1));
    }

    #[test]
    fn the_dead_are_not_enabled() {
        let data = DATA.replace("ALIVE", "DEAD").replace("3}", r#"3,"x":1}"#);
        let Meaning::Instance(instance) = meaning("s", "member_1", data.as_bytes()) else {
            panic!("unreadable");
        };
        assert!(!instance.enabled);
        let written = encode("/", instance.payload.as_ref().unwrap()).unwrap();
        assert!(written.ends_with(r#""shard":3,"x":1}"#), "{written}");
        assert!(matches!(meaning("s", "other_1", b""), Meaning::Foreign));
        assert!(matches!(
            meaning("s", "member_1", b""),
            Meaning::Unreadable(_)
        ));
    }

    #[test]
    fn random_names_have_ten_digits() {
        for _ in 0..100 {
            let name = random_name();
            let number: i32 = name.strip_prefix(PREFIX).unwrap().parse().unwrap();
            assert!(number >= 1_000_000_000);
        }
    }
}
