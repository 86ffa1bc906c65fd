//! Reads a znode so many times and ends, for those who count what that costs: `tests/BUDGET.md`.
//! The difference between two runs of different length is free of what starting and ending costs.

#![allow(
    clippy::print_stdout,
    reason = "the address has to be told to who started it"
)]

use std::error::Error;
use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Runtime};
use zk_client::Client;
use zk_tests::Constant;

const USAGE: &str = "\
usage: zk-measured serve BYTES
           Prints the address of a constant-answer server and serves until standard input ends.
       zk-measured get ADDRESS IN_FLIGHT OPERATIONS [WORKERS]
           Gets in so many tasks, each awaiting its own; on one thread, or on so many workers.";

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

fn on(runtime: &Runtime, work: impl Future<Output = Outcome<()>> + Send + 'static) -> Outcome<()> {
    runtime.block_on(async { tokio::spawn(work).await? })
}
