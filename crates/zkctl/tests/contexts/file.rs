//! The file, and its changes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use zk_tests::watchdog::Wait;

use crate::common::{finish, text, zkctl};
use crate::config::Config;

#[test]
fn a_configuration_with_mistakes_is_refused() {
    let config = Config::with("[contexts.c]\nserver = \"zk1\"\npassword = \"hunter2\"\n");
    let refused = config.refused(&["--context", "c", "ls"], 2);
    assert!(
        refused.starts_with("zkctl: FILE:3: password: there is no such key; "),
        "{refused}"
    );
    assert_eq!(
        config.refused(&["--context", "d", "ls"], 2),
        "zkctl: FILE has no context d (--context); it has c"
    );
    // Not needed, and so not read.
    let closed = ["--server", "127.0.0.1:1", "--connect-timeout", "1ms", "ls"];
    let refused = config.refused(&closed, 1);
    assert!(refused.contains("cannot connect"), "{refused}");
    config.write("config.toml", "current = \"d\"\n", 0o600);
    assert_eq!(
        config.refused(&["ls"], 2),
        "zkctl: FILE:1: current: there is no context d; it has none"
    );
    config.write("config.toml", "", 0o606);
    assert_eq!(
        config.refused(&["ls"], 1),
        "zkctl: FILE: all users of this machine can change this file; chmod o-w it"
    );
    config.write(
        "config.toml",
        "[contexts.c]\nsasl-password = hunter2\n",
        0o600,
    );
    assert_eq!(
        config.refused(&["ls"], 2),
        "zkctl: FILE:2: string values must be quoted, expected literal string"
    );
    fs::remove_file(config.path()).unwrap();
    let refused = config.refused(&["ls"], 1);
    assert!(
        refused.starts_with("zkctl: cannot read FILE (ZKCTL_CONFIG): "),
        "{refused}"
    );
    // Without the variable the file need not exist, unless a context is demanded.
    let mut command = zkctl(&["--context", "c", "ls"]);
    command.env("XDG_CONFIG_HOME", &config.0);
    let output = finish(command);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("`zkctl context set NAME server=HOSTS`"));
}

#[test]
fn a_context_is_edited_in_place() {
    let config = Config::with(
        "# mine\ncurrent = \"one\" # now\n\n[contexts.one]\n# why\ntimeout = \"7s\" # slow\n",
    );
    config.done(&["context", "set", "one", "timeout=8s", "server=zk1:2181"]);
    assert_eq!(
        config.read(),
        "# mine\ncurrent = \"one\" # now\n\n[contexts.one]\n# why\ntimeout = \"8s\" # slow\nserver = \"zk1:2181\"\n"
    );
    let set = [
        "context",
        "set",
        "two",
        "server=zk2",
        "protected=true",
        "digest-user=ops",
        "digest-password=prompt",
    ];
    let (code, stdout, stderr) = config.run(&set);
    assert_eq!((code, &*stdout), (Some(0), ""));
    assert!(stderr.contains("`zkctl context use two`"), "{stderr}");
    assert_eq!(
        config.done(&["context", "list"]),
        "* one  zk1:2181\n  two  zk2  protected\n"
    );
    config.done(&["context", "set", "two", "--unset", "protected"]);
    config.done(&["context", "use", "two"]);
    assert_eq!(
        config.done(&["context", "list"]),
        "  one  zk1:2181\n* two  zk2\n"
    );
    let before = config.read();
    for (settings, words) in [
        (
            &["sasl-password=hunter2"][..],
            "a secret must not be in this file",
        ),
        (&["server=u:hunter2@zk1"], "credentials do not belong here"),
        (&["chroot=app"], "chroot: it must start with '/'"),
        (&["hunter2"], "KEY=VALUE"),
        (&["tls_ca=x"], "write tls-ca"),
        (&["sasl-password=prompt"], "sasl-password: needs sasl-user"),
        (
            &["--unset", "digest-user"],
            "digest-password: needs digest-user",
        ),
        (&["--unset", "tls-ca"], "two has no tls-ca"),
    ] {
        let refused = config.refused(&[&["context", "set", "two"], settings].concat(), 2);
        assert!(refused.contains(words), "{refused}");
    }
    for arguments in [["use", "none"], ["delete", "none"]] {
        let refused = config.refused(&[&["context"], &arguments[..]].concat(), 2);
        assert!(refused.ends_with("it has one, two"), "{refused}");
    }
    assert_eq!(config.read(), before);
    let (code, _, stderr) = config.run(&["context", "delete", "two"]);
    assert_eq!(code, Some(0));
    assert!(stderr.contains("was the current context"), "{stderr}");
    let left = config.read();
    assert!(
        !left.contains("two") && !left.contains("current") && left.contains("# why"),
        "{left}"
    );
    let mode = fs::metadata(config.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_first_context_creates_the_file() {
    let config = Config::with("");
    let home = config.0.join("home");
    let run = |arguments: &[&str], variable: &str| {
        let mut command = zkctl(arguments);
        command.env("HOME", &home).env("XDG_CONFIG_HOME", variable);
        finish(command)
    };
    let output = run(&["context", "list"], "");
    assert_eq!(
        (output.status.code(), &*text(&output.stdout)),
        (Some(0), "")
    );
    for (variable, file) in [
        ("", home.join(".config/zkctl/config.toml")),
        (
            config.0.join("xdg").to_str().unwrap(),
            config.0.join("xdg/zkctl/config.toml"),
        ),
    ] {
        let output = run(&["context", "set", "c", "server=zk1"], variable);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            "[contexts.c]\nserver = \"zk1\"\n"
        );
        let shown = text(&run(&["context", "list"], variable).stdout);
        assert_eq!(shown, "  c  zk1\n");
    }
    // What is no file is not replaced by one.
    let pipe = config.0.join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let directory = config.0.to_str().unwrap();
    for path in [pipe.to_str().unwrap(), directory] {
        let mut command = zkctl(&["context", "delete", "c"]);
        command.env("ZKCTL_CONFIG", path);
        let output = finish(command);
        assert_eq!(output.status.code(), Some(1));
        let stderr = text(&output.stderr);
        assert!(
            stderr.contains("is no regular file, and cannot"),
            "{stderr}"
        );
    }
    assert!(!fs::metadata(&pipe).unwrap().is_file());
    // A link stays a link.
    let link = config.0.join("link.toml");
    std::os::unix::fs::symlink(config.path(), &link).unwrap();
    let mut command = zkctl(&["context", "set", "c", "server=zk1"]);
    command.env("ZKCTL_CONFIG", &link);
    assert!(finish(command).status.success());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(config.read().contains("zk1"));
}

/// Each change is made to what the others have written.
#[test]
fn changes_at_once_are_all_made() {
    let config = Config::with("");
    let mut names = Vec::new();
    for round in 0..5 {
        let children: Vec<_> = (0..8)
            .map(|n| {
                let name = format!("c{round}-{n}");
                let set = ["context", "set", &name, "server=zk1"];
                let child = config.zkctl(&set).spawn().unwrap();
                names.push(name);
                child
            })
            .collect();
        for child in children {
            let _wait = Wait::begin("the end of context set");
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
    }
    let list = config.done(&["context", "list"]);
    for name in names {
        let line = format!("  {name}  zk1\n");
        assert!(list.contains(&line), "no {name} in: {list}");
    }
}
