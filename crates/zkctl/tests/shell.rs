//! zkctl with a server: exit codes, secrets, signals, pipes, sizes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod common;

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use common::{Running, SECRET, Served, finish, finish_with, send, text};
use zk_client::Client;
use zk_embedded::Server;
use zk_embedded::fault::{Action, Cut, Direction, on, on_any, on_connect};
use zk_proto::{ErrorCode, OpCode};
use zk_tests::watchdog::Wait;

/// Guards: P58.
#[test]
fn exists_has_a_code_for_failures() {
    let zk = Served::start();
    assert_eq!(zk.run(&["exists", "/a"]).0, Some(1));
    assert_eq!(zk.run(&["exists", "/"]).0, Some(0));
    let refuse = Action::Refuse(ErrorCode::NoAuth);
    zk.faults.rule(on(OpCode::Exists).then(refuse));
    let (code, stdout, stderr) = zk.run(&["exists", "/"]);
    assert_eq!((code, &*stdout), (Some(2), ""), "{stderr}");
}

/// Scripts use the code without the output, as in `zkctl exists /a | :`.
#[test]
fn exit_codes_need_no_reader() {
    let zk = Served::start();
    zk.done(&["create", "/a"]);
    let long = format!("/{}", "x".repeat(50_000));
    let unread = |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = zk.zkctl(arguments);
        command.stdout(writer);
        let output = finish(command);
        assert_eq!(text(&output.stderr).matches("output").count(), 0);
        output.status.code()
    };
    for format in ["plain", "json"] {
        for (path, code) in [("/a", 0), ("/b", 1), (&long, 1)] {
            assert_eq!(unread(&["-o", format, "exists", path]), Some(code));
        }
        let refuse = Action::Refuse(ErrorCode::NoAuth);
        zk.faults.rule(on(OpCode::SetData).then(refuse));
        let bench = ["-o", format, "bench", "set", "--ops", "5"];
        assert_eq!(unread(&bench), Some(1));
    }
    // More output than the buffer holds.
    zk.fill("/d", (0..1000).map(|n| n.to_string()));
    let paths: Vec<_> = (0..1000).map(|n| format!("/d/{n}")).collect();
    let mut delete = vec!["-o", "json", "delete", "/no-such-znode"];
    delete.extend(paths.iter().map(String::as_str));
    assert_eq!(unread(&delete), Some(1));
    assert_eq!(zk.done(&["ls", "/d"]), "");
}

/// Guards: P58.
#[test]
fn lock_failures_have_codes_of_their_own() {
    let zk = Served::start();
    for command in ["lock", "elect"] {
        let code = |script: &str| zk.run(&[command, "/l", "--", "sh", "-c", script]).0;
        for own in [0, 1, 2, 75, 125] {
            assert_eq!(code(&format!("exit {own}")), Some(own));
        }
        let refuse = Action::Refuse(ErrorCode::NoAuth);
        zk.faults.rule(on(OpCode::Create2).then(refuse));
        let (code, _, stderr) = zk.run(&[command, "/m", "--", "echo", "in"]);
        assert_eq!(code, Some(125), "{stderr}");
        zk.faults.clear();
    }
}

/// The server closes the connection on each operation that it does not know.
/// Guards: P1, P4.
#[test]
fn a_create_needs_no_new_operation() {
    let zk = Served::start();
    for op in [OpCode::Create2, OpCode::CreateContainer] {
        zk.faults.rule(on(op).then(Action::Close).always());
    }
    assert_eq!(zk.done(&["create", "/a", "v"]), "/a\n");
    assert_eq!(zk.done(&["create", "-p", "/b/c/d", "v"]), "/b/c/d\n");
    assert_eq!(zk.done(&["create", "--container", "/e"]), "/e\n");
    assert_eq!(zk.done(&["get", "/b/c/d"]), "v");
    // zkctl cannot find out whether a sequential znode was created.
    let (code, _, stderr) = zk.run(&["create", "-s", "/n-"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("create2") && stderr.contains("3.5"),
        "{stderr}"
    );
    // A znode that existed before is not reported as created.
    let (code, _, stderr) = zk.run(&["create", "/a"]);
    assert_eq!(code, Some(1), "{stderr}");
}

/// A znode that was created and deleted by another client meanwhile is not created a second time.
#[test]
fn a_create_happens_once() {
    let hour = Duration::from_secs(3600);
    let zk = Served::with(move || Server::builder().session_timeouts(hour, hour).start());
    zk.done(&["create", "/jobs"]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for options in [&[][..], &["-p"]] {
        let consumer = runtime.block_on(Client::connect(zk.hosts())).unwrap();
        zk.faults.rule(on(OpCode::Create2).then(Action::DropReply));
        let again = on_connect().after(1);
        zk.faults.rule(again.then(Action::Close).always());
        let limits = ["--timeout", "1h", "--connect-timeout", "1h"];
        let create = [&limits[..], &["create"], options, &["/jobs/1"]].concat();
        let child = zk.zkctl(&create).spawn().unwrap();
        let consumed = async {
            let (stat, watch) = consumer.exists("/jobs/1").watch().await.unwrap();
            if stat.is_none() {
                watch.await;
            }
            consumer.delete("/jobs/1").await.unwrap();
        };
        runtime.block_on(Wait::begin("the znode").on(consumed));
        zk.faults.clear();
        let _wait = Wait::begin("the create to end");
        let output = child.wait_with_output().unwrap();
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{options:?}: {stderr}");
        let unknown = "create /jobs/1: the server closed the connection";
        assert!(
            stderr.contains(unknown) && stderr.contains("is unknown"),
            "{stderr}"
        );
        assert_eq!(zk.run(&["exists", "/jobs/1"]).0, Some(1), "{options:?}");
        runtime.block_on(consumer.close()).unwrap();
    }
}

/// Guards: P38.
#[test]
fn a_misspelt_chroot_is_not_created() {
    let zk = Served::start();
    let hosts = format!("{}/typo", zk.hosts());
    for command in [&["bench", "set", "--ops", "1"][..], &["demo"]] {
        let (code, _, stderr) = zk.run(&[&["--server", &hosts][..], command].concat());
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains("chroot /typo does not exist"), "{stderr}");
        assert_eq!(zk.run(&["exists", "/typo"]).0, Some(1));
    }
}

/// Guards: P61, P58.
#[test]
fn a_bounded_wait_ends_without_any_reply() {
    // A long session and a long timeout of requests, so that neither ends the wait.
    let hour = Duration::from_secs(3600);
    let zk = Served::with(move || Server::builder().session_timeouts(hour, hour).start());
    for command in ["lock", "elect"] {
        for bound in [
            &["--wait", "200ms", "--timeout", "1h"][..],
            &["--no-wait", "--timeout", "200ms"],
        ] {
            zk.faults.rule(on_any().then(Action::HalfOpen));
            let arguments = [&[command][..], bound, &["/l", "--", "echo", "in"]].concat();
            let (code, stdout, stderr) = zk.run(&arguments);
            assert_eq!((code, &*stdout), (Some(75), ""), "{arguments:?}: {stderr}");
            assert!(
                stderr.contains("/l") && stderr.contains("200 ms"),
                "{stderr}"
            );
            zk.faults.clear();
        }
    }
}

/// Other processes need the znode or the server of these commands.
#[test]
fn running_commands_need_no_reader() {
    let zk = Served::start();
    let unread = |mut command: Command| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer);
        command.spawn().unwrap()
    };
    let mut create = unread(zk.zkctl(&["create", "-e", "/a"]));
    let mut notice = String::new();
    let stderr = create.stderr.take().unwrap();
    BufReader::new(stderr).read_line(&mut notice).unwrap();
    assert!(notice.contains("/a lives as long"), "{notice}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let port = address.port().to_string();
    let mut serve = unread(zk.zkctl(&["serve", "--port", &port]));
    while TcpStream::connect(address).is_err() {
        assert!(serve.try_wait().unwrap().is_none(), "it does not serve");
        thread::yield_now();
    }
    let address = address.to_string();
    assert_eq!(zk.done(&["--server", &address, "exists", "/"]), "true\n");
    assert_eq!(zk.done(&["exists", "/a"]), "true\n");
    for child in [&mut create, &mut serve] {
        send("TERM", child);
        assert_eq!(child.wait().unwrap().code(), Some(143));
    }
}

/// Other contenders wait for the znode of a process that ended without deleting it.
#[test]
fn an_abandoned_place_in_line_is_reported() {
    let hour = Duration::from_secs(3600);
    let zk = Served::with(move || Server::builder().session_timeouts(hour, hour).start());
    for (path, command, bound) in [
        ("/a", "lock", &["--wait"][..]),
        ("/b", "elect", &["--wait"]),
        ("/c", "lock", &["--no-wait", "--timeout"]),
        ("/d", "elect", &["--no-wait", "--timeout"]),
    ] {
        zk.done(&["create", path]);
        let mut limit = 200;
        // A slow machine needs a longer limit to enter the queue.
        let stderr = loop {
            let first = on_connect().after(1);
            zk.faults.rule(first.then(Action::Close).always());
            let create = on(OpCode::Create2).then(Action::DropReply);
            zk.faults.rule(create);
            let limited = format!("{limit}ms");
            let arguments = [&[command], bound, &[&limited, path, "--", "echo", "in"]].concat();
            let (code, stdout, stderr) = zk.run(&arguments);
            zk.faults.clear();
            assert_eq!((code, &*stdout), (Some(75), ""), "{stderr}");
            if zk.done(&["ls", path]).lines().count() == 1 {
                break stderr;
            }
            limit *= 2;
            assert!(limit < 500_000, "it never enters the queue: {stderr}");
        };
        assert!(
            stderr.contains("could not be closed") && stderr.contains("3600 s"),
            "{command} {bound:?}: {stderr}"
        );
    }
}

/// Guards: P55, P54.
#[test]
fn credentials_of_all_sources_count() {
    let zk = Served::start();
    let users = ["u1", "u2", "u3", "u4", "u5"];
    for user in users {
        let path = format!("/{user}");
        let mut create = zk.zkctl(&["create", "--acl", "auth::cdrwa", &path, user]);
        create.env("ZK_AUTH", format!("digest:{user}:{SECRET}"));
        assert!(finish(create).status.success());
        assert_eq!(zk.run(&["get", &path]).0, Some(1));
    }
    let directory = std::env::temp_dir().join(format!("zkctl-auth-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = |name: &str, user: &str| {
        let path = directory.join(name);
        std::fs::write(&path, format!("\ndigest:{user}:{SECRET}\r\n")).unwrap();
        path
    };
    let (variable, option) = (file("a", "u3"), file("b", "u4"));
    for user in users {
        let on_the_line = format!("digest:u5:{SECRET}");
        let mut get = zk.zkctl(&["--auth", &on_the_line, "get", &format!("/{user}")]);
        get.arg("--auth-file").arg(&option);
        get.env(
            "ZK_AUTH",
            format!("digest:u1:{SECRET}\ndigest:u2:{SECRET}\n"),
        );
        get.env("ZK_AUTH_FILE", &variable);
        let output = finish(get);
        assert_eq!(text(&output.stdout), user, "{}", text(&output.stderr));
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Guards: L3.
#[test]
fn a_command_inherits_no_credentials() {
    let zk = Served::start();
    for command in ["lock", "elect"] {
        for (option, inherits) in [(&[][..], false), (&["--keep-credentials"], true)] {
            let mut hold = zk.zkctl(&[&[command][..], option, &["/l", "--", "env"]].concat());
            hold.env("ZK_AUTH", format!("digest:u:{SECRET}"));
            hold.env("ZK_SASL_PASSWORD", SECRET);
            hold.env("KEPT", "kept");
            let output = finish(hold);
            let variables = text(&output.stdout);
            assert!(variables.contains("KEPT=kept") && variables.contains("ZK_FENCING_TOKEN="));
            assert_eq!(variables.contains(SECRET), inherits, "{variables}");
        }
    }
}

/// As under `nohup`, and for processes that a shell starts with `&`.
/// Guards: P56.
#[cfg(target_os = "linux")]
#[test]
fn an_ignored_signal_stays_ignored() {
    let zk = Served::start();
    let start = |arguments: &str| {
        let mut shell = Command::new("sh");
        let zkctl = env!("CARGO_BIN_EXE_zkctl");
        shell
            .args([
                "-c",
                &format!("trap '' HUP INT QUIT; exec {zkctl} {arguments}"),
            ])
            .env("ZK_SERVER", zk.hosts())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Running::start(shell)
    };
    let mut watch = start("watch /");
    watch.says("watching /");
    // The lock's command ignores no signal, so that it would end if zkctl forwarded one.
    let mut lock =
        start("lock /l -- env --default-signal sh -c 'echo in; while :; do sleep 1; done'");
    lock.says("in");
    for signal in ["HUP", "INT", "QUIT"] {
        watch.signal(signal);
        lock.signal(signal);
    }
    // The system delivers the lowest number first, so that SIGTERM arrives after the others.
    for running in [&mut watch, &mut lock] {
        running.signal("TERM");
        assert_eq!(running.child.wait().unwrap().code(), Some(143));
    }
}

/// Guards: P57.
#[test]
fn a_watch_ends_with_its_reader() {
    let zk = Served::start();
    for format in ["plain", "json"] {
        let mut watch = zk.zkctl(&["-o", format, "watch", "/a"]).spawn().unwrap();
        let mut reader = BufReader::new(watch.stdout.take().unwrap());
        reader.read_line(&mut String::new()).unwrap();
        drop(reader);
        let output = watch.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), text(&output.stderr)),
            (Some(0), String::new())
        );
    }
}

/// Guards: P50, P49.
#[test]
fn an_unreadable_znode_hides_no_others() {
    let zk = Served::start();
    zk.fill("/big", (0..300).map(|n| format!("a-rather-long-name-{n}")));
    zk.fill("/a", ["x".to_owned()].into_iter());
    zk.fill("/z", ["y".to_owned()].into_iter());
    for arguments in [
        &["ls", "-R"][..],
        &["ls", "-R", "-l"],
        &["tree"],
        &["-o", "json", "tree"],
    ] {
        let limited = [&["--max-reply-bytes", "4K"], arguments].concat();
        let (code, stdout, stderr) = zk.run(&limited);
        assert_eq!(code, Some(1), "{stderr}");
        for name in ["a", "x", "z", "y", "big"] {
            assert!(stdout.contains(name), "{arguments:?}: no {name}: {stdout}");
        }
        assert!(!stdout.contains("a-rather-long"), "{stdout}");
        assert!(
            stderr.contains("/big: ") && stderr.contains("--max-reply-bytes"),
            "{stderr}"
        );
        let whole = zk.done(&[&["--max-reply-bytes", "1M"], arguments].concat());
        assert!(whole.contains("a-rather-long-name-299"));
    }
    let refused = on(OpCode::Exists)
        .path("/big")
        .then(Action::Refuse(ErrorCode::NoAuth));
    zk.faults.rule(refused);
    let (code, stdout, stderr) = zk.run(&["ls", "-l", "/"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stdout.contains("  z\n") && stdout.contains("  big\n"),
        "{stdout}"
    );
}

/// Guards: P50.
#[test]
fn one_refused_watch_does_not_end_others() {
    let zk = Served::start();
    let refuse = Action::Refuse(ErrorCode::NoAuth);
    zk.faults.rule(
        on(OpCode::AddWatch)
            .path("/b")
            .then(refuse.clone())
            .always(),
    );
    let watch = Running::start(zk.zkctl(&["watch", "/a", "/b", "/c"]));
    watch.says("watching /");
    watch.says("watching /");
    zk.done(&["create", "/c"]);
    watch.says("created           /c");
    zk.faults.rule(on(OpCode::AddWatch).then(refuse).always());
    let (code, _, stderr) = zk.run(&["watch", "/a", "/b"]);
    assert_eq!(code, Some(1));
    assert_eq!(stderr.lines().count(), 2, "{stderr}");
}

/// Guards: P51.
#[test]
fn a_larger_request_is_sent_where_allowed() {
    let zk = Served::with(|| Server::builder().max_frame(8 << 20).start());
    let data = vec![b'x'; 2 << 20];
    for arguments in [
        &["create", "/a", "-"][..],
        &["set", "/a"],
        &["set", "/a", "-"],
    ] {
        let output = finish_with(zk.zkctl(arguments), &data);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("--max-request-bytes"), "{stderr}");
        let allowed = [arguments, &["--max-request-bytes", "8M"]].concat();
        let output = finish_with(zk.zkctl(&allowed), &data);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(zk.done(&["get", "/a"]).len(), data.len());
    // The data alone are small enough; with path and header the request is too large.
    let output = finish_with(zk.zkctl(&["set", "/a", "-"]), &data[..0xf_ffff]);
    assert!(text(&output.stderr).contains("--max-request-bytes"));
}

/// Guards: P52.
#[test]
fn delete_goes_on_after_a_reset() {
    let zk = Served::start();
    let names = || (0..1000).map(|n| format!("n{n}"));
    zk.fill("/a", names());
    for n in 0..30 {
        zk.fill(
            &format!("/a/n{n}/b"),
            ["c", "d"].into_iter().map(str::to_owned),
        );
    }
    for frame in [40, 300, 700] {
        zk.faults
            .cut(Cut::new(Direction::ToServer, frame, 7).reset());
    }
    zk.faults
        .drop_reply_after_apply(on(OpCode::Delete).after(500));
    assert_eq!(zk.done(&["delete", "-r", "/a"]), "");
    assert_eq!(zk.faults.pending(), 0, "the faults did not happen");
    assert_eq!(zk.run(&["exists", "/a"]).0, Some(1));
}

/// Guards: P60.
#[test]
fn advice_names_options_not_methods() {
    let zk = Served::start();
    zk.done(&[
        "create",
        "-p",
        "/a/a-name-that-is-longer-than-the-limit-given-below-for-replies",
    ]);
    let says = |arguments: &[&str], word: &str| {
        let (code, _, stderr) = zk.run(arguments);
        assert_ne!(code, Some(0), "{arguments:?}");
        assert!(stderr.contains(word), "{stderr}");
        for foreign in ["()", " max_re", "builder", "client"] {
            assert!(!stderr.contains(foreign), "{stderr}");
        }
    };
    says(&["create", "/x/y"], "-p)");
    says(&["delete", "/a"], "-r)");
    says(
        &["--max-reply-bytes", "70", "ls", "/a"],
        "--max-reply-bytes)",
    );
    says(
        &["--max-request-bytes", "30", "create", "/aaaa"],
        "--max-request-bytes",
    );
    says(&["create", "--acl", "auth::r", "/x"], "ZK_AUTH");
    says(&["--server", "a:b@zk", "ls"], "ZK_AUTH");
    zk.faults
        .rule(on(OpCode::GetData).then(Action::Refuse(ErrorCode::NoAuth)));
    says(&["get", "/a"], "ZK_AUTH");
    zk.faults.rule(on(OpCode::GetData).then(Action::Swallow));
    says(&["--timeout", "50ms", "get", "/a"], "--timeout");
    says(&["--auth", "no-such:hunter2", "get", "/a"], "--auth");
    says(&["--auth", "no-such:hunter2", "watch", "/a"], "--auth");
}

/// Guards: P63.
#[cfg(target_os = "linux")]
#[test]
fn data_are_raw_except_to_a_terminal() {
    let zk = Served::start();
    let data = "a\u{1b}]0;owned\u{7}\u{1b}[2Jb";
    zk.done(&["create", "/a", data]);
    assert_eq!(zk.done(&["get", "/a"]), data);
    let zkctl = env!("CARGO_BIN_EXE_zkctl");
    // `script` runs its command on a terminal.
    let mut script = Command::new("script");
    script
        .args(["-qec", &format!("{zkctl} get /a"), "/dev/null"])
        .env("ZK_SERVER", zk.hosts())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = finish(script);
    let shown = text(&output.stdout);
    assert!(
        shown.contains("a\\u{1b}]0;owned\\u{7}\\u{1b}[2Jb\r\n"),
        "{shown:?}"
    );
}
