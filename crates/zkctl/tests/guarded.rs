//! `lock` while the system does not begin its command.
//!
//! The process that is to become the command blocks in its loader, which opens a FIFO that has no writer.

#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use common::{Running, Served, send};
use zk_tests::watchdog::{Wait, poll};

/// A zkctl that holds `/l`, and whose command has not begun.
struct Blocked {
    child: Child,
    stderr: BufReader<ChildStderr>,
    starter: u32,
    directory: PathBuf,
}

impl Blocked {
    fn start(zk: &Served, name: &str) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("guarded-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let fifo = directory.join("fifo");
        let made = Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        let holder = Running::start(zk.zkctl(&["lock", "/l"]));
        holder.says("holding");
        let mut child = Command::new(env!("CARGO_BIN_EXE_zkctl"))
            .args(["--session-timeout", "4s", "lock", "/l", "--", "touch"])
            .arg(directory.join("begun"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("XDG_CONFIG_HOME", "/no")
            .env("ZK_SERVER", zk.hosts())
            .env("LD_PRELOAD", &fifo)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        {
            let _wait = Wait::begin("zkctl to begin");
            drop(File::options().write(true).open(&fifo).unwrap());
        }
        let mut blocked = Blocked {
            stderr: BufReader::new(child.stderr.take().unwrap()),
            child,
            starter: 0,
            directory,
        };
        // Until here the lock was not free, so that no other process could open the FIFO.
        blocked.notes("waiting for /l");
        holder.signal("TERM");
        blocked.notes("holding /l");
        blocked.starter = poll("the process that is to become the command", || {
            process_of(&blocked.directory)
        });
        blocked
    }

    /// The next line of standard error with this word.
    fn notes(&mut self, word: &str) -> String {
        let _wait = Wait::begin(format!("a note with {word}"));
        loop {
            let mut line = String::new();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "no {word}");
            if line.contains(word) {
                return line;
            }
        }
    }

    fn send(&self, signal: &str) {
        send(signal, &self.child);
    }

    /// Waits for the end of zkctl, before which the command must not have begun.
    fn code(mut self) -> Option<i32> {
        let _wait = Wait::begin("zkctl to end");
        let status = self.child.wait().unwrap();
        assert_eq!(process_of(&self.directory), None);
        assert!(!self.directory.join("begun").exists());
        status.code()
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // Errors mean that it has ended, and that the build's directory keeps the files.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The process that is to become the command which writes to this directory.
fn process_of(directory: &Path) -> Option<u32> {
    let directory = directory.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap();
    let mut numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.find(|number: &u32| {
        // An error means that the process has ended.
        let line = fs::read_to_string(format!("/proc/{number}/cmdline")).unwrap_or_default();
        line.contains("\0__start\0") && line.contains(directory)
    })
}

/// The state of a process, as the kernel names it.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn a_loss_precedes_the_command() {
    let zk = Served::start();
    let mut zkctl = Blocked::start(&zk, "loss");
    zk.done(&["delete", "-r", "/l"]);
    let note = zkctl.notes("the command has not begun: /l: ");
    assert!(note.contains("znode was deleted"), "{note}");
    assert_eq!(zkctl.code(), Some(75));
}

#[test]
fn a_signal_precedes_the_command() {
    let zk = Served::start();
    let zkctl = Blocked::start(&zk, "signal");
    zkctl.send("TERM");
    assert_eq!(zkctl.code(), Some(143));
    assert_eq!(zk.done(&["ls", "/l"]), "");
}

/// The watchdog has a deadline before the command begins.
#[test]
fn a_stop_precedes_the_command() {
    let zk = Served::start();
    let zkctl = Blocked::start(&zk, "stop");
    poll("zkctl to come to rest", || {
        (state(zkctl.child.id()) == Some('S')).then_some(())
    });
    zkctl.send("STOP");
    poll("the watchdog to end the command", || {
        let is_running = state(zkctl.starter).is_some_and(|state| state != 'Z');
        (!is_running).then_some(())
    });
    zkctl.send("CONT");
    assert_eq!(zkctl.code(), Some(75));
}
