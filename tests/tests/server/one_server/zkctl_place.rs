//! `zkctl lock` and `zkctl elect` with `--session-file`: what the next zkctl has of one that was killed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::path::PathBuf;

use crate::common::zkctl::{Running, done, fails, output, root};
#[cfg(target_os = "linux")]
use zk_tests::watchdog::poll;

/// Files that no other test has.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let directory = format!("zkctl-place-{}-{name}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        // What another process of the same number has left.
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        Files(directory)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // The directory of temporary files may be cleaned by the system.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const SHOW_TOKEN: [&str; 4] = ["--", "sh", "-c", "echo $ZK_FENCING_TOKEN; read line"];

#[test]
fn a_killed_contender_keeps_its_place() {
    for command in ["lock", "elect"] {
        let (zk, files) = (root(), Files::new(command));
        let contend = |file: &str| {
            let file = files.file(file);
            let arguments = [&[command, "--session-file", &file, "/l"], &SHOW_TOKEN[..]].concat();
            Running::start(&zk, &arguments)
        };
        let holder = contend("holder");
        holder.notes("there was no earlier session");
        let token = holder.says("");
        let waiting = contend("waiting");
        waiting.notes("waiting for /l");
        let behind = Running::start(&zk, &[&[command, "/l"], &SHOW_TOKEN[..]].concat());
        behind.notes("waiting for /l");
        waiting.signal("KILL");
        waiting.until_quiet();
        let mut waiting = contend("waiting");
        waiting.notes("the session continues");
        waiting.notes("waiting for /l");
        holder.signal("KILL");
        // The end of the command, which wrote to its output.
        assert!(holder.until_quiet().is_empty());
        let mut holder = contend("holder");
        holder.notes("the session continues");
        assert_eq!(holder.says(""), token, "{command}");
        assert!(waiting.says_nothing() && behind.says_nothing());
        holder.close_its_output();
        assert_eq!(holder.code(), Some(1));
        waiting.says("");
        assert!(behind.says_nothing(), "{command}: it was not the last");
        waiting.close_its_output();
        assert_eq!(waiting.code(), Some(1));
        behind.says("");
        // An orderly end ends the session.
        let mut again = contend("holder");
        again.notes("there was no earlier session");
        again.signal("TERM");
        again.code();
    }
}

#[test]
fn a_session_file_is_of_one_lock() {
    let (zk, files) = (root(), Files::new("of-one"));
    let file = files.file("session");
    let hold = [&["lock", "--session-file", &file, "/l"], &SHOW_TOKEN[..]].concat();
    let holder = Running::start(&zk, &hold);
    holder.says("");
    let stderr = fails(&zk, &hold, 125);
    assert!(stderr.contains("in use by another client"), "{stderr}");
    holder.signal("KILL");
    holder.until_quiet();
    for other in [
        &["lock", "--session-file", &file, "/other", "--", "true"][..],
        &["elect", "--session-file", &file, "/l", "--", "true"],
        &[
            "lock",
            "--layout",
            "kazoo",
            "--session-file",
            &file,
            "/l",
            "--",
            "true",
        ],
    ] {
        let stderr = fails(&zk, other, 125);
        assert!(
            stderr.contains("zkctl lock --layout default /l")
                && stderr.contains("give each lock a file of its own"),
            "{stderr}"
        );
    }
    done(&zk, &["lock", "--session-file", &file, "/l", "--", "true"]);
    // The session has ended, and with it the place.
    done(
        &zk,
        &["lock", "--session-file", &file, "/other", "--", "true"],
    );
    let stderr = fails(&zk, &["ls", "--session-file", &file, "/"], 2);
    assert!(stderr.contains("--session-file"), "{stderr}");
}

/// The lock that an earlier zkctl leaves to its watchdog, until the command has ended, is the test's here.
#[cfg(target_os = "linux")]
#[test]
fn two_commands_do_not_run_at_a_time() {
    let (zk, files) = (root(), Files::new("two"));
    let file = files.file("session");
    let hold = [&["lock", "--session-file", &file, "/l"], &SHOW_TOKEN[..]].concat();
    let holder = Running::start(&zk, &hold);
    let token = holder.says("");
    let place = files.file("session.place");
    let output_of_watchdog = format!("/proc/{}/fd/1", watchdog_of(holder.pid()));
    let locked = std::fs::read_link(output_of_watchdog).unwrap();
    assert_eq!(locked, std::fs::canonicalize(&place).unwrap());
    holder.signal("KILL");
    assert!(holder.until_quiet().is_empty());
    let lock = lock(&place);
    let mut next = Running::start(&zk, &hold);
    next.notes("waiting for the end of the command");
    let at_once = [
        &["lock", "--no-wait", "--session-file", &file, "/l"],
        &SHOW_TOKEN[..],
    ];
    let at_once = at_once.concat();
    let stderr = fails(&zk, &at_once, 125);
    assert!(stderr.contains("in use by another client"), "{stderr}");
    next.signal("TERM");
    assert_eq!(next.code(), Some(143));
    let stderr = fails(&zk, &at_once, 75);
    assert!(stderr.contains("has not ended"), "{stderr}");
    let mut next = Running::start(&zk, &hold);
    next.notes("waiting for the end of the command");
    assert!(next.says_nothing());
    drop(lock);
    assert_eq!(next.says(""), token);
    next.close_its_output();
    assert_eq!(next.code(), Some(1));
    assert_eq!(output(&zk, &["ls", "/l"]).stdout, b"");
}

/// zkctl is killed when the process for its command exists, and the watchdog does not know it yet.
#[cfg(target_os = "linux")]
#[test]
fn no_command_runs_without_its_watchdog() {
    let (zk, files) = (root(), Files::new("unwatched"));
    let mut holder = Running::start(&zk, &[&["lock", "/l"], &SHOW_TOKEN[..]].concat());
    let before: u64 = holder.says("").parse().unwrap();
    let file = files.file("session");
    let next = [&["lock", "--session-file", &file, "/l"], &SHOW_TOKEN[..]].concat();
    let mut killed = Running::start(&zk, &next);
    killed.notes("waiting for /l");
    let watchdog = watchdog_of(killed.pid());
    let pipe = fill(watchdog);
    holder.close_its_output();
    holder.code();
    let has_two = || (children_of(killed.pid()).len() == 2).then_some(());
    poll("the process for the command", has_two);
    // The command would end when it has written.
    killed.close_its_output();
    killed.signal("KILL");
    assert_eq!(killed.until_quiet(), [""; 0]);
    drop(pipe);
    // The system may have ended it, as it was stopped and its parent has ended.
    signal("CONT", watchdog);
    let mut again = Running::start(&zk, &next);
    again.notes("the session continues");
    let token: u64 = again.says("").parse().unwrap();
    assert!(token > before);
    again.close_its_output();
    assert_eq!(again.code(), Some(1));
}

#[cfg(target_os = "linux")]
#[test]
fn a_command_ends_with_its_watchdog() {
    let (zk, files) = (root(), Files::new("watchdog"));
    let file = files.file("session");
    let hold = [&["lock", "--session-file", &file, "/l"], &SHOW_TOKEN[..]].concat();
    let mut holder = Running::start(&zk, &hold);
    holder.says("");
    signal("KILL", watchdog_of(holder.pid()));
    holder.notes("ending the command: /l: the watchdog process has ended");
    assert_eq!(holder.code(), Some(75));
}

/// Sends a signal to a process, which may have ended.
#[cfg(target_os = "linux")]
fn signal(name: &str, pid: u32) {
    let kill = format!("kill -{name} {pid} 2>/dev/null || true");
    let mut shell = std::process::Command::new("sh");
    assert!(shell.args(["-c", &kill]).status().unwrap().success());
}

/// Fills the pipe from zkctl to its watchdog, as far as the watchdog does not read it, so that what zkctl sends
/// waits for the end of this.
#[cfg(target_os = "linux")]
fn fill(watchdog: u32) -> std::fs::File {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    signal("STOP", watchdog);
    // A thread that is not stopped yet could read what is written here.
    let stopped = || {
        let threads = std::fs::read_dir(format!("/proc/{watchdog}/task")).unwrap();
        let mut files = threads.map(|thread| thread.unwrap().path().join("stat"));
        let is_stopped = |file| std::fs::read_to_string(file).unwrap().contains(") T ");
        files.all(is_stopped).then_some(())
    };
    poll("the watchdog to stop", stopped);
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut pipe = std::fs::OpenOptions::new();
    let pipe = pipe.write(true).custom_flags(nonblocking);
    let mut pipe = pipe.open(format!("/proc/{watchdog}/fd/0")).unwrap();
    for part in [4096, 1] {
        while pipe.write(&vec![b'x'; part]).is_ok() {}
    }
    pipe
}

/// Locks a file, once no other process has it locked.
#[cfg(target_os = "linux")]
fn lock(file: &str) -> std::fs::File {
    use rustix::fs::{FlockOperation, flock};

    let file = std::fs::File::open(file).unwrap();
    flock(&file, FlockOperation::LockExclusive).unwrap();
    file
}

#[cfg(target_os = "linux")]
fn children_of(zkctl: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{zkctl}/task")).unwrap();
    let children = threads.map(|thread| {
        let file = thread.unwrap().path().join("children");
        std::fs::read_to_string(file).unwrap()
    });
    let children: String = children.collect();
    let pids = children.split_whitespace();
    pids.map(|pid| pid.parse().unwrap()).collect()
}

#[cfg(target_os = "linux")]
fn watchdog_of(zkctl: u32) -> u32 {
    let is_watchdog = |pid: &u32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
        line.is_ok_and(|line| line.contains("__watchdog"))
    };
    let mut children = children_of(zkctl).into_iter();
    children.find(is_watchdog).unwrap()
}
