//! TLS, a login with SASL, credentials, and znodes that only their creator can read.
//!
//! ```console
//! $ export ZK_PASSWORD=secret
//! $ echo "worker:$ZK_PASSWORD" > users
//! $ cargo run -p zkctl -- serve --tls-dir /tmp/zk-tls --sasl-users-file users &
//! $ cargo run -p zk-client --features tls,sasl --example secure -- 127.0.0.1:2181 /tmp/zk-tls/ca.pem worker
//! sasl worker
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::env;
use std::path::PathBuf;

use zk_client::{Acl, Client, Permissions, TlsConfig, digest_id};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1);
    let (Some(hosts), Some(ca), Some(user)) = (args.next(), args.next(), args.next()) else {
        return Err("give the servers, the file of their CA, and the user".into());
    };
    let password = env::var("ZK_PASSWORD")?;
    log_in(hosts, ca, user, password).await?;
    Ok(())
}

/// Logs in and creates a znode that only this user can read.
///
/// # Errors
/// The server is not to be trusted, the login is refused, or a request failed.
pub async fn log_in(
    hosts: String,
    ca: impl Into<PathBuf>,
    user: String,
    password: String,
) -> zk_client::Result<()> {
    let zk = Client::builder(hosts)
        .tls(TlsConfig::new().ca_file(ca))
        .sasl_digest(user, &password)
        .connect()
        .await?;
    for identity in zk.whoami().await? {
        println!("{} {}", identity.auth_scheme, identity.user);
    }

    // An ACL for the identity of the SASL login, and one for a user of the scheme `digest`.
    zk.create("/mine", "secret").acl(Acl::creator_all()).await?;
    let digest = Acl::new(Permissions::READ, "digest", digest_id("reader", &password));
    zk.set_acl("/mine", [Acl::creator_all(), vec![digest]].concat())
        .await?;
    zk.delete("/mine").await?;
    zk.close().await
}
