//! Which value applies.

use crate::common::{SECRET, Served, finish, text};
use crate::config::{Config, TWO};

/// Command line, variables, key: value and source.
type Case = (
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
    &'static str,
    Option<(&'static str, &'static str)>,
);

#[cfg(all(feature = "tls", feature = "sasl"))]
#[test]
fn options_precede_variables_and_contexts() {
    let config = Config::with(TWO);
    let cases: &[Case] = &[
        // What is built in, a context, a variable, an option.
        (&[], &[], "connect-timeout", Some(("5s", "built-in"))),
        (&[], &[], "timeout", Some(("7s", "FILE:5"))),
        (
            &["--timeout", "8s"],
            &[],
            "timeout",
            Some(("8s", "--timeout")),
        ),
        (&[], &[], "tls-server-name", Some(("one.example", "FILE:6"))),
        (
            &[],
            &[("ZK_TLS_SERVER_NAME", "v")],
            "tls-server-name",
            Some(("v", "ZK_TLS_SERVER_NAME")),
        ),
        (
            &["--tls-server-name", "o"],
            &[("ZK_TLS_SERVER_NAME", "v")],
            "tls-server-name",
            Some(("o", "--tls-server-name")),
        ),
        // A context that an option names replaces variables, and no option.
        (
            &["--context", "one"],
            &[("ZK_TLS_SERVER_NAME", "v"), ("ZK_SERVER", "zk9")],
            "tls-server-name",
            Some(("one.example", "FILE:6")),
        ),
        (
            &["--context", "one"],
            &[("ZK_SERVER", "zk9")],
            "server",
            Some(("zk1:2181", "FILE:3")),
        ),
        (
            &["--context", "one", "--tls-server-name", "o"],
            &[],
            "tls-server-name",
            Some(("o", "--tls-server-name")),
        ),
        // Which context.
        (&[], &[], "context", Some(("one", "FILE:1"))),
        (
            &[],
            &[("ZKCTL_CONTEXT", "two")],
            "context",
            Some(("two", "ZKCTL_CONTEXT")),
        ),
        (
            &["--context", "one"],
            &[("ZKCTL_CONTEXT", "two")],
            "context",
            Some(("one", "--context")),
        ),
        (
            &[],
            &[("ZKCTL_CONTEXT", "")],
            "context",
            Some(("one", "FILE:1")),
        ),
        // Other servers: nothing of the context.
        (&["--server", "zk9"], &[], "context", None),
        (
            &["--server", "zk9"],
            &[],
            "timeout",
            Some(("10s", "built-in")),
        ),
        (&["--server", "zk9"], &[], "sasl-user", None),
        (&[], &[("ZK_SERVER", "zk9")], "context", None),
        (
            &[],
            &[("ZK_SERVER", "zk9")],
            "server",
            Some(("zk9", "ZK_SERVER")),
        ),
        // Both options: other servers, with the context's login.
        (
            &["--server", "zk9", "--context", "one"],
            &[],
            "server",
            Some(("zk9", "--server")),
        ),
        (
            &["--server", "zk9", "--context", "one"],
            &[],
            "chroot",
            None,
        ),
        (
            &["--server", "zk9", "--context", "one"],
            &[],
            "sasl-user",
            Some(("one", "FILE:8")),
        ),
        (
            &["--server", "zk://zk9?deadline=2s", "--context", "one"],
            &[],
            "timeout",
            Some(("2s", "the URL in server")),
        ),
        // The URL of a context.
        (
            &["--context", "two"],
            &[],
            "session-timeout",
            Some(("33s", "the URL in server")),
        ),
        // Groups: who is logged in, and who is trusted.
        (&["--sasl-user", "x"], &[], "sasl-password", None),
        (
            &["--sasl-user", "x"],
            &[("ZK_SASL_PASSWORD", SECRET)],
            "sasl-password",
            Some(("(not shown)", "ZK_SASL_PASSWORD")),
        ),
        (&["--kerberos"], &[], "sasl-user", None),
        (&["--tls-system-roots"], &[], "tls-ca", None),
        (
            &["--tls-pin-file", "/x"],
            &[],
            "timeout",
            Some(("7s", "FILE:5")),
        ),
        (&[], &[], "sasl-password", Some(("env:ONE", "FILE:9"))),
        (
            &[],
            &[("ZK_SASL_PASSWORD", SECRET)],
            "sasl-password",
            Some(("(not shown)", "ZK_SASL_PASSWORD")),
        ),
        (
            &["--context", "one"],
            &[("ZK_SASL_PASSWORD", SECRET)],
            "sasl-password",
            Some(("env:ONE", "FILE:9")),
        ),
        (
            &["--sasl-password-file", SECRET],
            &[],
            "sasl-password",
            Some(("(not shown)", "--sasl-password-file")),
        ),
    ];
    for (options, variables, key, expected) in cases {
        let arguments = [&["-o", "json", "context", "show"], *options].concat();
        let mut command = config.zkctl(&arguments);
        command.envs(variables.iter().copied());
        let shown = config.shown(command, key);
        let shown = shown.as_ref().map(|(value, source)| (&**value, &**source));
        assert_eq!(shown, *expected, "{options:?} {variables:?} {key}");
    }
}

/// What applies is what is shown.
#[test]
fn a_context_names_the_servers() {
    let (here, there) = (Served::start(), Served::start());
    here.done(&["create", "-p", "/app/here"]);
    there.done(&["create", "/there"]);
    let config = Config::with(&format!(
        "current = \"here\"\n[contexts.here]\nserver = \"{}\"\nchroot = \"/app\"\n\
         [contexts.there]\nserver = \"zk://{}\"\noutput = \"json\"\n",
        here.hosts(),
        there.hosts()
    ));
    let ls = |options: &[&str], server: &str| {
        let mut command = config.zkctl(&[&["ls"], options].concat());
        command.env("ZK_SERVER", server);
        let output = finish(command);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(ls(&[], ""), "here\n");
    assert_eq!(ls(&[], there.hosts()), "there\nzookeeper\n");
    assert_eq!(ls(&["--context", "here"], there.hosts()), "here\n");
    assert_eq!(ls(&["--server", there.hosts()], ""), "there\nzookeeper\n");
    let json = ls(&["--context", "there"], "");
    assert!(
        json.starts_with(r#"{"name":"there","path":"/there"}"#),
        "{json}"
    );
    let plain = ls(&["--context", "there", "-o", "plain"], "");
    assert_eq!(plain, "there\nzookeeper\n");
    config.done(&["context", "use", "there"]);
    assert!(ls(&[], "").contains("\"/there\""));
    config.done(&["context", "use", "--none"]);
    assert!(!config.read().contains("current"));
}

#[test]
fn a_protected_context_refuses_writes() {
    let zk = Served::start();
    zk.done(&["create", "/a", "v"]);
    let config = Config::with(&format!(
        "current = \"p\"\n[contexts.p]\nserver = \"{}\"\nprotected = true\n",
        zk.hosts()
    ));
    for arguments in [
        &["set", "/a", "w"][..],
        &["create", "/b"],
        &["delete", "/a"],
        &["delete", "-r", "/a"],
        &["acl", "set", "/a", "world:anyone:r"],
        &["quota", "set", "-n", "1", "/a"],
        &["copy", "/a", "/b"],
        &["bench", "get"],
        &["reconfig", "--leave", "1"],
    ] {
        let refused = config.refused(arguments, 2);
        assert!(
            refused.contains("protected") && refused.contains("--write"),
            "{refused}"
        );
    }
    let refused = config.refused(&["lock", "/l", "--", "true"], 125);
    assert!(refused.contains("--write"), "{refused}");
    for arguments in [
        &["get", "/a"][..],
        &["ls", "-R", "/"],
        &["acl", "get", "/a"],
        &["export", "/a"],
        &["delete", "-r", "--dry-run", "/a"],
        &["copy", "--dry-run", "/a", "/b"],
        &["locks", "/a"],
    ] {
        config.done(arguments);
    }
    assert_eq!(zk.done(&["get", "/a"]), "v");
    config.done(&["--write", "set", "/a", "w"]);
    assert_eq!(zk.done(&["get", "/a"]), "w");
}
