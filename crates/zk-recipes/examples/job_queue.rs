//! A job queue: producers, workers on any number of machines, and the jobs that keep failing.
//!
//! Start `zkctl serve`, and then:
//!
//! ```console
//! $ cargo run -p zk-recipes --example job_queue -- localhost:2181 put 'resize 17.png' 'fail often'
//! put: resize 17.png
//! put: fail often
//! $ cargo run -p zk-recipes --example job_queue -- localhost:2181 work
//! delivery 1: resize 17.png: started
//! delivery 1: resize 17.png: done
//! delivery 1: fail often: started
//! delivery 1: fail often: failed
//! delivery 2: fail often: started
//! …
//! delivery 3: fail often: failed
//! ^C
//! $ cargo run -p zk-recipes --example job_queue -- localhost:2181 dead
//! dead: fail often
//! ```
//!
//! A worker that crashes, or that loses its session, loses its claim, and another worker gets the job. So a
//! job may be done twice: make it idempotent. A job that failed three times becomes a dead letter.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use zk_client::Client;
use zk_recipes::{Claim, Error as RecipeError, Queue};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().or_else(|| std::env::var("ZK_SERVER").ok());
    let servers = servers.as_deref().unwrap_or("localhost:2181");
    let command = arguments.next().unwrap_or("work".to_owned());
    run(servers, &command, arguments.collect()).await
}

/// Puts jobs into the queue, works on them until Ctrl-C, or prints those that failed too often.
///
/// # Errors
/// The ensemble cannot be reached or refuses a request, or the command is unknown.
pub async fn run(servers: &str, command: &str, jobs: Vec<String>) -> Result<(), Box<dyn Error>> {
    let zk = Client::builder(servers)
        .session_timeout(Duration::from_secs(10))
        .connect()
        .await?;
    // A put waits while there are 1000 jobs: ZooKeeper keeps them in memory.
    let queue = Queue::new(&zk, "/example/job-queue")
        .max_items(1000)
        .max_deliveries(3);
    match command {
        "put" => {
            for job in jobs {
                queue.put(job.clone()).await?;
                println!("put: {job}");
            }
        }
        "work" => tokio::select! {
            failed = work(&queue) => failed?,
            // The claim is dropped with the work, and `close` waits until it is released.
            signal = tokio::signal::ctrl_c() => signal?,
        },
        "dead" => {
            for (_, job) in queue.dead_letters().await? {
                println!("dead: {}", String::from_utf8_lossy(&job));
            }
        }
        other => return Err(format!("{other} is not put, work or dead").into()),
    }
    zk.close().await?;
    Ok(())
}

async fn work(queue: &Queue) -> zk_recipes::Result<()> {
    loop {
        let claim = queue.take().await?;
        let job = String::from_utf8_lossy(claim.data()).into_owned();
        let delivery = claim.deliveries().unwrap_or(1);
        println!("delivery {delivery}: {job}: started");
        let succeeded = tokio::select! {
            succeeded = process(&job) => succeeded,
            lost = claim.lost() => {
                println!("delivery {delivery}: {job}: abandoned: {lost}");
                continue;
            }
        };
        match finish(claim, succeeded).await {
            Ok(()) if succeeded => println!("delivery {delivery}: {job}: done"),
            Ok(()) => println!("delivery {delivery}: {job}: failed"),
            // Done here, and delivered to another worker as well.
            Err(error @ RecipeError::ClaimLost { .. }) => println!("{job}: {error}"),
            Err(error) => return Err(error),
        }
    }
}

async fn finish(claim: Claim, succeeded: bool) -> zk_recipes::Result<()> {
    match succeeded {
        true => claim.ack().await,
        // Delivered again, at most until `max_deliveries`.
        false => claim.release().await,
    }
}

/// What a job does is up to the program.
async fn process(job: &str) -> bool {
    if job.starts_with("endless") {
        std::future::pending::<()>().await;
    }
    !job.starts_with("fail")
}
