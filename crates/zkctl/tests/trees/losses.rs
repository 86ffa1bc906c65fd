//! Commands on trees with servers that lose replies, or refuse to go on.

use std::process::Stdio;

use zk_embedded::fault::{Action, on};
use zk_proto::{ErrorCode, OpCode};

use crate::common::{Served, send, text};
use crate::support::{Scratch, fired, operand};

/// Guards: P62.
#[test]
fn an_import_that_was_killed_goes_on() {
    let (zk, other) = (Served::start(), Served::start());
    zk.fill("/app/a", (0..1500).map(|n| n.to_string()));
    let scratch = Scratch::new("killed");
    let file = scratch.file("tree", &zk.done(&["export", "/app"]));
    let stop = on(OpCode::Create2).after(700).then(Action::HalfOpen);
    other.faults.rule(stop);
    let mut import = other.zkctl(&["import", &file]);
    let mut child = import.stdout(Stdio::null()).spawn().unwrap();
    fired(&other, "the 700th znode");
    send("KILL", &child);
    child.wait().unwrap();
    let stdout = other.done(&["import", &file]);
    assert_eq!(stdout, "802 created, 700 the same\n");
    other.done(&["diff", &operand(&file), "/app"]);
}

#[test]
fn lost_connections_do_not_cost_a_znode() {
    let (zk, other) = (Served::start(), Served::start());
    zk.fill("/app/a", (0..900).map(|n| n.to_string()));
    for (op, skipped) in [
        (OpCode::GetData, 300),
        (OpCode::Exists, 100),
        (OpCode::GetAcl, 800),
    ] {
        zk.faults.rule(on(op).after(skipped).then(Action::Close));
    }
    let scratch = Scratch::new("lost");
    let file = scratch.file("tree", &zk.done(&["export", "/app"]));
    for (skipped, action) in [
        (0, Action::DropReply),
        (40, Action::Close),
        (600, Action::DropReply),
    ] {
        other
            .faults
            .rule(on(OpCode::Create2).after(skipped).then(action));
    }
    let (code, _, stderr) = other.run(&["import", &file]);
    assert_eq!(code, Some(0), "{stderr}");
    let hosts = format!("{}/app", other.hosts());
    let stdout = zk.done(&["diff", "/app", &hosts]);
    assert!(
        stdout.starts_with("902 the same, 0 changed, 0 only"),
        "{stdout}"
    );
}

#[test]
fn an_overload_delays_an_export() {
    let zk = Served::start();
    zk.fill("/app", (0..700).map(|n| n.to_string()));
    for op in [OpCode::Exists, OpCode::GetData, OpCode::GetAcl] {
        let refuse = Action::Refuse(ErrorCode::ThrottledOp);
        zk.faults.rule(on(op).after(100).then(refuse).times(3));
    }
    let export = zk.done(&["export", "/app"]);
    assert_eq!(export.lines().count(), 703);
}

/// The replies to some requests are lost, and with them the requests behind them.
fn lose(zk: &Served, op: OpCode) {
    for (skipped, action) in [
        (0, Action::DropReply),
        (40, Action::Close),
        (300, Action::DropReply),
    ] {
        zk.faults.rule(on(op).after(skipped).then(action));
    }
}

#[test]
fn a_lost_reply_ends_no_acl_set() {
    let zk = Served::start();
    zk.fill("/app/a", (0..600).map(|n| n.to_string()));
    lose(&zk, OpCode::SetAcl);
    // The second attempt is not permitted by what the first has set.
    let lines = zk.json(&["acl", "set", "-R", "/app", "world:anyone:r"]);
    assert_eq!(zk.faults.pending(), 0);
    let mut paths: Vec<_> = lines.iter().map(|line| line["path"].to_string()).collect();
    paths.sort();
    paths.dedup();
    assert_eq!((lines.len(), paths.len()), (602, 602));
    let acls = zk.done(&["acl", "get", "-R", "/app"]);
    let set = acls
        .lines()
        .filter(|line| line.ends_with("  world:anyone:r"));
    assert_eq!((set.count(), acls.lines().count()), (602, 602));
}

/// The new ACL lets this client neither set it again nor read it.
#[test]
fn an_unknown_acl_is_named() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/app/a"]);
    zk.faults.rule(on(OpCode::SetAcl).then(Action::DropReply));
    let stderr = zk.fails(&["acl", "set", "-R", "/app", "world:anyone:w"], 1);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(
        stderr.contains("/app/a: ") && stderr.contains("may have set the ACL"),
        "{stderr}"
    );
}

/// The number behind a text.
fn number_behind(text: &str, all: &str) -> usize {
    let (_, rest) = all.split_once(text).expect(all);
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().expect(all)
}

/// Refuses the requests from one on, with an error that ends the command.
fn end(zk: &Served, op: OpCode, code: ErrorCode) {
    let rule = on(op).after(300).then(Action::Refuse(code));
    zk.faults.rule(rule.always());
}

#[test]
fn an_error_says_how_many_are_done() {
    let zk = Served::start();
    zk.fill("/app/a", (0..600).map(|n| n.to_string()));
    let scratch = Scratch::new("partly");
    let file = scratch.file("tree", &zk.done(&["export", "/app"]));
    end(&zk, OpCode::SetAcl, ErrorCode::AuthFailed);
    let acl = ["acl", "set", "-R", "/app", "world:anyone:cdrw"];
    let stderr = zk.fails(&acl, 1);
    assert!(stderr.contains("/app/a/"), "{stderr}");
    let done = number_behind("znodes with the new ACL before: ", &stderr);
    zk.faults.clear();
    let acls = zk.done(&["acl", "get", "-R", "/app"]);
    let set = acls.lines().filter(|line| line.ends_with("anyone:cdrw"));
    assert_eq!((done, set.count()), (300, 300), "{stderr}");

    end(&zk, OpCode::Delete, ErrorCode::NoAuth);
    let stderr = zk.fails(&["delete", "-r", "/app"], 1);
    assert!(stderr.contains("/app/a/"), "{stderr}");
    let done = number_behind("znodes deleted before: ", &stderr);
    zk.faults.clear();
    let left = zk.done(&["ls", "-R", "/app"]).lines().count();
    assert!(done > 0 && left > 0, "{done} {left}");
    assert_eq!(done + left, 602, "{stderr}");
    zk.done(&["delete", "-r", "/app"]);

    end(&zk, OpCode::Create2, ErrorCode::AuthFailed);
    let (code, stdout, stderr) = zk.run(&["import", "-v", &file]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("/app/a/") && stderr.contains("run the command again"),
        "{stderr}"
    );
    zk.faults.clear();
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!((lines.len(), lines[300]), (301, "300 created"), "{stdout}");
    let stdout = zk.done(&["import", &file]);
    assert_eq!(stdout, "302 created, 300 the same\n");
}

/// More requests than a command has under way at a time are answered, and then none.
fn stopped(zk: &Served, arguments: &[&str], op: OpCode) -> usize {
    let no_more = on(op).after(700).then(Action::HalfOpen);
    zk.faults.rule(no_more);
    let child = zk.zkctl(arguments).spawn().unwrap();
    fired(zk, "a request that is not answered");
    send("INT", &child);
    let output = child.wait_with_output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("ended by SIGINT with "), "{stderr}");
    number_behind("writes done before: ", &stderr)
}

#[test]
fn a_signal_says_how_many_are_done() {
    let zk = Served::start();
    zk.fill("/app/a", (0..1300).map(|n| n.to_string()));
    let scratch = Scratch::new("stopped");
    let file = scratch.file("tree", &zk.done(&["export", "/app"]));
    let acl = ["acl", "set", "-R", "/app", "world:anyone:cdrwa"];
    let done = [
        stopped(&zk, &acl, OpCode::SetAcl),
        stopped(&zk, &["copy", "/app", "/copy"], OpCode::Create2),
        stopped(&zk, &["delete", "-r", "/app"], OpCode::Delete),
        {
            zk.done(&["delete", "-r", "/app"]);
            stopped(&zk, &["import", &file], OpCode::Create2)
        },
    ];
    for done in done {
        assert!((100..=700).contains(&done), "{done}");
    }
    zk.done(&["import", &file]);
    let left = zk.done(&["ls", "-R", "/app"]).lines().count();
    assert_eq!(left, 1302);
}

/// A change of a quota is decided again by what there is.
#[test]
fn a_lost_reply_ends_no_quota() {
    for action in [Action::DropReply, Action::Close] {
        let zk = Served::start();
        zk.done(&["create", "/app"]);
        let lose = |op| zk.faults.rule(on(op).then(action.clone()));
        lose(OpCode::Multi);
        let shown = "/app  1 znodes, 0 bytes  count 9\n";
        assert_eq!(zk.done(&["quota", "set", "-n", "9", "/app"]), shown);
        lose(OpCode::SetData);
        let shown = "/app  1 znodes, 0 bytes  count 9  bytes 8\n";
        assert_eq!(zk.done(&["quota", "set", "-b", "8", "/app"]), shown);
        lose(OpCode::SetData);
        let shown = "/app  1 znodes, 0 bytes  bytes 8\n";
        assert_eq!(zk.done(&["quota", "delete", "-n", "/app"]), shown);
        lose(OpCode::Multi);
        lose(OpCode::Delete);
        assert_eq!(zk.done(&["quota", "delete", "/app"]), "");
        assert_eq!(zk.faults.pending(), 0);
        assert_eq!(zk.done(&["ls", "/zookeeper/quota"]), "");
    }
}
