//! What the command line does where there is no ZooKeeper server: every mistake and every broken
//! server is a clear error within its deadline, never a hang and never a panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which the lint does not know from other functions"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use zk_tests::watchdog;

const SECRET: &str = "hunter2";

fn zkctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zkctl"));
    command
        .args(arguments)
        .env_remove("ZK_SERVER")
        .env_remove("ZK_AUTH")
        .env_remove("ZK_SASL_PASSWORD")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs to the end, or fails where nothing happens any more.
fn finish(mut command: Command) -> Output {
    let child = command.spawn().unwrap();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(child.wait_with_output()));
    watchdog::receive("zkctl to end", &receive)
        .unwrap()
        .unwrap()
}

/// The exit code and standard error; nothing may be on standard output.
fn fails(arguments: &[&str]) -> (i32, String) {
    let output = finish(zkctl(arguments));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    (output.status.code().unwrap(), stderr)
}

/// As [`fails`], with a limit that is doubled until the reason is known that `word` is part of: a slow
/// machine takes longer to find out. Returns the limit as well, as zkctl writes it.
fn fails_with(mut milliseconds: u64, arguments: &[&str], word: &str) -> (i32, String, String) {
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

fn assert_fails(arguments: &[&str], code: i32, words: &[&str]) {
    let (actual, stderr) = fails(arguments);
    assert_eq!(actual, code, "{arguments:?}: {stderr}");
    for word in words {
        assert!(
            stderr.contains(word),
            "{arguments:?}: no {word:?} in: {stderr}"
        );
    }
}

/// A port that does this to everybody who connects.
fn listener(serve: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap());
        }
    });
    address
}

#[test]
fn mistakes_in_the_command_line_are_usage_errors() {
    for (arguments, words) in [
        (&["ls", "x"][..], &["must start with '/'"][..]),
        (&["get", "/a/"], &["/a/"]),
        (&["get", "/a//b"], &["/a//b"]),
        (&["create", "a/b"], &["zkctl: invalid path", "a/b"]),
        (&["create", "/a/"], &["zkctl: invalid path"]),
        (&["get"], &["<PATH>"]),
        (&["frobnicate"], &["frobnicate"]),
        (&["delete", "-r", "/"], &["the root cannot be deleted"]),
        (
            &["delete", "-r", "--version", "1", "/a"],
            &["cannot be used with"],
        ),
        (&["set", "/a", "x", "--version", "-2"], &["-2"]),
        (
            &["create", "-e", "--ttl", "1s", "/a"],
            &["cannot be used with"],
        ),
        (&["create", "-c", "-s", "/a"], &["cannot be used with"]),
        (&["create", "--acl", "world:anyone", "/a"], &["not an ACL"]),
        (&["create", "--ttl", "soon", "/a"], &["500ms"]),
        (&["lock", "/a"], &["COMMAND"]),
        (&["lock", "/a", "true"], &["true"]),
        (
            &["lock", "--wait", "1s", "--no-wait", "/a", "--", "true"],
            &["cannot be used with"],
        ),
        (&["--server", "host:port", "ls"], &["host:port"]),
        (&["--session-timeout", "0", "ls"], &["between 1 ms"]),
        (&["-o", "xml", "ls"], &["plain", "json"]),
    ] {
        assert_fails(arguments, 2, words);
    }
}

#[test]
fn a_wrong_server_in_the_environment_is_a_usage_error() {
    let mut command = zkctl(&["ls"]);
    command.env("ZK_SERVER", "[::1");
    let output = finish(command);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("[::1"));
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [&["--help"][..], &["lock", "--help"], &["--version"]] {
        let mut command = zkctl(arguments);
        command.env("ZK_AUTH", format!("digest:u:{SECRET}"));
        let output = finish(command);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("zkctl") && !text.contains(SECRET), "{text}");
    }
}

#[test]
fn secrets_are_in_no_error() {
    for arguments in [
        &["--auth", SECRET, "ls"][..],
        &["--auth", ":hunter2", "ls"],
        &["--auth", "digest:u:hunter2", "ls", "relative"],
        &[
            "--auth",
            "digest:u:hunter2",
            "--server",
            "127.0.0.1:1",
            "--connect-timeout",
            "100ms",
            "ls",
        ],
    ] {
        let (code, stderr) = fails(arguments);
        assert_ne!(code, 0, "{arguments:?}");
        assert!(!stderr.contains(SECRET), "{stderr}");
    }
    let mut command = zkctl(&["ls"]);
    command.env("ZK_AUTH", SECRET);
    let output = finish(command);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("ZK_AUTH") && !stderr.contains(SECRET),
        "{stderr}"
    );
}

#[test]
fn half_a_security_is_a_usage_error() {
    for (arguments, words) in [
        (&["--tls-cert", "c.pem", "ls"][..], &["--tls-key"][..]),
        (
            &["--tls-cert", "c.pem", "--tls-key", "k.pem", "ls"],
            &["--tls-ca"],
        ),
        (&["--tls-insecure-any-host-name", "ls"], &["--tls-ca"]),
        (
            &["--sasl-user", "bob", "ls"],
            &["ZK_SASL_PASSWORD", "--sasl-password-file"],
        ),
    ] {
        assert_fails(arguments, 2, words);
    }
    assert_fails(
        &["--tls-ca", "/no/such/ca.pem", "ls"],
        1,
        &["/no/such/ca.pem"],
    );
    assert_fails(
        &[
            "--sasl-user",
            "bob",
            "--sasl-password-file",
            "/no/such/file",
            "ls",
        ],
        1,
        &["/no/such/file"],
    );
}

#[test]
fn a_refused_port_is_named_with_the_reason() {
    // Reserved, and below those that any program is given.
    let address = "127.0.0.1:1";
    let arguments = ["--server", address, "get", "/a"];
    let (code, stderr, limit) = fails_with(500, &arguments, "refused");
    assert_eq!(code, 1, "{stderr}");
    for word in ["zkctl: cannot connect to", address, &limit, "refused"] {
        assert!(stderr.contains(word), "no {word:?} in: {stderr}");
    }
}

#[test]
fn an_unresolvable_name_is_named_with_the_reason() {
    let host = "no-such-host.invalid:2181";
    let (code, stderr) = fails(&["--server", host, "--connect-timeout", "2s", "ls"]);
    // A resolver that answers says why; one that does not must not delay the end.
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains(host) && stderr.contains("2000 ms"),
        "{stderr}"
    );
}

#[test]
fn a_port_that_accepts_and_never_answers_is_given_up_in_time() {
    let address = listener(|mut stream| {
        thread::spawn(move || {
            let mut sink = Vec::new();
            stream.read_to_end(&mut sink)
        });
    });
    for command in [
        &["ls"][..],
        &["watch", "/"],
        &["create", "-e", "/a"],
        &["lock", "/l", "--", "true"],
    ] {
        let arguments = [&["--server", &address], command].concat();
        let started = Instant::now();
        let reason = "no server has answered";
        let (code, stderr, limit) = fails_with(700, &arguments, reason);
        assert_eq!(code, 1, "{arguments:?}: {stderr}");
        let within = format!("no session within {limit}");
        for word in [&address, &within, reason] {
            assert!(
                stderr.contains(word),
                "{arguments:?}: no {word:?} in: {stderr}"
            );
        }
        assert!(started.elapsed() >= Duration::from_millis(700));
    }
}

#[test]
fn a_server_that_is_no_zookeeper_is_told_apart() {
    for (greeting, word) in [
        (
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
            "HTTP/1.1",
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n", "SSH-2.0"),
        ("\u{1b}[2J\u{7}\u{1b}]0;owned\u{7}", "ZooKeeper"),
    ] {
        let address = listener(move |mut stream| {
            // The client may be gone already.
            let _ = stream.write_all(greeting.as_bytes());
            thread::spawn(move || {
                let mut sink = Vec::new();
                stream.read_to_end(&mut sink)
            });
        });
        let (code, stderr, _) = fails_with(1_000, &["--server", &address, "ls"], word);
        assert_eq!(code, 1);
        assert!(stderr.contains(word), "{stderr}");
        assert!(
            !stderr.contains('\u{1b}') && !stderr.contains('\u{7}'),
            "{stderr:?}"
        );
    }
}

#[test]
fn a_server_that_closes_at_once_is_an_error() {
    let address = listener(drop);
    let arguments = ["--server", &address, "--connect-timeout", "500ms", "ls"];
    assert_fails(&arguments, 1, &[&address, "500 ms"]);
}

#[test]
fn more_data_than_a_znode_holds_are_refused_before_anything_is_sent() {
    let mut command = zkctl(&["--server", "127.0.0.1:1", "set", "/a"]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeding = thread::spawn(move || {
        let megabyte = vec![b'x'; 1 << 20];
        // It stops reading when it has seen enough.
        let _ = stdin.write_all(&megabyte);
    });
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("1048575 bytes"), "{stderr}");
}

#[test]
fn a_signal_while_connecting_ends_it_with_the_shells_code() {
    let (connected, connection) = mpsc::channel();
    let address = listener(move |stream| connected.send(stream).unwrap());
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut child = zkctl(&["--server", &address, "--connect-timeout", "24h", "ls"])
            .spawn()
            .unwrap();
        let stream = watchdog::receive("a connection", &connection).unwrap();
        let kill = format!("kill -{signal} {}", child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(child.wait().unwrap().code(), Some(code));
        drop(stream);
    }
}
