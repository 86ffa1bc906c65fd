//! A gRPC service that registers its instances, and a client that balances its calls over them.
//!
//! Start `zkctl serve` in one terminal, two instances in two others, and the client in a fourth. Start and
//! end instances while it calls.
//!
//! ```console
//! $ cargo run --manifest-path examples/Cargo.toml --bin balanced_grpc -- localhost:2181 serve
//! serves at 127.0.0.1:40001
//! $ cargo run --manifest-path examples/Cargo.toml --bin balanced_grpc -- localhost:2181 call
//! answer of 127.0.0.1:40001
//! answer of 127.0.0.1:40002
//! ```
//!
//! The service is gRPC's standard health service, in place of one of your own: a generated client takes the
//! `Channel` in the same way. An instance is removed when it unregisters, and at the latest when its session
//! ends; until then a call to it may fail, so calls are retried.

use std::error::Error;
use std::time::Duration;

use axum::http::{HeaderValue, Response};
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tonic::Request;
use tonic::transport::channel::Change;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::discover::Change as Found;
use tower::util::MapResponseLayer;
use zk_client::Client;
use zk_recipes::{ServiceCache, ServiceDiscovery, ServiceInstance};

/// The metadata with which an instance names itself.
const INSTANCE: &str = "instance";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().or_else(|| std::env::var("ZK_SERVER").ok());
    let zk = Client::builder(servers.as_deref().unwrap_or("localhost:2181"))
        .session_timeout(Duration::from_secs(10))
        .connect()
        .await?;
    let services = ServiceDiscovery::<String>::new(&zk, "/example/services");
    match arguments.next().as_deref() {
        Some("serve") => serve(&services).await?,
        _ => tokio::select! {
            failed = call(services.cache("search")) => failed?,
            signal = tokio::signal::ctrl_c() => signal?,
        },
    }
    zk.close().await?;
    Ok(())
}

async fn serve(services: &ServiceDiscovery<String>) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let name = HeaderValue::from_str(&address.to_string())?;
    let (_reporter, health) = tonic_health::server::health_reporter();
    let named = MapResponseLayer::new(move |mut response: Response<_>| {
        response.headers_mut().insert(INSTANCE, name.clone());
        response
    });
    // Registered again in each session, as long as this lives.
    let instance = ServiceInstance::new("search", address.ip().to_string()).port(address.port());
    let registration = services.register(instance).await?;
    println!("serves at {address}");
    let shutdown = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("cannot wait for Ctrl-C: {error}");
        }
        // No more calls from clients that see this; those that are being answered are finished.
        if let Err(error) = registration.unregister().await {
            eprintln!("the registration ends with the session: {error}");
        }
    };
    Server::builder()
        .layer(named)
        .add_service(health)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), shutdown)
        .await?;
    Ok(())
}

async fn call(instances: ServiceCache<String>) -> Result<(), Box<dyn Error>> {
    let mut client = HealthClient::new(channel(&instances));
    let mut clock = tokio::time::interval(Duration::from_millis(200));
    loop {
        clock.tick().await;
        let mut request = Request::new(HealthCheckRequest::default());
        request.set_timeout(Duration::from_secs(2));
        match client.check(request).await {
            Ok(answer) => {
                let instance = answer.metadata().get(INSTANCE);
                let instance = instance.and_then(|name| name.to_str().ok());
                println!("answer of {}", instance.unwrap_or("an unknown instance"));
            }
            Err(status) => println!("failed: {}", status.message()),
        }
    }
}

/// A channel to the instances of the cache, which follows their coming and going.
fn channel(instances: &ServiceCache<String>) -> Channel {
    let (channel, changes) = Channel::balance_channel(16);
    let mut found = instances.discover(|instance| {
        let address = instance.address.as_deref().unwrap_or_default();
        let port = instance.port.unwrap_or_default();
        Endpoint::from_shared(format!("http://{address}:{port}"))
    });
    tokio::spawn(async move {
        // Ends when the client is closed; the channel then keeps the instances that it has.
        while let Some(Ok(change)) = found.next().await {
            let change = match change {
                Found::Insert(node, Ok(endpoint)) => Change::Insert(node, endpoint),
                // Its address is no part of a URI.
                Found::Insert(_, Err(_)) => continue,
                Found::Remove(node) => Change::Remove(node),
            };
            if changes.send(change).await.is_err() {
                break;
            }
        }
    });
    channel
}
