//! `zkctl health` of an ensemble that loses its servers.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use serde_json::Value;

use crate::common::zkctl::output;
use zk_tests::watchdog::poll;
use zk_tests::{Ensemble, ServerOptions};

/// Repeats the check until it ends with this code and this problem of the ensemble, or none, and every server of
/// `roles` has its role, or the problem.
fn until(hosts: &str, code: i32, ensemble: &str, roles: &[(&str, &str)]) {
    poll(
        &format!("exit code {code}, {ensemble} and {roles:?}"),
        || {
            // A server that is stopped takes the whole limit.
            let check = ["--connect-timeout", "2s", "-o", "json", "health"];
            let output = output(hosts, &check);
            let text = String::from_utf8(output.stdout).unwrap();
            let lines: Vec<Value> = text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            let is_so = |&(server, wanted): &(&str, &str)| {
                let line = lines.iter().find(|line| line["server"] == server).unwrap();
                line["role"] == wanted || line["problems"].to_string().contains(wanted)
            };
            let problems = lines.last().unwrap()["problems"].to_string();
            let is_ensemble = match ensemble {
                "" => problems == "[]",
                problem => problems.contains(problem),
            };
            let is_code = output.status.code() == Some(code);
            (is_code && is_ensemble && roles.iter().all(is_so)).then_some(())
        },
    );
}

/// Guards: P17.
#[test]
fn lost_servers_are_reported() {
    let ensemble = Ensemble::start(3, ServerOptions::default()).unwrap();
    let hosts = ensemble.connect_string();
    let leader = ensemble.leader().unwrap();
    let followers = ensemble.followers().unwrap();
    let [killed, paused] = followers[..] else {
        panic!("{followers:?}")
    };
    let names = [leader, killed, paused].map(|server| server.connect_string());
    let [first, second, third] = names.each_ref().map(String::as_str);
    let healthy = [(first, "leader"), (second, "follower"), (third, "follower")];
    until(&hosts, 0, "", &healthy);
    killed.kill().unwrap();
    until(
        &hosts,
        1,
        "1 of 3 voters is down or not in sync: one more failure loses the quorum",
        &[
            (first, "leader"),
            (second, "cannot connect"),
            (third, "follower"),
        ],
    );
    // One of three has no quorum, and notices it.
    paused.pause().unwrap();
    until(
        &hosts,
        2,
        "no quorum: 2 of the 3 servers of the list are down, and 2 are needed; bring back at least 1",
        &[
            (first, "not serving"),
            (second, "cannot connect"),
            (third, "has not answered"),
        ],
    );
    paused.resume().unwrap();
    killed.restart().unwrap();
    until(&hosts, 0, "", &[]);
}
