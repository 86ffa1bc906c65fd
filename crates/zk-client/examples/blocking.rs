//! A program without a runtime.
//!
//! `cargo run --features blocking --example blocking -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::time::Duration;

use zk_client::blocking::Client;

fn main() -> zk_client::Result<()> {
    let hosts = std::env::args().nth(1);
    let zk = Client::connect(hosts.unwrap_or("127.0.0.1:2181".to_owned()))?;
    zk.create("/demo", "v1").or_exists().wait()?;
    let (_, _, mut watch) = zk.get("/demo").watch().wait()?;
    zk.set("/demo", "v2").wait()?;
    if let Some(event) = zk.wait_timeout(&mut watch, Duration::from_secs(5)) {
        println!("{event:?}");
    }
    println!("{:?}", zk.get("/demo").synced().wait()?.0);
    zk.delete("/demo").wait()?;
    zk.close()
}
