//! The cost of service discovery in requests, and its balancing under `tower`.

use std::collections::BTreeMap;
use std::future::{Ready, poll_fn, ready};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use super::common::{address, memory, paths, received, server, soon, until};
use super::round_trips::{TRIP, cost};
use tower::Service;
use tower::balance::p2c::Balance;
use tower::load::Load;
use zk_recipes::{DataWrite, ServiceDiscovery, ServiceInstance, ServiceProvider};

#[path = "../../examples/discovery.rs"]
#[allow(dead_code, unreachable_pub, reason = "the example is a program")]
mod example;

fn instance(id: usize) -> ServiceInstance<()> {
    ServiceInstance::new("search", "h").id(id.to_string())
}

/// A registration does not read the others, and a cache reads only what has changed.
#[tokio::test(start_paused = true)]
async fn discovery_costs_o_of_n() {
    const COUNT: usize = 1000;
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    zk.ensure_path("/services/search").await.unwrap();
    let discovery = ServiceDiscovery::<()>::new(&zk, "/services");
    let before = received(&memory).await;
    let mut registrations: Vec<_> = (0..COUNT)
        .map(|n| discovery.start_registration(instance(n)).unwrap())
        .collect();
    for registration in &registrations {
        soon("it", registration.registered()).await.unwrap();
    }
    assert_eq!(
        received(&memory).await - before,
        2 * COUNT as u64,
        "create, read"
    );

    let cache = ServiceDiscovery::<()>::new(&other, "/services").cache("search");
    let before = received(&memory).await;
    assert_eq!(soon("it", cache.initialized()).await.unwrap().len(), COUNT);
    let loaded = received(&memory).await - before;
    let what = "the watch, a sync, the service, its names; and the instances";
    assert_eq!(loaded, 4 + COUNT as u64, "{what}");
    let before = received(&memory).await;
    let changed = instance(7).enabled(false);
    let _ = soon("the update", registrations[7].update(changed))
        .await
        .unwrap();
    until("it is changed", || {
        let snapshot = cache.snapshot().unwrap();
        !snapshot.get("7").unwrap().enabled
    })
    .await;
    let changed = received(&memory).await - before;
    assert!(
        (2..=3).contains(&changed),
        "a write, a read of each: {changed}"
    );
    let before = received(&memory).await;
    let found = soon("them", discovery.instances("search")).await.unwrap();
    assert_eq!(found.len(), COUNT);
    assert_eq!(
        received(&memory).await - before,
        COUNT as u64 + 2,
        "sync, names"
    );
}

/// The page of `ServiceDiscovery` states these numbers.
#[tokio::test(start_paused = true)]
async fn an_instance_takes_few_round_trips() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    memory.server.faults().delay_replies(TRIP);
    let discovery = ServiceDiscovery::<()>::new(&zk, "/services");
    let (first, requests, trips) = cost(&memory, discovery.register(instance(1))).await;
    let what = "a creation and a read, three for the znodes above and one for the watch; again";
    assert_eq!((requests, trips), (2 + 4 + 2, 5), "{what}");
    let other = ServiceInstance::new("other", "h");
    let (other, requests, trips) = cost(&memory, discovery.register(other)).await;
    let what = "a creation and a read, one for the znode above and one for the watch; again";
    assert_eq!((requests, trips), (2 + 2 + 2, 3), "{what}");
    let (second, requests, trips) = cost(&memory, discovery.register(instance(2))).await;
    assert_eq!((requests, trips), (2, 1), "a creation, a read");
    let mut second = second.unwrap();
    let updating = async {
        let written = second.update(instance(2).enabled(false)).await;
        tokio::time::sleep(5 * TRIP).await;
        written
    };
    let (written, requests, trips) = cost(&memory, updating).await;
    assert!(matches!(written.unwrap(), DataWrite::Written(_)));
    assert_eq!((requests, trips), (2, 5 + 1), "a write, a read");

    let (names, requests, trips) = cost(&memory, discovery.names()).await;
    assert_eq!(names.unwrap(), ["other", "search"]);
    assert_eq!((requests, trips), (2, 1), "a sync, the names");
    let (one, requests, trips) = cost(&memory, discovery.instance("search", "1")).await;
    assert!(one.unwrap().unwrap().enabled);
    assert_eq!((requests, trips), (2, 1), "a sync, the data");
    let (all, requests, trips) = cost(&memory, discovery.instances("search")).await;
    assert_eq!(all.unwrap().len(), 2);
    assert_eq!((requests, trips), (4, 2), "a sync, the names; two reads");
    let cache = discovery.cache("search");
    let (all, requests, trips) = cost(&memory, cache.initialized()).await;
    assert_eq!(all.unwrap().len(), 2);
    let what = "the watch, a sync, the service, its names; and the instances";
    assert_eq!((requests, trips), (4 + 2, 5), "{what}");
    let provider = ServiceProvider::new(cache);
    let (chosen, requests, trips) = cost(&memory, provider.wait()).await;
    assert_eq!(chosen.unwrap().id, "1");
    assert_eq!((requests, trips), (0, 0));

    let (gone, requests, trips) = cost(&memory, second.unregister()).await;
    gone.unwrap();
    // And perhaps the removal of the watch, and a read of the cache.
    assert!((1..=3).contains(&requests) && trips == 1, "{requests}");
    drop((first, other));
}

/// Counts its calls.
struct Counted(String, Arc<Mutex<BTreeMap<String, usize>>>);

impl Service<()> for Counted {
    type Response = ();
    type Error = std::convert::Infallible;
    type Future = Ready<Result<(), Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        *self.1.lock().unwrap().entry(self.0.clone()).or_default() += 1;
        ready(Ok(()))
    }
}

impl Load for Counted {
    type Metric = usize;

    fn load(&self) -> usize {
        (self.1.lock().unwrap().get(&self.0))
            .copied()
            .unwrap_or_default()
    }
}

#[tokio::test(start_paused = true)]
async fn tower_balances_over_the_instances() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let discovery = ServiceDiscovery::<()>::new(&zk, "/services");
    let cache = discovery.cache("search");
    let calls = Arc::new(Mutex::new(BTreeMap::new()));
    let made = calls.clone();
    let mut balance = Balance::new(cache.discover(move |instance: &Arc<ServiceInstance<()>>| {
        Counted(instance.id.clone(), made.clone())
    }));
    let mut registrations = Vec::new();
    for id in 0..3 {
        registrations.push(soon("it", discovery.register(instance(id))).await.unwrap());
    }
    until("all are there", || cache.snapshot().unwrap().len() == 3).await;
    for _ in 0..300 {
        soon("one", poll_fn(|cx| balance.poll_ready(cx)))
            .await
            .unwrap();
        balance.call(()).await.unwrap();
    }
    let counts = std::mem::take(&mut *calls.lock().unwrap());
    assert!(
        counts.len() == 3 && counts.values().all(|count| *count > 50),
        "{counts:?}"
    );
    let disabled = instance(1).enabled(false);
    let _ = soon("the update", registrations[1].update(disabled))
        .await
        .unwrap();
    drop(registrations.pop());
    until("one is left", || {
        let snapshot = cache.snapshot().unwrap();
        snapshot.len() == 2 && !snapshot.get("1").unwrap().enabled
    })
    .await;
    for _ in 0..20 {
        soon("one", poll_fn(|cx| balance.poll_ready(cx)))
            .await
            .unwrap();
        balance.call(()).await.unwrap();
    }
    assert_eq!(
        *calls.lock().unwrap(),
        BTreeMap::from([("0".to_owned(), 20)])
    );
}

#[tokio::test]
async fn the_example_finds_its_instances() {
    let server = server().start().await.unwrap();
    let hosts = address(&server);
    soon("the example", example::find(&hosts)).await.unwrap();
    let left: Vec<_> = (paths(&server).into_iter())
        .filter(|path| path.starts_with("/example/services/search/"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
