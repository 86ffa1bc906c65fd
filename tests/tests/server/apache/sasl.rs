//! Logins with a real server: which succeed, which fail, and with what error.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::fs;
use std::future::ready;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use zk_client::sasl::{Beginning, Digest, Login, Mechanism, Step};
use zk_client::{
    Acl, Client, ClientBuilder, Disconnect, Error, ErrorKind, HostPort, Outcome, Permissions,
    SaslError, State,
};
use zk_tests::run_directory::ServerDirectory;
use zk_tests::{Proxy, ServerOptions, Standalone};

use crate::common::certificates::Authority;
use crate::common::{impatient, soon, unless_starved};

const USERS: &str = r#"user_bob="canary-secret" user_jürgen="päss'word""#;

/// A server whose users are in a file.
struct Guarded {
    server: Standalone,
    ca: Authority,
    users: PathBuf,
    _directory: ServerDirectory,
}

impl Guarded {
    /// Serves clients that have logged in and, unless `required`, all others.
    fn start(required: bool) -> Self {
        let directory = ServerDirectory::create("users").unwrap();
        let users = directory.path().join("jaas.conf");
        write_users(&users, USERS);
        let ca = Authority::new("of the server");
        let identity = ca.issue(&["127.0.0.1"]);
        let options = identity
            .real_server(directory.path(), &ca, "none")
            .config(
                "authProvider.1",
                "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
            )
            .config("sessionRequireClientSASLAuth", required.to_string())
            .system_property(
                "java.security.auth.login.config",
                users.display().to_string(),
            );
        Guarded {
            server: Standalone::start(options).unwrap(),
            ca,
            users,
            _directory: directory,
        }
    }

    fn builder(&self) -> ClientBuilder {
        builder(&self.server.connect_string())
    }

    async fn bob(&self) -> Client {
        let builder = self.builder().sasl_digest("bob", "canary-secret");
        builder.connect().await.unwrap()
    }
}

fn write_users(path: &PathBuf, users: &str) {
    let module = "org.apache.zookeeper.server.auth.DigestLoginModule required";
    fs::write(path, format!("Server {{\n  {module}\n  {users};\n}};\n")).unwrap();
}

fn builder(hosts: &str) -> ClientBuilder {
    crate::common::builder(hosts).backoff(impatient())
}

/// Serves every client, with a login or without.
fn open() -> &'static Guarded {
    static SERVER: OnceLock<Guarded> = OnceLock::new();
    SERVER.get_or_init(|| Guarded::start(false))
}

/// Serves clients with a login only.
fn closed() -> &'static Guarded {
    static SERVER: OnceLock<Guarded> = OnceLock::new();
    SERVER.get_or_init(|| Guarded::start(true))
}

/// Why a login failed; the error names the mechanism, and no secret.
fn cause(error: &Error) -> SaslError {
    assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"));
    let text = error.to_string();
    match error.disconnect() {
        Some(Disconnect::LoginFailed { mechanism, cause }) => {
            let reported = [mechanism.as_str(), &cause.to_string(), "127.0.0.1:"];
            assert!(reported.iter().all(|part| text.contains(part)), "{text}");
            cause.clone()
        }
        other => panic!("not about a login: {other:?}"),
    }
}

#[tokio::test]
async fn login_is_an_acl_identity() {
    let server = open();
    let bob = server.bob().await;
    let only_bob = vec![Acl::new(Permissions::ALL, "sasl", "bob")];
    bob.create("/bob", "his").acl(only_bob).await.unwrap();
    assert_eq!(bob.get("/bob").await.unwrap().0, "his");
    let anonymous = server.builder().connect().await.unwrap();
    let error = anonymous.get("/bob").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoAuth);
    anonymous.close().await.unwrap();
    bob.close().await.unwrap();
}

/// ZOOKEEPER-1437: what is submitted before there is a connection does not overtake the login.
/// Guards: A33, B21.
#[tokio::test]
async fn early_requests_wait_for_the_login() {
    let zk = closed()
        .builder()
        .auth("digest", "user:password")
        .sasl_digest("bob", "canary-secret")
        .start()
        .unwrap();
    let writes: Vec<_> = (0..100)
        .map(|n| zk.create(&format!("/early{n}"), "").ephemeral().submit())
        .collect();
    for write in writes {
        soon("a write", write).await.unwrap();
    }
    zk.close().await.unwrap();
}

#[tokio::test]
async fn every_connection_logs_in_again() {
    let server = closed();
    let proxy = Proxy::start(server.server.address()).unwrap();
    let zk = builder(&proxy.connect_string())
        .sasl_digest("bob", "canary-secret")
        .connect()
        .await
        .unwrap();
    let session = zk.session();
    let only_bob = vec![Acl::new(Permissions::ALL, "sasl", "bob")];
    zk.create("/again", "")
        .acl(only_bob)
        .ephemeral()
        .await
        .unwrap();
    let mut states = zk.states();
    assert!(states.next().await.unwrap().is_connected());
    for _ in 0..3 {
        proxy.cut_all();
        assert!(!states.next().await.unwrap().is_connected());
        zk.set("/again", "").await.unwrap();
        assert!(states.next().await.unwrap().is_connected());
    }
    assert_eq!(zk.session(), session);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn names_and_passwords_beyond_ascii() {
    let zk = open()
        .builder()
        .sasl_digest("j\u{fc}rgen", "p\u{e4}ss'word")
        .connect()
        .await
        .unwrap();
    let mine = vec![Acl::new(Permissions::ALL, "sasl", "j\u{fc}rgen")];
    zk.create("/beyond", "").acl(mine).await.unwrap();
    zk.get("/beyond").await.unwrap();
    zk.close().await.unwrap();
}

/// The unknown user's password is no known user's: Apache's server checks it against that of the last
/// user that logged in (`SaslServerCallbackHandler` keeps the name), and accepts it if they agree.
/// Guards: B72, T5.
#[tokio::test]
async fn wrong_credentials_are_refused_at_once() {
    for server in [open(), closed()] {
        for (user, password) in [("bob", "canary"), ("unknown", "canary")] {
            let builder = server.builder().sasl_digest(user, password);
            let refused = builder.connect().await;
            let error = refused.expect_err(&format!("{user}, {password}"));
            let cause = cause(&error);
            assert!(matches!(cause, SaslError::Refused(_)), "{cause:?}");
        }
    }
}

#[tokio::test]
async fn a_realm_has_to_be_the_servers() {
    let login = |realm: &str| Digest::new("bob", "canary-secret").realm(realm);
    let builder = closed().builder().sasl(login("zk-sasl-md5"));
    let zk = builder.connect().await.unwrap();
    zk.exists("/").await.unwrap();
    zk.close().await.unwrap();
    let builder = closed().builder().sasl(login("elsewhere"));
    let error = builder.connect().await.unwrap_err();
    let cause = cause(&error).to_string();
    assert!(
        cause.contains("elsewhere") && cause.contains("zk-sasl-md5"),
        "{cause}"
    );
}

/// The password changes while the client runs, and so does its file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_password_file_is_read_again() {
    let server = tokio::task::block_in_place(|| Guarded::start(true));
    let file = server.users.with_file_name("password");
    fs::write(&file, "canary-secret\n").unwrap();
    let login = Digest::password_file("bob", &file);
    let zk = server.builder().sasl(login).connect().await.unwrap();
    let session = zk.session();
    tokio::task::block_in_place(|| {
        server.server.kill().unwrap();
        write_users(&server.users, "user_bob=\"another\"");
        fs::write(&file, "another\n").unwrap();
        server.server.restart().unwrap();
    });
    soon("a login", zk.exists("/")).await.unwrap();
    assert_eq!(zk.session(), session);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn an_empty_name_is_refused_here() {
    let builder = open().builder().sasl_digest("", "canary");
    let error = builder.connect().await.unwrap_err();
    assert!(matches!(cause(&error), SaslError::Unusable(_)), "{error}");
}

/// As `connect`, but a client that was started and is not waited for has its requests fail.
/// Guards: B79.
#[tokio::test]
async fn refused_login_fails_waiting_requests() {
    let zk = open().builder().sasl_digest("bob", "no").start().unwrap();
    let mut states = zk.states();
    let error = zk.create("/never", "").await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert!(matches!(cause(&error), SaslError::Refused(_)));
    let mut last = None;
    while let Some(state) = states.next().await {
        last = Some(state);
    }
    assert_eq!(last, Some(State::AuthFailed));
    let other = open().bob().await;
    assert_eq!(other.exists("/never").await.unwrap(), None);
    other.close().await.unwrap();
}

/// Guards: A33, T5.
#[tokio::test]
async fn server_without_sasl_is_named() {
    let plain = Standalone::start(ServerOptions::default()).unwrap();
    let embedded = zk_embedded::Server::start().await.unwrap();
    for hosts in [plain.connect_string(), embedded.connect_string()] {
        let error = builder(&hosts)
            .sasl_digest("bob", "canary-secret")
            .connect()
            .await
            .unwrap_err();
        assert_eq!(cause(&error), SaslError::NotOffered);
    }
}

/// Guards: T5.
#[tokio::test]
async fn required_login_is_named_when_missing() {
    let zk = closed().builder().connect().await.unwrap();
    let error = zk.get("/").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::AuthFailed, Outcome::Rejected)
    );
    assert!(error.to_string().contains("SASL"), "{error}");
    let cause = error.disconnect();
    assert_eq!(cause, Some(&Disconnect::LoginRequired));
    // It is not tried again.
    let error = zk.get("/").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed);
    assert_eq!(zk.state(), State::AuthFailed);
}

/// The password is changed while the client is away.
/// Guards: B72, T5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_failing_on_reconnect_is_reported() {
    let server = tokio::task::block_in_place(|| Guarded::start(false));
    let zk = server.bob().await;
    let mut states = zk.states();
    tokio::task::block_in_place(|| {
        server.server.kill().unwrap();
        write_users(&server.users, "user_bob=\"another\"");
        server.server.restart().unwrap();
    });
    let mut last = None;
    let over = async {
        while let Some(state) = states.next().await {
            last = Some(state);
        }
    };
    soon("the end", over).await;
    assert_eq!(last, Some(State::AuthFailed));
    let error = zk.get("/").await.unwrap_err();
    assert!(matches!(cause(&error), SaslError::Refused(_)));
}

/// ZOOKEEPER-3482: the C client cannot do both.
#[tokio::test]
async fn a_login_over_tls() {
    let server = closed();
    let zk = builder(&server.server.secure_address().unwrap().to_string())
        .tls(server.ca.trusted())
        .sasl_digest("bob", "canary-secret")
        .connect()
        .await
        .unwrap();
    zk.exists("/").await.unwrap();
    zk.close().await.unwrap();
}

/// All of it from the command line; the password is in a file, not in the arguments.
#[test]
fn zkctl_logs_in_over_tls() {
    let server = closed();
    let directory = ServerDirectory::create("zkctl").unwrap();
    let (ca, password) = (
        directory.path().join("ca.pem"),
        directory.path().join("password"),
    );
    fs::write(&ca, server.ca.pem()).unwrap();
    let run = |secret: &str| {
        fs::write(&password, secret).unwrap();
        Command::new(crate::common::program::zkctl())
            .arg("ls")
            .env(
                "ZK_SERVER",
                server.server.secure_address().unwrap().to_string(),
            )
            .env("ZK_TLS_CA", &ca)
            .args(["--sasl-user", "bob", "--sasl-password-file"])
            .arg(&password)
            .args(["--connect-timeout", "60s", "--timeout", "60s"])
            .output()
            .unwrap()
    };
    let done = run("canary-secret\n");
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{stderr}");
    assert!(String::from_utf8_lossy(&done.stdout).contains("zookeeper"));
    let refused = run("canary");
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("DIGEST-MD5") && !stderr.contains("canary"),
        "{stderr}"
    );
}

/// A mechanism of the user's own around DIGEST-MD5, whose tickets are slow or missing at times.
#[derive(Debug)]
struct Kerberos {
    digest: Digest,
    begun: Arc<AtomicUsize>,
    missing: usize,
    slow: Duration,
}

impl Login for Kerberos {
    fn mechanism(&self) -> &str {
        "KERBEROS-LIKE"
    }

    fn begin<'a>(&'a self, host: &'a HostPort) -> Beginning<'a> {
        assert_eq!(host.host, "127.0.0.1");
        if self.begun.fetch_add(1, Ordering::SeqCst) < self.missing {
            let away = SaslError::Unavailable("there is no ticket".into());
            return Box::pin(ready(Err(away)));
        }
        Box::pin(async {
            tokio::time::sleep(self.slow).await;
            self.digest.begin(host).await
        })
    }
}

/// ZOOKEEPER-4477 and 4275.
/// Guards: A34, B78.
#[tokio::test]
async fn slow_or_missing_ticket_is_waited_for() {
    unless_starved(Duration::from_millis(1500), tickets_are_waited_for).await;
}

async fn tickets_are_waited_for(session: Duration) {
    let begun = Arc::new(AtomicUsize::new(0));
    let zk = closed()
        .builder()
        .session_timeout(session)
        .sasl(Kerberos {
            digest: Digest::new("bob", "canary-secret"),
            begun: begun.clone(),
            missing: 2,
            // A server would have been given a third of the session.
            slow: session,
        })
        .connect()
        .await
        .unwrap();
    assert_eq!(begun.load(Ordering::SeqCst), 3);
    zk.exists("/").await.unwrap();
    zk.close().await.unwrap();
}

/// A mechanism that knows only itself.
#[derive(Debug)]
struct Other;

impl Login for Other {
    fn mechanism(&self) -> &str {
        "GSSAPI"
    }

    fn begin<'a>(&'a self, _: &'a HostPort) -> Beginning<'a> {
        struct Exchange;
        impl Mechanism for Exchange {
            fn step(&mut self, challenge: Option<&[u8]>) -> Result<Step, SaslError> {
                match challenge {
                    None => Ok(Step::Respond(Vec::new())),
                    Some(_) => Err(SaslError::Challenge("it is not of GSSAPI".into())),
                }
            }
        }
        Box::pin(ready(Ok(Box::new(Exchange) as Box<dyn Mechanism>)))
    }
}

/// ZOOKEEPER-5043: a server that only has DIGEST-MD5 does not get a digest.
/// Guards: B76.
#[tokio::test]
async fn the_requested_mechanism_is_used() {
    let error = open().builder().sasl(Other).connect().await.unwrap_err();
    assert!(matches!(cause(&error), SaslError::Challenge(_)));
    assert!(error.to_string().contains("GSSAPI"), "{error}");
}

/// Guards: P30, P31. A server closes the connection for both reasons; only one of them is after the
/// handshake.
#[tokio::test]
async fn why_a_server_closes_at_once_is_named() {
    let options = ServerOptions::default()
        .config("maxClientCnxns", "1")
        .config("ensembleAuthName", "ours")
        .config(
            "authProvider.ensemble",
            "org.apache.zookeeper.server.auth.EnsembleAuthenticationProvider",
        );
    let server = Standalone::start(options).unwrap();
    let brief = || builder(&server.connect_string()).connect_timeout(Duration::from_secs(2));
    let error = brief()
        .auth("ensemble", "canary")
        .connect()
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("the credentials of scheme \"ensemble\""),
        "{text}"
    );
    assert!(
        !text.contains("canary") && !text.contains("maxClientCnxns"),
        "{text}"
    );
    let only = builder(&server.connect_string()).auth("ensemble", "ours");
    let only = soon("a connection", only.connect()).await.unwrap();
    let error = brief().connect().await.unwrap_err();
    let text = error.to_string();
    let (_, causes) = text
        .split_once("it may have")
        .unwrap_or_else(|| panic!("{text}"));
    assert!(causes.contains("(maxClientCnxns"), "{text}");
    only.close().await.unwrap();
}
