//! The probes of a web service that depends on ZooKeeper: whether it is alive, and whether it is ready.
//!
//! Start this program, and then `zkctl serve` in another terminal; end that server, and start it again. It has its
//! sessions in memory: the client's has ended then, and the client begins another.
//!
//! ```console
//! $ cargo run --manifest-path examples/Cargo.toml --bin readiness -- localhost:2181 127.0.0.1:8080
//! serves at http://127.0.0.1:8080
//! connecting
//! connected, session 0x…, epoch 1
//! suspended
//! session expired, epoch 1
//! connected, session 0x…, epoch 2
//! ```
//!
//! Before the server is started, while it runs, and just after it has ended:
//!
//! ```console
//! $ curl -w ' %{http_code}' http://127.0.0.1:8080/ready
//! connecting 503
//! connected, session 0x…, epoch 1 200
//! suspended 200
//! ```
//!
//! | state | `/live` | `/ready` | |
//! |---|---|---|---|
//! | connected | 200 | 200 | |
//! | suspended | 200 | 200 | until the session can have ended: requests wait, as for a server that restarts |
//! | connecting, expired | 200 | 503 | the client connects again by itself: a restart of this program would not help |
//! | closed, authentication failed | 503 | 503 | final: only another client helps |
//!
//! All instances lose ZooKeeper at the same time. If the service has useful answers without it, from a cache
//! perhaps, let `/ready` answer 200 in a state of the third row.

use std::error::Error;
use std::time::Instant;

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
    let probes = Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .with_state(zk.clone());
    let listener = TcpListener::bind(address).await?;
    println!("serves at http://{}", listener.local_addr()?);
    let mut states = zk.states();
    tokio::spawn(async move {
        while let Some(state) = states.next().await {
            println!("{state}");
        }
    });
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
    let is_ready = match state {
        Session::Suspended { until } => Instant::now() < until,
        _ => state.is_connected(),
    };
    (status(is_ready), state.to_string())
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
