//! The scenes that provoke the errors of the page about troubleshooting.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::fmt::Debug;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zk_client::{
    Acl, BackoffPolicy, Client, ClientBuilder, HostPort, Permissions, Resolve, Resolving, Result,
    SessionPolicy, SessionStore, State, TcpDial, TlsConfig, WatchEvent, WatchMode, digest_id,
};
use zk_embedded::fault::{Action, on};
use zk_embedded::{Options, SaslUsers, Server};
use zk_proto::OpCode;
use zk_recipes::Lock;
use zk_tests::run_directory::ServerDirectory;

use super::texts::Scene;
use crate::common::certificates::{Authority, Identity, Validity};
use crate::common::{ClosedPort, NO_LIMIT};
use crate::tls::Port;

/// For attempts to connect that fail for ever.
const CONNECTING: Duration = Duration::from_secs(2);

/// For requests that nothing answers.
const SHORT: Duration = Duration::from_millis(300);

pub(super) fn all() -> Vec<Scene> {
    let mut scenes = servers();
    scenes.extend(credentials());
    scenes.extend(sessions());
    scenes.extend(requests());
    scenes.extend(recipes());
    scenes
}

fn scene<F>(play: fn() -> F) -> Scene
where
    F: Future<Output = String> + Send + 'static,
{
    Box::new(move || Box::pin(play()))
}

/// As `main` prints the error when it returns it.
fn text<T, E: Debug>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => panic!("there was no error"),
        Err(error) => format!("Error: {error:?}"),
    }
}

async fn server(change: impl FnOnce(&mut Options)) -> Server {
    let mut options = Options::default();
    change(&mut options);
    Server::builder().options(options).start().await.unwrap()
}

fn builder(server: &Server) -> ClientBuilder {
    patient(server.connect_string())
}

fn patient(hosts: String) -> ClientBuilder {
    let often = BackoffPolicy::new(Duration::from_millis(10), Duration::from_millis(50));
    Client::builder(hosts).backoff(often)
}

async fn client(server: &Server) -> Client {
    let unlimited = builder(server).connect_timeout(NO_LIMIT);
    unlimited.connect().await.unwrap()
}

async fn fails(builder: ClientBuilder) -> String {
    text(builder.connect_timeout(CONNECTING).connect().await)
}

fn servers() -> Vec<Scene> {
    vec![
        scene(|| async {
            let port = ClosedPort::new();
            fails(patient(port.address())).await
        }),
        scene(|| async {
            let dial = TcpDial::default().resolver(Unknown);
            fails(patient("zk1:2181".to_owned()).dial(dial)).await
        }),
        scene(|| async {
            let server = server(|options| options.max_client_connections = 1).await;
            let _first = client(&server).await;
            fails(builder(&server)).await
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            server.faults().accept_and_never_answer(true);
            fails(builder(&server).session_timeout(Duration::from_secs(1))).await
        }),
        scene(|| async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let hosts = listener.local_addr().unwrap().to_string();
            tokio::spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let _ = stream.read(&mut [0; 64]).await;
                    let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
                }
            });
            fails(patient(hosts)).await
        }),
        scene(|| async {
            let server =
                server(|options| options.four_letter_words = Some(vec!["srvr".to_owned()]));
            let (server, word) = (server.await, "mntr");
            let answer = client(&server).await.command(word).await.unwrap();
            answer.text
        }),
    ]
}

/// A resolver that knows no name.
#[derive(Debug)]
struct Unknown;

impl Resolve for Unknown {
    fn resolve<'a>(&'a self, _: &'a HostPort) -> Resolving<'a> {
        // The text of glibc.
        let text = "failed to lookup address information: Name or service not known";
        Box::pin(async move { Err(io::Error::other(text)) })
    }
}

fn credentials() -> Vec<Scene> {
    vec![
        scene(|| async {
            let ca = Authority::new("of the server");
            let port = Port::open(ca.issue(&["localhost"]).server()).await;
            fails(patient(port.hosts())).await
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let tls = Authority::new("of the server").trusted();
            fails(builder(&server).tls(tls)).await
        }),
        scene(|| certificate(false, "localhost", Validity::Now)),
        scene(|| certificate(true, "zk9.example.com", Validity::Now)),
        scene(|| certificate(true, "localhost", Validity::Past)),
        scene(|| async {
            let port = Port::open(Identity::self_signed(&["localhost"]).server()).await;
            let pin = "00:".repeat(31) + "00";
            fails(patient(port.hosts()).tls(TlsConfig::new().pin_sha256(pin))).await
        }),
        scene(|| async {
            let users = SaslUsers::new([("app", "secret")]);
            let server = server(|options| options.sasl_users = Some(users)).await;
            fails(builder(&server).sasl_digest("app", "wrong")).await
        }),
        scene(|| async {
            let server = server(|options| options.enforce_auth = vec!["digest".to_owned()]).await;
            let zk = builder(&server).connect().await.unwrap();
            text(zk.get("/config").await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let app = builder(&server).auth("digest", "app:secret");
            let app = app.connect().await.unwrap();
            app.create("/config", "v1")
                .acl(Acl::creator_all())
                .await
                .unwrap();
            text(client(&server).await.get("/config").await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let id = digest_id("app", "secret");
            let acl = Acl::new(Permissions::ALL, "sasl", id);
            text(
                client(&server)
                    .await
                    .create("/config", "v1")
                    .acl(vec![acl])
                    .await,
            )
        }),
    ]
}

/// Connects to a server whose certificate comes from a CA that the client trusts, or from another one.
async fn certificate(is_trusted: bool, host: &str, validity: Validity) -> String {
    let (trusted, other) = (Authority::new("trusted"), Authority::new("other"));
    let issuer = if is_trusted { &trusted } else { &other };
    let server = issuer.issue_with(&[host], validity).server();
    let port = Port::open(server).await;
    fails(patient(port.hosts()).tls(trusted.trusted())).await
}

fn sessions() -> Vec<Scene> {
    vec![
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = client(&server).await;
            zk.create("/config", "v1").await.unwrap();
            let lost = on(OpCode::SetData).path("/config");
            server.faults().drop_reply_after_apply(lost);
            text(zk.set("/config", "v2").await)
        }),
        scene(|| async {
            let server = server(|options| options.tick = Duration::from_millis(200)).await;
            let timeout = Duration::from_secs(1);
            let zk = builder(&server)
                .session_timeout(timeout)
                .connect()
                .await
                .unwrap();
            zk.create("/config", "v1").await.unwrap();
            server.faults().freeze();
            text(zk.set("/config", "v2").deadline(NO_LIMIT).await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let once = builder(&server).session_policy(SessionPolicy::Close);
            let zk = once.connect().await.unwrap();
            assert!(server.expire_session(zk.session().id));
            let mut states = zk.states();
            while !matches!(states.next().await, Some(State::Expired { .. })) {}
            text(zk.set("/config", "v2").await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = client(&server).await;
            zk.create("/config", "v1").await.unwrap();
            let mut states = zk.states();
            server.wipe();
            server.faults().disconnect_all();
            while !matches!(states.next().await, Some(State::Suspended { .. })) {}
            text(zk.set("/config", "v2").deadline(CONNECTING).await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = client(&server).await;
            zk.create("/services/app-1", "")
                .ephemeral()
                .parents()
                .await
                .unwrap();
            // The process is started again sooner than its session ends.
            text(
                client(&server)
                    .await
                    .create("/services/app-1", "")
                    .ephemeral()
                    .await,
            )
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let short = builder(&server).close_timeout(SHORT);
            let zk = short.connect().await.unwrap();
            server.faults().freeze();
            text(zk.close().await)
        }),
        scene(|| async {
            let directory = ServerDirectory::create("session-file").unwrap();
            let file = directory.path().join("session");
            let _first = SessionStore::open(&file).unwrap();
            let file = file.display().to_string();
            text(SessionStore::open(&file)).replace(&file, "/var/lib/app/session")
        }),
    ]
}

fn requests() -> Vec<Scene> {
    vec![
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = client(&server).await.chroot("/app").unwrap();
            text(zk.get("/config").await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = client(&server).await;
            server.faults().delay_replies(NO_LIMIT);
            text(zk.get("/config").deadline(SHORT).await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            text(
                client(&server)
                    .await
                    .create("/big", vec![0; 1_100_000])
                    .await,
            )
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = builder(&server).max_request_bytes(2_000_000);
            let zk = zk.connect().await.unwrap();
            text(zk.set("/big", vec![0; 1_100_000]).await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = builder(&server).max_reply_bytes(10_000);
            let zk = zk.connect().await.unwrap();
            zk.create("/big", vec![0; 20_000]).await.unwrap();
            text(zk.get("/big").await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = builder(&server).max_outstanding(10);
            let zk = zk.connect().await.unwrap();
            server.faults().freeze();
            let gets: Vec<_> = (0..11).map(|_| zk.get("/config").submit()).collect();
            let last = gets.into_iter().next_back().unwrap();
            text(last.await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = client(&server).await;
            zk.create("/jobs/a", "").parents().await.unwrap();
            text(zk.delete("/jobs").await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = client(&server).await;
            zk.create("/config", "v1").await.unwrap();
            zk.set("/config", "v2").await.unwrap();
            text(zk.set("/config", "v3").version(0).await)
        }),
        scene(|| async {
            let server = server(|options| options.extended_types = false).await;
            let zk = client(&server).await;
            text(zk.create("/lease", "").ttl(CONNECTING).await)
        }),
        scene(|| async {
            let server = Server::builder().members(3).read_only_mode(true).start();
            let server = server.await.unwrap();
            let hosts = server.addresses()[0].to_string();
            let zk = patient(hosts).read_only(true).connect().await.unwrap();
            zk.create("/config", "v1").await.unwrap();
            let mut states = zk.states();
            server.partition(&[0]);
            while !matches!(states.next().await, Some(State::ConnectedReadOnly { .. })) {}
            text(zk.set("/config", "v2").await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = client(&server).await;
            server
                .faults()
                .rule(on(OpCode::SetData).then(Action::Refuse(zk_client::ErrorCode::ThrottledOp)));
            text(zk.set("/config", "v2").await)
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = client(&server).await;
            server.faults().rule(
                on(OpCode::SetData).then(Action::Refuse(zk_client::ErrorCode::QuotaExceeded)),
            );
            text(zk.set("/config", "v2").await)
        }),
    ]
}

fn recipes() -> Vec<Scene> {
    vec![
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = client(&server).await;
            let guard = Lock::new(&zk, "/locks/ledger").acquire().await.unwrap();
            assert!(server.expire_session(zk.session().id));
            guard.lost().await;
            text(guard.check().map_err(zk_recipes::Error::from))
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = client(&server).await;
            let mut events = zk.watch("/", WatchMode::PersistentRecursive).await.unwrap();
            server.faults().disconnect_all();
            let gap = events.next().await.unwrap();
            format!("{gap:?}")
        }),
        scene(|| async {
            let server = server(|_| {}).await;
            let zk = builder(&server)
                .max_watch_events(4)
                .connect()
                .await
                .unwrap();
            let mut events = zk.watch("/", WatchMode::PersistentRecursive).await.unwrap();
            for n in 0..9 {
                zk.create(&format!("/n{n}"), "").await.unwrap();
            }
            loop {
                let event = events.next().await.unwrap();
                if matches!(event, WatchEvent::Lagged { .. }) {
                    return format!("{event:?}");
                }
            }
        }),
    ]
}
