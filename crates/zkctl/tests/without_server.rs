//! What the command line does where there is no ZooKeeper server: every mistake and every broken
//! server is a clear error within its deadline, never a hang and never a panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which the lint does not know from other functions"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
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

/// Runs to the end, or fails.
fn finish(mut command: Command) -> Output {
    let child = command.spawn().unwrap();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(child.wait_with_output()));
    receive.recv_timeout(PATIENCE).expect("it hangs").unwrap()
}

/// The exit code and standard error; nothing may be on standard output.
fn fails(arguments: &[&str]) -> (i32, String) {
    let output = finish(zkctl(arguments));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    (output.status.code().unwrap(), stderr)
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
        (
            &["--server", "host:port", "ls"],
            &["--server", "not a port"],
        ),
        (&["--session-timeout", "0", "ls"], &["between 1 ms"]),
        (&["-o", "xml", "ls"], &["plain", "json"]),
    ] {
        assert_fails(arguments, 2, words);
    }
}

#[test]
fn a_wrong_server_in_the_environment_is_a_usage_error() {
    for (server, cause) in [("[::1", "not a host"), ("u:hunter2@zk1", "credentials")] {
        let mut command = zkctl(&["ls"]);
        command.env("ZK_SERVER", server);
        let output = finish(command);
        assert_eq!(output.status.code(), Some(2));
        // What is in it may be a password.
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.contains(cause) && !stderr.contains(server),
            "{stderr}"
        );
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
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
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let arguments = [
        "--server",
        &address,
        "--connect-timeout",
        "500ms",
        "get",
        "/a",
    ];
    assert_fails(
        &arguments,
        1,
        &["zkctl: cannot connect to", &address, "500 ms", "refused"],
    );
}

#[test]
fn an_unresolvable_name_is_named_with_the_reason() {
    let host = "no-such-host.invalid:2181";
    let started = Instant::now();
    let (code, stderr) = fails(&["--server", host, "--connect-timeout", "2s", "ls"]);
    // A resolver that answers says why; one that does not must not delay the end.
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains(host) && stderr.contains("2000 ms"),
        "{stderr}"
    );
    assert!(started.elapsed() < PATIENCE / 2, "{:?}", started.elapsed());
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
        let mut arguments = vec!["--server", &address, "--connect-timeout", "700ms"];
        arguments.extend(command);
        let started = Instant::now();
        assert_fails(
            &arguments,
            1,
            &[
                &address,
                "no session within 700 ms",
                "no server has answered",
            ],
        );
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
        let arguments = ["--server", &address, "--connect-timeout", "1s", "ls"];
        let (code, stderr) = fails(&arguments);
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
        let mut child = zkctl(&["--server", &address, "--connect-timeout", "1m", "ls"])
            .spawn()
            .unwrap();
        let stream = connection.recv_timeout(PATIENCE).unwrap();
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

/// Guards: M5.
#[cfg(feature = "tls")]
#[test]
fn names_from_the_dns_need_a_server_name() {
    assert_fails(
        &[
            "--server",
            "dns-srv://_zk._tcp.invalid",
            "--tls-ca",
            "/no/such/ca.pem",
            "ls",
        ],
        2,
        &[
            "--tls-server-name",
            "--tls-insecure-trust-dns",
            "not authenticated",
        ],
    );
    assert_fails(
        &["--server", "zk1", "--tls-insecure-trust-dns", "ls"],
        2,
        &["TLS needs --tls-ca"],
    );
}

/// Reads a frame; none at the end of the stream.
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
        // The client may be gone, which the test sees by its words.
        let _ = stream.write_all(&granted);
        if let Some(request) = frame(&mut stream) {
            let _ = stream.write_all(&answer(&request));
        }
    })
}

/// Guards: P31. As a server with `enforce.auth.enabled` answers requests of unauthenticated clients.
#[test]
fn missing_credentials_are_not_refused_ones() {
    let server = granting(|request| {
        let mut reply = vec![0, 0, 0, 16];
        reply.extend(&request[..4]);
        reply.extend([0; 8]);
        reply.extend((-124_i32).to_be_bytes());
        reply
    });
    for command in [
        &["ls", "/"][..],
        &["watch", "/"],
        &["lock", "/l", "--", "true"],
    ] {
        let mut arguments = vec!["--server", &server];
        arguments.extend(command);
        let (code, stderr) = fails(&arguments);
        assert_eq!(code, 1, "{stderr}");
        assert!(
            stderr.contains("requires clients to authenticate"),
            "{command:?}: {stderr}"
        );
        for wrong in ["refused the credentials", "check the scheme"] {
            assert!(!stderr.contains(wrong), "{command:?}: {stderr}");
        }
    }
}

/// Guards: P31. A server that is given the name of another ensemble closes the connection.
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

/// Guards: P30. A server at its limit closes the connection, mostly before it has read anything.
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

/// Guards: P45.
#[cfg(feature = "tls")]
#[test]
fn a_certificate_that_is_skipped_is_named() {
    let inputs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/inputs/tls/");
    let bundle = std::env::temp_dir().join(format!("zkctl-bundle-{}.pem", std::process::id()));
    let good = std::fs::read_to_string(format!("{inputs}ca.pem")).unwrap();
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&bundle, format!("{good}{bad}")).unwrap();
    let closing = listener(|_| {});
    let server = closing.replace("127.0.0.1", "localhost");
    let arguments = ["--server", &server, "--connect-timeout", "1s", "--tls-ca"];
    let (code, stderr) = fails(&[&arguments[..], &[bundle.to_str().unwrap(), "ls"]].concat());
    std::fs::remove_file(&bundle).unwrap();
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("certificate 2 is refused: it is malformed; it is skipped"),
        "{stderr}"
    );
    let store = format!("{inputs}store.jks");
    let (code, stderr) = fails(&[&arguments[..], &[&store, "ls"]].concat());
    assert_eq!(code, 1, "{stderr}");
    assert_eq!(stderr.matches("keytool -list -rfc").count(), 1, "{stderr}");
}

/// Guards: L12.
#[cfg(unix)]
#[test]
fn serving_without_descriptors_is_reported() {
    let mut command = Command::new("sh");
    let serve = format!(
        "ulimit -n 40; exec {} serve --port 0",
        env!("CARGO_BIN_EXE_zkctl")
    );
    command.args(["-c", &serve]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let (stdout, stderr) = (server.stdout.take().unwrap(), server.stderr.take().unwrap());
    let mut address = String::new();
    BufReader::new(stdout).read_line(&mut address).unwrap();
    let connect = || TcpStream::connect(address.trim()).unwrap();
    let connections: Vec<_> = (0..100).map(|_| connect()).collect();
    let mut warning = String::new();
    BufReader::new(stderr).read_line(&mut warning).unwrap();
    drop(connections);
    let status = finish(zkctl(&["--server", address.trim(), "exists", "/"])).status;
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(
        warning.starts_with("zkctl: cannot accept connections"),
        "{warning}"
    );
    assert!(
        warning.contains("ulimit -n") && warning.contains(address.trim()),
        "{warning}"
    );
    assert!(status.success(), "it does not serve again");
}
