//! The services below a path.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zk_client::path::join;
use zk_client::{Client, ErrorKind};

use super::catalog::Meaning;
use super::instance::ServiceInstance;
use super::json;
use super::registration::Registration;
use super::service_cache::ServiceCache;
use crate::error::{Error, Result};
use crate::membership::PersistentNode;
use crate::reads::{READS, get_all, read};

/// Registers instances of services and finds them, in the format of Curator's x-discovery. `P` is the
/// type of their payloads; a program without payloads uses `()`.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::{ServiceDiscovery, ServiceInstance};
///
/// let discovery = ServiceDiscovery::<String>::new(&zk, "/services");
/// let instance = ServiceInstance::new("search", "10.0.0.7").port(9200);
/// let registration = discovery.register(instance).await?;
/// for instance in discovery.instances("search").await? {
///     println!("{:?}:{:?}", instance.address, instance.port);
/// }
/// registration.unregister().await?;
/// # Ok(()) }
/// ```
///
/// To follow the instances of a service use [`cache`](Self::cache), and a
/// [`ServiceProvider`](crate::ServiceProvider) to choose one of them for each request.
///
/// # Losing the session
///
/// A [`Registration`] is kept as a [`PersistentNode`](crate::PersistentNode) keeps its znode: a
/// connection that is lost and comes back within the session changes nothing, and no cache sees a
/// change (Curator deletes and creates the znode then). After an expiry the instance is registered
/// again in the next session, with the latest data.
///
/// An id that is registered already is a conflict ([`Error::Occupied`]) until that znode is gone. Only
/// the znode of an instance with the same address and port counts as left by an earlier run of this
/// program, and is deleted: two programs cannot listen there. Curator deletes every znode that it finds.
///
/// # After a crash
///
/// A process that resumes the session of an earlier one, as a `SessionStore` of zk_client does, takes up its
/// registrations with [`adopting`](Self::adopting): no cache sees an instance leave. The id has to be the same
/// as before. A sequential instance cannot be taken up, as its name is another one in each process: the
/// earlier one stays as long as the session.
///
/// # Cost
///
/// To register, one round trip of two requests, two more for a service without instances, and two more for a
/// missing base; after that nothing but what a `PersistentNode` costs. An update is one round trip of one
/// request, and one more request that the caller does not wait for; to unregister, one round trip.
/// [`names`](Self::names) and [`instance`](Self::instance) are one round trip,
/// [`instances`](Self::instances) two, with 128 reads at once. All of them begin with a sync, which is sent
/// together with the first read, so that a query finds what was registered before it.
///
/// # Znodes
///
/// `<base>/<service>/<id>`, as Curator: ephemeral for [`Dynamic`](crate::ServiceType::Dynamic)
/// instances, and the parents are containers. A sequential one is named `_c_<uuid>-<id><number>`, by which
/// it is recognized after a lost reply, where Curator's is `<id><number>`. Both are found by
/// [`instances`](Self::instances) and by caches, and not by their ids, as in Curator. The data are those of
/// [`ServiceInstance`]. kazoo has no service discovery.
///
/// Curator's `curator-x-discovery-server`, by which programs without a client register through HTTP, has no
/// counterpart: it is a handler for the web server of a program, which would choose the one that this
/// crate depends on. An instance that such a server has registered is found as any other.
///
/// # Cancel safety
///
/// A query can be dropped. A dropped [`register`](Self::register) leaves no znode.
pub struct ServiceDiscovery<P> {
    client: Client,
    base: String,
    adopting: bool,
    payload: PhantomData<fn() -> P>,
}

impl<P: Serialize + DeserializeOwned + Send + Sync + 'static> ServiceDiscovery<P> {
    /// The services below `base`, which need not exist.
    pub fn new(client: &Client, base: &str) -> Self {
        ServiceDiscovery {
            client: client.clone(),
            base: base.to_owned(),
            adopting: false,
            payload: PhantomData,
        }
    }

    /// Registrations take up the znode of their instance if it belongs to the session in which they
    /// start: that of an earlier process, if this one has resumed its session. See "After a crash"
    /// above.
    #[must_use]
    pub fn adopting(mut self) -> Self {
        self.adopting = true;
        self
    }

    /// Registers an instance, and returns when it is registered. While there is no connection, this
    /// waits.
    ///
    /// # Errors
    /// [`Error::Occupied`] if the id is registered already, [`Error::Unencodable`] if the payload
    /// cannot be encoded, an invalid name or id, and the ensemble's refusal. The instance is not
    /// registered.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no znode.
    #[doc(alias = "registerService")]
    pub async fn register(&self, instance: ServiceInstance<P>) -> Result<Registration<P>> {
        let registration = self.start_registration(instance)?;
        registration.registered().await?;
        Ok(registration)
    }

    /// As [`register`](Self::register), but returns at once. The instance is registered in the
    /// background, also if there is no connection yet, or if the id is registered until later.
    ///
    /// # Errors
    /// The payload cannot be encoded, or the name or the id is invalid.
    pub fn start_registration(&self, instance: ServiceInstance<P>) -> Result<Registration<P>> {
        let path = self.instance_path(&instance.name, &instance.id)?;
        let data = json::encode(&instance).map_err(|source| Error::Unencodable {
            path: path.clone(),
            source: source.into(),
        })?;
        let endpoint = instance.without_payload();
        let node = PersistentNode::builder(&self.client, &path)
            .data(data)
            .mode(instance.service_type.mode())
            .recognize_earlier_run(move |data| {
                let found = json::decode::<serde::de::IgnoredAny>(data);
                found.is_ok_and(|found| found.is_at_endpoint_of(&endpoint))
            });
        let node = match self.adopting {
            true => node.adopting(),
            false => node,
        };
        Ok(Registration::new(instance, node.start()))
    }

    /// The names of the services, sorted. A service whose last instance is gone may still be among them:
    /// servers delete its container after some time.
    ///
    /// # Errors
    /// The read fails.
    ///
    /// # Cancel safety
    /// Can be dropped.
    pub async fn names(&self) -> Result<Vec<String>> {
        self.sorted_children(&self.base).await
    }

    /// The instances of a service, sorted by the names of their znodes; none if there is no such service.
    /// Znodes whose data are empty or no instance are left out. A cache
    /// [lists](crate::ServiceSnapshot::unreadable) them.
    ///
    /// # Errors
    /// The read fails.
    ///
    /// # Cancel safety
    /// Can be dropped.
    #[doc(alias = "queryForInstances")]
    pub async fn instances(&self, name: &str) -> Result<Vec<ServiceInstance<P>>> {
        let path = self.service_path(name)?;
        let nodes = self.sorted_children(&path).await?;
        let znodes = nodes.iter().map(|node| ((), join(&path, node)));
        let got = get_all(&self.client, znodes.collect(), READS).await?;
        let instances = got
            .iter()
            .filter_map(|(.., data, _)| json::decode(data).ok());
        Ok(instances.collect())
    }

    /// One instance of a service; `None` if it is not registered.
    ///
    /// # Errors
    /// The data are no instance ([`Error::Undecodable`]), or the read fails.
    ///
    /// # Cancel safety
    /// Can be dropped.
    pub async fn instance(&self, name: &str, id: &str) -> Result<Option<ServiceInstance<P>>> {
        let path = self.instance_path(name, id)?;
        let (data, stat) = match self.client.get(&path).synced().await {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::NoNode => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let instance = json::decode(&data).map_err(|source| Error::Undecodable {
            path,
            version: stat.version,
            source: source.into(),
        })?;
        Ok(Some(instance))
    }

    /// The instances of a service, kept up to date. The service need not exist. An invalid name ends the
    /// cache with an error.
    pub fn cache(&self, name: &str) -> ServiceCache<P> {
        let decode = |_: &str, data: &[u8]| match json::decode(data) {
            Ok(instance) => Meaning::Instance(Box::new(instance)),
            Err(error) => Meaning::Unreadable(Arc::new(error)),
        };
        let path = format!("{}/{name}", self.base.trim_end_matches('/'));
        ServiceCache::start(&self.client, path, Arc::new(decode))
    }

    async fn sorted_children(&self, path: &str) -> Result<Vec<String>> {
        let list = |zk: Client| async move { zk.children(path).synced().await };
        let mut names = match read(&self.client, list).await {
            Ok(names) => names.to_vec(),
            Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        names.sort_unstable();
        Ok(names)
    }

    fn service_path(&self, name: &str) -> Result<String> {
        if name.is_empty() {
            return Err(zk_client::Error::invalid_path("the name of the service is empty").into());
        }
        Ok(join(&self.base, name))
    }

    fn instance_path(&self, name: &str, id: &str) -> Result<String> {
        if id.is_empty() || id.contains('/') {
            let text =
                "the id of an instance is the name of a znode: not empty, and without slashes";
            return Err(zk_client::Error::invalid_path(text).into());
        }
        Ok(join(&self.service_path(name)?, id))
    }
}

impl<P> Clone for ServiceDiscovery<P> {
    fn clone(&self) -> Self {
        ServiceDiscovery {
            client: self.client.clone(),
            base: self.base.clone(),
            adopting: self.adopting,
            payload: PhantomData,
        }
    }
}

impl<P> fmt::Debug for ServiceDiscovery<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceDiscovery")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}
