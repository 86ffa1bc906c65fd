//! `bench`: how long requests take here.
//!
//! All it creates is ephemeral, below a container of its own, and is deleted at the end; if this
//! process is killed, the servers do that.

mod latencies;
mod progress;
mod work;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tokio::task::JoinSet;
use zk_client::{Client, ClientBuilder, ErrorKind};

use super::check_root;
use crate::args::Bench;
use crate::failure::{Failure, explain};
use crate::output::{Notices, Output};
use crate::signals::Signals;
use latencies::Latencies;
use progress::Progress;
use work::Work;

/// How many deletions are on their way at once.
const DELETIONS: usize = 1_000;

/// What the tasks did.
#[derive(Default)]
struct Done {
    latencies: Vec<u64>,
    errors: u64,
    first_error: Option<String>,
}

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
    let progress = Arc::new(Progress::new(args.ops));
    let mut tasks = JoinSet::new();
    let mut works = Vec::new();
    for number in 0..args.concurrency.min(args.ops) {
        works.push(Work::prepare(args, client, &sessions, root, number).await?);
    }
    let started = Instant::now();
    for work in works {
        tasks.spawn(work_on(work, progress.clone()));
    }
    let showing = progress.show(args.workload.name(), notices);
    let joining = async {
        let mut done = Done::default();
        while let Some(task) = tasks.join_next().await {
            let task = task.map_err(|error| Failure::Failed(error.to_string()))?;
            done.latencies.extend(task.latencies);
            done.errors += task.errors;
            done.first_error = done.first_error.or(task.first_error);
        }
        Ok::<_, Failure>(done)
    };
    let done = tokio::select! {
        done = joining => done?,
        never = showing => match never {},
    };
    let seconds = started.elapsed().as_secs_f64();
    progress.hide(notices);
    if let Some(error) = &done.first_error {
        notices.say(format_args!("{} failed; the first: {error}", done.errors));
    }
    let failed = done.errors > 0;
    let reported = report(
        args,
        Latencies::new(done.latencies),
        seconds,
        done.errors,
        output,
    )
    .await;
    Failure::unless_reader_gone(reported)?;
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Does its share of the operations, one after the other.
async fn work_on(mut work: Work, progress: Arc<Progress>) -> Done {
    let mut done = Done::default();
    while progress.take() {
        let started = Instant::now();
        match work.once().await {
            Ok(()) => {
                let nanos = started.elapsed().as_nanos();
                done.latencies
                    .push(u64::try_from(nanos).unwrap_or(u64::MAX));
            }
            Err(failure) => {
                done.errors += 1;
                done.first_error.get_or_insert(failure);
            }
        }
        progress.done();
    }
    done
}

async fn report(
    args: &Bench,
    latencies: Latencies,
    seconds: f64,
    errors: u64,
    output: &mut Output,
) -> Result<(), Failure> {
    let name = args.workload.name();
    let rate = args.ops as f64 / seconds;
    if output.is_json() {
        return output
            .json(&json!({
                "workload": name,
                "ops": args.ops,
                "seconds": seconds,
                "ops_per_sec": rate,
                "p50_us": latencies.percentile(50),
                "p90_us": latencies.percentile(90),
                "p99_us": latencies.percentile(99),
                "max_us": latencies.percentile(100),
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

/// Deletes what there is; the container last.
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
                // A lock's znode can have children still.
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
