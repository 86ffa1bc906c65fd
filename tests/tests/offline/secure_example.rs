//! The example `secure` of zk-client, against the embedded server with TLS.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::fs;

use zk_client::ErrorKind;
use zk_embedded::{Options, SaslUsers, Server, ServerTls};
use zk_tests::run_directory::ServerDirectory;

use crate::common::soon;

#[expect(dead_code, unreachable_pub, reason = "as an example it has a `main`")]
#[path = "../../../crates/zk-client/examples/secure.rs"]
mod example;

#[tokio::test]
async fn the_secure_example_logs_in() {
    let tls = ServerTls::generate().unwrap();
    let directory = ServerDirectory::create("secure-example").unwrap();
    let file = directory.path().join("ca.pem");
    fs::write(&file, tls.authority_pem()).unwrap();
    let mut options = Options::default();
    options.sasl_users = Some(SaslUsers::new([("worker", "secret")]));
    let builder = Server::builder().options(options).tls(&tls);
    let server = builder.start().await.unwrap();
    let hosts = server.connect_string();
    let run = |user: &str, password: &str| {
        let (user, password) = (user.to_owned(), password.to_owned());
        example::log_in(hosts.clone(), file.clone(), user, password)
    };
    soon("the example", run("worker", "secret")).await.unwrap();
    let refused = soon("the refusal", run("worker", "wrong")).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::AuthFailed);
}
