//! The probes of a web service that depends on ZooKeeper: whether it is alive, and whether it is ready.
//!
//! Start `zkctl serve` in one terminal and this program in another. End the server, and start it again.
//!
//! ```console
//! $ cargo run --manifest-path examples/Cargo.toml --bin readiness -- localhost:2181 127.0.0.1:8080
//! serves at http://127.0.0.1:8080
//! connected, session 0x1000005a3f20000, epoch 1
//! suspended
//! connected, session 0x1000005a3f20000, epoch 1
//! $ curl -i http://127.0.0.1:8080/ready
//! HTTP/1.1 503 Service Unavailable
//!
//! suspended
//! ```
//!
//! | state | `/live` | `/ready` | |
//! |---|---|---|---|
//! | connected | 200 | 200 | |
//! | connecting, suspended, expired | 200 | 503 | the client connects again by itself: a restart would not help |
//! | closed, authentication failed | 503 | 503 | final: only another client helps |
//!
//! All instances lose ZooKeeper at the same time. If the service has useful answers without it, from a cache
//! perhaps, let `/ready` answer 200 in a state of the second row.

use std::error::Error;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use zk_client::{Client, State as Session};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().or_else(|| std::env::var("ZK_SERVER").ok());
    let address = arguments.next().unwrap_or("127.0.0.1:8080".to_owned());

    // `start` does not wait for a connection: the probes have to answer before there is one.
    let zk = Client::builder(servers.as_deref().unwrap_or("localhost:2181")).start()?;
    let mut states = zk.states();
    tokio::spawn(async move {
        while let Some(state) = states.next().await {
            println!("{state}");
        }
    });
    let probes = Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .with_state(zk.clone());
    let listener = TcpListener::bind(address).await?;
    println!("serves at http://{}", listener.local_addr()?);
    axum::serve(listener, probes)
        .with_graceful_shutdown(interrupted())
        .await?;
    zk.close().await?;
    Ok(())
}

async fn live(State(zk): State<Client>) -> (StatusCode, String) {
    let state = zk.state();
    let is_over = matches!(state, Session::Closed | Session::AuthFailed);
    (status(!is_over), state.to_string())
}

async fn ready(State(zk): State<Client>) -> (StatusCode, String) {
    let state = zk.state();
    (status(state.is_connected()), state.to_string())
}

fn status(is_well: bool) -> StatusCode {
    match is_well {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        eprintln!("cannot wait for Ctrl-C: {error}");
    }
}
