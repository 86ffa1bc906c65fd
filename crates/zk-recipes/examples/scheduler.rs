//! A scheduler on several machines: one of them starts the jobs, and another takes over when it fails.
//!
//! Start `zkctl serve` in one terminal and this program in two others. Then end the one that leads.
//!
//! ```console
//! $ cargo run -p zk-recipes --example scheduler -- localhost:2181 host-1
//! host-1: leads with the token 5
//! host-1: job 1
//! host-1: job 2
//! ^C
//! host-1: resigned
//! $ cargo run -p zk-recipes --example scheduler -- localhost:2181 host-2
//! host-2: leads with the token 9
//! host-2: job 3
//! ```
//!
//! After Ctrl-C the other one leads at once; after `kill -9`, when the session has timed out (10 s here).
//!
//! The number of the next job is in a znode, and a scheduler takes a number with a fenced write. So one
//! that was suspended while another took over takes none, whatever it believes. Each job is started at
//! most once: if the scheduler fails between the write and the job, that job is left out.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use zk_client::{Client, RetryPolicy};
use zk_recipes::{Election, Term, Text, TypedNode};

const NEXT_JOB: &str = "/example/scheduler/next-job";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().or_else(|| std::env::var("ZK_SERVER").ok());
    let servers = servers.as_deref().unwrap_or("localhost:2181");
    let name = arguments.next().unwrap_or("host-1".to_owned());
    run(servers, &name, Duration::from_secs(1)).await
}

/// Starts a job in each `interval` while this scheduler leads, until Ctrl-C.
///
/// # Errors
/// The ensemble cannot be reached, or refuses a request.
pub async fn run(servers: &str, name: &str, interval: Duration) -> Result<(), Box<dyn Error>> {
    let zk = Client::builder(servers)
        .session_timeout(Duration::from_secs(10))
        .connect()
        .await?;
    // When the signal arrives, the campaign or the term is dropped, which resigns.
    tokio::select! {
        failed = lead(&zk, name, interval) => match failed? {},
        signal = tokio::signal::ctrl_c() => signal?,
    }
    // Waits until the resignation has taken effect.
    zk.close().await?;
    println!("{name}: resigned");
    Ok(())
}

async fn lead(zk: &Client, name: &str, interval: Duration) -> zk_recipes::Result<Infallible> {
    let election = Election::new(zk, "/example/scheduler/election").identifier(name);
    loop {
        let term = election.campaign().await?;
        println!("{name}: leads with the token {}", term.token());
        let failed = schedule(zk, &term, name, interval).await;
        match term.check() {
            // Whatever failed, the term is over: the next one may be led again.
            Err(lost) => println!("{name}: leads no longer: {lost}"),
            Ok(()) => return failed,
        }
    }
}

async fn schedule(
    zk: &Client,
    term: &Term,
    name: &str,
    interval: Duration,
) -> zk_recipes::Result<Infallible> {
    let next_job = TypedNode::<u64>::new(zk, NEXT_JOB, Text);
    let mut clock = tokio::time::interval(interval);
    loop {
        term.run(clock.tick()).await?;
        let next = next_job.get_or_insert(&1).await?;
        let number = next.value;
        // Executed only if the term's znode exists at that time, and then by no other scheduler.
        term.fenced()
            .set_version(NEXT_JOB, (number + 1).to_string(), next.stat.version)
            .commit_with_retries(&RetryPolicy::new())
            .await?;
        // Dropped when the term is lost.
        term.run(start_job(name, number)).await?;
    }
}

/// What the jobs are is up to the program.
async fn start_job(name: &str, number: u64) {
    println!("{name}: job {number}");
}
