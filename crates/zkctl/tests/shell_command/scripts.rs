//! Lines from `-c` and from standard input.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use zk_tests::watchdog;

use crate::common::{Running, SECRET, Served, finish_with, text, zkctl};

/// The exit code, standard output and standard error of a script.
fn script(zk: &Served, options: &[&str], lines: &str) -> (Option<i32>, String, String) {
    let arguments = [&["shell"], options].concat();
    let output = finish_with(zk.zkctl(&arguments), lines.as_bytes());
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Standard output of lines that succeed.
fn done(zk: &Served, lines: &str) -> String {
    let (code, stdout, stderr) = script(zk, &[], lines);
    assert_eq!(code, Some(0), "{lines}: {stderr}");
    stdout
}

#[test]
fn all_commands_have_one_session() {
    let zk = Served::start();
    let lines = "create -e /mine x\nls /\ngetEphemerals\nephemerals /";
    let stdout = done(&zk, lines);
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines[..3], ["/mine", "mine", "zookeeper"]);
    assert_eq!(lines[3], lines[4], "{stdout}");
    assert!(lines[3].ends_with("  /mine"), "{stdout}");
    assert_eq!(lines.len(), 5);
    // The session has ended with the shell.
    assert_eq!(zk.done(&["ls", "/"]), "zookeeper\n");
}

#[test]
fn a_shell_keeps_a_protected_context() {
    let zk = Served::start();
    zk.done(&["create", "/a", "v"]);
    let name = format!("shell-protected-{}.toml", std::process::id());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let contents = "[contexts.p]\nserver = \"SERVER\"\nprotected = true\n";
    fs::write(&file, contents.replace("SERVER", zk.hosts())).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let run = |options: &[&str], lines: &str| {
        let arguments = [&["--context", "p"], options].concat();
        let mut command = zkctl(&arguments);
        command.env("ZKCTL_CONFIG", &file);
        let output = finish_with(command, lines.as_bytes());
        let code = output.status.code();
        (code, text(&output.stdout), text(&output.stderr))
    };
    let refusal = "the context p is protected, and this command writes; give --write if it should";
    // The last line but one is zkCli's name, the last one runs as a program.
    for (line, code) in [
        ("set /a w", 2),
        ("create /b", 2),
        ("delete /a", 2),
        ("watch /a & set /a w", 2),
        ("rmr /a", 2),
        ("bench get", 2),
    ] {
        let (ended, stdout, stderr) = run(&["shell"], line);
        assert_eq!((ended, &*stdout), (Some(code), ""), "{line}: {stderr}");
        assert!(stderr.contains(refusal), "{line}: {stderr}");
    }
    assert_eq!(run(&["shell"], "get /a\nls /").1, "v\na\nzookeeper\n");
    // For one line, and for all.
    let lines = "set /a w --write\nget /a\nset /a x\n";
    let (code, stdout, stderr) = run(&["shell"], lines);
    assert_eq!((code, &*stdout), (Some(2), "version 1\nw"), "{stderr}");
    assert!(
        stderr.contains("line 3: the context p is protected"),
        "{stderr}"
    );
    let (code, stdout, stderr) = run(&["--write", "shell"], "set /a y\nget /a\n");
    assert_eq!((code, &*stdout), (Some(0), "version 2\ny"), "{stderr}");
    fs::remove_file(file).unwrap();
}

/// Also those that run as programs, since they have a session of their own.
#[test]
fn programs_have_the_servers_of_the_shell() {
    let (zk, other) = (Served::start(), Served::start());
    zk.done(&["create", "/first", "v"]);
    other.done(&["create", "/other", "v"]);
    let name = format!("shell-servers-{}.toml", std::process::id());
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let contents = "current = \"p\"\n[contexts.p]\nserver = \"SERVER\"\nprotected = true\n";
    fs::write(&file, contents.replace("SERVER", zk.hosts())).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let run = |options: &[&str], lines: &str| {
        let mut command = zkctl(&[options, &["shell", "-c", lines]].concat());
        command.env("ZKCTL_CONFIG", &file).env_remove("ZK_SERVER");
        let output = finish_with(command, b"");
        let code = output.status.code();
        (code, text(&output.stdout), text(&output.stderr))
    };
    let listed = |options: &[&str], lines: &str| {
        let (code, stdout, stderr) = run(options, lines);
        assert_eq!(code, Some(0), "{stderr}");
        stdout
    };
    // The context of the file; another server beside a context; one that the shell has changed to.
    let own_session = "ls / --connect-timeout 20s";
    assert_eq!(listed(&[], own_session), "first\nzookeeper\n");
    let beside = ["--context", "p", "--server", other.hosts()];
    assert_eq!(listed(&beside, own_session), "other\nzookeeper\n");
    let connected = format!("connect {}\n{own_session}", other.hosts());
    for options in [&[][..], &["--context", "p"]] {
        assert_eq!(listed(options, &connected), "other\nzookeeper\n");
    }
    // Not with the login of a context.
    let mut login = fs::read_to_string(&file).unwrap();
    login += "[contexts.login]\nserver = \"zk1\"\ndigest-user = \"u\"\ndigest-password = \"env:ZK_TESTS_PASSWORD\"\n";
    fs::write(&file, login.replace("zk1", zk.hosts())).unwrap();
    let mut command = zkctl(&["--context", "login", "shell", "-c", &connected]);
    command.env("ZKCTL_CONFIG", &file).env_remove("ZK_SERVER");
    command.env("ZK_TESTS_PASSWORD", SECRET);
    let output = finish_with(command, b"");
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("the login of the context login"),
        "{message}"
    );
    // A line may name others.
    let named = format!("ls / --server {}", other.hosts());
    assert_eq!(listed(&[], &named), "other\nzookeeper\n");
    // The context of the file protects its servers from programs, too.
    for line in ["set /first w --connect-timeout 20s", "lock /l -- true"] {
        let (code, _, stderr) = run(&[], line);
        assert_ne!(code, Some(0), "{line}");
        assert!(stderr.contains("the context p is protected"), "{stderr}");
    }
    assert_eq!(zk.done(&["get", "/first"]), "v");
    listed(&["--write"], "set /first w --connect-timeout 20s");
    assert_eq!(zk.done(&["get", "/first"]), "w");
    fs::remove_file(file).unwrap();
}

#[test]
fn a_line_that_could_do_harm_is_refused() {
    let zk = Served::start();
    zk.done(&["create", "/a", "v"]);
    for (lines, why) in [
        ("set /a -", "standard input has the lines"),
        ("import - /b", "standard input has the lines"),
        ("delete /a 3", "is a version to zkCli"),
        ("pwd; redo 1", "has a redo itself"),
        ("set /a w &", "does not run in the background"),
        (
            "copy /a /b --auth digest:bob:hunter2",
            "use addauth, or --auth-file",
        ),
    ] {
        let (code, _, stderr) = script(&zk, &[], lines);
        assert_eq!(code, Some(2), "{lines}: {stderr}");
        assert!(stderr.contains(why), "{lines}: {stderr}");
    }
    assert_eq!(zk.done(&["get", "/a"]), "v");
}

#[test]
fn paths_are_relative_to_the_current_znode() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/app/config/db", "v1"]);
    let lines = "cd app/config\npwd\nls\nget db\ncd ..\npwd\nls\nget ./config/../config/db\ncd -\npwd\n\
                 create -s n-\ndelete n-0000000001\nls\ncd\npwd";
    let stdout = done(&zk, lines);
    let expected =
        "/app/config\ndb\nv1\n/app\nconfig\nv1\n/app/config\n/app/config/n-0000000001\ndb\n/\n";
    assert_eq!(stdout, expected);
    let (code, _, stderr) = script(&zk, &[], "cd /nope");
    assert_eq!(
        (code, stderr.as_str()),
        (Some(1), "zkctl: line 1: /nope: the znode does not exist\n")
    );
    let (code, _, stderr) = script(&zk, &[], "cd app\ndelete -r ..");
    assert_eq!(code, Some(2));
    assert!(stderr.contains("the root cannot be deleted"), "{stderr}");
}

#[test]
fn a_script_ends_at_the_first_failure() {
    let zk = Served::start();
    let lines = "create /a v1\n\n# a comment\nget /nope; create /b\ncreate /c\n";
    let (code, stdout, stderr) = script(&zk, &[], lines);
    assert_eq!((code, stdout.as_str()), (Some(1), "/a\n"));
    assert!(stderr.starts_with("zkctl: line 4: "), "{stderr}");
    assert!(stderr.contains("/nope"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
    let (code, stdout, _) = script(&zk, &["--keep-going"], "exists /nope\nls -x\nls /\n");
    assert_eq!((code, stdout.as_str()), (Some(1), "false\na\nzookeeper\n"));
    let (code, stdout, stderr) = script(&zk, &["-c", "ls /; ls 'x; ls /"], "");
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(stderr.contains("a single quote has no other"), "{stderr}");
    assert_eq!(script(&zk, &["-c", "ls --frob; ls /"], "").0, Some(2));
    assert_eq!(script(&zk, &["-c", "quit; frobnicate"], "").0, Some(0));
}

#[test]
fn the_last_data_are_exact() {
    let zk = Served::start();
    zk.done(&["create", "/a", "v1"]);
    assert_eq!(done(&zk, "get /a"), "v1");
    assert_eq!(done(&zk, "get /a; get /a\nls /"), "v1\nv1\na\nzookeeper\n");
}

#[test]
fn a_line_has_the_options_of_zkctl() {
    let zk = Served::start();
    zk.done(&["create", "/a", "v1"]);
    let stdout = done(&zk, "get /a -o json\n-o json exists /a\nls --timeout 5s /");
    let lines: Vec<_> = stdout.lines().collect();
    let object: Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!(object["data"], "v1");
    let object: Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(object["exists"], true);
    assert_eq!(lines[2..], ["a", "zookeeper"]);
    let stdout = done_with(
        &zk,
        &["-o", "json", "shell"],
        "exists /a\nexists /a -o plain",
    );
    assert!(
        stdout.starts_with('{') && stdout.ends_with("}\ntrue\n"),
        "{stdout}"
    );
}

fn done_with(zk: &Served, arguments: &[&str], lines: &str) -> String {
    let output = finish_with(zk.zkctl(arguments), lines.as_bytes());
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// zkCli's flags, and the znodes that they leave.
#[test]
fn a_runbook_of_zkcli_works() {
    let zk = Served::start();
    let runbook = "\
        create /app \"some data\"\n\
        create -s /app/n- x\n\
        set -v 0 /app new\n\
        get -s /app\n\
        setAcl /app world:anyone:cdrwa\n\
        getAcl /app\n\
        getAllChildrenNumber /app\n\
        setquota -n 100 /app\n\
        listquota /app\n\
        delquota -n /app\n\
        sync /app\n\
        whoami\n\
        version\n\
        stat /app\n\
        create /app/more/deep x\n";
    let (code, stdout, stderr) = script(&zk, &[], runbook);
    // The last line fails, as in zkCli: its parent is missing.
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    for word in [
        "/app/n-0000000000",
        "version 1",
        "world:anyone:cdrwa",
        "\n1\n",
        "zxid 0x",
        "ip:127.0.0.1",
    ] {
        assert!(stdout.contains(word), "no {word:?} in {stdout}");
    }
    assert!(
        stderr.contains("version 1") && stderr.contains("line 15"),
        "{stderr}"
    );
    assert_eq!(done(&zk, "deleteall /app\nls /"), "zookeeper\n");
}

/// As a supervisor sends it, to the shell alone.
#[test]
fn a_signal_without_a_terminal_is_passed_on() {
    for (signal, code) in [("INT", 130), ("QUIT", 131), ("TERM", 143)] {
        let zk = Served::start();
        let shell = zk.zkctl(&[
            "shell",
            "-c",
            "lock /l -- sh -c 'echo in; while :; do sleep 1; done'",
        ]);
        // A session of its own has no terminal.
        let mut command = Command::new("setsid");
        command.arg(shell.get_program()).args(shell.get_args());
        command.env_clear().stdin(Stdio::null());
        for (name, value) in shell.get_envs() {
            command.env(name, value.unwrap());
        }
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running::start(command);
        running.says("in");
        running.signal(signal);
        let _wait = watchdog::Wait::begin("the shell to end");
        assert_eq!(running.child.wait().unwrap().code(), Some(code));
        assert_eq!(zk.done(&["ls", "/l"]), "");
    }
}

#[test]
fn a_watch_shows_changes_between_commands() {
    let zk = Served::start();
    let lines = "addWatch /w\ncreate /w 1\ncreate /w/k\nget -w /w\nset /w 2\nprintwatches off\nset /w 3\n\
                 printwatches on\nsync\nremovewatches /w\nset /w 4\nsync";
    let stdout = done(&zk, lines);
    let shows = |word: &str| stdout.lines().filter(|line| line.contains(word)).count();
    assert_eq!(shows("watching /w and everything below it"), 1, "{stdout}");
    assert_eq!(shows("created           /w  zxid"), 1, "{stdout}");
    assert_eq!(shows("created           /w/k  zxid"), 1, "{stdout}");
    // That of `get -w`, and that of `addWatch`.
    assert_eq!(shows("data changed  /w"), 1, "{stdout}");
    assert_eq!(shows("data changed      /w"), 1, "{stdout}");
    let lines = "watch /w /v &\nsync\nremovewatches /w\nset /w 5\ncreate /v\nsync";
    let stdout = done(&zk, lines);
    assert!(stdout.contains("created           /v"), "{stdout}");
    assert!(!stdout.contains("data changed"), "{stdout}");
    let (code, _, stderr) = script(&zk, &[], "removewatches /w");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no watch"), "{stderr}");
}

#[test]
fn credentials_are_added_to_the_session() {
    let zk = Served::start();
    let lines = "addauth digest bob:hunter2\nwhoami\ncreate /b x auth::cdrwa\ngetAcl /b\nhistory\n\
                 stat /b --timeout 5s\nget /b --connect-timeout 5s";
    let stdout = done(&zk, lines);
    assert!(stdout.contains("digest:bob\n"), "{stdout}");
    assert!(stdout.contains("digest:bob:"), "{stdout}");
    // `history` shows the lines without secrets, and the program that the last line starts has them.
    assert!(
        !stdout.contains(SECRET) && stdout.contains("  whoami\n"),
        "{stdout}"
    );
    assert!(stdout.ends_with("\nx"), "{stdout}");
    let (code, _, stderr) = script(&zk, &[], "addauth digest hunter2 x\nls --auth hunter2");
    assert_eq!(code, Some(2));
    assert!(!stderr.contains(SECRET), "{stderr}");
    assert_eq!(script(&zk, &[], "get /b").0, Some(1));
}

#[test]
fn a_session_may_be_closed_and_opened_again() {
    let zk = Served::start();
    let lines = format!(
        "create -e /e\nclose\nconnect\nls /\nconnect {}/chroot\nclose\nls /",
        zk.hosts()
    );
    let (code, stdout, stderr) = script(&zk, &[], &lines);
    assert_eq!(
        (code, stdout.as_str()),
        (Some(1), "/e\nzookeeper\n"),
        "{stderr}"
    );
    assert!(
        stderr.contains("line 7: there is no session; `connect`"),
        "{stderr}"
    );
    let (code, _, stderr) = script(&zk, &["--connect-timeout", "100ms"], "connect 127.0.0.1:1");
    assert_eq!(code, Some(1));
    assert!(stderr.contains("cannot connect to 127.0.0.1:1"), "{stderr}");
    let (code, _, stderr) = script(&zk, &[], "connect user:hunter2@zk1");
    assert_eq!(code, Some(2));
    assert!(!stderr.contains(SECRET), "{stderr}");
}

#[test]
fn commands_with_other_needs_are_programs() {
    let zk = Served::start();
    zk.done(&["create", "/a", "v1"]);
    let lines = "cd /a\nversion\nhealth -o json\nlock l -- true\nls\ncopy /a /b\nget /b\nset /a";
    let (code, stdout, stderr) = script(&zk, &[], lines);
    // `set` without data reads standard input, which is the script's.
    assert_eq!(code, Some(2), "{stdout}{stderr}");
    assert!(stderr.contains("standard input is empty"), "{stderr}");
    assert!(
        stdout.contains("3.9.5") && stdout.contains("\"type\":\"ensemble\""),
        "{stdout}"
    );
    assert!(
        stdout.contains("\nl\n") && stdout.contains("v1"),
        "{stdout}"
    );
    let exit = script(&zk, &["-c", "lock /l -- sh -c 'exit 7'"], "").0;
    assert_eq!(exit, Some(7));
}

#[test]
fn a_line_may_be_run_again() {
    let zk = Served::start();
    let stdout = done(&zk, "create -s /n-\nhistory\nredo 1\nhistory");
    let first = "/n-0000000000\n    1  create -s /n-\n    2  history\n";
    let again = "create -s /n-\n/n-0000000001\n";
    let all = "    1  create -s /n-\n    2  history\n    3  create -s /n-\n    4  history\n";
    assert_eq!(stdout, format!("{first}{again}{all}"));
    assert_eq!(script(&zk, &[], "redo 9").0, Some(2));
}

#[test]
fn help_lists_what_a_line_may_be() {
    let zk = Served::start();
    let stdout = done(&zk, "help\nhelp getAcl\nhelp cd\nls --help");
    for word in [
        "addauth SCHEME CRED",
        "\nexport ",
        "deleteall",
        "Usage: zkctl acl get",
        "cd [PATH]\n",
        "Usage: zkctl ls",
    ] {
        assert!(stdout.contains(word), "no {word:?} in {stdout}");
    }
    assert_eq!(script(&zk, &[], "help frobnicate").0, Some(2));
}

#[test]
fn a_reader_may_leave_a_shell() {
    let zk = Served::start();
    let mut command = Command::new("sh");
    let zkctl = env!("CARGO_BIN_EXE_zkctl");
    command
        .args([
            "-c",
            &format!("yes 'ls /' | head -1000 | {zkctl} shell | head -1; echo done"),
        ])
        .env("ZK_SERVER", zk.hosts())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = crate::common::finish(command);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(text(&output.stdout), "zookeeper\ndone\n");
}
