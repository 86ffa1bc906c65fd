//! One instance at a time.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Instant, timeout_at};

use super::catalog::Instances;
use super::circuit::{Circuit, DownPolicy};
use super::instance::ServiceInstance;
use super::service_cache::ServiceCache;
use super::strategy::{RoundRobin, Strategy};
use crate::error::CacheError;

type Filter<P> = Box<dyn Fn(&ServiceInstance<P>) -> bool + Send + Sync>;

/// Chooses an instance of a service for each request, from a [`ServiceCache`].
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use zk_recipes::{Random, ServiceDiscovery, ServiceProvider};
///
/// let discovery = ServiceDiscovery::<String>::new(&zk, "/services");
/// let search = ServiceProvider::new(discovery.cache("search"))
///     .strategy(Random)
///     .filter(|instance| instance.payload.as_deref() == Some("zone-a"));
/// let instance = search.wait().await?;
/// let request: Result<(), ()> = Err(()); // … to instance.uri() …
/// if request.is_err() {
///     search.note_error(&instance);
/// }
/// # Ok(()) }
/// ```
///
/// The counterpart of Curator's `ServiceProvider`, with its defaults: [`RoundRobin`], and instances with
/// 2 errors within 30 s are passed over ([`DownPolicy`]). Instances that are not
/// [`enabled`](ServiceInstance::enabled) are passed over as well.
///
/// # Losing the session
///
/// The provider continues with the instances that were known last.
///
/// # Cost
///
/// That of the cache. No requests of its own; [`get`](Self::get) looks at each instance once.
pub struct ServiceProvider<P> {
    cache: ServiceCache<P>,
    strategy: Box<dyn Strategy<P>>,
    filters: Vec<Filter<P>>,
    circuit: Mutex<Circuit>,
}

impl<P> ServiceProvider<P> {
    /// Chooses from the instances of a cache, in turn.
    pub fn new(cache: ServiceCache<P>) -> Self {
        ServiceProvider {
            cache,
            strategy: Box::new(RoundRobin::default()),
            filters: Vec::new(),
            circuit: Mutex::default(),
        }
    }

    /// Replaces the strategy.
    pub fn strategy(mut self, strategy: impl Strategy<P> + 'static) -> Self {
        self.strategy = Box::new(strategy);
        self
    }

    /// Adds a condition that an instance must satisfy.
    pub fn filter(
        mut self,
        filter: impl Fn(&ServiceInstance<P>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filters.push(Box::new(filter));
        self
    }

    /// Replaces the policy by which an instance is passed over because of errors, and forgets the errors.
    pub fn down_policy(mut self, policy: DownPolicy) -> Self {
        self.circuit = Mutex::new(Circuit::new(policy));
        self
    }

    /// An instance; `None` if none can be used now. Sends nothing and does not wait.
    ///
    /// # Errors
    /// The cache has ended.
    pub fn get(&self) -> Result<Option<Arc<ServiceInstance<P>>>, CacheError> {
        Ok(self.choose(&self.cache.snapshot()?.instances, Instant::now()))
    }

    /// All instances that can be used now.
    ///
    /// # Errors
    /// The cache has ended.
    pub fn all(&self) -> Result<Vec<Arc<ServiceInstance<P>>>, CacheError> {
        Ok(self.usable(&self.cache.snapshot()?.instances, Instant::now()))
    }

    /// Waits until an instance can be used, and returns it.
    ///
    /// # Errors
    /// The cache has ended.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn wait(&self) -> Result<Arc<ServiceInstance<P>>, CacheError> {
        let reader = self.cache.reader();
        let mut refused: Option<Instances<P>> = None;
        let mut recovery = None;
        loop {
            let changed = reader.wait(|published| match &published.over {
                Some(error) => Some(Err(error.clone())),
                None => {
                    let instances = &published.snapshot.instances;
                    let is_refused = refused.as_ref().is_some_and(|r| Arc::ptr_eq(r, instances));
                    (!is_refused).then(|| Ok(instances.clone()))
                }
            });
            let instances = match recovery {
                None => changed.await?,
                Some(recovery) => match timeout_at(recovery, changed).await {
                    Ok(instances) => instances?,
                    Err(_) => self.cache.snapshot()?.instances,
                },
            };
            // One time for both: an instance that recovers in between would be neither chosen nor waited for.
            let now = Instant::now();
            if let Some(instance) = self.choose(&instances, now) {
                return Ok(instance);
            }
            recovery = self.next_recovery(now);
            refused = Some(instances);
        }
    }

    /// An error in using an instance: see [`DownPolicy`].
    #[doc(alias = "noteError")]
    pub fn note_error(&self, instance: &ServiceInstance<P>) {
        self.circuit().note_error(instance.key(), Instant::now());
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the next instance that is down can be used again.
    fn next_recovery(&self, now: Instant) -> Option<Instant> {
        let left = self.circuit().next_recovery(now)?;
        now.checked_add(left)
    }

    fn choose(&self, instances: &Instances<P>, now: Instant) -> Option<Arc<ServiceInstance<P>>> {
        let usable = self.usable(instances, now);
        if usable.is_empty() {
            return None;
        }
        usable.get(self.strategy.choose(&usable)).cloned()
    }

    fn usable(&self, instances: &Instances<P>, now: Instant) -> Vec<Arc<ServiceInstance<P>>> {
        let passes = |instance: &Arc<ServiceInstance<P>>| {
            instance.enabled && self.filters.iter().all(|filter| filter(instance))
        };
        let instances = instances.iter().map(|found| &found.instance);
        let mut usable: Vec<_> = instances.filter(|one| passes(one)).cloned().collect();
        let circuit = self.circuit();
        if circuit.has_errors() {
            usable.retain(|instance| !circuit.is_down(&instance.key(), now));
        }
        usable
    }
}

impl<P> fmt::Debug for ServiceProvider<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceProvider")
            .field("cache", &self.cache)
            .field("filters", &self.filters.len())
            .finish_non_exhaustive()
    }
}
