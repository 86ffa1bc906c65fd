//! zkctl with a server that is unreachable, is not a ZooKeeper server, or refuses: an error with the reason
//! within the deadline.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which the lint does not know from other functions"
)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use common::{Served, assert_fails, fails, fails_with, listener, zkctl};
use zk_tests::watchdog;

#[test]
fn a_refused_port_is_explained() {
    // A reserved port, which the system gives to no program.
    let address = "127.0.0.1:1";
    let arguments = ["--server", address, "get", "/a"];
    let (code, stderr, limit) = fails_with(500, &arguments, "refused");
    assert_eq!(code, 1, "{stderr}");
    for word in ["zkctl: cannot connect to", address, &limit, "refused"] {
        assert!(stderr.contains(word), "no {word:?} in: {stderr}");
    }
}

#[test]
fn an_unresolvable_name_is_explained() {
    let host = "no-such-host.invalid:2181";
    let (code, stderr) = fails(&["--server", host, "--connect-timeout", "2s", "ls"]);
    // If the resolver answers, the error has its reason; if not, the resolver must not delay the end.
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains(host) && stderr.contains("2000 ms"),
        "{stderr}"
    );
}

#[test]
fn a_port_that_never_answers_is_given_up() {
    let address = listener(|mut stream| {
        thread::spawn(move || {
            let mut sink = Vec::new();
            stream.read_to_end(&mut sink)
        });
    });
    for (command, code) in [
        (&["ls"][..], 1),
        (&["watch", "/"], 1),
        (&["create", "-e", "/a"], 1),
        (&["exists", "/a"], 2),
        (&["lock", "/l", "--", "true"], 125),
    ] {
        let arguments = [&["--server", &address], command].concat();
        let started = Instant::now();
        let reason = "no server has answered";
        let (actual, stderr, limit) = fails_with(700, &arguments, reason);
        assert_eq!(actual, code, "{arguments:?}: {stderr}");
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
fn a_server_of_another_protocol_is_named() {
    for (greeting, word) in [
        (
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
            "HTTP/1.1",
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n", "SSH-2.0"),
        ("\u{1b}[2J\u{7}\u{1b}]0;owned\u{7}", "ZooKeeper"),
    ] {
        let address = listener(move |mut stream| {
            // An error means that the client has closed the connection.
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
fn a_signal_ends_connecting() {
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

/// Reads a frame; `None` at the end of the stream.
fn frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut frame).ok()?;
    Some(frame)
}

/// A port that grants a session, reads one frame more, and ends the connection after what `answer`
/// makes of the frame.
fn granting(answer: fn(&[u8]) -> Vec<u8>) -> String {
    listener(move |mut stream| {
        if frame(&mut stream).is_none() {
            return;
        }
        // Version, timeout of 10 s, session id, password of 16 bytes, not read-only.
        let mut granted = vec![0, 0, 0, 37, 0, 0, 0, 0, 0, 0, 0x27, 0x10];
        granted.extend([0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 16]);
        granted.extend([1; 16]);
        granted.push(0);
        // An error means that the client has closed the connection; its output shows why.
        let _ = stream.write_all(&granted);
        if let Some(request) = frame(&mut stream) {
            let _ = stream.write_all(&answer(&request));
        }
    })
}

/// The port answers as a server with `enforce.auth.enabled` does to unauthenticated clients.
/// Guards: P31.
#[test]
fn missing_credentials_are_not_refused_ones() {
    let server = granting(|request| {
        let mut reply = vec![0, 0, 0, 16];
        reply.extend(&request[..4]);
        reply.extend([0; 8]);
        reply.extend((-124_i32).to_be_bytes());
        reply
    });
    for (command, expected) in [
        (&["ls", "/"][..], 1),
        (&["watch", "/"], 1),
        (&["lock", "/l", "--", "true"], 125),
    ] {
        let mut arguments = vec!["--server", &server];
        arguments.extend(command);
        let (code, stderr) = fails(&arguments);
        assert_eq!(code, expected, "{stderr}");
        assert!(
            stderr.contains("requires clients to authenticate"),
            "{command:?}: {stderr}"
        );
        for wrong in ["refused the credentials", "check the scheme"] {
            assert!(!stderr.contains(wrong), "{command:?}: {stderr}");
        }
    }
}

/// A server closes the connection of a client that names another ensemble.
/// Guards: P31.
#[test]
fn unanswered_credentials_are_a_cause() {
    let server = granting(|_| Vec::new());
    let arguments = ["--server", &server, "--connect-timeout", "1s", "--auth"];
    let (code, stderr) = fails(&[&arguments[..], &["ensemble:wrong-name", "ls"]].concat());
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("credentials of scheme \"ensemble\""),
        "{stderr}"
    );
    for wrong in ["wrong-name", "maxClientCnxns", "TLS on this port"] {
        assert!(!stderr.contains(wrong), "{stderr}");
    }
}

/// A server at its limit of connections closes new ones, usually before it has read from them.
/// Guards: P30.
#[test]
fn a_connection_limit_is_the_first_cause() {
    for reads in [false, true] {
        let server = listener(move |mut stream| {
            if reads {
                frame(&mut stream);
            }
        });
        let arguments = ["--server", &server, "--connect-timeout", "1s", "ls"];
        let (code, stderr) = fails(&arguments);
        assert_eq!(code, 1, "{stderr}");
        let (_, causes) = stderr
            .split_once("it may have")
            .unwrap_or_else(|| panic!("{stderr}"));
        assert!(causes.contains("(maxClientCnxns"), "{stderr}");
        assert!(!stderr.contains("reset"), "{stderr}");
    }
}

/// Advice names zkctl's options and commands, where the library's names methods.
#[test]
fn advice_names_options_and_commands() {
    let zk = Served::start();
    let auth = ["--auth", "digest:bob:hunter2"];
    zk.done(&[&auth[..], &["create", "/a", "--acl", "auth::cdrwa"]].concat());
    let root = format!("{}/nope", zk.hosts());
    for (server, arguments, advice) in [
        (&*root, &["ls", "/"][..], "as in --server host:port/chroot"),
        (&*root, &["locks", "/"], "as in --server host:port/chroot"),
        (&*root, &["create", "/x"], "or use -p"),
        (zk.hosts(), &["get", "/a"], "zkctl whoami shows"),
        (
            "127.0.0.1:1",
            &["--connect-timeout", "100ms", "get", "/a"],
            "(no request was sent; check the addresses, and that the servers run and have a quorum: zkctl health",
        ),
    ] {
        let stderr = zk.fails(&[&["--server", server], arguments].concat(), 1);
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(advice), "no {advice:?} in {stderr}");
        assert!(!stderr.contains("()"), "{stderr}");
    }
}
