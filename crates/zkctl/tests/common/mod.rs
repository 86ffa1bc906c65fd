//! zkctl as a process, and an embedded server in the test's process.

#![allow(dead_code, reason = "not every test needs all of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which the lint does not know from other functions"
)]

use std::future::Future;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;

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
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for name in ["PATH", "HOME"] {
        if let Some(value) = std::env::var_os(name) {
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
        let output = finish(self.zkctl(arguments));
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }

    /// Standard output of a command that succeeds.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
        stdout
    }
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
