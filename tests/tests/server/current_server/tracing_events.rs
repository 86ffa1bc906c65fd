//! The `tracing` events of a client: all that happens, and no secret.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::fmt::{Debug, Write as _};
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::common::child;
use crate::common::server::server_resumes_sessions;
use crate::common::{NO_LIMIT, blocking, connect, shared_server, soon, states_until};
use crate::common::{then_always, unless_starved, until_connected, until_suspended};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zk_client::{
    Acl, Dial, Dialing, ErrorKind, HostPort, Permissions, State, TcpDial, Transport, digest_id,
};
use zk_tests::Proxy;
use zk_tests::starvation::always;

/// The events of the whole process, at every level.
#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    fn get() -> Self {
        static CAPTURE: OnceLock<Capture> = OnceLock::new();
        let begin = || {
            let capture = Capture::default();
            let writer = capture.clone();
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_writer(move || writer.clone())
                .init();
            capture
        };
        CAPTURE.get_or_init(begin).clone()
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }
}

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hex(secret: &[u8]) -> String {
    secret.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 of the whole groups of three: the end depends on what follows.
fn base64(secret: &[u8]) -> String {
    let mut text = String::new();
    for group in secret.chunks_exact(3) {
        let bits = group
            .iter()
            .fold(0, |bits, byte| bits << 8 | usize::from(*byte));
        let sextets = [18, 12, 6, 0].map(|shift| BASE64[bits >> shift & 63]);
        text.extend(sextets.map(char::from));
    }
    text
}

fn from_base64(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for sextet in text
        .bytes()
        .filter_map(|c| BASE64.iter().position(|b| *b == c))
    {
        bits = bits << 6 | u32::try_from(sextet).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff).try_into().unwrap());
        }
    }
    bytes
}

/// The ways in which bytes come to be printed.
fn forms(secret: &[u8]) -> Vec<String> {
    let list: Vec<_> = secret.iter().map(u8::to_string).collect();
    let escaped = secret.escape_ascii().to_string();
    let signed: Vec<_> = secret
        .iter()
        .map(|byte| byte.cast_signed().to_string())
        .collect();
    vec![
        escaped,
        String::from_utf8_lossy(secret).into_owned(),
        hex(secret),
        hex(secret).to_uppercase(),
        list.join(", "),
        signed.join(", "),
        base64(secret),
        base64(&secret[1..]),
        base64(&secret[2..]),
    ]
}

/// What must not be said: the secrets and what is made of them.
#[derive(Default)]
struct Secrets(Vec<String>);

impl Secrets {
    fn add(&mut self, secret: &[u8]) {
        self.0.extend(forms(secret));
    }

    /// `user:password`, and the hash that stands in ACLs.
    fn add_digest(&mut self, user: &str, password: &str) {
        self.add(password.as_bytes());
        self.add(format!("{user}:{password}").as_bytes());
        let id = digest_id(user, password);
        let (_, hash) = id.split_once(':').unwrap();
        assert_eq!(from_base64(hash).len(), 20);
        self.0.push(hash.trim_end_matches('=').to_owned());
        self.add(&from_base64(hash));
    }

    fn found_in(&self, text: &str) -> Vec<&String> {
        let found = self.0.iter().filter(|form| text.contains(form.as_str()));
        found.collect()
    }
}

/// TCP, and a note of each session password that a server sends.
#[derive(Debug, Clone, Default)]
struct Tap(Arc<Mutex<Vec<Vec<u8>>>>);

impl Dial for Tap {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            let stream = TcpDial::default().dial(host).await?;
            Ok(Box::new(Tapped {
                stream,
                begin: Vec::new(),
                passwords: self.clone(),
            }) as Box<dyn Transport>)
        })
    }
}

struct Tapped {
    stream: Box<dyn Transport>,
    begin: Vec<u8>,
    passwords: Tap,
}

/// Of a connect response: the length, the version, the timeout, the id, and the password's length.
const BEFORE_PASSWORD: usize = 4 + 4 + 4 + 8 + 4;

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let end = BEFORE_PASSWORD + 16;
        if self.begin.len() < end {
            self.begin.extend_from_slice(&buf.filled()[before..]);
            if let Some(password) = self.begin.get(BEFORE_PASSWORD..end) {
                self.passwords.0.lock().unwrap().push(password.to_vec());
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Records what a program is likely to print.
fn print(thing: &(impl Debug + ?Sized)) {
    tracing::info!(?thing, "printed");
}

/// Credentials, wrong ones among them, and the session's password, through all that happens to a
/// client. The subscriber is the whole process's, so the test has a process of its own.
/// Guards: T6, B75.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_complete_without_secrets() {
    let test = "events_are_complete_without_secrets";
    if !blocking(|| child::is_alone(module_path!(), test)) {
        return;
    }
    unless_starved(Duration::from_secs(2), |session| async move {
        let used = Used::default();
        let scene = everything_is_recorded(session, used.clone());
        then_always(scene, async || used.are_not_recorded()).await;
    })
    .await;
}

const RIGHT: &str = "canary-4f1b7a-right-password";
const WRONG: &str = "canary-93c0d2-wrong-password";
const UNKNOWN: &str = "canary-7e55aa-unknown-scheme";

/// The secrets that a scene has used so far, besides the constant ones.
#[derive(Clone, Default)]
struct Used {
    passwords: Tap,
    token: Arc<OnceLock<String>>,
}

impl Used {
    fn are_not_recorded(&self) {
        let mut secrets = Secrets::default();
        secrets.add_digest("me", RIGHT);
        secrets.add_digest("me", WRONG);
        secrets.add(UNKNOWN.as_bytes());
        if let Some(token) = self.token.get() {
            secrets.add(token.as_bytes());
        }
        let passwords = self.passwords.0.lock();
        let passwords = passwords.unwrap_or_else(PoisonError::into_inner);
        // An expired session is answered with zeros, which are no secret.
        for password in passwords
            .iter()
            .filter(|password| password.iter().any(|b| *b != 0))
        {
            secrets.add(password);
        }
        let reported = Capture::get().text();
        let found = secrets.found_in(&reported);
        always(found.is_empty(), format_args!("{found:?} in\n{reported}"));
    }
}

async fn everything_is_recorded(session: Duration, used: Used) {
    let capture = Capture::get();
    let tap = used.passwords;
    let proxy = Proxy::start(shared_server().address()).unwrap();
    let zk = connect(&proxy.connect_string(), |builder| {
        builder
            .session_timeout(session)
            .backoff(crate::common::impatient())
            .auth("digest", format!("me:{RIGHT}"))
            .dial(tap.clone())
    })
    .await;
    let first = zk.session().id;
    let mine = Acl::new(Permissions::ALL, "digest", digest_id("me", RIGHT));
    zk.create("/mine", "").acl(vec![mine]).await.unwrap();
    let (_, _, watch) = zk.get("/mine").watch().await.unwrap();
    let error = zk.get("/absent").await.unwrap_err();
    print(&error);

    // A wrong password, and a scheme that no server knows.
    let other = crate::common::builder(shared_server().connect_string())
        .connect_timeout(NO_LIMIT)
        .dial(tap.clone())
        .connect()
        .await
        .unwrap();
    let other = other.chroot(zk.root().as_str()).unwrap();
    other
        .add_auth("digest", format!("me:{WRONG}"))
        .await
        .unwrap();
    let error = other.set("/mine", "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoAuth);
    print(&error);
    let error = soon("the refusal", other.add_auth("unknown", UNKNOWN))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AuthFailed);
    print(&error);
    print(&other);

    // Another connection, and another session.
    let mut states = zk.states();
    proxy.cut_all();
    until_suspended(&mut states).await;
    until_connected(&mut states).await;
    assert_eq!(zk.session().id == first, server_resumes_sessions());
    proxy.refuse(true).unwrap();
    proxy.cut_all();
    until_suspended(&mut states).await;
    let error = zk
        .set("/mine", "")
        .deadline(Duration::from_millis(200))
        .await
        .unwrap_err();
    print(&error);
    let expired = |state: &State| matches!(state, State::Expired { .. });
    states_until(&mut states, "the expiry", expired).await;
    soon("the watch to end", watch).await;
    proxy.refuse(false).unwrap();
    until_connected(&mut states).await;
    let second = zk.session().id;
    zk.get("/mine").await.unwrap();
    print(&zk);
    print(&zk.statistics());
    let token = zk.clone().detach().unwrap();
    print(&token);
    used.token.set(token.expose()).unwrap();
    let resumed = crate::common::builder(shared_server().connect_string())
        .connect_timeout(NO_LIMIT)
        .resume(token)
        .await;
    print(&resumed);
    match resumed {
        Ok(resumed) => resumed.close().await.unwrap(),
        Err(error) => {
            assert!(!server_resumes_sessions(), "{error:?}");
            assert_eq!(error.kind(), ErrorKind::SessionExpired);
        }
    }

    let reported = capture.text();
    let passwords = tap.0.lock().unwrap().clone();
    // Two of the first session, one of each of the two others.
    assert!(passwords.len() >= 4, "{}", passwords.len());

    for (what, parts) in [
        ("a span for each client", &["zk.client{id=", "chroot="][..]),
        (
            "its session",
            &["zk.client{id=", &format!("session={first}")],
        ),
        (
            "a span for each attempt",
            &["zk.connection{server=", "attempt=1}"],
        ),
        (
            "attempts are counted",
            &["zk.connection{server=", "attempt=2}"],
        ),
        (
            "a connection",
            &[
                "connected",
                &format!("session={first}"),
                "epoch=1",
                &format!("timeout={session:?}"),
                "server=",
            ],
        ),
        ("its loss", &["connection lost", "reason="]),
        ("a suspended session", &["suspended", "left="]),
        (
            "watches",
            &["arming watches again", "batches=1", "watches=1"],
        ),
        (
            "an expiry",
            &["session expired", &format!("session={first}"), "epoch=1"],
        ),
        (
            "the next session",
            &["connected", &format!("session={second}"), "epoch=2"],
        ),
        ("refused credentials", &["ERROR", "authentication failed"]),
        (
            "an outage",
            &["WARN", "cannot connect", "failures=", "refused"],
        ),
        ("an end", &["closed", &format!("session={second}")]),
        (
            "a request",
            &["TRACE", "submitted", "op=\"getData\"", "path=\"/mine\""],
        ),
        (
            "its answer",
            &[
                "TRACE",
                "answered",
                "op=\"getData\"",
                "path=\"/mine\"",
                "xid=",
                "zxid=0x",
                "latency=",
            ],
        ),
        (
            "a refusal",
            &[
                "TRACE",
                "failed",
                "path=\"/absent\"",
                "code=-101",
                "outcome=Rejected",
            ],
        ),
        (
            "a deadline",
            &["TRACE", "failed", "path=\"/mine\"", "outcome=NotSent"],
        ),
        ("what was printed", &["printed", "[redacted]"]),
    ] {
        // Where the session ends with the connection, its watches do.
        if what == "watches" && !server_resumes_sessions() {
            continue;
        }
        let line = reported
            .lines()
            .find(|line| parts.iter().all(|part| line.contains(part)));
        assert!(
            line.is_some(),
            "{what} is not recorded: {parts:?} in\n{reported}"
        );
    }
}

#[test]
fn a_secret_would_be_found() {
    let mut secrets = Secrets::default();
    secrets.add_digest("me", "canary-password");
    let (secret, pair) = (b"canary-password", b"me:canary-password");
    for leak in [
        format!("{:?}", "me:canary-password"),
        format!("{pair:?}"),
        format!("{secret:x?}").replace(", ", ""),
        hex(secret).to_uppercase(),
        base64(b"<me:canary-password>"),
        digest_id("me", "canary-password"),
    ] {
        assert!(!secrets.found_in(&leak).is_empty(), "{leak}");
    }
    assert!(secrets.found_in("digest me [redacted]").is_empty());
}
