//! zkctl, as a person or a script runs it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;

use zk_tests::watchdog::receive;

use super::{program, shared_server, unused_root};

/// A part of the shared server that no other test uses.
pub fn root() -> String {
    let server = shared_server().connect_string();
    let root = unused_root();
    assert_eq!(done(&server, &["create", &root]), format!("{root}\n"));
    format!("{server}{root}")
}

/// With limits that a busy machine does not reach, where the arguments give no others.
pub fn zkctl(server: &str, arguments: &[&str]) -> Command {
    let mut command = program::zkctl_command();
    let limits = [
        ("--connect-timeout", "24h"),
        ("--timeout", "24h"),
        ("--session-timeout", "60s"),
    ];
    for (limit, value) in limits {
        if !arguments.contains(&limit) {
            command.args([limit, value]);
        }
    }
    command
        .args(arguments)
        .env("ZK_SERVER", server)
        .env_remove("ZK_AUTH")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn output(server: &str, arguments: &[&str]) -> Output {
    zkctl(server, arguments).output().unwrap()
}

/// Standard output of a command that succeeds.
pub fn done(server: &str, arguments: &[&str]) -> String {
    let output = output(server, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that fails.
pub fn fails(server: &str, arguments: &[&str], code: i32) -> String {
    let output = output(server, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    stderr
}

/// A command that runs on, and ends with this.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
}

impl Running {
    pub fn start(server: &str, arguments: &[&str]) -> Self {
        let mut child = zkctl(server, arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Running {
            stdin: child.stdin.take(),
            stdout: lines(child.stdout.take().unwrap()),
            stderr: lines(child.stderr.take().unwrap()),
            child,
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of standard output with this in it.
    pub fn says(&self, word: &str) -> String {
        find(&self.stdout, word)
    }

    /// The next line of standard error with this in it.
    pub fn notes(&self, word: &str) -> String {
        find(&self.stderr, word)
    }

    /// The next line of standard output, if it is there already.
    pub fn has_said(&self) -> Option<String> {
        self.stdout.try_recv().ok()
    }

    pub fn says_nothing(&self) -> bool {
        self.stdout.try_recv() == Err(mpsc::TryRecvError::Empty)
    }

    /// Waits until every process that could write to standard output has ended.
    pub fn until_quiet(&self) -> Vec<String> {
        let mut rest = Vec::new();
        while let Some(line) = receive("the end of what zkctl writes", &self.stdout) {
            rest.push(line);
        }
        rest
    }

    /// The end of its standard input.
    pub fn close_its_output(&mut self) {
        self.stdin = None;
    }

    pub fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.pid());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    pub fn code(&mut self) -> Option<i32> {
        self.until_quiet();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            if send.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receive
}

fn find(lines: &mpsc::Receiver<String>, word: &str) -> String {
    let mut others = Vec::new();
    while let Some(line) = receive(&format!("a line with {word:?}"), lines) {
        if line.contains(word) {
            return line;
        }
        others.push(line);
    }
    panic!("no {word:?} in {others:#?}");
}
