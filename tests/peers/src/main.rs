//! Our client beside others, in one interleaved run: `cargo xtask bench`.
//!
//! Every measurement is a process of its own, with a new session, and they take turns: first each
//! client once, then each again. Where the machine can pin a process, client and server share one
//! CPU, so that an operation costs what both spend on it and nothing depends on where the kernel puts
//! them; locks are taken on a real server, which is left alone.
//!
//! # Layout
//! - [`workload`]: what is measured.
//! - [`client`]: what a client must be able to do for that; [`ours`], [`zookeeper_client`],
//!   [`tokio_zookeeper`], and [`bare`], a socket without a client. `with_kazoo.py` is measured by itself.
//! - [`measure`]: one measurement, of a connected client.
//! - [`tls`]: the same server over TLS.
//! - [`compare`]: all of them, in turns.
//! - [`report`], [`plot`]: what came of it.

mod bare;
mod client;
mod compare;
mod measure;
mod options;
mod ours;
mod plot;
mod report;
mod tls;
mod tokio_zookeeper;
mod workload;
mod zookeeper_client;

use std::io;
use std::process::ExitCode;

use zk_tests::Constant;

use client::Outcome;
use options::Options;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Outcome<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments.as_slice() {
        // The three below are what this program starts itself as.
        ["serve", bytes] => serve(bytes.parse()?, false),
        ["serve", bytes, "tls"] => serve(bytes.parse()?, true),
        ["measure", client, workload, runtime, address, seconds] => {
            let rate = measure::measure(client, workload, runtime, address, seconds.parse()?)?;
            println!("{rate}");
            Ok(())
        }
        ref options => match Options::parse(options)? {
            Some(options) => compare::compare(&options),
            None => {
                println!("{}", options::usage());
                Ok(())
            }
        },
    }
}

/// A constant-answer server, until standard input ends.
fn serve(bytes: usize, over_tls: bool) -> Outcome<()> {
    let server = Constant::start(bytes)?;
    match over_tls {
        true => println!("{}", tls::serve(bytes)?),
        false => println!("{}", server.address()),
    }
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
