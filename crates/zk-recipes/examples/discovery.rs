//! Registers instances of a service, and chooses one of them.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-recipes --features discovery --example discovery -- localhost:2181
//! http://10.0.0.7:9200/search in zone-a
//! http://10.0.1.7:9200/search in zone-b
//! chosen: http://10.0.0.7:9200/search
//! ```
#![allow(clippy::print_stdout, reason = "an example shows what it finds")]

use std::error::Error;

use zk_client::Client;
use zk_recipes::{Random, ServiceDiscovery, ServiceInstance, ServiceProvider, UriSpec};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    find(hosts.as_deref().unwrap_or("localhost:2181")).await
}

/// Registers two instances, and chooses one of them.
///
/// # Errors
/// A request failed.
pub async fn find(hosts: &str) -> Result<(), Box<dyn Error>> {
    let zk = Client::connect(hosts).await?;

    // Curator's x-discovery reads and writes the same znodes. The payload is of a type of your own.
    let services = ServiceDiscovery::<String>::new(&zk, "/example/services");
    let uri = UriSpec::parse("{scheme}://{address}:{port}/search")?;
    let instance = |host: &str, zone: &str| {
        ServiceInstance::new("search", host)
            .port(9200)
            .payload(zone.to_owned())
            .uri_spec(uri.clone())
    };
    // Each is registered again in each session, until it is unregistered or dropped.
    let near = services.register(instance("10.0.0.7", "zone-a")).await?;
    let mut far = services.register(instance("10.0.1.7", "zone-b")).await?;
    for found in services.instances("search").await? {
        let zone = found.payload.as_deref().unwrap_or("no zone");
        println!("{} in {zone}", found.uri().unwrap_or_default());
    }

    // Chosen from a list that is kept up to date; a request costs no request to the ensemble.
    let provider = ServiceProvider::new(services.cache("search"))
        .strategy(Random)
        .filter(|instance| instance.payload.as_deref() == Some("zone-a"));
    let chosen = provider.wait().await?;
    println!("chosen: {}", chosen.uri().unwrap_or_default());
    // After two errors within 30 s it is passed over for a time.
    provider.note_error(&chosen);

    let _ = far.update(far.instance().clone().enabled(false)).await?;
    far.unregister().await?;
    near.unregister().await?;
    drop(provider);
    zk.close().await?;
    Ok(())
}
