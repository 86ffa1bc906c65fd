//! zkctl as a process, and an embedded server in the test's process.

#![allow(dead_code, reason = "not every test needs all of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, which the lint does not know from other functions"
)]

pub(crate) mod picture;
pub(crate) mod terminal;

use std::future::Future;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::{env, fs, process, thread};

use serde_json::Value;
use zk_client::Client;
use zk_embedded::{Faults, Server};
use zk_tests::watchdog;

pub(crate) const SECRET: &str = "hunter2";

/// A command without the variables and the ignored signals of this process: a shell starts background
/// processes with SIGINT ignored.
pub(crate) fn zkctl(arguments: &[&str]) -> Command {
    let mut command = Command::new("env");
    if env_resets_signals() {
        command.arg("--default-signal");
    }
    command
        .arg(env!("CARGO_BIN_EXE_zkctl"))
        .args(arguments)
        .env_clear()
        // This user's contexts are no part of a test.
        .env("XDG_CONFIG_HOME", "/no")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for name in ["PATH", "HOME"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// Whether `env` is that of the GNU coreutils.
fn env_resets_signals() -> bool {
    static RESETS: OnceLock<bool> = OnceLock::new();
    *RESETS.get_or_init(|| {
        let probe = Command::new("env")
            .args(["--default-signal", "true"])
            .output();
        probe.is_ok_and(|output| output.status.success())
    })
}

/// The exit code, standard output and standard error of a command.
pub(crate) fn outcome(command: Command) -> (Option<i32>, String, String) {
    let output = finish(command);
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Runs the command to its end.
pub(crate) fn finish(command: Command) -> Output {
    finish_with(command, b"")
}

/// Runs the command to its end, with `input` on standard input unless it is empty.
pub(crate) fn finish_with(mut command: Command, input: &[u8]) -> Output {
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_owned();
        // An error means that the command has stopped reading.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let _wait = watchdog::Wait::begin("the command to end");
    child.wait_with_output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The objects on the lines of a text.
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The exit code and standard error of a command, whose standard output must be empty.
pub(crate) fn fails(arguments: &[&str]) -> (i32, String) {
    let output = finish(zkctl(arguments));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    (output.status.code().unwrap(), stderr)
}

/// [`fails`] with a connect timeout that is doubled until the error contains `word`, because a slow machine
/// takes longer to find the reason. Returns the timeout as well, as zkctl prints it.
pub(crate) fn fails_with(
    mut milliseconds: u64,
    arguments: &[&str],
    word: &str,
) -> (i32, String, String) {
    const ENOUGH: u64 = 300_000;
    loop {
        let limit = format!("{milliseconds}ms");
        let all = [&["--connect-timeout", &limit], arguments].concat();
        let (code, stderr) = fails(&all);
        if stderr.contains(word) || milliseconds > ENOUGH {
            return (code, stderr, format!("{milliseconds} ms"));
        }
        milliseconds *= 2;
    }
}

pub(crate) fn assert_fails(arguments: &[&str], code: i32, words: &[&str]) {
    let (actual, stderr) = fails(arguments);
    assert_eq!(actual, code, "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    for word in words {
        assert!(
            stderr.contains(word),
            "{arguments:?}: no {word:?} in: {stderr}"
        );
    }
}

/// The address of a port that passes every connection to `serve`.
pub(crate) fn listener(serve: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap());
        }
    });
    address
}

/// An embedded server on a runtime of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct Served {
    hosts: String,
    pub(crate) faults: Faults,
    end: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Served {
    pub(crate) fn start() -> Self {
        Self::with(Server::start)
    }

    /// Starts the server by `start`.
    pub(crate) fn with<F: Future<Output = io::Result<Server>>>(
        start: impl FnOnce() -> F + Send + 'static,
    ) -> Self {
        let (started, starts) = mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let server = start().await.unwrap();
                started
                    .send((server.connect_string(), server.faults()))
                    .unwrap();
                // An error means that the `Served` was dropped.
                let _ = ended.await;
            });
        });
        let (hosts, faults) = starts.recv().unwrap();
        Served {
            hosts,
            faults,
            end: Some(end),
        }
    }

    pub(crate) fn zkctl(&self, arguments: &[&str]) -> Command {
        let mut command = zkctl(arguments);
        command.env("ZK_SERVER", &self.hosts);
        command
    }

    pub(crate) fn hosts(&self) -> &str {
        &self.hosts
    }

    /// Creates children from this process, which is faster than one zkctl for each.
    pub(crate) fn fill(&self, parent: &str, names: impl Iterator<Item = String>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let client = Client::connect(&self.hosts).await.unwrap();
            client.ensure_path(parent).await.unwrap();
            let replies: Vec<_> = names
                .map(|name| client.create(&format!("{parent}/{name}"), "").submit())
                .collect();
            for reply in replies {
                reply.await.unwrap();
            }
            client.close().await.unwrap();
        });
    }

    /// The exit code, standard output and standard error of a command.
    pub(crate) fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        outcome(self.zkctl(arguments))
    }

    /// Standard output of a command that succeeds.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
        stdout
    }

    /// The objects that a command prints which succeeds.
    pub(crate) fn json(&self, arguments: &[&str]) -> Vec<Value> {
        json_lines(&self.done(&[&["-o", "json"], arguments].concat()))
    }

    /// The one object that a command prints which succeeds.
    pub(crate) fn json_line(&self, arguments: &[&str]) -> Value {
        let mut lines = self.json(arguments);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines.remove(0)
    }

    /// Standard error of a command that fails with this code and writes nothing else.
    pub(crate) fn fails(&self, arguments: &[&str], code: i32) -> String {
        let (actual, stdout, stderr) = self.run(arguments);
        let ended = (actual, &*stdout);
        assert_eq!(ended, (Some(code), ""), "{arguments:?}: {stderr}");
        stderr
    }
}

/// A temporary file of this test, with this content.
pub(crate) fn temporary_file(name: &str, content: &[u8]) -> String {
    let name = format!("zkctl-test-{}-{name}", process::id());
    let path = env::temp_dir().join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Three servers, and the faults of each.
pub(crate) fn ensemble() -> (Served, Vec<Faults>) {
    let (send, faults) = mpsc::channel();
    let zk = Served::with(move || async move {
        let server = Server::builder().members(3).start().await?;
        let all = (0..3).map(|member| server.member(member)).collect();
        send.send(all).unwrap();
        Ok(server)
    });
    (zk, faults.recv().unwrap())
}

/// A running command, with the lines of its standard output.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // An error means that the `Running` was dropped.
                let _ = send.send(line);
            }
        });
        Running { child, lines }
    }

    pub(crate) fn says(&self, word: &str) {
        while !self.line(word).contains(word) {}
    }

    /// The next line of standard output.
    pub(crate) fn line(&self, what: &str) -> String {
        watchdog::receive(what, &self.lines).expect(what)
    }

    pub(crate) fn signal(&self, signal: &str) {
        send(signal, &self.child);
    }
}

pub(crate) fn send(signal: &str, child: &Child) {
    let kill = format!("kill -{signal} {}", child.id());
    let sent = Command::new("sh").args(["-c", &kill]).status().unwrap();
    assert!(sent.success());
}

impl Drop for Running {
    fn drop(&mut self) {
        // An error means that the command has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
