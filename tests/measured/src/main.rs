//! Reads a znode a given number of times and ends. `tests/BUDGET.md` counts what that costs.
//! The difference between two runs of different length is free of what starting and ending costs.

#![allow(clippy::print_stdout, reason = "the parent process reads the address")]

use std::error::Error;
use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Runtime};
use zk_client::{Client, WatchEvent, WatchMode};
use zk_tests::Constant;
use zk_tests::constant::FLOOD;

const USAGE: &str = "\
usage: zk-measured serve BYTES
           Prints the address of a constant-answer server and serves until standard input ends.
       zk-measured get ADDRESS IN_FLIGHT OPERATIONS [WORKERS]
           Gets in so many tasks, each awaiting its own; on one thread, or on so many workers.
       zk-measured together ADDRESS IN_FLIGHT OPERATIONS
           Gets in one task, which submits so many before it awaits the first of them.
       zk-measured events ADDRESS EVENTS
           Is reported of so many changes by one lasting watch, a thousand at a time.";

/// A watch buffers a few more than these for a late subscriber.
const EVENTS_AT_A_TIME: u64 = 1_000;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        ["serve", bytes] => serve(bytes.parse()?),
        ["get", address, in_flight, operations] => {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            get(&runtime, address, in_flight.parse()?, operations.parse()?)
        }
        ["get", address, in_flight, operations, workers] => {
            let runtime = Builder::new_multi_thread()
                .worker_threads(workers.parse()?)
                .enable_all()
                .build()?;
            get(&runtime, address, in_flight.parse()?, operations.parse()?)
        }
        ["together", address, in_flight, operations] => {
            let (in_flight, operations) = (in_flight.parse()?, operations.parse()?);
            let address = address.to_owned();
            let runtime = Builder::new_current_thread().enable_all().build()?;
            on(&runtime, together(address, in_flight, operations))
        }
        ["events", address, events] => {
            let (address, events) = (address.to_owned(), events.parse()?);
            let runtime = Builder::new_current_thread().enable_all().build()?;
            on(&runtime, be_notified(address, events))
        }
        _ => Err(USAGE.into()),
    }
}

fn serve(bytes: usize) -> Outcome<()> {
    let server = Constant::start(bytes)?;
    println!("{}", server.address());
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn get(runtime: &Runtime, address: &str, in_flight: u64, operations: u64) -> Outcome<()> {
    // Tasks of the runtime in either case: what is waited for outside of it costs other things.
    on(runtime, {
        let address = address.to_owned();
        async move {
            let zk = Client::connect(address).await?;
            let tasks: Vec<_> = (0..in_flight)
                .map(|task| {
                    let zk = zk.clone();
                    let gets = operations / in_flight + u64::from(task < operations % in_flight);
                    tokio::spawn(async move {
                        for _ in 0..gets {
                            zk.get("/a").await?;
                        }
                        Ok::<_, zk_client::Error>(())
                    })
                })
                .collect();
            for task in tasks {
                task.await??;
            }
            zk.close().await?;
            Ok(())
        }
    })
}

async fn together(address: String, in_flight: usize, operations: usize) -> Outcome<()> {
    let builder = Client::builder(address).max_outstanding(in_flight);
    let zk = builder.connect().await?;
    for _ in 0..operations / in_flight {
        let gets: Vec<_> = (0..in_flight).map(|_| zk.get("/a").submit()).collect();
        for get in gets {
            get.await?;
        }
    }
    Ok(zk.close().await?)
}

async fn be_notified(address: String, events: u64) -> Outcome<()> {
    let zk = Client::connect(address).await?;
    let mut reported = zk.watch(FLOOD, WatchMode::Persistent).await?;
    for _ in 0..events / EVENTS_AT_A_TIME {
        zk.set(FLOOD, EVENTS_AT_A_TIME.to_string()).await?;
        for _ in 0..EVENTS_AT_A_TIME {
            match reported.next().await {
                Some(WatchEvent::Node(_)) => {}
                other => return Err(format!("instead of an event: {other:?}").into()),
            }
        }
    }
    drop(reported);
    Ok(zk.close().await?)
}

fn on(runtime: &Runtime, work: impl Future<Output = Outcome<()>> + Send + 'static) -> Outcome<()> {
    runtime.block_on(async { tokio::spawn(work).await? })
}
