//! Service discovery beside Curator's, on the same znodes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use zk_client::Client;
use zk_recipes::{
    Registration, ServiceCache, ServiceDiscovery, ServiceInstance, ServiceType, UriSpec,
};

use crate::common::{LONG_SESSION, client_of, shared_server, soon, until};
use crate::mixed_fleets::foreigner::{Foreigner, discovery_program};
use crate::mixed_fleets::mortal::Mortal;

const SERVICE: &str = "search";
/// The session timeout of the process that is killed.
const VICTIM: Duration = Duration::from_secs(4);
const OPERATIONS: usize = 1000;
/// How often both sides are compared.
const ROUNDS: usize = 20;

/// Curator in another process. It ends with this value.
struct Peer(Foreigner);

impl Peer {
    async fn start(hosts: &str, session_timeout: Duration) -> Self {
        let timeout = session_timeout.as_millis().to_string();
        let mut process = discovery_program("CuratorDiscovery.java", &[hosts, &timeout]);
        process.receive("ready").await;
        Peer(process)
    }

    async fn ask(&mut self, command: &str) -> String {
        self.0.send(command).await;
        self.0.line().await
    }

    async fn carry_out(&mut self, command: &str) {
        assert_eq!(self.ask(command).await, "ok", "{command}");
    }
}

fn text<'a>(instances: impl Iterator<Item = &'a ServiceInstance<String>>) -> String {
    let mut sorted: Vec<_> = instances
        .map(|instance| {
            let payload = instance.payload.as_deref().unwrap_or("null");
            format!("{}={payload}", instance.id)
        })
        .collect();
    sorted.sort();
    sorted.join(" ")
}

fn listed(cache: &ServiceCache<String>) -> String {
    let snapshot = cache.snapshot().unwrap();
    text(snapshot.iter().map(|instance| &**instance))
}

/// Waits until our cache and Curator's have these instances and no others.
async fn until_listed(cache: &ServiceCache<String>, peer: &mut Peer, wanted: &str) {
    until("our cache has all", || async { listed(cache) == wanted }).await;
    let peer = tokio::sync::Mutex::new(peer);
    until("Curator's cache has all", || async {
        peer.lock().await.ask("list").await == wanted
    })
    .await;
}

/// Both list the instance of a process that is killed until its session is over, and not after.
async fn lose_a_peer(cache: &ServiceCache<String>, peer: &mut Peer, mut victim: Peer) {
    victim.carry_out("register victim 1").await;
    until_listed(cache, peer, "victim=1").await;
    victim.0.kill().await;
    until_listed(cache, peer, "").await;
}

/// Both register, update and unregister, and lose their sessions meanwhile; after each round both list what
/// is registered, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_discovery() {
    let hosts = shared_server().connect_string();
    let mortal = Mortal::beside(&client_of(&hosts).await).await;
    let zk = mortal.zk.clone();
    let root = format!("{hosts}{}", zk.root());
    let mut peer = Peer::start(&root, LONG_SESSION).await;
    let victim = Peer::start(&root, VICTIM).await;
    let discovery = ServiceDiscovery::<String>::new(&zk, "/services");
    let cache = discovery.cache(SERVICE);
    soon("the cache", cache.initialized()).await.unwrap();
    lose_a_peer(&cache, &mut peer, victim).await;
    let mut rng = fastrand::Rng::with_seed(14);
    let mut ours: BTreeMap<String, Registration<String>> = BTreeMap::new();
    let mut theirs: BTreeMap<String, String> = BTreeMap::new();
    let (mut operations, mut expiries) = (0, 0);
    for round in 0..ROUNDS {
        for _ in 0..OPERATIONS / ROUNDS {
            operations += 1;
            let (number, payload) = (rng.u32(0..12), rng.u32(..).to_string());
            let removes = rng.u32(0..3) == 0;
            if rng.bool() {
                let id = format!("ours-{number:02}");
                let instance = ServiceInstance::new(SERVICE, "rust")
                    .id(&id)
                    .payload(payload);
                match ours.remove(&id) {
                    Some(registration) if removes => registration.unregister().await.unwrap(),
                    Some(mut registration) => {
                        let _ = registration.update(instance).await.unwrap();
                        ours.insert(id, registration);
                    }
                    None => {
                        let registration = soon(&id, discovery.register(instance)).await.unwrap();
                        ours.insert(id, registration);
                    }
                }
            } else {
                let id = format!("theirs-{number:02}");
                match theirs.remove(&id) {
                    Some(_) if removes => peer.carry_out(&format!("unregister {id}")).await,
                    Some(_) => {
                        peer.carry_out(&format!("update {id} {payload}")).await;
                        theirs.insert(id, payload);
                    }
                    None => {
                        peer.carry_out(&format!("register {id} {payload}")).await;
                        theirs.insert(id, payload);
                    }
                }
            }
        }
        if round % 5 == 2 {
            mortal.expire().await;
            expiries += 1;
        }
        if round % 10 == 4 {
            peer.carry_out("expire").await;
            expiries += 1;
        }
        let mut wanted: Vec<_> = (ours.values())
            .map(|registration| text([registration.instance()].into_iter()))
            .chain(theirs.iter().map(|(id, payload)| format!("{id}={payload}")))
            .collect();
        wanted.sort();
        let wanted = wanted.join(" ");
        until_listed(&cache, &mut peer, &wanted).await;
        assert_eq!(peer.ask("query").await, wanted);
        let found = discovery.instances(SERVICE).await.unwrap();
        assert_eq!(text(found.iter()), wanted);
    }
    println!("{operations} operations, {expiries} expiries");
    assert_eq!((operations, expiries), (OPERATIONS, 6));
    for registration in ours.into_values() {
        registration.unregister().await.unwrap();
    }
    let left = theirs.iter().map(|(id, payload)| format!("{id}={payload}"));
    let left = left.collect::<Vec<_>>().join(" ");
    until("only theirs are left", || async { listed(&cache) == left }).await;
}

async fn data(zk: &Client, path: &str) -> String {
    let (data, _) = zk.get(path).await.unwrap();
    String::from_utf8(data.to_vec()).unwrap()
}

/// Byte by byte, and what Curator has written is written back as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_instances() {
    let hosts = shared_server().connect_string();
    let zk = client_of(&hosts).await;
    let mut peer = Peer::start(&format!("{hosts}{}", zk.root()), LONG_SESSION).await;
    peer.carry_out("golden").await;
    let full = data(&zk, "/services/golden/full").await;
    let bare = data(&zk, "/services/golden/bare").await;
    let discovery = ServiceDiscovery::<Value>::new(&zk, "/ours");
    let spec = UriSpec::parse("{scheme}://{address}:{ port }/{[}").unwrap();
    let mut instance = ServiceInstance::new("golden", "h\u{e9}\"\u{1f}")
        .id("full")
        .port(1)
        .ssl_port(2)
        .payload(json!({"weight": 3, "zone": "a"}))
        .payload_class("java.util.TreeMap")
        .service_type(ServiceType::Static)
        .uri_spec(spec);
    instance.registration_time_utc = 5;
    let uri = instance.uri();
    let registration = discovery.register(instance).await.unwrap();
    assert_eq!(data(&zk, "/ours/golden/full").await, full);
    registration.unregister().await.unwrap();
    let mut instance = ServiceInstance::new("golden", "h").id("bare");
    instance.registration_time_utc = 5;
    let registration = discovery.register(instance).await.unwrap();
    assert_eq!(data(&zk, "/ours/golden/bare").await, bare);
    registration.unregister().await.unwrap();

    let theirs = ServiceDiscovery::<Value>::new(&zk, "/services");
    let read = theirs.instance("golden", "full").await.unwrap().unwrap();
    assert_eq!(read.uri(), uri);
    let registration = discovery.register(read).await.unwrap();
    assert_eq!(data(&zk, "/ours/golden/full").await, full);
    registration.unregister().await.unwrap();
}

/// Both register instances whose znodes the servers number, and both find them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_numbered_instances() {
    let hosts = shared_server().connect_string();
    let zk = client_of(&hosts).await;
    let mut peer = Peer::start(&format!("{hosts}{}", zk.root()), LONG_SESSION).await;
    peer.carry_out("sequential").await;
    let discovery = ServiceDiscovery::<String>::new(&zk, "/services");
    let instance = ServiceInstance::new("numbered", "rust")
        .id("ours-")
        .payload("2".to_owned())
        .service_type(ServiceType::DynamicSequential);
    let ours = soon("ours", discovery.register(instance)).await.unwrap();
    let mut names = zk.children("/services/numbered").await.unwrap().to_vec();
    names.sort_by_key(|name| name.starts_with("_c_"));
    assert_eq!(names.len(), 2);
    assert_eq!(names[0], "theirs-0000000000");
    let (uuid, rest) = names[1]["_c_".len()..].split_at(36);
    assert_eq!((uuid.matches('-').count(), rest), (4, "-ours-0000000001"));
    let wanted = "ours-=2 theirs-=1";
    assert_eq!(peer.ask("numbered").await, format!("{wanted}, {wanted}"));
    let found = discovery.instances("numbered").await.unwrap();
    assert_eq!(text(found.iter()), wanted);
    let cache = discovery.cache("numbered");
    soon("the cache", cache.initialized()).await.unwrap();
    assert_eq!(listed(&cache), wanted);
    ours.unregister().await.unwrap();
    until("theirs is left", || async { listed(&cache) == "theirs-=1" }).await;
}
