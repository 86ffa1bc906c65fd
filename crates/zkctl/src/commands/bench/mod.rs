//! `bench`: measures how long requests take.
//!
//! All its znodes are ephemeral, below a container of its own, and are deleted at the end. If this
//! process is killed, the servers delete them.

mod latencies;
mod tally;
mod workload;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tokio::task::JoinSet;
use zk_client::{Client, ClientBuilder, ErrorKind};

use super::chroot::check_root;
use crate::cli::bench::Bench;
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::progress::Progress;
use crate::signals::Signals;
use tally::{Results, Tally};
use workload::Operation;

/// How many deletions are in flight at once.
const DELETIONS: usize = 1_000;

pub(crate) async fn bench(
    args: &Bench,
    client: &Client,
    sessions: ClientBuilder,
    output: &mut Output,
    notices: &Notices,
    signals: &mut Signals,
) -> Result<ExitCode, Failure> {
    let root = format!("/zkctl-bench-{}", client.session().id);
    let outcome = tokio::select! {
        biased;
        signal = signals.next() => Err(Failure::Signalled(signal)),
        done = measure(args, client, sessions, &root, output, notices) => done,
    };
    let cleared = tokio::select! {
        biased;
        signal = signals.next() => Err(Failure::Signalled(signal)),
        cleared = clear(client, &root) => cleared,
    };
    match (outcome, cleared) {
        (Ok(_), Err(failure)) => Err(failure),
        (outcome, _) => outcome,
    }
}

async fn measure(
    args: &Bench,
    client: &Client,
    sessions: ClientBuilder,
    root: &str,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    check_root(client).await?;
    client.ensure_path(root).container().await?;
    let tally = Tally::new(args.ops).map_err(|error| Failure::Failed(error.to_string()))?;
    let tally = Arc::new(tally);
    let mut operations = Vec::new();
    for number in 0..args.concurrency.min(args.ops) {
        operations.push(Operation::prepare(args, client, &sessions, root, number).await?);
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for operation in operations {
        tasks.spawn(repeat(operation, tally.clone()));
    }
    let joining = async {
        while let Some(joined) = tasks.join_next().await {
            joined.map_err(|error| Failure::Failed(error.to_string()))?;
        }
        Ok::<_, Failure>(())
    };
    let progress = Progress::new(args.workload.name(), Some(args.ops), notices);
    tokio::select! {
        joined = joining => joined?,
        never = progress.show(|| tally.done()) => match never {},
    };
    let seconds = started.elapsed().as_secs_f64();
    progress.hide();
    let results = tally.results();
    if let Some(error) = &results.first_error {
        notices.say(format_args!(
            "{} failed; the first: {error}",
            results.errors
        ));
    }
    let reported = report(args, &results, seconds, output).await;
    Failure::unless_reader_gone(reported)?;
    Ok(match results.errors {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Performs the operation until the tally has none left.
async fn repeat(mut operation: Operation, tally: Arc<Tally>) {
    while tally.take() {
        let started = Instant::now();
        let outcome = operation.perform().await;
        tally.record(outcome.map(|()| started.elapsed()));
    }
}

async fn report(
    args: &Bench,
    results: &Results,
    seconds: f64,
    output: &mut Output,
) -> Result<(), Failure> {
    let Results {
        latencies, errors, ..
    } = results;
    let name = args.workload.name();
    let rate = args.ops as f64 / seconds;
    if output.is_json() {
        return output
            .json(&json!({
                "workload": name,
                "ops": args.ops,
                "seconds": seconds,
                "ops_per_sec": rate,
                "p50_us": latencies.percentile(50.0),
                "p90_us": latencies.percentile(90.0),
                "p99_us": latencies.percentile(99.0),
                "max_us": latencies.percentile(100.0),
                "errors": errors,
            }))
            .await;
    }
    output
        .line(format_args!(
            "{name}: {} operations, {} at a time, in {seconds:.2} s: {rate:.0} a second, {errors} \
             errors",
            args.ops, args.concurrency
        ))
        .await?;
    output.raw(latencies.to_string().as_bytes()).await
}

/// Deletes the znodes of the tasks, then the container.
async fn clear(client: &Client, root: &str) -> Result<(), Failure> {
    let names = match client.children(root).await {
        Ok(names) => names,
        Err(error) if error.kind() == ErrorKind::NoNode => return Ok(()),
        Err(error) => return Err(unclean(root, &error)),
    };
    let paths: Vec<_> = names.iter().map(|name| format!("{root}/{name}")).collect();
    for paths in paths.chunks(DELETIONS) {
        let deletions: Vec<_> = paths
            .iter()
            .map(|path| client.delete(path).submit())
            .collect();
        for deletion in deletions {
            match deletion.await {
                Ok(()) => {}
                // The lock's znode may still have children; it is deleted with the container.
                Err(error) if matches!(error.kind(), ErrorKind::NoNode | ErrorKind::NotEmpty) => {}
                Err(error) => return Err(unclean(root, &error)),
            }
        }
    }
    match client.delete(root).recursive().await {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NoNode => Ok(()),
        Err(error) => Err(unclean(root, &error)),
    }
}

fn unclean(root: &str, error: &zk_client::Error) -> Failure {
    Failure::Failed(format!("cannot delete {root}: {}", explain(error)))
}
