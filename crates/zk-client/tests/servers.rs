//! The example about servers, with embedded ones.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use zk_client::ClientConfig;
use zk_embedded::Server;

#[expect(dead_code, unreachable_pub, reason = "as an example it has a `main`")]
#[path = "../examples/servers.rs"]
mod example;

#[tokio::test]
async fn the_example_moves_to_another_server() {
    let server = Server::builder().members(2).start().await.unwrap();
    let url = format!("zk://{}?session_timeout=20s", server.connect_string());
    let config = ClientConfig::from_url(&url).unwrap();
    example::show(config).await.unwrap();
}
