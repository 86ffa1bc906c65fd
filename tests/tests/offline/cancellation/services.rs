//! The futures of service discovery.

use zk_client::Client;
use zk_recipes::{
    ServerSet, ServerSetMember, ServiceDiscovery, ServiceInstance, ServiceProvider, ServiceType,
};

use super::futures::{Entry, NONE, table};

fn services(zk: &Client) -> ServiceDiscovery<()> {
    ServiceDiscovery::new(zk, "/new")
}

fn instance() -> ServiceInstance<()> {
    ServiceInstance::new("search", "h").id("1")
}

#[rustfmt::skip]
pub(super) fn entries() -> Vec<Entry> {
    table! {
        "a registration" ["recipes/discovery/service_discovery.rs register", "recipes/discovery/registration.rs registered"] leaves ["/new"], |zk, _s| services(&zk).register(instance()).await;
        "a numbered registration" [] leaves ["/new"], |zk, _s| services(&zk).register(instance().service_type(ServiceType::DynamicSequential)).await;
        "an update of a registration" ["recipes/discovery/registration.rs update"] leaves ["/new"], |zk, _s| {
            let mut registration = services(&zk).register(instance()).await?;
            registration.update(instance().enabled(false)).await
        };
        "the end of a registration" ["recipes/discovery/registration.rs unregister"] leaves ["/new"], |zk, _s| {
            let registration = services(&zk).register(instance()).await?;
            registration.unregister().await
        };
        "the names of services" ["recipes/discovery/service_discovery.rs names"] leaves NONE, |zk, _s| ServiceDiscovery::<()>::new(&zk, "/").names().await;
        "the instances of a service" ["recipes/discovery/service_discovery.rs instances"] leaves NONE, |zk, _s| ServiceDiscovery::<()>::new(&zk, "/").instances("base").await;
        "an instance" ["recipes/discovery/service_discovery.rs instance"] leaves NONE, |zk, _s| ServiceDiscovery::<()>::new(&zk, "/").instance("base", "child").await;
        "a cache of a service" ["recipes/discovery/service_cache.rs initialized"] leaves NONE, |zk, _s| ServiceDiscovery::<()>::new(&zk, "/").cache("base").initialized().await;
        "changes of a service" ["recipes/discovery/service_changes.rs next"] leaves ["/new"], |zk, _s| {
            let _registration = services(&zk).start_registration(instance())?;
            let mut changes = services(&zk).cache("search").changes();
            while changes.next().await.is_some() {}
        };
        "an instance that can be used" ["recipes/discovery/provider.rs wait"] leaves ["/new"], |zk, _s| {
            let _registration = services(&zk).start_registration(instance())?;
            ServiceProvider::new(services(&zk).cache("search")).wait().await
        };
        "a member of a server set" ["recipes/discovery/server_set.rs join", "recipes/discovery/server_set.rs update"] leaves ["/new"], |zk, _s| {
            let member = ServerSetMember::new("h", 1);
            let membership = ServerSet::new(&zk, "/new").join(&member).await?;
            membership.update(&member.status("STOPPING")).await
        };
        "leaving a server set" ["recipes/discovery/server_set.rs leave"] leaves ["/new"], |zk, _s| {
            let membership = ServerSet::new(&zk, "/new").join(&ServerSetMember::new("h", 1)).await?;
            membership.leave().await
        };
    }
}
