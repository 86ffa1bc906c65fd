//! Those of zk-recipes.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use zk_client::{Client, Guid, SessionId};
use zk_embedded::Server;
use zk_tests::signal::{Signal, send};

use super::program::{arguments, examples, run, server, start};
use crate::common::child::Child;
use crate::common::{soon, until};

examples! {
    config_service "../../../crates/zk-recipes/examples/config_service.rs";
    crash "../../../crates/zk-recipes/examples/crash.rs";
    job_queue "../../../crates/zk-recipes/examples/job_queue.rs";
    leader "../../../crates/zk-recipes/examples/leader.rs";
    membership "../../../crates/zk-recipes/examples/membership.rs";
    partition "../../../crates/zk-recipes/examples/partition.rs";
    scheduler "../../../crates/zk-recipes/examples/scheduler.rs";
}

/// How often the scheduler starts a job.
const INTERVAL: Duration = Duration::from_millis(20);

/// The only session.
fn session(server: &Server) -> SessionId {
    let sessions = server.sessions();
    assert_eq!(sessions.len(), 1);
    sessions[0].id
}

async fn until_candidates(server: &Server, path: &str, count: usize) {
    until("all are candidates", || async {
        let paths = server.paths();
        let below = paths
            .iter()
            .filter(|it| it.starts_with(&format!("{path}/")));
        below.count() == count
    })
    .await;
}

/// The numbers of the jobs that a scheduler has started.
fn jobs(scheduler: &Child) -> Vec<u64> {
    let lines = scheduler.said();
    let jobs = lines.iter().filter_map(|line| line.split_once(": job "));
    jobs.map(|(_, number)| number.parse().unwrap()).collect()
}

async fn interrupt(mut program: Child) -> Child {
    send(program.pid(), Signal::Interrupt).unwrap();
    assert!(program.ended().await);
    program
}

#[tokio::test]
async fn the_scheduler_fails_over() {
    let here = (module_path!(), "the_scheduler_fails_over");
    if let Some(arguments) = arguments() {
        return run(scheduler::run(&arguments[0], &arguments[1], INTERVAL)).await;
    }
    let server = server().await;
    let hosts = server.connect_string();
    let mut first = start(here, &[&hosts, "host-1"]);
    let token = first.receive("host-1: leads with the token ").await;
    first.receive("host-1: job 3").await;
    let session = session(&server);
    let mut second = start(here, &[&hosts, "host-2"]);
    until_candidates(&server, "/example/scheduler/election", 2).await;
    first.kill();
    let last = *jobs(&first).last().unwrap();
    assert_eq!(jobs(&first), (1..=last).collect::<Vec<_>>());
    assert!(jobs(&second).is_empty());

    server.expire_session(session);
    let next = second.receive("host-2: leads with the token ").await;
    assert!(next.parse::<i64>().unwrap() > token.parse().unwrap());
    second.receive("host-2: job ").await;
    // The first one may have claimed a job before it was killed.
    let first_job = jobs(&second)[0];
    assert!((last + 1..=last + 2).contains(&first_job), "{first_job}");
    let second = interrupt(second).await;
    assert_eq!(second.said().last().unwrap(), "host-2: resigned");
    until_candidates(&server, "/example/scheduler/election", 0).await;
}

#[tokio::test]
async fn a_suspended_scheduler_starts_no_job() {
    let here = (module_path!(), "a_suspended_scheduler_starts_no_job");
    if let Some(arguments) = arguments() {
        return run(scheduler::run(&arguments[0], &arguments[1], INTERVAL)).await;
    }
    let server = server().await;
    let hosts = server.connect_string();
    let mut first = start(here, &[&hosts, "host-1"]);
    first.receive("host-1: job 2").await;
    let session = session(&server);
    let mut second = start(here, &[&hosts, "host-2"]);
    until_candidates(&server, "/example/scheduler/election", 2).await;
    send(first.pid(), Signal::Stop).unwrap();
    first.stopped().await;
    server.expire_session(session);
    second.receive("host-2: job ").await;
    first.go_on();
    let lost = first.receive("host-1: leads no longer: ").await;
    assert_eq!(lost, "the session has ended");
    until("the second one continues", || async {
        jobs(&second).len() > 5
    })
    .await;
    let mut all = [jobs(&first), jobs(&second)].concat();
    all.sort_unstable();
    let started = all.len();
    all.dedup();
    assert_eq!(all.len(), started, "a job was started twice");
}

#[tokio::test]
async fn the_config_keeps_the_last_good_value() {
    let here = (module_path!(), "the_config_keeps_the_last_good_value");
    if let Some(arguments) = arguments() {
        return run(config_service::run(&arguments[0], Path::new(&arguments[1]))).await;
    }
    let server = server().await;
    let hosts = server.connect_string();
    let file = std::env::temp_dir().join(format!("zk-config-{}.json", Guid::random().hex()));
    let path = file.to_str().unwrap();
    let zk = Client::connect(&*hosts).await.unwrap();

    let mut program = start(here, &[&hosts, path]);
    program.receive("no configuration yet").await;
    program.receive("kept: there is no znode").await;
    let good = r#"{"workers":4,"greeting":"hello","of a later program":true}"#;
    let config = zk.create("/example/config", good).parents();
    config.await.unwrap();
    let value = program.receive("workers: 4").await;
    assert_eq!(value, ", greeting: hello");
    let bad = r#"{"workers":"many"}"#;
    zk.set("/example/config", bad).await.unwrap();
    let kept = program.receive("kept: cannot decode").await;
    assert!(kept.contains("/example/config"), "{kept}");
    let program = interrupt(program).await;
    let values = program.said();
    let values = values.iter().filter(|line| line.starts_with("workers"));
    assert_eq!(values.count(), 1);

    server.faults().stop();
    let mut program = start(here, &[&hosts, path]);
    program.receive("workers: 4").await;
    server.faults().run();
    program.receive("kept: cannot decode").await;
    let good = r#"{"workers":8,"greeting":"hello"}"#;
    soon("the write", zk.set("/example/config", good))
        .await
        .unwrap();
    program.receive("workers: 8").await;
    interrupt(program).await;
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn a_crash_keeps_the_lock() {
    let here = (module_path!(), "a_crash_keeps_the_lock");
    if let Some(arguments) = arguments() {
        return run(async {
            let (_zk, guard) = crash::work(&arguments[0], &arguments[1]).await?;
            guard.lost().await;
            Ok::<_, Box<dyn Error>>(())
        })
        .await;
    }
    let server = server().await;
    let file = std::env::temp_dir().join(format!("zk-session-{}", Guid::random().hex()));
    let arguments = [&*server.connect_string(), file.to_str().unwrap()];
    let mut first = start(here, &arguments);
    first.receive("a new session: ").await;
    let token = first.receive("held with the token ").await;
    let session = session(&server);
    first.kill();
    let mut second = start(here, &arguments);
    second
        .receive("the session of the last run continues")
        .await;
    assert_eq!(second.receive("held with the token ").await, token);
    second.kill();
    server.expire_session(session);
    let mut third = start(here, &arguments);
    third.receive("a new session: ").await;
    assert_ne!(third.receive("held with the token ").await, token);
    third.kill();
    for name in [file.clone(), file.with_extension("lock")] {
        std::fs::remove_file(name).unwrap();
    }
}

#[tokio::test]
async fn jobs_survive_their_workers() {
    let here = (module_path!(), "jobs_survive_their_workers");
    if let Some(arguments) = arguments() {
        let jobs = arguments[2..].to_vec();
        return run(job_queue::run(&arguments[0], &arguments[1], jobs)).await;
    }
    let server = server().await;
    let hosts = server.connect_string();
    let put = async |jobs: &[&str]| {
        let mut put = start(here, &[&[&*hosts, "put"], jobs].concat());
        assert!(put.ended().await);
        assert_eq!(put.said().len(), jobs.len());
    };
    let work = || start(here, &[&hosts, "work"]);

    put(&["endless"]).await;
    let mut killed = work();
    killed.receive("delivery 1: endless: started").await;
    killed.kill();
    server.expire_session(session(&server));
    let mut interrupted = work();
    interrupted.receive("delivery 2: endless: started").await;
    // Its claim is released, and its session closed.
    interrupt(interrupted).await;
    let mut worker = work();
    worker.receive("delivery 3: endless: started").await;
    server.expire_session(session(&server));
    worker.receive("delivery 3: endless: abandoned").await;

    // The worker continues in its next session.
    put(&["resize 17.png", "fail often"]).await;
    worker.receive("delivery 1: resize 17.png: done").await;
    worker.receive("delivery 3: fail often: failed").await;
    let zk = Client::connect(&*hosts).await.unwrap();
    let queue = zk_recipes::Queue::new(&zk, "/example/job-queue").max_deliveries(3);
    until("the last delivery has failed", || async {
        queue.dead_letters().await.unwrap().len() == 2
    })
    .await;
    interrupt(worker).await;
    let mut dead = start(here, &[&hosts, "dead"]);
    assert!(dead.ended().await);
    let mut letters = dead.said();
    letters.sort_unstable();
    assert_eq!(letters[..2], ["dead: endless", "dead: fail often"]);
}

/// What the service sends to a client.
async fn role(address: &str) -> String {
    let mut role = String::new();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.read_to_string(&mut role).await.unwrap();
    role
}

#[tokio::test]
async fn a_leader_steps_down_when_it_ends() {
    let here = (module_path!(), "a_leader_steps_down_when_it_ends");
    if let Some(arguments) = arguments() {
        return run(leader::run(&arguments[0])).await;
    }
    let server = server().await;
    let hosts = server.connect_string();
    let mut first = start(here, &[&hosts]);
    let address = first.receive("serves at ").await;
    first.receive("leads").await;
    until("its clients see the leader", || async {
        role(&address).await == "leader\n"
    })
    .await;
    let mut second = start(here, &[&hosts]);
    let address = second.receive("serves at ").await;
    until_candidates(&server, "/example/leader", 2).await;
    assert_eq!(role(&address).await, "standby\n");

    send(first.pid(), Signal::Term).unwrap();
    assert!(first.ended().await);
    let lines = first.said();
    let expected = ["no more connections", "stepped down", "closed"];
    let expected = expected.map(|line| format!("shuts down: {line}"));
    assert_eq!(lines[lines.len() - 3..], expected);
    // Not by a timeout.
    second.receive("leads").await;
    until("its clients see the leader", || async {
        role(&address).await == "leader\n"
    })
    .await;

    server.expire_session(session(&server));
    second
        .receive("leads no longer: the session has ended")
        .await;
    until("it leads again", || async {
        let lines = second.said();
        lines.iter().filter(|line| *line == "leads").count() == 2
    })
    .await;
    interrupt(second).await;
}

#[tokio::test]
async fn members_come_go_and_crash() {
    let here = (module_path!(), "members_come_go_and_crash");
    if let Some(arguments) = arguments() {
        return run(membership::run(&arguments[0], &arguments[1])).await;
    }
    let server = server().await;
    let hosts = server.connect_string();
    let mut first = start(here, &[&hosts, "host-1"]);
    first.receive("members: host-1 (running)").await;
    let session = session(&server);
    let mut second = start(here, &[&hosts, "host-2"]);
    let both = "members: host-1 (running), host-2 (running)";
    first.receive(both).await;
    second.receive(both).await;
    first.kill();
    assert!(
        !second
            .said()
            .iter()
            .any(|line| line == "members: host-2 (running)")
    );
    server.expire_session(session);
    until("the first one is gone", || async {
        second.said().last().unwrap() == "members: host-2 (running)"
    })
    .await;

    let third = start(here, &[&hosts, "host-3"]);
    second
        .receive("members: host-2 (running), host-3 (running)")
        .await;
    interrupt(third).await;
    until("the third one is gone", || async {
        second.said().last().unwrap() == "members: host-2 (running)"
    })
    .await;
    interrupt(second).await;
}

#[tokio::test]
async fn items_of_a_crashed_member_are_divided() {
    let here = (module_path!(), "items_of_a_crashed_member_are_divided");
    if let Some(arguments) = arguments() {
        return run(partition::run(&arguments[0])).await;
    }
    let server = server().await;
    let hosts = server.connect_string();
    let mut first = start(here, &[&hosts]);
    let all = "working on: invoices, letters, orders, returns";
    first.receive(all).await;
    let session = session(&server);
    let mut second = start(here, &[&hosts]);
    first.receive("the items are divided again").await;
    let share = second.receive("working on: ").await;
    until("the other half", || async { shares(&first).len() == 2 }).await;
    let halves = [shares(&first)[1].clone(), share];
    let mut items: Vec<_> = halves.iter().flat_map(|half| half.split(", ")).collect();
    items.sort_unstable();
    assert_eq!(items, ["invoices", "letters", "orders", "returns"]);
    first.kill();
    server.expire_session(session);
    second.receive(all).await;
    interrupt(second).await;
    assert!(server.sessions().is_empty());
}

/// The items that a program has had, one share after the other.
fn shares(program: &Child) -> Vec<String> {
    let lines = program.said();
    let shares = lines
        .iter()
        .filter_map(|line| line.strip_prefix("working on: "));
    shares.map(str::to_owned).collect()
}
