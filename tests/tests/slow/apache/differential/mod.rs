//! The embedded server against Apache ZooKeeper: random traces of three sessions, step by step on
//! both, in raw frames, so that no bug of our client can hide one of the server.
//!
//! `ZK_DIFF_TRACES=n` runs n traces instead of as many as fit 40 seconds, or 20 on a release that is not
//! the newest; `ZK_DIFF_SEED=n` begins with that seed, and runs it alone if no number is given. A
//! difference is reduced to the steps it needs.
//!
//! Not compared, because no client can rely on it: zxids and times as such (zxids are counted from
//! the beginning of a trace), session ids, the order of sets other than children (what `auth`
//! stands for in an ACL is one), and the order in which one ending session's ephemerals go. The
//! referee is the Apache ZooKeeper that the harness finds; the embedded server behaves as its version.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test"
)]

mod answer;
mod side;
mod source;
mod tally;
mod trace;

use std::env;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::common::embedded::Embedded;
use crate::common::rounds;
use side::{Answers, Side, inside};
use source::generate;
use tally::Tally;
use trace::Step;
use zk_embedded::{Options, Pose};
use zk_tests::{SUPER_CREDENTIALS, ServerOptions, Standalone};

const SECONDS: (usize, usize) = (40, 20);
/// A machine on which fewer fit the time is given more of it.
const FEWEST: u64 = 300;
/// How many times a trace that differs may be run again to make it shorter.
const REDUCTIONS: usize = 300;

const TICK: Duration = Duration::from_millis(20);
const SHORTEST_SESSION: Duration = Duration::from_millis(40);
const LONGEST_SESSION: Duration = Duration::from_secs(60);
const NEVER: Duration = Duration::from_secs(1_000_000);

/// Apache ZooKeeper; what it does by the clock is left to the traces.
fn apache() -> Standalone {
    let millis = |time: Duration| time.as_millis().to_string();
    let options = ServerOptions::default()
        .tick_time(TICK)
        .config("minSessionTimeout", millis(SHORTEST_SESSION))
        .config("maxSessionTimeout", millis(LONGEST_SESSION))
        .config("snapCount", "1000000")
        .system_property("znode.container.checkIntervalMs", millis(NEVER));
    Standalone::start(options).unwrap()
}

/// What the embedded server has to be like to answer as this one.
fn pose_of(apache: &Standalone) -> Pose {
    let version = apache.srvr().unwrap().version;
    if version.starts_with("3.8.") {
        Pose::V3_8
    } else {
        assert!(version.starts_with("3.9."), "no mode for {version}");
        Pose::V3_9
    }
}

fn embedded(pose: Pose) -> Embedded {
    let (user, password) = SUPER_CREDENTIALS.split_once(':').unwrap();
    let mut options = Options::default();
    options.pose = pose;
    options.tick = TICK;
    options.min_session_timeout = Some(SHORTEST_SESSION);
    options.max_session_timeout = Some(LONGEST_SESSION);
    options.container_check_interval = NEVER;
    options.super_digest = Some(zk_proto::digest_id(user, password));
    options.reconfig_enabled = true;
    Embedded::start(options)
}

/// Where two servers part.
struct Difference {
    step: usize,
    apache: Answers,
    embedded: Answers,
}

fn run(
    servers: [SocketAddr; 2],
    root: &str,
    steps: &[Step],
    tally: &mut Tally,
) -> io::Result<Option<Difference>> {
    let [apache, embedded] = servers;
    let mut apache = Side::begin(apache, root)?;
    let mut embedded = Side::begin(embedded, root)?;
    let mut difference = None;
    for (number, step) in steps.iter().enumerate() {
        let theirs = apache.step(step).map_err(|error| {
            io::Error::other(format!(
                "Apache's server: {error} at step {number}, {step:?}"
            ))
        })?;
        let ours = match embedded.step(step) {
            Ok(ours) => ours,
            Err(error) => vec![format!("{error}")],
        };
        apache.tally.steps += 1;
        if ours != theirs {
            difference = Some(Difference {
                step: number,
                apache: theirs,
                embedded: ours,
            });
            break;
        }
    }
    tally.merge(&apache.tally);
    let finished = apache.finish().and(embedded.finish());
    match difference {
        // Servers that differ may also be left differently.
        Some(difference) => Ok(Some(difference)),
        None => finished.map(|()| None),
    }
}

/// Leaves out steps for as long as the servers still differ.
fn reduce(servers: [SocketAddr; 2], root: &str, mut steps: Vec<Step>) -> Vec<Step> {
    let mut size = steps.len() / 2;
    let mut runs = 0;
    while size > 0 {
        let mut start = 0;
        while start < steps.len() && runs < REDUCTIONS {
            let mut fewer = steps.clone();
            fewer.drain(start..(start + size).min(steps.len()));
            runs += 1;
            match run(servers, root, &fewer, &mut Tally::default()) {
                Ok(Some(difference)) => {
                    fewer.truncate(difference.step + 1);
                    steps = fewer;
                }
                Ok(None) => start += size,
                // A server that no longer answers is a difference too, but the run cannot continue after it.
                Err(_) => return steps,
            }
        }
        size /= 2;
    }
    steps
}

fn report(seed: u64, servers: [SocketAddr; 2], root: &str, steps: &[Step]) -> String {
    let mut text = format!("ZK_DIFF_SEED={seed}, reduced:\n");
    for (number, step) in steps.iter().enumerate() {
        writeln!(text, "{number:3} session {}: {:?}", step.slot, step.action).unwrap();
    }
    match run(servers, root, steps, &mut Tally::default()) {
        Ok(Some(Difference {
            step,
            apache,
            embedded,
        })) => {
            let (apache, embedded) = (apache.join("\n  "), embedded.join("\n  "));
            write!(
                text,
                "step {step}\nApache:\n  {apache}\nembedded:\n  {embedded}"
            )
            .unwrap();
        }
        Ok(None) => text.push_str("which is the same when it is run again"),
        Err(error) => write!(text, "which ends with {error}").unwrap(),
    }
    text
}

fn setting(name: &str) -> Option<u64> {
    let value = env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {value}")),
    )
}

#[test]
fn embedded_server_answers_as_apache() {
    let apache = apache();
    let embedded = embedded(pose_of(&apache));
    let servers = [apache.address(), embedded.address()];
    let first = setting("ZK_DIFF_SEED").unwrap_or(1);
    let wanted = setting("ZK_DIFF_TRACES").or(setting("ZK_DIFF_SEED").map(|_| 1));
    let (began, time) = (Instant::now(), rounds(SECONDS.0, SECONDS.1));
    let time = Duration::from_secs(time as u64);
    let mut tally = Tally::default();
    let mut traces = 0;
    while match wanted {
        Some(wanted) => traces < wanted,
        None => traces < FEWEST || began.elapsed() < time,
    } {
        let seed = first + traces;
        let root = format!("/trace{seed}");
        let steps = generate(seed, &inside(&root));
        let difference = run(servers, &root, &steps, &mut tally)
            .unwrap_or_else(|error| panic!("ZK_DIFF_SEED={seed}: {error}"));
        if let Some(Difference {
            step,
            apache,
            embedded,
        }) = difference
        {
            let reduced = reduce(servers, &root, steps[..=step].to_vec());
            panic!(
                "{}\n\nat first, step {step}: {:?}\nApache:\n  {}\nembedded:\n  {}",
                report(seed, servers, &root, &reduced),
                steps[step],
                apache.join("\n  "),
                embedded.join("\n  "),
            );
        }
        traces += 1;
    }
    eprintln!(
        "{traces} traces from seed {first} in {:?}; {tally}",
        began.elapsed()
    );
    if traces >= FEWEST {
        assert_eq!(
            tally.missing(),
            <[&str; 0]>::default(),
            "never happened, in {tally}"
        );
    }
}

/// The comparison above proves something only if the traces distinguish servers.
#[test]
fn the_traces_tell_3_9_from_3_8() {
    let apache = apache();
    let embedded = embedded(match pose_of(&apache) {
        Pose::V3_8 => Pose::V3_9,
        _ => Pose::V3_8,
    });
    let servers = [apache.address(), embedded.address()];
    let differs = |seed| {
        let root = format!("/trace{seed}");
        let steps = generate(seed, &inside(&root));
        run(servers, &root, &steps, &mut Tally::default()).unwrap()
    };
    assert!((1..=20).any(|seed| differs(seed).is_some()));
}
