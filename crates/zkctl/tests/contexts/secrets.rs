//! Logins of contexts, and where their secrets go.

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use zk_tests::watchdog::Wait;

use crate::common::{Running, SECRET, Served, finish, finish_with, text};
use crate::config::Config;

#[test]
fn logins_go_to_the_servers_of_the_context() {
    let (zk, other) = (Served::start(), Served::start());
    let config = Config::with(&format!(
        "current = \"c\"\n[contexts.c]\nserver = \"{}\"\ndigest-user = \"ops\"\n\
         digest-password = \"env:OPS\"\n",
        zk.hosts()
    ));
    let identities = |options: &[&str], variables: &[(&str, &str)]| {
        let mut command = config.zkctl(&[&["whoami"], options].concat());
        command.env("OPS", SECRET).envs(variables.iter().copied());
        let output = finish(command);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let users = text(&output.stdout);
        let users = users.lines().filter(|line| line.starts_with("digest:"));
        users.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(identities(&[], &[]), ["digest:ops"]);
    let none: [&str; 0] = [];
    assert_eq!(identities(&["--server", other.hosts()], &[]), none);
    assert_eq!(identities(&[], &[("ZK_SERVER", other.hosts())]), none);
    let both = ["--server", other.hosts(), "--context", "c"];
    assert_eq!(identities(&both, &[]), ["digest:ops"]);
    // Other credentials replace the context's, unless the command line names the context.
    let variable = [("ZK_AUTH", "digest:me:x")];
    assert_eq!(identities(&[], &variable), ["digest:me"]);
    assert_eq!(identities(&["--context", "c"], &variable), ["digest:ops"]);
    assert_eq!(identities(&["--auth", "digest:me:x"], &[]), ["digest:me"]);
    // Not in the process list: the arguments are those that were typed.
    let mut watch = config.zkctl(&["watch", "/"]);
    watch.env("OPS", SECRET);
    let watch = Running::start(watch);
    watch.says("watching");
    let pid = watch.child.id();
    let arguments = fs::read(format!("/proc/{pid}/cmdline"));
    assert!(arguments.is_ok_and(|arguments| !text(&arguments).contains(SECRET)));
}

/// A line with a session of its own has the login of the context, and not what the shell has added.
#[test]
fn no_line_lacks_an_added_login() {
    let zk = Served::start();
    let config = Config::with(&format!(
        "current = \"c\"\n[contexts.c]\nserver = \"{}\"\ndigest-user = \"ops\"\n\
         digest-password = \"env:OPS\"\n",
        zk.hosts()
    ));
    config.write("added", "digest:me:x\n", 0o600);
    let file = config.0.join("added");
    let run = |line: &str| {
        let lines = format!("addauth digest me:x\ncreate /p '' auth::cdrwa\n{line}");
        let mut shell = config.zkctl(&["shell"]);
        shell.env("OPS", SECRET);
        let output = finish_with(shell, lines.as_bytes());
        zk.run(&["delete", "/p"]);
        (output.status.code(), text(&output.stderr))
    };
    let (code, stderr) = run("create /p/a --session-timeout 5s");
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("--auth-file") && !stderr.contains("me:x"),
        "{stderr}"
    );
    let with_file = format!("lock /p --auth-file {} -- true", file.display());
    for line in ["health", "set /p 2", "completions bash", &with_file] {
        assert_eq!(run(line), (Some(0), String::new()), "{line}");
    }
    // Credentials that replace the context's do so in every line.
    let file = file.to_str().unwrap();
    let lines = "whoami --session-timeout 5s";
    let options = ["--context", "c", "--auth-file", file];
    let with_option = config.zkctl(&[&options[..], &["shell", "-c", lines]].concat());
    let mut with_variable = config.zkctl(&["shell", "-c", lines]);
    with_variable.env("ZK_AUTH", "digest:me:x");
    for mut shell in [with_option, with_variable] {
        shell.env("OPS", SECRET);
        let users = text(&finish(shell).stdout);
        assert!(
            users.contains("digest:me") && !users.contains("ops"),
            "{users}"
        );
    }
}

/// The copy of a tree to another ensemble does not bring the password along.
#[test]
fn another_side_gets_no_login_of_a_context() {
    let (zk, other) = (Served::start(), Served::start());
    let config = Config::with(&format!(
        "current = \"c\"\n[contexts.c]\nserver = \"{}\"\ndigest-user = \"ops\"\n\
         digest-password = \"env:OPS\"\n",
        zk.hosts()
    ));
    let run = |arguments: &[&str]| {
        let mut command = config.zkctl(arguments);
        command.env("OPS", SECRET);
        finish(command)
    };
    assert!(
        run(&["create", "--acl", "auth::cdrwa", "/a", "v"])
            .status
            .success()
    );
    let there = format!("{}/a", other.hosts());
    other.done(&["create", "/a", "v"]);
    // A znode that only this login may read: readable here, and not there.
    let id = "digest:ops:whXxsmeXbDlRHlBRgY9aRKW7Yec=:cdrwa";
    let acl = zk.done(&["--auth", "digest:ops:hunter2", "acl", "get", "/a"]);
    assert_ne!(acl.trim(), id, "the id is only an example");
    other.done(&["acl", "set", "/a", acl.trim()]);
    let output = run(&["diff", "/a", &there]);
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("/a") && !output.status.success(),
        "{stderr}"
    );
    let same = run(&["diff", "--auth", "digest:ops:hunter2", "/a", &there]);
    assert!(same.status.success(), "{}", text(&same.stderr));
}

#[test]
fn commands_inherit_no_secret_of_a_context() {
    let zk = Served::start();
    zk.done(&["create", "/w"]);
    let config = Config::with(&format!(
        "current = \"c\"\n[contexts.c]\nserver = \"{}\"\ndigest-user = \"ops\"\n\
         digest-password = \"env:OPS\"\n",
        zk.hosts()
    ));
    let script = "echo \"<$OPS><$OTHER>\"";
    let inherited = |arguments: &[&str]| {
        let mut command = config.zkctl(&[arguments, &["--", "sh", "-c", script]].concat());
        command.env("OPS", SECRET).env("OTHER", "x");
        Running::start(command).line("the command")
    };
    let kept = format!("<{SECRET}><x>");
    for (command, expected) in [
        (&["lock", "/l"][..], "<><x>"),
        (&["lock", "--keep-credentials", "/l"], &kept),
        (&["elect", "/e"], "<><x>"),
        (&["watch", "--initially", "/w"], "<><x>"),
        (&["watch", "--initially", "--keep-credentials", "/w"], &kept),
    ] {
        assert_eq!(inherited(command), expected, "{command:?}");
    }
}

#[test]
fn secrets_come_from_files_and_variables() {
    let zk = Served::start();
    let config = Config::with(&format!(
        "[contexts.file]\nserver = \"{0}\"\nauth = \"file:login\"\n\
         [contexts.variable]\nserver = \"{0}\"\nauth = \"env:LOGIN\"\n\
         [contexts.both]\nserver = \"{0}\"\nauth = \"file:login\"\ndigest-user = \"ops\"\n\
         digest-password = \"file:password\"\n",
        zk.hosts()
    ));
    config.write("login", "digest:a:hunter2\ndigest:b:hunter2\n", 0o600);
    config.write("password", "hunter2\n", 0o640);
    let run = |context: &str, login: &str| {
        let mut command = config.zkctl(&["--context", context, "whoami"]);
        command.env("LOGIN", login);
        let output = finish(command);
        let users = text(&output.stdout);
        let users = users.lines().filter(|line| line.starts_with("digest:"));
        let users: Vec<_> = users.map(str::to_owned).collect();
        (output.status.code(), users, text(&output.stderr))
    };
    let is_done = |(code, users, stderr): (Option<i32>, Vec<String>, String), expected: &[&str]| {
        assert_eq!((code, stderr), (Some(0), String::new()));
        assert_eq!(users, expected);
    };
    is_done(run("file", ""), &["digest:a", "digest:b"]);
    is_done(run("variable", "digest:c:hunter2"), &["digest:c"]);
    is_done(run("both", ""), &["digest:ops", "digest:a", "digest:b"]);
    let (code, _, stderr) = run("variable", "");
    let place = format!("zkctl: {}:6: auth: ", config.path().display());
    assert_eq!(code, Some(2), "{stderr}");
    assert_eq!(
        stderr,
        format!("{place}the variable of this name is not set\n")
    );
    let (code, _, stderr) = run("variable", "hunter2");
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.starts_with(&place) && !stderr.contains(SECRET),
        "{stderr}"
    );
    // Other users could read it: used, with a warning.
    config.write("login", "digest:a:hunter2\n", 0o644);
    let (code, users, stderr) = run("file", "");
    assert_eq!((code, users), (Some(0), vec!["digest:a".to_owned()]));
    assert!(
        stderr.contains("config.toml:3: auth: all users"),
        "{stderr}"
    );
    assert!(
        stderr.contains("chmod 600") && stderr.lines().count() == 1,
        "{stderr}"
    );
    fs::remove_file(config.0.join("login")).unwrap();
    let refused = config.refused(&["--context", "file", "ls"], 1);
    assert!(
        refused.starts_with("zkctl: FILE:3: auth: cannot read the file"),
        "{refused}"
    );
}

/// Asked for on the terminal, although standard input has the data.
#[cfg(target_os = "linux")]
#[test]
fn a_secret_can_be_typed() {
    let zk = Served::start();
    let config = Config::with(&format!(
        "[contexts.c]\nserver = \"{}\"\ndigest-user = \"ops\"\ndigest-password = \"prompt\"\n",
        zk.hosts()
    ));
    let zkctl = env!("CARGO_BIN_EXE_zkctl");
    let mut script = Command::new("script");
    script
        .args([
            "-qec",
            &format!("{zkctl} --context c whoami </dev/null"),
            "/dev/null",
        ])
        .env("ZKCTL_CONFIG", config.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut script = script.spawn().unwrap();
    let _wait = Wait::begin("the question and the answer");
    let (mut keys, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let mut shown = Vec::new();
    while !shown.ends_with(b"context c: ") {
        let mut byte = [0];
        screen.read_exact(&mut byte).unwrap();
        shown.extend(byte);
    }
    keys.write_all(b"hunter2\n").unwrap();
    screen.read_to_end(&mut shown).unwrap();
    script.wait().unwrap();
    let shown = text(&shown);
    assert!(
        shown.starts_with("digest-password of the context c: "),
        "{shown}"
    );
    assert!(
        shown.contains("digest:ops") && !shown.contains(SECRET),
        "{shown}"
    );
    let mut setsid = Command::new("setsid");
    setsid
        .args(["-w", zkctl, "--context", "c", "whoami"])
        .env("ZKCTL_CONFIG", config.path())
        .stderr(Stdio::piped());
    let output = finish(setsid);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("there is no terminal"), "{stderr}");
}
