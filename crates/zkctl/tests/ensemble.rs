//! The commands that show and change the servers: `four-letter`, `version`, `health`, `config`, `reconfig`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::sync::mpsc;

use common::{Running, SECRET, Served, ensemble, json_lines, listener, temporary_file};
use serde_json::{Value, json};
use zk_client::digest_id;
use zk_embedded::{Options, Server};

/// Runs a command until the servers have noticed that others have stopped.
fn after_election(
    zk: &Served,
    arguments: &[&str],
    noticed: impl Fn(&str) -> bool,
) -> (Option<i32>, String, String) {
    zk_tests::watchdog::poll("an election", || {
        let ended = zk.run(arguments);
        noticed(&ended.1).then_some(ended)
    })
}

/// Guards: P17.
#[test]
fn words_go_to_one_server_or_to_all() {
    let (zk, faults) = ensemble();
    assert_eq!(zk.done(&["four-letter", "ruok"]), "imok\n");
    let modes = zk.done(&["four-letter", "--all", "srvr"]);
    assert_eq!(modes.matches("Mode: follower").count(), 2, "{modes}");
    assert_eq!(
        modes.matches("\n== ").count() + usize::from(modes.starts_with("== ")),
        3
    );
    let values = zk.json_line(&["four-letter", "mntr"]);
    assert_eq!(values["values"]["zk_znode_count"], "5", "{values}");
    assert_eq!(values["error"], Value::Null);
    let versions = zk.done(&["version", "--all"]);
    assert_eq!(
        versions.matches("  Zookeeper 3.9.5").count(),
        3,
        "{versions}"
    );
    assert_eq!(zk.json_line(&["version"])["version"], "3.9.5");
    let stderr = zk.fails(&["four-letter", "zzzz"], 1);
    assert!(stderr.contains("whitelist"), "{stderr}");
    for word in ["", "srv", "SRVR", "stmk", "srvr0"] {
        zk.fails(&["four-letter", word], 2);
    }
    // One server down: the others answer.
    faults[0].stop();
    let (code, _, stderr) = after_election(&zk, &["four-letter", "--all", "srvr"], |stdout| {
        stdout.matches("Mode: ").count() == 2
    });
    assert_eq!(code, Some(1));
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert_eq!(zk.run(&["four-letter", "ruok"]).1, "imok\n");
}

/// The first server refuses connections and another never answers: both are named, and the others are shown.
/// Guards: P17.
#[test]
fn servers_without_an_answer_are_named() {
    let zk = Served::start();
    let (kept, keep) = mpsc::channel();
    let mute = listener(move |stream| kept.send(stream).unwrap());
    let hosts = format!("{mute},{},127.0.0.1:1", zk.hosts());
    // The mute server takes the whole limit, which is doubled until a slow machine's other server has answered.
    let mut seconds = 1;
    let mut run = |arguments: &[&str], answer: &str| loop {
        let limit = format!("{seconds}s");
        let limit = ["--server", &hosts, "--connect-timeout", &limit];
        let ended = zk.run(&[&limit, arguments].concat());
        if ended.1.contains(answer) || seconds > 300 {
            break ended;
        }
        seconds *= 2;
    };
    let assert_both_named = |text: &str| {
        assert!(
            text.contains("127.0.0.1:1 did not answer srvr: cannot connect"),
            "{text}"
        );
        let late = format!("{mute} has not answered srvr within ");
        assert!(text.contains(&late), "{text}");
    };
    let (code, stdout, stderr) = run(&["four-letter", "--all", "srvr"], "Mode: standalone");
    assert_eq!((code, stderr.lines().count()), (Some(1), 2), "{stderr}");
    assert_both_named(&stderr);
    assert!(stdout.starts_with("== 127.0.0.1:1\n== "), "{stdout}");
    assert_eq!(stdout.matches("Mode: standalone").count(), 1, "{stdout}");
    let (code, stdout, stderr) = run(&["version", "--all"], "3.9.5");
    assert_eq!(code, Some(1), "{stderr}");
    assert_both_named(&stderr);
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    let (code, stdout, _) = run(&["health"], "  standalone  ");
    assert_eq!(code, Some(1), "{stdout}");
    assert_both_named(&stdout);
    assert_eq!(stdout.matches("  down  ").count(), 2, "{stdout}");
    let is_explained = stdout.contains(" ms: it is frozen, overloaded or cut off from here");
    assert!(is_explained && !stdout.contains("took effect"), "{stdout}");
    let (code, stdout, _) = run(&["-o", "json", "four-letter", "--all", "ruok"], "imok");
    assert_eq!(code, Some(1), "{stdout}");
    assert_eq!(stdout.matches("\"answer\":\"imok\"").count(), 1, "{stdout}");
    assert_eq!(stdout.matches("\"answer\":null").count(), 2, "{stdout}");
    drop(keep);
}

#[test]
fn health_has_codes_for_monitoring() {
    let (zk, faults) = ensemble();
    let healthy = zk.done(&["health"]);
    assert!(healthy.ends_with("\nhealthy\n"), "{healthy}");
    assert_eq!(healthy.lines().count(), 4, "{healthy}");
    let lines = zk.json(&["health"]);
    let roles: Vec<_> = lines[..3]
        .iter()
        .map(|line| line["role"].as_str().unwrap())
        .collect();
    assert_eq!(
        roles.iter().filter(|role| **role == "leader").count(),
        1,
        "{roles:?}"
    );
    for line in &lines[..3] {
        assert_eq!(
            (&line["type"], &line["version"]),
            (&json!("server"), &json!("3.9.5"))
        );
        assert!(
            line["lag"].is_u64() && line["latency_ms"]["avg"].is_number(),
            "{line}"
        );
    }
    let quorum = json!({ "in_sync": 3, "voters": 3, "needed": 2 });
    let end = json!({ "type": "ensemble", "status": "healthy", "quorum": quorum, "problems": [] });
    assert_eq!(lines[3], end);
    faults[2].stop();
    // A server that stops may accept a connection, and close it without an answer.
    let (code, stdout, _) = after_election(&zk, &["health"], |stdout| {
        ["  leader  ", "  follower  ", "  down  "]
            .iter()
            .all(|role| stdout.contains(role))
    });
    assert_eq!(code, Some(1), "{stdout}");
    let one_down =
        "\ndegraded: 1 of 3 voters is down or not in sync: one more failure loses the quorum\n";
    assert!(stdout.ends_with(one_down), "{stdout}");
    faults[0].stop();
    let lost = "\ncritical: no quorum: 2 of the 3 servers of the list are down, and 2 are needed; bring back at least 1 ";
    let (code, stdout, _) = after_election(&zk, &["health"], |stdout: &str| stdout.contains(lost));
    assert_eq!(code, Some(2), "{stdout}");
    faults[1].stop();
    let lost = "\ncritical: none of the 3 servers of the list answers: bring back at least 2, ";
    let (code, stdout, _) = after_election(&zk, &["health"], |stdout: &str| stdout.contains(lost));
    assert_eq!(code, Some(2), "{stdout}");
    let mut nothing = Options::default();
    nothing.four_letter_words = Some(Vec::new());
    let mute = Served::with(move || Server::builder().options(nothing).start());
    let (code, stdout, _) = mute.run(&["health"]);
    assert_eq!(code, Some(3), "{stdout}");
    assert!(
        stdout.contains("whitelist") && stdout.ends_with("unknown\n"),
        "{stdout}"
    );
    assert_eq!(mute.run(&["health", "--max-lag", "x"]).0, Some(3));
}

/// As servers are unless configured otherwise, and with an AdminServer whose values reveal a problem.
#[test]
fn health_says_which_setting_is_missing() {
    let served = |words: &[&str]| {
        let mut options = Options::default();
        options.four_letter_words = Some(words.iter().map(|&word| word.to_owned()).collect());
        Served::with(move || Server::builder().options(options).start())
    };
    let body = r#"{"server_state":"standalone","open_file_descriptor_count":99,"max_file_descriptor_count":100,"watch_count":7,"command":"monitor","error":null}"#;
    let admin = listener(move |mut stream| {
        let _ = stream.read(&mut [0; 512]);
        // An error means that zkctl has ended.
        let _ = write!(stream, "HTTP/1.1 200 OK\r\n\r\n{body}");
    });
    let port = admin.rsplit(':').next().unwrap();
    let zk = served(&["srvr"]);
    let without = zk.done(&["health", "--admin-port", "1"]);
    let [_, line, "healthy"] = without.lines().collect::<Vec<_>>()[..] else {
        panic!("{without}");
    };
    for words in [
        &*format!("not known of {}: followers in sync, ", zk.hosts()),
        "mntr is not in its 4lw.commands.whitelist; its AdminServer on port 1: ",
        ". Set 4lw.commands.whitelist=srvr,mntr in its zoo.cfg, or ",
    ] {
        assert!(line.contains(words), "{line}");
    }
    let none = zk.done(&["health", "--admin-port", "0"]);
    assert!(none.contains("4lw.commands.whitelist. Set "), "{none}");
    let server = &zk.json(&["health", "--admin-port", "1"])[0];
    assert_eq!(
        (&server["source"], &server["watches"]),
        (&json!("srvr"), &Value::Null)
    );
    assert!(
        server["missing"].as_str().unwrap().contains("on port 1"),
        "{server}"
    );
    // The second does not allow srvr, either.
    for words in [&["srvr"][..], &[]] {
        let zk = served(words);
        let (code, stdout, _) = zk.run(&["-o", "json", "health", "--admin-port", port]);
        let server = &json_lines(&stdout)[0];
        assert_eq!(
            (&server["source"], &server["missing"]),
            (&json!("admin server"), &Value::Null)
        );
        assert_eq!((code, &server["watches"]), (Some(1), &json!(7)));
        assert_eq!(
            server["problems"],
            json!(["99 of 100 file descriptors are open"])
        );
        assert_eq!(server["role"], "standalone");
    }
}

/// One server of five is down, one is cut off and read-only or does not serve, one lags.
#[test]
fn what_is_wrong_with_a_server_is_named() {
    const BEHIND: &str = "9 transactions behind the leader";
    for (read_only, cut_off, problems) in [
        (true, "read-only", &["no quorum", BEHIND][..]),
        (false, "not serving", &["not serving requests"]),
    ] {
        let (send, leader) = mpsc::channel();
        let zk = Served::with(move || async move {
            let server = Server::builder().members(5).read_only_mode(read_only);
            let server = server.start().await?;
            let leader = server.leader();
            let after = |n| (leader + n) % 5;
            server.member(after(1)).stop();
            server.partition(&[after(2)]);
            server.set_lag(after(4), true);
            send.send(leader).unwrap();
            Ok(server)
        });
        // The leader, and then those in trouble.
        let mut servers: Vec<_> = zk.hosts().split(',').collect();
        servers.rotate_left(leader.recv().unwrap());
        let health = |arguments: &[&str]| {
            let all = [&["-o", "json", "health"], arguments].concat();
            zk_tests::watchdog::poll("the port to be closed", || {
                let (code, stdout, _) = zk.run(&all);
                stdout
                    .contains("cannot connect")
                    .then(|| (code, json_lines(&stdout)))
            })
        };
        let (_, before) = health(&[]);
        for name in ["a", "b", "c"] {
            let path = format!("/{name}");
            zk.done(&["--server", servers[0], "create", &path]);
        }
        let (code, lines) = health(&["--max-lag", "2"]);
        let (end, lines) = lines.split_last().unwrap();
        assert_eq!(
            (code, end),
            (
                Some(1),
                &json!({
                    "type": "ensemble",
                    "status": "degraded",
                    "quorum": { "in_sync": 3, "voters": 5, "needed": 3 },
                    "problems": [
                        "2 of 5 voters are down or not in sync: one more failure loses the quorum",
                    ],
                })
            )
        );
        let of = |server: &str| {
            let mut found = lines.iter().filter(|line| line["server"] == server);
            found.next().unwrap()
        };
        for (server, role, problems) in [
            (0, json!("leader"), &[][..]),
            (1, Value::Null, &["cannot connect"]),
            (2, json!(cut_off), problems),
            (3, json!("follower"), &[]),
            (4, json!("follower"), &[BEHIND]),
        ] {
            let line = of(servers[server]);
            assert_eq!(line["role"], role, "{line}");
            let found = line["problems"].as_array().unwrap();
            assert_eq!(found.len(), problems.len(), "{line}");
            for (found, problem) in found.iter().zip(problems) {
                assert!(found.as_str().unwrap().contains(problem), "{line}");
            }
        }
        // Each command above has opened and closed a session, and the checks have not.
        let leader_before = before.iter().find(|line| line["role"] == "leader").unwrap();
        let zxid = |line: &Value| {
            let text = line["zxid"].as_str().unwrap();
            u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
        };
        assert_eq!(zxid(of(servers[0])) - zxid(leader_before), 9);
        assert_eq!(of(servers[4])["lag"], 9);
        let (code, lines) = health(&[]);
        assert_eq!(code, Some(1));
        let lagging = lines.iter().find(|line| line["server"] == servers[4]);
        assert_eq!(lagging.unwrap()["problems"], json!([]));
    }
}

#[test]
fn a_configuration_is_followed_and_replaced() {
    let zk = Served::with(|| {
        let super_id = digest_id("super", SECRET);
        let server = Server::builder().members(3).reconfig_enabled(true);
        server.super_digest(super_id).start()
    });
    let shown = zk.done(&["config"]);
    let servers: Vec<_> = shown
        .lines()
        .filter(|line| line.starts_with("server."))
        .collect();
    assert_eq!(servers.len(), 3, "{shown}");
    let connect = zk.done(&["config", "-c"]);
    assert_eq!(connect.trim().split(',').count(), 3, "{connect}");
    let follow = Running::start(zk.zkctl(&["-o", "json", "config", "--watch"]));
    let next = || -> Value { serde_json::from_str(&follow.line("a configuration")).unwrap() };
    assert_eq!(next()["servers"].as_array().unwrap().len(), 3);
    let from = temporary_file(
        "members",
        format!("# two\n{}\n{}\nversion=1\n", servers[0], servers[1]).as_bytes(),
    );
    let auth = format!("digest:super:{SECRET}");
    let set = zk.done(&["--auth", &auth, "reconfig", "--file", &from]);
    assert!(
        set.contains("server.2=") && !set.contains("server.3="),
        "{set}"
    );
    assert_eq!(next()["servers"].as_array().unwrap().len(), 2);
    let (code, _, stderr) = zk.run(&["reconfig", "--file", &from, "--leave", "1"]);
    assert_eq!(code, Some(2), "{stderr}");
    fs::write(&from, "clientPort=2181\n").unwrap();
    let stderr = zk.fails(&["reconfig", "--file", &from], 2);
    assert!(
        stderr.contains("line 1") && stderr.contains(&from),
        "{stderr}"
    );
    fs::remove_file(from).unwrap();
}
