//! `zkctl top` in a terminal and in a pipe, on an ensemble whose servers stop.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod common;

use std::io::{Read, Write};
use std::sync::mpsc;

use common::terminal::{LARGE, SMALL, Terminal};
use common::{Running, Served, ensemble, listener, text};
use serde_json::{Value, json};
use zk_embedded::{Options, Server};

fn server_lines<'a>(screen: &'a str, word: &str) -> Vec<&'a str> {
    let table = screen
        .lines()
        .skip_while(|line| !line.contains("SERVER"))
        .skip(1)
        .take(3);
    table.filter(|line| line.contains(word)).collect()
}

#[test]
fn a_stopped_server_is_seen_in_a_terminal() {
    let (zk, faults) = ensemble();
    let mut top = Terminal::start(&zk.zkctl(&["top", "-d", "100ms"]), SMALL);
    let screen = top.shows("healthy");
    assert!(
        screen.contains("3 servers: 1 leader, 2 followers"),
        "{screen}"
    );
    top.until("rates", |screen| {
        server_lines(screen, " ok").len() == 3 && server_lines(screen, " - ").is_empty()
    });
    faults[2].stop();
    let screen = top.until("the server to be down", |screen| {
        server_lines(screen, "down").len() == 1 && server_lines(screen, "leader").len() == 1
    });
    assert!(screen.contains("degraded"), "{screen}");
    faults[2].run();
    top.until("the server to be back", |screen| {
        server_lines(screen, "down").is_empty()
    });
    top.resize(LARGE);
    top.until("more columns", |screen| {
        screen.contains("EPHEM") && screen.contains("VERSION")
    });
    top.resize(SMALL);
    top.until("fewer columns", |screen| {
        screen.contains("SERVER") && !screen.contains("EPHEM")
    });
    top.send("q");
    assert_eq!(top.ends().code(), Some(0));
}

#[test]
fn keys_reach_every_view() {
    let (zk, _faults) = ensemble();
    let mut top = Terminal::start(&zk.zkctl(&["top", "-d", "100ms"]), SMALL);
    top.shows("healthy");
    top.send("?");
    top.shows("any key leaves this");
    top.send("x");
    top.until("the help to be gone", |screen| !screen.contains("any key"));
    // The second server, with the arrow; all its values, filtered.
    let names: Vec<String> = zk.hosts().split(',').map(str::to_owned).collect();
    let mut sorted = names.clone();
    sorted.sort();
    top.send("\x1b[B");
    top.shows(&format!("> {}", sorted[1]));
    top.send("\r");
    top.shows("values from mntr");
    top.send("/packets\r");
    let screen = top.until("two values", |screen| {
        screen.contains("  2 values from mntr")
    });
    assert!(
        screen.contains("packets_received") && screen.contains(&sorted[1]),
        "{screen}"
    );
    top.send("\x1b");
    top.shows("SERVER");
    top.click(&sorted[2]);
    top.shows(&format!("> {}", sorted[2]));
    top.send("s");
    top.shows("sort: role");
    top.send("+");
    top.shows("every 200ms");
    top.send("p");
    let paused = top.shows("PAUSED");
    top.send("m?");
    top.shows("any key leaves this");
    top.send("x");
    // What is frozen is not sampled again.
    let again = top.until("the help to be gone", |screen| !screen.contains("any key"));
    let table = |screen: &str| {
        let lines = screen.lines().skip(1).take(7);
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(table(&paused), table(&again));
    top.send("p");
    top.until("the screen to go on", |screen| !screen.contains("PAUSED"));
    top.send("\x03");
    assert_eq!(top.ends().code(), Some(0));
}

#[test]
fn signals_restore_the_terminal() {
    let zk = Served::start();
    for (signal, code) in [("TERM", 143), ("HUP", 129)] {
        let mut top = Terminal::start(&zk.zkctl(&["top"]), SMALL);
        top.shows("healthy");
        common::send(signal, &top.child);
        assert_eq!(top.ends().code(), Some(code), "{signal}");
    }
    let mut top = Terminal::start(&zk.zkctl(&["top", "-d", "100ms", "-n", "3"]), SMALL);
    assert_eq!(top.ends().code(), Some(0));
}

#[test]
fn a_pipe_gets_samples() {
    let (zk, faults) = ensemble();
    let samples = |arguments: &[&str]| -> Vec<Value> {
        let stdout = zk.done(arguments);
        assert!(!stdout.contains('\x1b'), "{stdout}");
        stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let all = samples(&["-o", "json", "top", "-d", "100ms", "-n", "3"]);
    let numbers: Vec<_> = all.iter().map(|sample| sample["number"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    for (sample, has_rates) in all.iter().zip([false, true, true]) {
        assert_eq!(sample["type"], "sample");
        assert_eq!(
            (&sample["status"], &sample["problems"]),
            (&json!("healthy"), &json!([]))
        );
        assert!(
            sample["leader"].is_string() && sample["epoch"].is_u64(),
            "{sample}"
        );
        let in_sync = json!({ "in_sync": 3, "voters": 3, "needed": 2 });
        assert_eq!(sample["quorum"], in_sync);
        let servers = sample["reports"].as_array().unwrap();
        assert_eq!(servers.len(), 3);
        for server in servers {
            assert_eq!(
                server["received_per_second"].is_number(),
                has_rates,
                "{server}"
            );
            assert_eq!(
                (&server["source"], &server["version"]),
                (&json!("mntr"), &json!("3.9.5"))
            );
            for key in [
                "connections",
                "znodes",
                "watches",
                "ephemerals",
                "uptime_ms",
                "lag",
            ] {
                assert!(server[key].is_u64(), "{key}: {server}");
            }
            // Only the words' own connection.
            assert_eq!(server["connections"], 1);
        }
    }
    let plain = zk.done(&["top", "-n", "1"]);
    assert_eq!(plain.lines().count(), 5, "{plain}");
    assert!(
        plain.lines().nth(1).unwrap().starts_with("SERVER "),
        "{plain}"
    );
    faults[0].stop();
    let running = Running::start(zk.zkctl(&["-o", "json", "top", "-d", "100ms"]));
    loop {
        let sample: Value = serde_json::from_str(&running.line("a sample")).unwrap();
        let servers = sample["reports"].as_array().unwrap();
        let is_down = |server: &&Value| server["role"].is_null();
        if servers.iter().filter(is_down).count() == 1 && sample["leader"].is_string() {
            assert_eq!(sample["status"], "degraded", "{sample}");
            let down = servers.iter().find(is_down).unwrap();
            assert!(down["problems"][0].is_string(), "{down}");
            break;
        }
    }
}

/// A server that accepts and never answers, before it counts as down.
#[test]
fn the_first_sample_has_every_server() {
    let zk = Served::start();
    let (kept, keep) = mpsc::channel();
    let mute = listener(move |stream| kept.send(stream).unwrap());
    let hosts = format!("{},{mute},127.0.0.1:1", zk.hosts());
    let top = ["-o", "json", "top", "-d", "100ms", "-n", "1"];
    let stdout = zk.done(&[&["--server", &hosts], &top[..]].concat());
    let sample: Value = serde_json::from_str(&stdout).unwrap();
    let of = |server: &str| {
        let reports = sample["reports"].as_array().unwrap().iter();
        let mut found = reports.filter(|report| report["server"] == server);
        found.next().unwrap().as_object().unwrap()
    };
    let (dead, alive) = (of(&mute), of(zk.hosts()));
    assert!(dead.keys().eq(alive.keys()), "{sample}");
    assert_eq!(
        (&dead["role"], &dead["answer_ms"]),
        (&Value::Null, &Value::Null)
    );
    let problem = dead["problems"][0].as_str().unwrap();
    assert!(problem.starts_with("no answer for "), "{problem}");
    // The other reason does not wait for the mute server.
    let problem = of("127.0.0.1:1")["problems"][0].as_str().unwrap();
    assert!(problem.contains("cannot connect"), "{problem}");
    drop(keep);
}

#[test]
fn an_admin_server_stands_in_for_mntr() {
    let mut srvr_only = Options::default();
    srvr_only.four_letter_words = Some(vec!["srvr".to_owned()]);
    let zk = Served::with(move || Server::builder().options(srvr_only).start());
    let body = r#"{"server_state":"standalone","watch_count":4302,"uptime":61000,"ephemerals_count":7,"command":"monitor","error":null}"#;
    let admin = listener(move |mut stream| {
        let mut request = [0; 512];
        let count = stream.read(&mut request).unwrap_or_default();
        assert!(text(&request[..count]).starts_with("GET /commands/monitor "));
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
        // An error means that zkctl has ended.
        let _ = write!(stream, "{head}{body}");
    });
    let port = admin.rsplit(':').next().unwrap();
    let sample = |port: &str| -> Value {
        let stdout = zk.done(&["-o", "json", "top", "-n", "1", "--admin-port", port]);
        serde_json::from_str::<Value>(&stdout).unwrap()["reports"][0].clone()
    };
    let server = sample(port);
    assert_eq!(
        (&server["source"], &server["watches"]),
        (&json!("admin server"), &json!(4302))
    );
    assert_eq!(
        (&server["uptime_ms"], &server["ephemerals"]),
        (&json!(61000), &json!(7))
    );
    let server = sample("0");
    assert_eq!(
        (&server["source"], &server["watches"]),
        (&json!("srvr"), &Value::Null)
    );
    let mut top = Terminal::start(&zk.zkctl(&["top", "--admin-port", "0"]), SMALL);
    top.shows("mntr is not in its 4lw.commands.whitelist");
    top.send("q");
    top.ends();
}
