//! TLS, a login with SASL, credentials, and znodes that only their creator can read.
//!
//! `cargo run --features tls,sasl --example secure -- zk1:2281 /etc/zk/ca.pem worker`, with the password
//! in the variable `ZK_PASSWORD`.

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::env;

use zk_client::{Acl, Client, Permissions, TlsConfig, digest_id};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = env::args().skip(1);
    let (Some(hosts), Some(ca), Some(user)) = (args.next(), args.next(), args.next()) else {
        return Err("give the servers, the file of their CA, and the user".into());
    };
    let password = env::var("ZK_PASSWORD")?;
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
    zk.close().await?;
    Ok(())
}
