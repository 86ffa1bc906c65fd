//! The test of a service by its authors, with the packages from a registry: `cargo xtask package` puts this file
//! into a new project. The service is the quick start of the README; the programs are those of the packages' READMEs.

use std::process::{Command, Output};

use zk_client::{Client, ErrorKind};
use zk_embedded::Server;

async fn run(program: &'static str, server: &Server) -> Output {
    let mut command = Command::new(program);
    command.env("ZK_SERVER", server.connect_string());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
    output
}

#[tokio::test]
async fn the_quick_start_runs() {
    let server = Server::start().await.unwrap();
    // Twice, as users do.
    for version in [1, 2] {
        let output = run(env!("CARGO_BIN_EXE_service"), &server).await;
        let printed = String::from_utf8(output.stdout).unwrap();
        let before = format!("{} bytes, version {}\n", 2 * (version - 1), version - 1);
        assert_eq!(printed, before);
        let data = |path: &str| server.node(path).unwrap().data.unwrap();
        assert_eq!(data("/config"), "v2");
        assert_eq!(data("/ledger"), "42");
        let paths = server.paths();
        let places = paths.iter().filter(|path| path.starts_with("/locks/ledger/"));
        assert_eq!(places.count(), 0, "{paths:?}");
    }
}

#[tokio::test]
async fn the_programs_of_the_readmes_run() {
    let server = Server::start().await.unwrap();
    let zk = Client::connect(server.connect_string()).await.unwrap();
    zk.create("/ledger", "").await.unwrap();
    run(env!("CARGO_BIN_EXE_zk_proto"), &server).await;
    let output = run(env!("CARGO_BIN_EXE_zk_transport"), &server).await;
    assert!(output.stdout.starts_with(b"Zookeeper version: "));
    run(env!("CARGO_BIN_EXE_zk_client"), &server).await;
    let (data, _) = zk.get("/app/config").await.unwrap();
    assert_eq!(data, "v2");
    run(env!("CARGO_BIN_EXE_zk_recipes"), &server).await;
    let (data, _) = zk.get("/ledger").await.unwrap();
    assert_eq!(data, "42");
}

#[tokio::test(start_paused = true)]
async fn a_session_expires_on_a_paused_clock() {
    let server = Server::builder().in_memory().start().await.unwrap();
    let builder = Client::builder(server.members_string()).dial(server.dial());
    let zk = builder.connect().await.unwrap();
    zk.create("/mine", "").ephemeral().await.unwrap();
    assert!(server.expire_session(zk.session().id));
    zk.connected().await.unwrap();
    let error = zk.get("/mine").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
}
