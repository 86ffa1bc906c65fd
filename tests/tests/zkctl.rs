//! The command line, as a person or a script runs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod common;
#[path = "common/program.rs"]
mod program;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{PATIENCE, own_server, shared_server};

fn zkctl(server: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program::zkctl());
    command
        .args(arguments)
        .env("ZK_SERVER", server)
        .env_remove("ZK_AUTH")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A part of the shared server that no other test uses.
fn root() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = shared_server().connect_string();
    let root = format!("/zkctl{}", NEXT.fetch_add(1, Ordering::Relaxed));
    assert_eq!(done(&server, &["create", &root]), format!("{root}\n"));
    format!("{server}{root}")
}

fn output(server: &str, arguments: &[&str]) -> Output {
    zkctl(server, arguments).output().unwrap()
}

/// Standard output of a command that succeeds.
fn done(server: &str, arguments: &[&str]) -> String {
    let output = output(server, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that fails.
fn fails(server: &str, arguments: &[&str], code: i32) -> String {
    let output = output(server, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    stderr
}

/// A command that runs on, and ends with this.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
}

impl Running {
    fn start(server: &str, arguments: &[&str]) -> Self {
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

    /// The next line of standard output with this in it.
    fn says(&self, word: &str) -> String {
        find(&self.stdout, word)
    }

    /// The next line of standard error with this in it.
    fn notes(&self, word: &str) -> String {
        find(&self.stderr, word)
    }

    fn says_nothing(&self) -> bool {
        self.stdout.try_recv() == Err(mpsc::TryRecvError::Empty)
    }

    /// Waits until everybody who could write to standard output is gone.
    fn falls_silent(&self) -> Vec<String> {
        let mut rest = Vec::new();
        loop {
            match self.stdout.recv_timeout(PATIENCE) {
                Ok(line) => rest.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => return rest,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("still there after {rest:?}"),
            }
        }
    }

    fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    fn code(&mut self) -> Option<i32> {
        self.falls_silent();
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
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) if line.contains(word) => return line,
            Ok(line) => others.push(line),
            Err(error) => panic!("no {word:?} ({error}) after {others:#?}"),
        }
    }
}

fn number(text: &str) -> i64 {
    text.trim().parse().unwrap()
}

#[test]
fn znodes_are_made_shown_changed_and_deleted() {
    let zk = root();
    assert_eq!(done(&zk, &["create", "/a", "one"]), "/a\n");
    assert_eq!(done(&zk, &["create", "-p", "/a/b/c"]), "/a/b/c\n");
    assert_eq!(done(&zk, &["create", "-s", "/a/", "x"]), "/a/0000000001\n");
    assert_eq!(done(&zk, &["get", "/a"]), "one");
    assert_eq!(
        done(&zk, &["set", "/a", "two", "--version", "0"]),
        "version 1\n"
    );
    let stale = fails(&zk, &["set", "/a", "x", "--version", "0"], 1);
    assert_eq!(
        stale,
        "zkctl: setData /a: the znode has another version; it had no effect (read it again, and \
         decide again)\n"
    );
    assert_eq!(done(&zk, &["ls", "/a"]), "0000000001\nb\n");
    assert_eq!(
        done(&zk, &["ls", "-R", "/a"]),
        "/a\n/a/0000000001\n/a/b\n/a/b/c\n"
    );
    let long = done(&zk, &["ls", "-l", "/"]);
    assert!(
        long.starts_with("-  v1") && long.ends_with("Z  a\n"),
        "{long}"
    );
    let tree = "/a\n├── 0000000001\n└── b\n    └── c\n\n4 znodes, 0 of them ephemeral\n";
    assert_eq!(done(&zk, &["tree", "/a"]), tree);
    let tree = "/a\n├── 0000000001\n└── b\n\n3 znodes, 0 of them ephemeral\n";
    assert_eq!(done(&zk, &["tree", "/a", "--depth", "1"]), tree);
    let stat = done(&zk, &["stat", "/a"]);
    assert!(
        stat.contains("zxid 0x") && stat.contains("data         3 bytes"),
        "{stat}"
    );
    assert_eq!(done(&zk, &["exists", "/a"]), "true\n");
    assert_eq!(
        fails(&zk, &["delete", "/a"], 1),
        "zkctl: delete /a: the znode has children; it had no effect (delete its children first, or \
         use recursive())\n"
    );
    assert_eq!(done(&zk, &["delete", "-r", "/a"]), "");
    let absent = output(&zk, &["exists", "/a"]);
    assert_eq!(
        (absent.status.code(), &absent.stdout[..]),
        (Some(1), &b"false\n"[..])
    );
    for command in ["get", "stat", "ls", "tree", "delete"] {
        let stderr = fails(&zk, &[command, "/a"], 1);
        assert!(
            stderr.starts_with("zkctl: ") && stderr.contains("does not exist"),
            "{stderr}"
        );
    }
}

#[test]
fn json_is_one_object_a_line() {
    let zk = root();
    let json = |arguments: &[&str]| done(&zk, &[&["-o", "json"], arguments].concat());
    let made = json(&["create", "/a", "é"]);
    assert!(made.starts_with(r#"{"path":"/a","stat":{"#), "{made}");
    let got = json(&["get", "/a"]);
    assert!(
        got.starts_with(r#"{"data":"é","path":"/a","stat":{"#),
        "{got}"
    );
    assert!(json(&["set", "/a", "x"]).contains(r#""version":1"#));
    assert!(json(&["stat", "/a"]).contains(r#""ephemeral_owner":null"#));
    assert!(json(&["exists", "/a"]).contains(r#""exists":true"#));
    assert_eq!(json(&["ls", "/"]), "{\"name\":\"a\",\"path\":\"/a\"}\n");
    let tree = json(&["tree", "/"]);
    assert_eq!(tree.lines().count(), 2, "{tree}");
    assert!(
        tree.lines()
            .all(|line| line.starts_with('{') && line.ends_with('}')),
        "{tree}"
    );
    assert_eq!(json(&["delete", "/a"]), "{\"deleted\":\"/a\"}\n");
}

#[test]
fn data_that_are_not_text_pass_through_unchanged() {
    let zk = root();
    let mut command = zkctl(&zk, &["create", "/a", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"\xff\x00\n")
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(output(&zk, &["get", "/a"]).stdout, b"\xff\x00\n");
    assert!(done(&zk, &["get", "/a", "-o", "json"]).contains(r#""data_base64":"/wAK""#));
}

#[test]
fn what_the_server_refuses_is_explained_without_the_secret() {
    let zk = root();
    let secret = "hunter2";
    let mut create = zkctl(&zk, &["create", "/a", "x", "--acl", "auth::cdrwa"]);
    create.env("ZK_AUTH", format!("digest:u:{secret}"));
    assert!(create.status().unwrap().success());
    assert_eq!(
        done(&zk, &["--auth", &format!("digest:u:{secret}"), "get", "/a"]),
        "x"
    );
    let stderr = fails(&zk, &["--auth", "digest:u:wrong-secret", "get", "/a"], 1);
    assert!(stderr.contains("ACL does not allow it"), "{stderr}");
    assert!(!stderr.contains("wrong-secret"), "{stderr}");
    let stderr = fails(&zk, &["--auth", "no-such-scheme:hunter2", "get", "/a"], 1);
    assert!(stderr.contains("refused the credentials"), "{stderr}");
    assert!(!stderr.contains(secret), "{stderr}");
}

#[test]
fn a_znode_that_is_too_large_is_refused_and_not_retried() {
    let zk = root();
    let mut child = zkctl(&zk, &["create", "/a", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&vec![b'x'; 0xf_ffff])
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("jute.maxbuffer") && stderr.contains("had no effect"),
        "{stderr}"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let zk = root();
    let mut child = zkctl(&zk, &["create", "/a", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&vec![b'x'; 500_000])
        .unwrap();
    assert!(child.wait().unwrap().success());
    let mut child = zkctl(&zk, &["get", "/a"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), &output.stderr[..]),
        (Some(0), &b""[..])
    );
}

#[test]
fn an_ephemeral_znode_goes_when_its_command_is_interrupted() {
    let zk = root();
    let mut holder = Running::start(&zk, &["create", "-e", "/e"]);
    holder.says("/e");
    holder.notes("until this is interrupted");
    assert!(done(&zk, &["tree", "/"]).contains("e (ephemeral)\n"));
    holder.signal("INT");
    assert_eq!(holder.code(), Some(130));
    assert_eq!(output(&zk, &["exists", "/e"]).stdout, b"false\n");
}

#[test]
fn a_watch_goes_on_through_a_restart_and_shows_the_gap() {
    let server = own_server();
    let zk = server.connect_string();
    let mut plain = Running::start(&zk, &["watch", "-r", "/"]);
    let mut json = Running::start(&zk, &["-o", "json", "watch", "-r", "/"]);
    plain.says("watching / and everything below it");
    json.says(r#""type":"watching""#);
    done(&zk, &["create", "/a"]);
    assert!(plain.says("created").contains("/a  zxid 0x") || shared_version() < (3, 9));
    assert!(json.says(r#""kind":"created""#).contains(r#""path":"/a""#));
    server.restart().unwrap();
    plain.says("connection lost");
    plain.says("connection restored");
    plain.says("events may have been missed since zxid 0x");
    json.says(r#""type":"connection_lost""#);
    json.says(r#""type":"connection_restored""#);
    assert!(json.says(r#""type":"gap""#).contains(r#""since":"0x"#));
    done(&zk, &["delete", "/a"]);
    plain.says("deleted           /a");
    assert!(json.says(r#""kind":"deleted""#).contains(r#""path":"/a""#));
    plain.signal("TERM");
    json.signal("INT");
    assert_eq!((plain.code(), json.code()), (Some(143), Some(130)));
}

/// Servers before 3.9 do not say which transaction fired a watch (ZOOKEEPER-4655).
fn shared_version() -> (u32, u32) {
    let srvr = shared_server().four_letter("srvr").unwrap();
    let version = srvr.split("version: ").nth(1).unwrap();
    let mut parts = version.split(['.', '-']).map(|part| part.parse().unwrap());
    (parts.next().unwrap(), parts.next().unwrap())
}

#[test]
fn a_watch_begins_again_in_the_next_session() {
    let server = own_server();
    let zk = server.connect_string();
    let watch = Running::start(&zk, &["--session-timeout", "1s", "watch", "/a", "/b"]);
    watch.says("watching /");
    watch.says("watching /");
    server.pause().unwrap();
    watch.says("connection lost");
    watch.says("session expired");
    server.resume().unwrap();
    watch.says("new session 0x");
    watch.says("again; events may have been missed");
    watch.says("again; events may have been missed");
    done(&zk, &["create", "/b"]);
    watch.says("created           /b");
}

#[test]
fn a_lock_is_held_by_one_command_at_a_time_with_growing_tokens() {
    let zk = root();
    let hold = [
        "lock",
        "/l",
        "--",
        "sh",
        "-c",
        "echo $ZK_FENCING_TOKEN; read line; exit 3",
    ];
    let mut first = Running::start(&zk, &hold);
    let mut token = number(&first.says(""));
    let mut waiting: Vec<_> = (0..2).map(|_| Running::start(&zk, &hold)).collect();
    for waiting in &waiting {
        assert!(
            waiting
                .notes("waiting for /l")
                .contains(&format!(":{}", first.child.id()))
        );
        assert!(waiting.says_nothing());
    }
    assert_eq!(
        output(&zk, &["lock", "--no-wait", "/l", "--", "true"])
            .status
            .code(),
        Some(75)
    );
    let stderr = fails(&zk, &["lock", "--wait", "50ms", "/l", "--", "true"], 75);
    assert!(
        stderr.contains("/l has not been free for 50 ms"),
        "{stderr}"
    );
    drop(first.stdin.take());
    assert_eq!(first.code(), Some(3));
    while !waiting.is_empty() {
        let started = Instant::now();
        let next = loop {
            let next = waiting
                .iter()
                .position(|waiting| match waiting.stdout.try_recv() {
                    Ok(line) => {
                        assert!(number(&line) > token, "{line} after {token}");
                        token = number(&line);
                        true
                    }
                    Err(_) => false,
                });
            if let Some(next) = next {
                break next;
            }
            assert!(started.elapsed() < PATIENCE, "nobody gets the lock");
            thread::yield_now();
        };
        let mut holder = waiting.swap_remove(next);
        assert!(waiting.iter().all(Running::says_nothing), "two hold it");
        drop(holder.stdin.take());
        assert_eq!(holder.code(), Some(3));
    }
    done(&zk, &["lock", "--no-wait", "/l", "--", "true"]);
}

/// kazoo's names and Curator's; the default waits for both.
#[test]
fn a_command_holds_a_lock_under_the_names_of_its_layout() {
    let zk = root();
    let hold = |command, layout| {
        let script = "echo $ZK_FENCING_TOKEN; read line";
        Running::start(
            &zk,
            &[command, "--layout", layout, "/l", "--", "sh", "-c", script],
        )
    };
    let is_free = |command, layout| {
        let arguments = [command, "--layout", layout, "--no-wait", "/l", "--", "true"];
        match output(&zk, &arguments).status.code() {
            Some(0) => true,
            Some(75) => false,
            other => panic!("{other:?}"),
        }
    };
    for command in ["lock", "elect"] {
        for (layout, mark, sees) in [
            ("kazoo", "__lock__", ["kazoo", "default"]),
            ("curator", "-lock-", ["curator", "default"]),
            ("default", "-lock-", ["curator", "default"]),
        ] {
            let mut holder = hold(command, layout);
            number(&holder.says(""));
            let names = done(&zk, &["ls", "/l"]);
            assert!(names.contains(mark), "{layout}: {names}");
            for other in ["kazoo", "curator", "default"] {
                assert_eq!(
                    is_free(command, other),
                    !sees.contains(&other),
                    "{layout}, {other}"
                );
            }
            let stderr = fails(
                &zk,
                &[
                    command, "--layout", sees[1], "--wait", "50ms", "/l", "--", "true",
                ],
                75,
            );
            assert!(stderr.contains("/l has not been free"), "{stderr}");
            drop(holder.stdin.take());
            holder.code();
        }
    }
}

#[test]
fn the_exit_code_is_the_commands() {
    let zk = root();
    let code = |command: &[&str]| {
        let arguments = [&["lock", "/l", "--"], command].concat();
        output(&zk, &arguments).status.code()
    };
    assert_eq!(code(&["sh", "-c", "exit 42"]), Some(42));
    assert_eq!(code(&["sh", "-c", "kill -KILL $$"]), Some(137));
    assert_eq!(code(&["/no/such/program"]), Some(127));
    assert_eq!(code(&["/"]), Some(126));
}

#[test]
fn a_signal_is_passed_on_and_the_lock_released_after_the_command() {
    let zk = root();
    let script = "trap 'echo told; exit 9' TERM; echo up; while :; do read line || sleep 1; done";
    for arguments in [
        &["lock", "/l"][..],
        &["elect", "/e"],
        &["lock", "--foreground", "/l"],
    ] {
        let arguments = [arguments, &["--", "sh", "-c", script]].concat();
        let mut holder = Running::start(&zk, &arguments);
        holder.says("up");
        holder.signal("TERM");
        drop(holder.stdin.take());
        holder.says("told");
        assert_eq!(holder.code(), Some(9), "{arguments:?}");
    }
    assert_eq!(done(&zk, &["ls", "/l"]), "");
}

#[test]
fn a_command_is_ended_before_its_lock_can_be_given_away() {
    let server = own_server();
    let zk = server.connect_string();
    let timeout = Duration::from_secs(6);
    let lock = |path, script| {
        let timeout = ["--session-timeout", "6s"];
        Running::start(
            &zk,
            &[&timeout[..], &["lock", path, "--", "sh", "-c", script]].concat(),
        )
    };
    // One goes when it is asked to, one does not, and has started another that does not either.
    let mut polite = lock(
        "/a",
        "trap 'echo told; exit 0' TERM; echo up; while :; do sleep 0.05; done",
    );
    let mut stubborn = lock(
        "/b",
        "trap '' TERM; echo up; sleep 1000 & while :; do sleep 0.05; done",
    );
    polite.says("up");
    stubborn.says("up");
    // The sessions were last confirmed before this.
    server.pause().unwrap();
    let paused = Instant::now();
    polite.says("told");
    let told = paused.elapsed();
    polite.falls_silent();
    stubborn.falls_silent();
    let gone = paused.elapsed();
    assert!(
        told < gone && gone < timeout,
        "told after {told:?}, gone after {gone:?}"
    );
    assert_eq!((polite.code(), stubborn.code()), (Some(75), Some(75)));
    polite.notes("ending the command: /a");
}

/// Nothing of zkctl's runs while its session expires; the command is gone before the next has the
/// lock.
#[cfg(target_os = "linux")]
#[test]
fn a_command_does_not_go_on_while_its_zkctl_is_stopped() {
    let zk = root();
    let script = "echo $$; while :; do sleep 0.05; done";
    let start = |(command, path)| {
        // A tenth of it is what a busy machine may take to end the command.
        let timeout = ["--session-timeout", "10s"];
        let hold = [command, path, "--", "sh", "-c", script];
        Running::start(&zk, &[&timeout[..], &hold].concat())
    };
    let both = [("lock", "/l"), ("elect", "/e")];
    let stopped = both.map(|what| {
        let holder = start(what);
        let command = number(&holder.says(""));
        assert!(is_alive(command));
        // It has told its keeper of the command, and waits.
        let started = Instant::now();
        while state(i64::from(holder.child.id())) != Some('S') {
            assert!(started.elapsed() < PATIENCE, "zkctl does not come to rest");
            thread::yield_now();
        }
        holder.signal("STOP");
        (holder, command, start(what))
    });
    for (mut holder, command, mut successor) in stopped {
        number(&successor.says(""));
        assert!(!is_alive(command), "two commands hold it");
        holder.signal("CONT");
        assert_eq!(holder.code(), Some(75));
        successor.signal("TERM");
        assert_eq!(successor.code(), Some(143));
    }
}

/// Whether a process is there, and not only waiting for its parent to hear of its end.
#[cfg(target_os = "linux")]
fn is_alive(pid: i64) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// The state of a process, as the kernel names it.
#[cfg(target_os = "linux")]
fn state(pid: i64) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn a_command_is_ended_when_its_znode_is_deleted() {
    let zk = root();
    let mut holder = Running::start(
        &zk,
        &["lock", "/l", "--", "sh", "-c", "echo up; sleep 1000"],
    );
    holder.says("up");
    done(&zk, &["delete", "-r", "/l"]);
    assert_eq!(holder.code(), Some(75));
    holder.notes("its znode was deleted");
}

#[test]
fn an_election_passes_on_after_the_leading_zkctl_is_killed_and_its_command_is_gone() {
    let zk = root();
    let lead = [
        "--session-timeout",
        "2s",
        "elect",
        "/e",
        "--",
        "sh",
        "-c",
        "echo $ZK_FENCING_TOKEN; sleep 1000",
    ];
    let mut leader = Running::start(&zk, &lead);
    let term = number(&leader.says(""));
    let mut successor = Running::start(&zk, &lead);
    successor.notes("waiting for /e");
    leader.signal("KILL");
    // Nobody is left to write to its output, and the successor has not begun.
    assert!(leader.falls_silent().is_empty());
    assert!(successor.says_nothing());
    assert!(leader.code().is_none());
    assert!(number(&successor.says("")) > term);
    successor.signal("TERM");
    assert_eq!(successor.code(), Some(143));
}

#[test]
fn the_configuration_is_shown_and_changed() {
    let ensemble = common::ensemble();
    let server = ensemble.connect_string();
    let text = done(&server, &["config"]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[2].starts_with("server.3="), "{text}");
    let version = lines[3].strip_prefix("version=").unwrap();
    let json = done(&server, &["config", "-o", "json"]);
    assert!(
        json.contains(&format!("\"connect\":\"{server}\"")),
        "{json}"
    );
    for usage in [&["reconfig"][..], &["reconfig", "--join", "zk4:2181"]] {
        fails(&server, usage, 2);
    }
    let secret = format!("digest:{}", zk_tests::SUPER_CREDENTIALS);
    let change = ["reconfig", "--leave", "3", "--from-version", version];
    let changed = output(&server, &[&change[..], &["--auth", &secret]].concat());
    let said = String::from_utf8_lossy(&changed.stderr);
    assert!(!said.contains(zk_tests::SUPER_CREDENTIALS), "{said}");
    if common::server::is_embedded() {
        assert!(said.contains("disabled"), "{said}");
        fails(&server, &change, 1);
    } else {
        let mut text = String::from_utf8_lossy(&changed.stdout).into_owned();
        if said.contains("whether it took effect is unknown") {
            // The server asked was the one to go, or the leader was, and took the answer with it.
            let started = Instant::now();
            while text.lines().count() != 3 {
                assert!(started.elapsed() < PATIENCE, "{text}{said}");
                text = String::from_utf8_lossy(&output(&server, &["config"]).stdout).into_owned();
            }
        }
        assert_eq!(text.lines().count(), 3, "{text}{said}");
        assert!(!text.contains("server.3="), "{text}");
        fails(&server, &change, 1);
    }
}
