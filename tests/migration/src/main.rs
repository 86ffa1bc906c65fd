//! Runs the programs of one page, named by the first argument, against the embedded server, and prints how
//! many there are. Or, with `shared`, shares znodes between these clients and this project's; with `traps`,
//! shows how they behave where the pages say that this project's behaves differently.
//!
//! The programs return their errors, of any type, and the connection is the string `hosts`.

mod shared;
mod traps;

use std::error::Error;

type Outcome = Result<usize, Box<dyn Error + Send + Sync>>;

#[allow(unused_variables, reason = "programs name what they do not use")]
async fn tokio_zookeeper(hosts: String) -> Outcome {
    Ok(include!(concat!(env!("OUT_DIR"), "/tokio_zookeeper.rs")))
}

#[allow(unused_variables, reason = "programs name what they do not use")]
async fn zookeeper_async(hosts: String) -> Outcome {
    Ok(include!(concat!(env!("OUT_DIR"), "/zookeeper_async.rs")))
}

#[allow(unused_variables, reason = "programs name what they do not use")]
async fn zookeeper_client(hosts: String) -> Outcome {
    Ok(include!(concat!(env!("OUT_DIR"), "/zookeeper_client.rs")))
}

/// That client blocks its caller.
#[allow(unused_variables, reason = "programs name what they do not use")]
fn zookeeper(hosts: String) -> Outcome {
    Ok(include!(concat!(env!("OUT_DIR"), "/zookeeper.rs")))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let page = std::env::args().nth(1).unwrap_or_default();
    let server = zk_embedded::Server::start().await?;
    let hosts = server.connect_string();
    let programs = match &*page {
        "tokio_zookeeper" => tokio_zookeeper(hosts).await?,
        "zookeeper" => tokio::task::spawn_blocking(|| zookeeper(hosts)).await??,
        "zookeeper_async" => zookeeper_async(hosts).await?,
        "zookeeper_client" => zookeeper_client(hosts).await?,
        "traps" => return traps::all(&server).await,
        "shared" => return shared::all(&hosts).await,
        _ => return Err(format!("there is no page {page:?}").into()),
    };
    println!("{programs}");
    Ok(())
}
