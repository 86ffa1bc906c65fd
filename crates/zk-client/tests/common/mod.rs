//! What the tests with an embedded server share.

use zk_client::Client;
use zk_embedded::Server;

/// A server, and a client of it.
pub(crate) async fn connect() -> (Server, Client) {
    let server = Server::start().await.unwrap();
    let client = Client::connect(server.connect_string()).await.unwrap();
    (server, client)
}
