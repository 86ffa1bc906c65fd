//! zkctl without a server: every mistake is an error that names it, and neither a hang nor a panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests, which the lint does not know from other functions"
)]

#[path = "../common/mod.rs"]
mod common;
mod security;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use common::{SECRET, assert_fails, fails, finish, zkctl};

#[test]
fn mistakes_are_usage_errors() {
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
        (&["ls", "--max-reply-bytes", "8m"], &["8192K"]),
        (&["create", "--ttl", "soon", "/a"], &["500ms"]),
        (
            &["--server", "host:port", "ls"],
            &["--server", "not a port"],
        ),
        (&["--session-timeout", "0", "ls"], &["between 1 ms"]),
        (&["-o", "xml", "ls"], &["plain", "json"]),
        (&["watch", "/a", "--"], &["COMMAND"]),
        (&["sessions", "0xyz"], &["0xyz", "SESSION"]),
        (&["watch", "--keep-credentials", "/a"], &["COMMAND"]),
    ] {
        assert_fails(arguments, 2, words);
    }
}

/// Any code but 125 may be that of the command under the lock.
/// Guards: P58.
#[test]
fn usage_errors_of_lock_have_their_own_code() {
    for (arguments, words) in [
        (&["lock", "--foreground", "/a"][..], &["COMMAND"][..]),
        // As with `-- $EMPTY`.
        (&["lock", "/a", "--"], &["COMMAND"]),
        (&["elect", "/a", "--"], &["COMMAND"]),
        (&["elect", "--keep-credentials", "/a"], &["COMMAND"]),
        (&["lock", "-n", "0", "/a"], &["--leases", "0"]),
        (
            &["elect", "--observe", "/a", "--", "true"],
            &["cannot be used with"],
        ),
        (&["elect", "/a", "true"], &["true"]),
        (
            &["lock", "--wait", "1s", "--no-wait", "/a", "--", "true"],
            &["cannot be used with"],
        ),
        (
            &["--output", "json", "lock", "a", "--", "true"],
            &["must start"],
        ),
        (&["--auth", "x", "lock", "/a", "--", "true"], &["no scheme"]),
        (
            &["--server", "x:y", "elect", "/a", "--", "true"],
            &["not a port"],
        ),
    ] {
        assert_fails(arguments, 125, words);
    }
    assert_fails(&["get", "lock"], 2, &["must start"]);
    assert_fails(&["exists", "lock"], 2, &["must start"]);
}

#[test]
fn a_wrong_server_variable_is_a_usage_error() {
    for (server, cause) in [("[::1", "not a host"), ("u:hunter2@zk1", "credentials")] {
        let mut command = zkctl(&["ls"]);
        command.env("ZK_SERVER", server);
        let output = finish(command);
        assert_eq!(output.status.code(), Some(2));
        // The value may contain a password.
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
        for variable in ["ZK_AUTH", "ZK_SERVER", "ZK_SASL_USER", "ZK_TLS_SERVER_NAME"] {
            command.env(variable, format!("digest:u:{SECRET}@zk1"));
        }
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
        &["--server", "user:hunter2@zk1:2181", "ls"],
        &["--server", "zk://user:hunter2@zk1:2181,zk2:2181/m", "ls"],
        &["--server", "dns-srv://user:hunter2@zk", "ls"],
        &["--server", "zk1:hunter2", "ls"],
        &["create", "--acl", "digest:user:hunter2:cdrwa", "/a"],
        &["create", "--acl", "digest:user:hunter2", "/a"],
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
    for (variable, value) in [
        ("ZK_AUTH", SECRET),
        ("ZK_AUTH", "digest:user:hunter2 "),
        ("ZK_AUTH", "ensemble:x\ndigest:hunter2:"),
        ("ZK_SERVER", "user:hunter2@zk1:2181"),
    ] {
        let mut command = zkctl(&["ls"]);
        command.env(variable, value);
        let output = finish(command);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.contains(variable) && !stderr.contains(SECRET),
            "{stderr}"
        );
    }
}

#[test]
fn a_secret_in_place_of_a_file_is_not_shown() {
    for (variables, options, source) in [
        (
            &[("ZK_AUTH_FILE", "digest:user:hunter2")][..],
            &[][..],
            "ZK_AUTH_FILE",
        ),
        (&[], &["--auth-file", "digest:user:hunter2"], "--auth-file"),
        #[cfg(feature = "sasl")]
        (
            &[("ZK_SASL_USER", "bob"), ("ZK_SASL_PASSWORD_FILE", SECRET)],
            &[],
            "ZK_SASL_PASSWORD_FILE",
        ),
        #[cfg(feature = "sasl")]
        (
            &[("ZK_SASL_USER", "bob")],
            &["--sasl-password-file", SECRET],
            "--sasl-password-file",
        ),
    ] {
        let mut command = zkctl(&[options, &["ls"]].concat());
        command.envs(variables.iter().copied());
        let output = finish(command);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains(source) && stderr.contains("No such file"),
            "{stderr}"
        );
        assert!(!stderr.contains(SECRET), "{stderr}");
    }
}

/// `${X:-}` in the files of service managers gives an empty variable.
/// Guards: P53.
#[test]
fn an_empty_variable_counts_as_unset() {
    let variables = [
        "ZK_SERVER",
        "ZK_AUTH",
        "ZK_AUTH_FILE",
        "ZK_TLS_CA",
        "ZK_TLS_CERT",
        "ZK_TLS_KEY",
        "ZK_TLS_STORE",
        "ZK_TLS_ALIAS",
        "ZK_TLS_PASSPHRASE",
        "ZK_TLS_PASSPHRASE_FILE",
        "ZK_TLS_CA_PASSPHRASE",
        "ZK_TLS_CA_PASSPHRASE_FILE",
        "ZK_TLS_SERVER_NAME",
        "ZK_SASL_USER",
        "ZK_SASL_PASSWORD",
        "ZK_SASL_PASSWORD_FILE",
    ];
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let mut command = zkctl(&["--connect-timeout", "1ms", "--server", &address, "ls"]);
    command.envs(variables.map(|variable| (variable, "")));
    let output = finish(command);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("cannot connect to"), "{stderr}");
    let mut command = zkctl(&["--connect-timeout", "1ms", "ls"]);
    command.env("ZK_SERVER", "");
    let output = finish(command);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("127.0.0.1:2181") || output.status.success(),
        "{stderr}"
    );
    let mut command = zkctl(&["--sasl-user", "bob", "ls"]);
    command.env("ZK_SASL_PASSWORD", "");
    let output = finish(command);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("needs a password"), "{stderr}");
}

/// Guards: P40.
#[test]
fn a_wrong_path_is_explained_once() {
    for arguments in [
        &["create", "", "x"][..],
        &["create", "a/b"],
        &["ls", "x"],
        &["delete", "/a/"],
        &["lock", "x", "--", "true"],
    ] {
        let (_, stderr) = fails(arguments);
        assert!(stderr.matches("invalid").count() == 1, "{stderr}");
    }
}

/// Data are not replaced by nothing because a shell variable was empty.
/// Guards: P59.
#[test]
fn set_refuses_empty_standard_input() {
    let set = [
        "--server",
        "127.0.0.1:1",
        "--connect-timeout",
        "1ms",
        "set",
        "/a",
    ];
    assert_fails(&set, 2, &["standard input is empty", "-"]);
    for data in ["-", ""] {
        assert_fails(&[&set[..], &[data]].concat(), 1, &["cannot connect"]);
    }
}

/// Guards: P61.
#[test]
fn a_bounded_wait_includes_connecting() {
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let server = ["--server", &address];
    for (wait, code) in [
        (&["--wait", "300ms"][..], 75),
        (&["--wait", "300ms", "--conflict-exit-code", "9"], 9),
        (&["--no-wait"], 75),
        (&["--wait", "0"], 75),
        (&["--wait", "1h", "--connect-timeout", "300ms"], 125),
    ] {
        for command in ["lock", "elect"] {
            let arguments = [&server, &[command][..], wait, &["/l", "--", "true"]].concat();
            assert_fails(&arguments, code, &["no session within", &address]);
        }
    }
    let arguments = [
        &server[..],
        &["lock", "--wait", "300ms", "/l", "--", "true"],
    ]
    .concat();
    assert_fails(&arguments, 75, &["within 300 ms"]);
    let arguments = [&server[..], &["lock", "--no-wait", "/l", "--", "true"]].concat();
    assert_fails(&arguments, 75, &["within 1000 ms"]);
}

/// Guards: P64.
#[test]
fn too_few_file_descriptors_are_no_panic() {
    for command in ["ls /", "lock /l -- true", "watch /", "serve --port 0"] {
        for limit in 3..16 {
            let zkctl = env!("CARGO_BIN_EXE_zkctl");
            let script = format!(
                "ulimit -n {limit}; exec {zkctl} --server 127.0.0.1:1 --connect-timeout 1ms {command}"
            );
            let mut shell = Command::new("sh");
            shell
                .args(["-c", &script])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = shell.spawn().unwrap();
            if command.starts_with("serve") {
                // `serve` ends by itself only if it fails.
                let mut line = String::new();
                let stdout = child.stdout.take().unwrap();
                BufReader::new(stdout).read_line(&mut line).unwrap();
                let _ = child.kill();
            }
            let output = child.wait_with_output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(!stderr.contains("panicked"), "{limit}, {command}: {stderr}");
            assert_ne!(
                output.status.code(),
                Some(101),
                "{limit}, {command}: {stderr}"
            );
        }
    }
}

#[test]
fn too_much_data_is_refused_before_sending() {
    let mut command = zkctl(&["--server", "127.0.0.1:1", "set", "/a"]);
    command.stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeding = thread::spawn(move || {
        let megabyte = vec![b'x'; 1 << 20];
        // An error means that zkctl has stopped reading.
        let _ = stdin.write_all(&megabyte);
    });
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("1048575 bytes") && stderr.contains("--max-request-bytes"),
        "{stderr}"
    );
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
