//! Service discovery when replies, connections and sessions are lost.

use std::sync::Arc;
use std::time::Duration;

use super::common::{
    self, Memory, at, dropped_after, end_session, memory, pose, soon, start, until, until_unwatched,
};
use zk_client::Client;
use zk_embedded::fault::on;
use zk_proto::OpCode;
use zk_recipes::{
    CacheError, DownPolicy, Error, NodeState, Registration, RoundRobin, ServerSet, ServerSetMember,
    ServiceCache, ServiceChange, ServiceChanges, ServiceDiscovery, ServiceInstance,
    ServiceProvider, ServiceType, Sticky,
};

const BASE: &str = "/services";
const SEARCH: &str = "/services/search";

fn instance(id: &str) -> ServiceInstance<String> {
    ServiceInstance::new("search", "10.0.0.7").id(id).port(9200)
}

fn discovery(zk: &Client) -> ServiceDiscovery<String> {
    ServiceDiscovery::new(zk, BASE)
}

/// The ids of the instances in a cache.
fn ids(cache: &ServiceCache<String>) -> Vec<String> {
    let snapshot = cache.snapshot().unwrap();
    snapshot
        .iter()
        .map(|instance| instance.id.clone())
        .collect()
}

async fn until_ids(cache: &ServiceCache<String>, wanted: &[&str]) {
    until(&format!("{wanted:?}"), || ids(cache) == wanted).await;
}

async fn next(changes: &mut ServiceChanges<String>) -> String {
    match soon("a change", changes.next()).await.unwrap().unwrap() {
        ServiceChange::Added { node, .. } => format!("+{node}"),
        ServiceChange::Removed { node, .. } => format!("-{node}"),
        ServiceChange::Changed { node, .. } => format!("~{node}"),
        other => format!("{other:?}"),
    }
}

async fn until_present(registration: &Registration<String>, epoch: u64, zk: &Client) {
    until("it is registered", || {
        let is_present = registration.state().is_present();
        is_present && zk.session().epoch >= epoch
    })
    .await;
    soon("it", registration.registered()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn registered_instances_are_found() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let (ours, theirs) = (discovery(&zk), discovery(&other));
    assert!(soon("names", theirs.names()).await.unwrap().is_empty());
    assert!(theirs.instances("search").await.unwrap().is_empty());
    let cache = theirs.cache("search");
    assert!(soon("it", cache.initialized()).await.unwrap().is_empty());
    let mut changes = cache.changes();
    let mut one = soon("it", ours.register(instance("1").payload("a".to_owned())))
        .await
        .unwrap();
    let two = soon("it", ours.register(instance("2"))).await.unwrap();
    assert_eq!(one.path().as_deref(), Some("/services/search/1"));
    assert_eq!(theirs.names().await.unwrap(), ["search"]);
    let found = theirs.instances("search").await.unwrap();
    assert_eq!((found.len(), found[0].payload.as_deref()), (2, Some("a")));
    let found = theirs.instance("search", "2").await.unwrap().unwrap();
    assert_eq!((found.port, found.payload), (Some(9200), None));
    assert!(theirs.instance("search", "3").await.unwrap().is_none());
    assert_eq!(next(&mut changes).await, "+1");
    assert_eq!(next(&mut changes).await, "+2");
    let changed = one.instance().clone().payload("b".to_owned());
    let _ = soon("the update", one.update(changed)).await.unwrap();
    assert_eq!(next(&mut changes).await, "~1");
    let found = theirs.instance("search", "1").await.unwrap().unwrap();
    assert_eq!(found.payload.as_deref(), Some("b"));
    soon("the end", two.unregister()).await.unwrap();
    assert_eq!(next(&mut changes).await, "-2");
    drop(one);
    assert_eq!(next(&mut changes).await, "-1");
    assert!(cache.snapshot().unwrap().is_complete());
    drop((cache, changes));
    until_unwatched(|| memory.server.watch_counts().data).await;
}

/// The first failure of every service that registers itself.
#[tokio::test(start_paused = true)]
async fn it_is_registered_in_the_next_session() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let cache = discovery(&other).cache("search");
    let mut one = soon("it", discovery(&zk).register(instance("1")))
        .await
        .unwrap();
    until_ids(&cache, &["1"]).await;
    for epoch in 2..5 {
        let text = epoch.to_string();
        let changed = one.instance().clone().payload(text.clone());
        let _ = soon("the update", one.update(changed)).await.unwrap();
        end_session(&memory.server, &zk);
        until_present(&one, epoch, &zk).await;
        let node = memory.server.node(&at("/services/search/1")).unwrap();
        assert_eq!(node.stat.owner(), Some(zk.session().id));
        until("it is found", || {
            let snapshot = cache.snapshot().unwrap();
            let one = snapshot.get("1");
            one.is_some_and(|one| one.payload.as_ref() == Some(&text))
        })
        .await;
    }
    soon("the end", one.unregister()).await.unwrap();
    until_ids(&cache, &[]).await;
}

/// Curator deletes and creates the znodes then.
#[tokio::test(start_paused = true)]
async fn a_reconnect_changes_nothing() {
    let memory = memory(1).await;
    if !pose().resumes_sessions() {
        return;
    }
    let (zk, other) = (memory.any().await, memory.any().await);
    let one = soon("it", discovery(&zk).register(instance("1")))
        .await
        .unwrap();
    let cache = discovery(&other).cache("search");
    let mut changes = cache.changes();
    assert_eq!(next(&mut changes).await, "+1");
    let before = cache.snapshot().unwrap().get("1").unwrap().clone();
    for client in [&zk, &other] {
        let mut states = client.states();
        memory.server.faults().disconnect(client.session().id);
        soon("the reconnect", async {
            let mut lost = false;
            while let Some(state) = states.next().await {
                lost |= !state.is_connected();
                if lost && state.is_connected() {
                    break;
                }
            }
        })
        .await;
    }
    // The second one is after the reconnects.
    let two = soon("it", discovery(&zk).register(instance("2")))
        .await
        .unwrap();
    assert_eq!(next(&mut changes).await, "+2");
    let after = cache.snapshot().unwrap().get("1").unwrap().clone();
    assert!(Arc::ptr_eq(&before, &after));
    drop((one, two));
}

#[tokio::test(start_paused = true)]
async fn lost_replies_are_resolved() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.ensure_path(SEARCH).await.unwrap();
    let faults = memory.server.faults();
    for service_type in [ServiceType::Dynamic, ServiceType::DynamicSequential] {
        let instance = instance("1-").service_type(service_type);
        faults.drop_reply_after_apply(on(common::create_op()));
        let mut one = soon("it", discovery(&zk).register(instance)).await.unwrap();
        assert_eq!(memory.names(SEARCH).len(), 1);
        faults.drop_reply_after_apply(on(OpCode::SetData));
        let changed = one.instance().clone().payload("b".to_owned());
        let _ = soon("the update", one.update(changed)).await.unwrap();
        soon("it", one.registered()).await.unwrap();
        let found = discovery(&zk).instances("search").await.unwrap();
        assert_eq!((found.len(), found[0].payload.as_deref()), (1, Some("b")));
        faults.drop_reply_after_apply(on(OpCode::Delete));
        soon("the end", one.unregister()).await.unwrap();
        assert!(memory.names(SEARCH).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_is_registered_once() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let one = soon("it", discovery(&zk).register(instance("1")))
        .await
        .unwrap();
    let elsewhere = instance("1").port(9201);
    let occupied = soon("the answer", discovery(&other).register(elsewhere)).await;
    let error = occupied.unwrap_err();
    assert!(
        matches!(&error, Error::Occupied { owner, .. } if *owner == Some(zk.session().id)),
        "{error:?}"
    );
    // The same endpoint, and the same program.
    let again = soon("the answer", discovery(&zk).register(instance("1"))).await;
    assert!(matches!(again, Err(Error::Occupied { .. })), "{again:?}");
    assert!(one.state().is_present());
    assert_eq!(memory.names(SEARCH), ["1"]);
}

/// What an earlier run of the program has left does not keep the next one out.
#[tokio::test(start_paused = true)]
async fn a_restarted_program_takes_over() {
    let memory = memory(1).await;
    let (zk, crashed) = (memory.any().await, memory.any().await);
    // A znode without a program that keeps it.
    let left = soon("it", discovery(&crashed).register(instance("1")))
        .await
        .unwrap();
    let data = memory
        .server
        .node(&at("/services/search/1"))
        .unwrap()
        .data
        .unwrap();
    soon("the end", left.unregister()).await.unwrap();
    crashed.ensure_path(SEARCH).await.unwrap();
    crashed
        .create("/services/search/1", data)
        .ephemeral()
        .await
        .unwrap();
    let one = soon("it", discovery(&zk).register(instance("1")))
        .await
        .unwrap();
    let node = memory.server.node(&at("/services/search/1")).unwrap();
    assert_eq!(node.stat.owner(), Some(zk.session().id));
    drop(one);
}

/// Curator leaks the znode.
#[tokio::test(start_paused = true)]
async fn sequential_instances_are_unregistered() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let sequential = || instance("1-").service_type(ServiceType::DynamicSequential);
    let one = soon("it", discovery(&zk).register(sequential()))
        .await
        .unwrap();
    let two = soon("it", discovery(&zk).register(sequential()))
        .await
        .unwrap();
    assert_eq!(memory.names(SEARCH).len(), 2);
    assert_eq!(discovery(&zk).instances("search").await.unwrap().len(), 2);
    soon("the end", one.unregister()).await.unwrap();
    assert_eq!(
        memory.names(SEARCH),
        [two.path().unwrap().replace("/services/search/", "")]
    );
    soon("the end", two.unregister()).await.unwrap();
    assert!(memory.names(SEARCH).is_empty());
}

#[tokio::test(start_paused = true)]
async fn static_instances_outlive_the_session() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let permanent = instance("1").service_type(ServiceType::Static);
    let one = soon("it", discovery(&zk).register(permanent))
        .await
        .unwrap();
    let node = memory.server.node(&at("/services/search/1")).unwrap();
    assert_eq!(node.stat.owner(), None);
    end_session(&memory.server, &zk);
    until("there is another session", || zk.session().epoch == 2).await;
    assert_eq!(memory.names(SEARCH), ["1"]);
    soon("the end", one.unregister()).await.unwrap();
    assert!(memory.names(SEARCH).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_registration_leaves_nothing() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.ensure_path(SEARCH).await.unwrap();
    let discovery = discovery(&zk);
    let mut through = 0;
    for polls in 1..40 {
        if dropped_after(polls, discovery.register(instance("1"))).await {
            through += 1;
        }
        if polls % 3 == 0 {
            let mut registration = discovery.start_registration(instance("2")).unwrap();
            dropped_after(polls / 3, registration.update(instance("2"))).await;
            dropped_after(polls / 3, registration.unregister()).await;
        }
        until("nothing is left", || memory.names(SEARCH).is_empty()).await;
    }
    assert!(through > 0);
    until_unwatched(|| memory.server.watch_counts().data).await;
}

#[tokio::test(start_paused = true)]
async fn bad_data_do_no_harm_to_a_cache() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.ensure_path(SEARCH).await.unwrap();
    zk.create("/services/search/empty", "").await.unwrap();
    let bad = r#"{"name":"search","port":"many"}"#;
    zk.create("/services/search/bad", bad).await.unwrap();
    let one = soon("it", discovery(&zk).register(instance("1")))
        .await
        .unwrap();
    let cache = discovery(&zk).cache("search");
    let snapshot = soon("it", cache.initialized()).await.unwrap();
    assert_eq!(ids(&cache), ["1"]);
    let unreadable: Vec<_> = snapshot.unreadable().map(|(node, _)| node).collect();
    assert_eq!(unreadable, ["bad", "empty"]);
    assert_eq!(discovery(&zk).instances("search").await.unwrap().len(), 1);
    let error = discovery(&zk).instance("search", "bad").await.unwrap_err();
    assert!(matches!(&error, Error::Undecodable { path, .. } if path.ends_with("/bad")));
    zk.set(
        "/services/search/empty",
        r#"{"name":"search","id":"empty"}"#,
    )
    .await
    .unwrap();
    until_ids(&cache, &["1", "empty"]).await;
    drop(one);
}

#[tokio::test(start_paused = true)]
async fn a_cache_follows_its_own_lost_session() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let one = soon("it", discovery(&zk).register(instance("1")))
        .await
        .unwrap();
    let cache = discovery(&other).cache("search");
    until_ids(&cache, &["1"]).await;
    memory.server.faults().close_after_accept(true);
    end_session(&memory.server, &other);
    let kept = ids(&cache);
    memory.server.faults().close_after_accept(false);
    let two = soon("it", discovery(&zk).register(instance("2")))
        .await
        .unwrap();
    until_ids(&cache, &["1", "2"]).await;
    assert_eq!(kept, ["1"], "it keeps what was known");
    drop(two);
    until_ids(&cache, &["1"]).await;
    drop(one);
    until_ids(&cache, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_client_ends_the_cache() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let cache = discovery(&zk).cache("search");
    soon("it", cache.initialized()).await.unwrap();
    let mut changes = cache.changes();
    soon("the end", zk.clone().close()).await.unwrap();
    assert!(soon("the end", changes.next()).await.is_none());
    let over = cache.snapshot().unwrap_err();
    assert!(matches!(over, CacheError::Closed), "{over:?}");
    let invalid = memory.any().await;
    let cache = discovery(&invalid).cache("");
    let error = soon("the error", cache.initialized()).await.unwrap_err();
    assert!(matches!(error, CacheError::Client(_)), "{error:?}");
    for (name, id) in [
        ("", "1"),
        ("search", ""),
        ("search", "a/b"),
        ("search", "\0"),
    ] {
        let mut wrong = instance(id);
        wrong.name = name.to_owned();
        let error = soon("the answer", discovery(&invalid).register(wrong)).await;
        let error = error.unwrap_err();
        assert_eq!(
            error.kind(),
            Some(zk_client::ErrorKind::InvalidPath),
            "{name:?} {id:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_keeps_the_identity() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let mut one = soon("it", discovery(&zk).register(instance("1")))
        .await
        .unwrap();
    for wrong in [
        instance("2"),
        instance("1").service_type(ServiceType::Static),
    ] {
        let error = soon("the answer", one.update(wrong)).await.unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    }
    assert_eq!(one.instance().id, "1");
}

#[tokio::test(start_paused = true)]
async fn a_provider_takes_turns() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let discovery = discovery(&zk);
    let provider = ServiceProvider::new(discovery.cache("search"))
        .filter(|instance| instance.port == Some(9200));
    let provider = Arc::new(provider);
    assert!(provider.get().unwrap().is_none());
    let waiting = start({
        let provider = provider.clone();
        async move { provider.wait().await }
    });
    let mut registrations = Vec::new();
    for wrong in [instance("a").port(1), instance("b").enabled(false)] {
        registrations.push(soon("it", discovery.register(wrong)).await.unwrap());
    }
    for id in ["1", "2", "3"] {
        registrations.push(soon("it", discovery.register(instance(id))).await.unwrap());
    }
    assert_eq!(
        soon("one", waiting).await.unwrap().unwrap().port,
        Some(9200)
    );
    until("all are there", || provider.all().unwrap().len() == 3).await;
    let mut had: Vec<_> = (0..3)
        .map(|_| provider.get().unwrap().unwrap().id.clone())
        .collect();
    had.sort();
    assert_eq!(had, ["1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn instances_with_errors_are_passed_over() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let discovery = discovery(&zk);
    let cache = discovery.cache("search");
    let provider = ServiceProvider::new(cache.clone()).strategy(Sticky::new(RoundRobin::default()));
    let _one = soon("it", discovery.register(instance("1"))).await.unwrap();
    let _two = soon("it", discovery.register(instance("2"))).await.unwrap();
    until_ids(&cache, &["1", "2"]).await;
    let first = soon("it", provider.wait()).await.unwrap();
    provider.note_error(&first);
    assert_eq!(provider.get().unwrap().unwrap().id, first.id);
    provider.note_error(&first);
    let second = provider.get().unwrap().unwrap();
    assert_ne!(second.id, first.id);
    for _ in 0..2 {
        provider.note_error(&second);
    }
    assert!(provider.get().unwrap().is_none());
    // Until the period of the first error is over.
    soon("one", provider.wait()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(provider.all().unwrap().len(), 2);
    let strict = ServiceProvider::new(cache).down_policy(DownPolicy::new(1, Duration::MAX));
    strict.note_error(&first);
    assert_eq!(strict.all().unwrap().len(), 1);
}

fn set(zk: &Client) -> ServerSet {
    ServerSet::new(zk, "/discovery/prod/search")
}

#[tokio::test(start_paused = true)]
async fn a_server_set_has_its_members() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let cache = set(&other).cache();
    soon("it", cache.initialized()).await.unwrap();
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(common::create_op()));
    let one = soon("it", set(&zk).join(&ServerSetMember::new("h", 1)))
        .await
        .unwrap();
    let other_kind = other
        .create("/discovery/prod/search/leader_", "x")
        .sequential();
    other_kind.await.unwrap();
    let foreign =
        r#"{"serviceEndpoint":{"host":"g","port":2},"additionalEndpoints":{},"status":"ALIVE"}"#;
    let foreign = other.create("/discovery/prod/search/member_", foreign);
    let foreign = foreign.ephemeral().sequential().await.unwrap();
    let hosts = || {
        let snapshot = cache.snapshot().unwrap();
        let mut hosts: Vec<_> = (snapshot.iter())
            .map(|member| (member.address.clone().unwrap_or_default(), member.enabled))
            .collect();
        hosts.sort();
        hosts
    };
    let alive = |host: &str| (host.to_owned(), true);
    until("both", || hosts() == [alive("g"), alive("h")]).await;
    end_session(&memory.server, &zk);
    until("it is there again", || {
        zk.session().epoch == 2 && matches!(one.state(), NodeState::Present { .. })
    })
    .await;
    if !common::is_restored() {
        until("both", || hosts() == [alive("g"), alive("h")]).await;
        other.delete(&foreign.path).await.unwrap();
    }
    until("one", || hosts() == [alive("h")]).await;
    let stopping = ServerSetMember::new("h", 1).status("STOPPING");
    let _ = soon("the update", one.update(&stopping)).await.unwrap();
    until("it stops", || hosts() == [("h".to_owned(), false)]).await;
    soon("the end", one.leave()).await.unwrap();
    until("none", || hosts().is_empty()).await;
}

/// A member that lags behind its leader does not hide what was registered before.
#[tokio::test(start_paused = true)]
async fn a_query_finds_what_was_registered() {
    let memory: Memory = memory(3).await;
    let near = memory.client(&[0], |options| options).await;
    let far = memory.client(&[1], |options| options).await;
    memory.server.set_lag(1, true);
    let one = soon("it", discovery(&near).register(instance("1")))
        .await
        .unwrap();
    let found = soon("the answer", discovery(&far).instances("search")).await;
    assert_eq!(found.unwrap().len(), 1);
    assert_eq!(
        soon("names", discovery(&far).names()).await.unwrap(),
        ["search"]
    );
    let found = soon("the answer", discovery(&far).instance("search", "1")).await;
    assert!(found.unwrap().is_some());
    drop(one);
}
