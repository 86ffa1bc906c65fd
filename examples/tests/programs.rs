//! Each program against the embedded server.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a failed expectation is a failed test"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_client::SessionId;
use zk_embedded::Server;
use zk_tests::Wait;
use zk_tests::signal::{Signal, send};

/// A program, and the lines that it has printed. It is killed when dropped.
struct Program {
    process: Child,
    printed: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Program {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        let printed = Arc::<Mutex<Vec<String>>>::default();
        let reader = thread::spawn({
            let printed = printed.clone();
            move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    printed.lock().unwrap().push(line);
                }
            }
        });
        Program {
            process,
            printed,
            reader: Some(reader),
        }
    }

    fn lines(&self) -> Vec<String> {
        self.printed.lock().unwrap().clone()
    }

    /// Waits for a line after the first `skipped` ones that begins with these words; the rest of it.
    async fn prints_after(&self, skipped: usize, words: &str) -> String {
        let mut rest = None;
        until(&format!("a line {words:?}"), || {
            let lines = self.lines();
            let mut found = lines.iter().skip(skipped);
            rest = found.find_map(|line| Some(line.strip_prefix(words)?.to_owned()));
            rest.is_some()
        })
        .await;
        rest.unwrap()
    }

    async fn prints(&self, words: &str) -> String {
        self.prints_after(0, words).await
    }

    fn enter(&self) {
        self.process
            .stdin
            .as_ref()
            .unwrap()
            .write_all(b"\n")
            .unwrap();
    }

    /// All lines, once the program has ended with success.
    async fn ended(mut self) -> Vec<String> {
        until("the program ends", || {
            self.process.try_wait().unwrap().is_some()
        })
        .await;
        assert!(self.process.wait().unwrap().success());
        self.reader.take().unwrap().join().unwrap();
        self.lines()
    }

    async fn interrupt(self) -> Vec<String> {
        send(self.process.id(), Signal::Interrupt).unwrap();
        self.ended().await
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only for a process that has already ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until this is so, for as long as anything happens.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = Wait::begin(what);
    while !is_so() {
        let verdict = wait.verdict();
        assert!(verdict.is_none(), "{verdict:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sessions last until a test expires them.
async fn server() -> Server {
    let minute = Duration::from_secs(60);
    let server = Server::builder().session_timeouts(minute, minute);
    server.start().await.unwrap()
}

/// The session of the only znode in a directory.
fn owner_below(server: &Server, directory: &str) -> SessionId {
    let paths = server.paths();
    let mut below = paths.iter().filter(|path| path.starts_with(directory));
    let node = server.node(below.next().unwrap()).unwrap();
    assert_eq!(below.next(), None);
    node.stat.owner().unwrap()
}

/// The status and the body of the answer to a GET.
async fn get(address: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap();
    (status.to_owned(), body.to_owned())
}

/// The lines that a block of a program's first comment shows as its output.
fn documented(source: &str, block: usize) -> Vec<&str> {
    let shown = source.split("//! ```console\n").nth(block + 1).unwrap();
    let (shown, _) = shown.split_once("//! ```\n").unwrap();
    let lines = shown.lines().map(|line| line.trim_start_matches("//! "));
    lines.filter(|line| !line.starts_with('$')).collect()
}

/// Compares lines with those that are documented, in which a session is `0x…`.
fn assert_documented(lines: &[String], documented: &[&str]) {
    let general = |line: &String| match line.split_once("session 0x") {
        Some((start, rest)) => {
            let rest = rest.trim_start_matches(|digit: char| digit.is_ascii_hexdigit());
            format!("{start}session 0x…{rest}")
        }
        None => line.clone(),
    };
    let lines: Vec<_> = lines.iter().map(general).collect();
    assert_eq!(lines, documented);
}

#[tokio::test]
async fn readiness_follows_the_session() {
    let source = include_str!("../src/bin/readiness.rs");
    let server = server().await;
    server.faults().stop();
    let hosts = server.connect_string();
    let program = env!("CARGO_BIN_EXE_readiness");
    let program = Program::start(program, &[&hosts, "127.0.0.1:0"]);
    let address = program.prints("serves at http://").await;
    let mut probed = Vec::new();
    let mut probe = async || {
        let (status, body) = get(&address, "/ready").await;
        probed.push(format!("{body} {status}"));
        assert_eq!(get(&address, "/live").await.0, "200");
    };
    program.prints("connecting").await;
    probe().await;
    server.faults().run();
    program.prints("connected, session ").await;
    probe().await;
    server.faults().stop();
    program.prints("suspended").await;
    probe().await;
    assert_documented(&probed, &documented(source, 1));

    // As a server does that is started again without its sessions.
    let sessions = server.sessions();
    assert!(server.expire_session(sessions[0].id));
    server.faults().run();
    let known = program.lines().len();
    program.prints_after(known, "connected, session ").await;
    let lines = program.interrupt().await;
    assert!(server.sessions().is_empty());
    let states = lines.len() - usize::from(lines.last().is_some_and(|line| line == "closed"));
    let printed: Vec<_> = lines[..states]
        .iter()
        .map(|line| line.replace(&address, "127.0.0.1:8080"))
        .collect();
    assert_documented(&printed, &documented(source, 0));
}

#[tokio::test]
async fn sqlite_refuses_an_earlier_holder() {
    let server = server().await;
    let hosts = server.connect_string();
    let name = format!("zk-account-{}.db", std::process::id());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let path = file.to_str().unwrap();
    let start = || Program::start(env!("CARGO_BIN_EXE_fenced_sqlite"), &[&hosts, path]);

    let first = start();
    let token = first.prints("token ").await;
    assert!(token.contains("the balance is 0"), "{token}");
    let session = server.sessions()[0].id;
    let second = start();
    until("the second one waits", || {
        let paths = server.paths();
        paths.iter().filter(|path| path.contains("-lock-")).count() == 2
    })
    .await;
    assert!(second.lines().is_empty());
    server.expire_session(session);
    second.prints("token ").await;
    second.enter();
    let lines = second.ended().await;
    assert!(lines[1].ends_with("the balance is 1 now"), "{lines:?}");

    // It has read 0, and would write 1 over a later balance.
    first.enter();
    let lines = first.ended().await;
    assert!(lines[1].starts_with("refused: token "), "{lines:?}");
    let third = start();
    let read = third.prints("token ").await;
    assert!(read.contains("the balance is 1"), "{read}");
    third.enter();
    let lines = third.ended().await;
    assert!(lines[1].ends_with("the balance is 2 now"), "{lines:?}");
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn grpc_calls_reach_each_instance() {
    let server = server().await;
    let hosts = server.connect_string();
    let start = |role: &str| Program::start(env!("CARGO_BIN_EXE_balanced_grpc"), &[&hosts, role]);
    let first = start("serve");
    let first_address = first.prints("serves at ").await;
    let client = start("call");
    client.prints(&format!("answer of {first_address}")).await;

    let second = start("serve");
    let second_address = second.prints("serves at ").await;
    client.prints(&format!("answer of {second_address}")).await;
    // It unregisters, and the other one answers all calls.
    first.interrupt().await;
    let known = client.lines().len();
    let answer = format!("answer of {second_address}");
    until("ten answers of one instance", || {
        let lines = client.lines();
        let later = lines.iter().skip(known).rev();
        later.take_while(|line| **line == answer).count() >= 10
    })
    .await;

    // It crashes, and its session ends later.
    let crashed = owner_below(&server, "/example/services/search/");
    drop(second);
    client.prints("failed: ").await;
    assert!(server.expire_session(crashed));
    let third = start("serve");
    let address = third.prints("serves at ").await;
    client.prints(&format!("answer of {address}")).await;
    client.interrupt().await;
    third.interrupt().await;
}
