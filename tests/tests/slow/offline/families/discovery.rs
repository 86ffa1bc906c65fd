//! A registered instance is found by every cache after the last outage, and an unregistered one is gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zk_client::Client;
use zk_recipes::{Registration, ServiceCache, ServiceDiscovery, ServiceInstance};

use super::{Stage, hold};

/// What is registered, with its payload, and each registration.
type Registered = Arc<Mutex<BTreeMap<String, (u64, Registration<u64>)>>>;

#[test]
fn every_cache_finds_the_registered() {
    let counted = [
        "registered",
        "updated",
        "unregistered",
        "given up",
        "X12 expired",
    ];
    hold(20, &counted, play);
}

async fn play(stage: Arc<Stage>) {
    let registered = Registered::default();
    let mut work = JoinSet::new();
    let mut caches = Vec::new();
    for (n, client) in stage.clients().enumerate() {
        let discovery = ServiceDiscovery::new(client, "/services");
        caches.push(discovery.cache("search"));
        work.spawn(register(
            stage.clone(),
            client.clone(),
            n,
            registered.clone(),
        ));
    }
    stage.calm().await;
    let joined = async { while work.join_next().await.is_some() {} };
    stage.soon("the last registration", joined).await;
    let wanted: BTreeMap<_, _> = (registered.lock().unwrap().iter())
        .map(|(id, (payload, _))| (id.clone(), *payload))
        .collect();
    compare(&stage, &caches, &wanted).await;
    registered.lock().unwrap().clear();
    compare(&stage, &caches, &BTreeMap::new()).await;
}

/// Waits for at most a session timeout, in which a connection that is half-open is found dead.
async fn compare(stage: &Stage, caches: &[ServiceCache<u64>], wanted: &BTreeMap<String, u64>) {
    let until = Instant::now() + stage.session_timeout() + Duration::from_secs(2);
    for (n, cache) in caches.iter().enumerate() {
        loop {
            let found: BTreeMap<_, _> = match cache.snapshot() {
                Ok(snapshot) => (snapshot.iter())
                    .map(|one| (one.id.clone(), one.payload.unwrap_or_default()))
                    .collect(),
                Err(error) => return stage.violation(format!("cache {n} has ended: {error}")),
            };
            if found == *wanted {
                break;
            }
            if Instant::now() > until {
                stage.violation(format!(
                    "cache {n} has {found:?}, registered are {wanted:?}"
                ));
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn register(stage: Arc<Stage>, client: Client, n: usize, registered: Registered) {
    let mut rng = stage.rng();
    let discovery = ServiceDiscovery::<u64>::new(&client, "/services");
    let mut payload = 0;
    while Instant::now() < stage.end() {
        payload += 1;
        let id = format!("{n}-{}", rng.u8(0..3));
        let instance = ServiceInstance::new("search", "h").id(&id).payload(payload);
        let limit = Duration::from_millis(rng.u64(1..6_000));
        let own = registered.lock().unwrap().remove(&id);
        match own {
            None => match timeout(limit, discovery.register(instance)).await {
                Ok(Ok(registration)) => {
                    stage.count("registered");
                    (registered.lock().unwrap()).insert(id, (payload, registration));
                }
                Ok(Err(_)) => stage.count("refused"),
                Err(_) => stage.count("given up"),
            },
            Some((_, mut registration)) if rng.bool() => {
                // Pending or dropped, it is written later.
                let _ = timeout(limit, registration.update(instance)).await;
                stage.count("updated");
                let payload = registration.instance().payload.unwrap_or_default();
                registered
                    .lock()
                    .unwrap()
                    .insert(id, (payload, registration));
            }
            Some((_, registration)) => {
                let _ = timeout(limit, registration.unregister()).await;
                stage.count("unregistered");
            }
        }
        sleep(Duration::from_millis(rng.u64(1..1_500))).await;
    }
}
