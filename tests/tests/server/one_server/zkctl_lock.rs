//! `zkctl lock` and `zkctl elect`: which process runs the command, how it ends, and what is left.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::time::{Duration, Instant};

use crate::common::own_server;
use crate::common::zkctl::{Running, done, fails, output, root};
use zk_tests::starvation::{always, unless_held_up, unless_starved};
use zk_tests::watchdog::poll;

fn number(text: &str) -> i64 {
    text.trim().parse().unwrap()
}

#[test]
fn one_command_at_a_time_growing_tokens() {
    let zk = root();
    let hold = [
        "lock",
        "/l",
        "--",
        "sh",
        "-c",
        "echo $ZK_FENCING_TOKEN; read line; exit 3",
    ];
    let mut first = Running::start(&zk, &hold);
    let mut token = number(&first.says(""));
    let mut waiting: Vec<_> = (0..2).map(|_| Running::start(&zk, &hold)).collect();
    for waiting in &waiting {
        assert!(
            waiting
                .notes("waiting for /l")
                .contains(&format!(":{}", first.pid()))
        );
        assert!(waiting.says_nothing());
    }
    assert_eq!(
        output(&zk, &["lock", "--no-wait", "/l", "--", "true"])
            .status
            .code(),
        Some(75)
    );
    let stderr = fails(&zk, &["lock", "--wait", "50ms", "/l", "--", "true"], 75);
    assert!(
        stderr.contains("/l has not been free for 50 ms"),
        "{stderr}"
    );
    first.close_its_output();
    assert_eq!(first.code(), Some(3));
    while !waiting.is_empty() {
        let next = poll("the next to get the lock", || {
            waiting.iter().position(|waiting| match waiting.has_said() {
                Some(line) => {
                    assert!(number(&line) > token, "{line} after {token}");
                    token = number(&line);
                    true
                }
                None => false,
            })
        });
        let mut holder = waiting.swap_remove(next);
        assert!(waiting.iter().all(Running::says_nothing), "two hold it");
        holder.close_its_output();
        assert_eq!(holder.code(), Some(3));
    }
    done(&zk, &["lock", "--no-wait", "/l", "--", "true"]);
}

/// kazoo's names and Curator's; the default waits for both.
#[test]
fn lock_uses_the_names_of_its_layout() {
    let zk = root();
    let hold = |command, layout| {
        let script = "echo $ZK_FENCING_TOKEN; read line";
        Running::start(
            &zk,
            &[command, "--layout", layout, "/l", "--", "sh", "-c", script],
        )
    };
    let is_free = |command, layout| {
        let arguments = [command, "--layout", layout, "--no-wait", "/l", "--", "true"];
        match output(&zk, &arguments).status.code() {
            Some(0) => true,
            Some(75) => false,
            other => panic!("{other:?}"),
        }
    };
    for command in ["lock", "elect"] {
        for (layout, mark, sees) in [
            ("kazoo", "__lock__", ["kazoo", "default"]),
            ("curator", "-lock-", ["curator", "default"]),
            ("default", "-lock-", ["curator", "default"]),
        ] {
            let mut holder = hold(command, layout);
            number(&holder.says(""));
            let names = done(&zk, &["ls", "/l"]);
            assert!(names.contains(mark), "{layout}: {names}");
            for other in ["kazoo", "curator", "default"] {
                assert_eq!(
                    is_free(command, other),
                    !sees.contains(&other),
                    "{layout}, {other}"
                );
            }
            let stderr = fails(
                &zk,
                &[
                    command, "--layout", sees[1], "--wait", "50ms", "/l", "--", "true",
                ],
                75,
            );
            assert!(stderr.contains("/l has not been free"), "{stderr}");
            holder.close_its_output();
            holder.code();
        }
    }
}

#[test]
fn the_exit_code_is_the_commands() {
    let zk = root();
    let code = |command: &[&str]| {
        let arguments = [&["lock", "/l", "--"], command].concat();
        output(&zk, &arguments).status.code()
    };
    assert_eq!(code(&["sh", "-c", "exit 42"]), Some(42));
    assert_eq!(code(&["sh", "-c", "kill -KILL $$"]), Some(137));
    assert_eq!(code(&["/no/such/program"]), Some(127));
    assert_eq!(code(&["/"]), Some(126));
}

#[test]
fn signal_is_passed_on_before_the_release() {
    let zk = root();
    let script =
        "trap 'echo signalled; exit 9' TERM; echo up; while :; do read line || sleep 1; done";
    for arguments in [
        &["lock", "/l"][..],
        &["elect", "/e"],
        &["lock", "--foreground", "/l"],
    ] {
        let arguments = [arguments, &["--", "sh", "-c", script]].concat();
        let mut holder = Running::start(&zk, &arguments);
        holder.says("up");
        holder.signal("TERM");
        holder.close_its_output();
        holder.says("signalled");
        assert_eq!(holder.code(), Some(9), "{arguments:?}");
    }
    assert_eq!(done(&zk, &["ls", "/l"]), "");
}

#[test]
fn command_ends_before_the_lock_moves() {
    unless_starved(Duration::from_secs(6), is_ended_in_time);
}

fn is_ended_in_time(timeout: Duration) {
    let server = own_server();
    let zk = server.connect_string();
    let seconds = format!("{}s", timeout.as_secs());
    let lock = |path, script| {
        let timeout = ["--session-timeout", &seconds];
        Running::start(
            &zk,
            &[&timeout[..], &["lock", path, "--", "sh", "-c", script]].concat(),
        )
    };
    // One process ends on SIGTERM, one does not, and has started another that does not either.
    let mut polite = lock(
        "/a",
        "trap 'echo signalled; exit 0' TERM; echo up; while :; do sleep 0.05; done",
    );
    let mut stubborn = lock(
        "/b",
        "trap '' TERM; echo up; sleep 1000 & while :; do sleep 0.05; done",
    );
    polite.says("up");
    stubborn.says("up");
    // The sessions were last confirmed before this.
    server.pause().unwrap();
    let paused = Instant::now();
    polite.says("signalled");
    let reported = paused.elapsed();
    polite.until_quiet();
    stubborn.until_quiet();
    let gone = paused.elapsed();
    assert!(
        reported < gone && gone < timeout,
        "signalled after {reported:?}, gone after {gone:?}"
    );
    assert_eq!((polite.code(), stubborn.code()), (Some(75), Some(75)));
    polite.notes("ending the command: /a");
}

/// Nothing of zkctl's runs while its session expires; the command is gone before the next has the
/// lock.
#[cfg(target_os = "linux")]
#[test]
fn command_stops_with_its_zkctl() {
    unless_starved(Duration::from_secs(10), is_ended_without_zkctl);
}

#[cfg(target_os = "linux")]
fn is_ended_without_zkctl(timeout: Duration) {
    let zk = root();
    let seconds = format!("{}s", timeout.as_secs());
    let script = "echo $$; while :; do sleep 0.05; done";
    let start = |(command, path)| {
        // A tenth of it is what a busy machine may take to end the command.
        let timeout = ["--session-timeout", &seconds];
        let hold = [command, path, "--", "sh", "-c", script];
        Running::start(&zk, &[&timeout[..], &hold].concat())
    };
    let both = [("lock", "/l"), ("elect", "/e")];
    let stopped = both.map(|what| {
        let holder = start(what);
        let command = number(&holder.says(""));
        assert!(is_alive(command));
        comes_to_rest(&holder);
        holder.signal("STOP");
        (holder, command, start(what))
    });
    for (mut holder, command, mut successor) in stopped {
        number(&successor.says(""));
        unless_held_up(!is_alive(command), "two commands hold it");
        holder.signal("CONT");
        assert_eq!(holder.code(), Some(75));
        successor.signal("TERM");
        assert_eq!(successor.code(), Some(143));
    }
}

/// Guards: M6.
#[cfg(target_os = "linux")]
#[test]
fn what_a_command_leaves_ends_with_the_lock() {
    let zk = root();
    let stubborn = "trap '' TERM HUP; echo $$; while :; do sleep 0.05; done";
    let in_the_group = format!("({stubborn}) & read line; exit 0");
    let in_the_group = in_the_group.replace("$$", "$(exec sh -c 'echo $PPID')");
    let in_its_own_session = format!(
        "setsid sh -c \"{}\" & read line; exit 0",
        stubborn.replace('$', "\\$")
    );
    let without_a_parent = in_its_own_session.replace("setsid", "setsid -f");
    for hold in [
        &["lock", "/l"][..],
        &["elect", "/l"],
        &["lock", "--foreground", "/l"],
    ] {
        for script in [&in_the_group, &in_its_own_session, &without_a_parent] {
            let mut holder = Running::start(&zk, &[hold, &["--", "sh", "-c", script]].concat());
            let worker = number(&holder.says(""));
            let next = [hold, &["--", "sh", "-c", "echo in"]].concat();
            let mut next = Running::start(&zk, &next);
            next.notes("waiting for /l");
            assert!(is_alive(worker), "{script}");
            holder.close_its_output();
            next.says("in");
            assert!(
                !is_alive(worker),
                "{hold:?}: the command still runs beside the next one: {script}"
            );
            assert_eq!(next.code(), Some(0));
            assert_eq!(holder.code(), Some(0), "{script}");
            holder.notes("ending what the command has left running");
        }
    }
}

/// zkctl becomes the parent of processes whose parents have ended, and reaps them. Guards: M6.
#[cfg(target_os = "linux")]
#[test]
fn adopted_processes_leave_no_zombies() {
    let zk = root();
    let script = "for i in 1 2 3; do setsid -f sh -c 'echo $$'; done; read line";
    let mut holder = Running::start(&zk, &["lock", "/l", "--", "sh", "-c", script]);
    let adopted = [(); 3].map(|()| number(&holder.says("")));
    poll("the adopted processes to be reaped", || {
        (adopted.iter().all(|&pid| state(pid).is_none())).then_some(())
    });
    holder.close_its_output();
    holder.code();
}

/// Guards: M6.
#[cfg(target_os = "linux")]
#[test]
fn what_left_the_group_ends_with_its_zkctl() {
    let zk = root();
    let worker = "echo $$; exec sleep 1000";
    for (script, signal) in [
        (format!("setsid sh -c '{worker}' & wait"), "KILL"),
        (
            format!("setsid -f sh -c '{worker}'; exec sleep 1000"),
            "STOP",
        ),
    ] {
        let hold = [
            "--session-timeout",
            "2s",
            "lock",
            "/l",
            "--",
            "sh",
            "-c",
            &script,
        ];
        let mut holder = Running::start(&zk, &hold);
        let worker = number(&holder.says(""));
        assert!(is_alive(worker));
        comes_to_rest(&holder);
        holder.signal(signal);
        if signal == "STOP" {
            let mut next = Running::start(&zk, &["lock", "/l", "--", "echo", "in"]);
            next.says("in");
            assert!(
                !is_alive(worker),
                "the command still runs beside the next one"
            );
            assert_eq!(next.code(), Some(0));
            holder.signal("CONT");
            assert_eq!(holder.code(), Some(75));
        } else {
            // Its standard output ends with the last process that could write to it.
            holder.until_quiet();
        }
    }
}

/// It has named the command to its keeper, and waits.
#[cfg(target_os = "linux")]
fn comes_to_rest(holder: &Running) {
    poll("zkctl to come to rest", || {
        (state(i64::from(holder.pid())) == Some('S')).then_some(())
    });
}

/// Whether a process is there, and not a zombie.
#[cfg(target_os = "linux")]
fn is_alive(pid: i64) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// The state of a process, as the kernel names it.
#[cfg(target_os = "linux")]
fn state(pid: i64) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn command_ends_when_its_znode_is_deleted() {
    let zk = root();
    let mut holder = Running::start(
        &zk,
        &["lock", "/l", "--", "sh", "-c", "echo up; sleep 1000"],
    );
    holder.says("up");
    done(&zk, &["delete", "-r", "/l"]);
    assert_eq!(holder.code(), Some(75));
    holder.notes("znode was deleted");
}

#[test]
fn election_moves_after_the_command_is_gone() {
    unless_starved(Duration::from_secs(2), passes_on);
}

fn passes_on(timeout: Duration) {
    let zk = root();
    let seconds = format!("{}s", timeout.as_secs());
    let lead = [
        "--session-timeout",
        &seconds,
        "elect",
        "/e",
        "--",
        "sh",
        "-c",
        "echo $ZK_FENCING_TOKEN; sleep 1000",
    ];
    let mut leader = Running::start(&zk, &lead);
    let term = number(&leader.says(""));
    let mut successor = Running::start(&zk, &lead);
    successor.notes("waiting for /e");
    leader.signal("KILL");
    // No process is left that writes to its output, and the successor has not begun.
    assert!(leader.until_quiet().is_empty());
    unless_held_up(successor.says_nothing(), "two commands lead");
    assert!(leader.code().is_none());
    always(number(&successor.says("")) > term, "the tokens grow");
    successor.signal("TERM");
    assert_eq!(successor.code(), Some(143));
}
