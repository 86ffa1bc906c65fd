//! A typed configuration that follows a znode, and keeps its last good value while ZooKeeper is down.
//!
//! Start `zkctl serve` in one terminal and this program in another:
//!
//! ```console
//! $ cargo run -p zk-recipes --features serde --example config_service -- localhost:2181 /tmp/config.json
//! no configuration yet
//! kept: there is no znode
//! workers: 4, greeting: hello
//! kept: cannot decode the data of /example/config, version 1
//! ```
//!
//! The last two lines are printed after these commands in a third one:
//!
//! ```console
//! $ zkctl create -p /example/config '{"workers":4,"greeting":"hello"}'
//! $ zkctl set /example/config '{"workers":"many"}'
//! ```
//!
//! A value that cannot be decoded, a deleted znode and a lost connection change nothing. Each good value is
//! also written to a file, so that the next run can begin with it before there is a connection.
#![allow(clippy::print_stdout, reason = "an example shows what it reads")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use zk_client::Client;
use zk_recipes::{Codec, DataState, DataWatch, Json};

/// A value of a newer program may have more fields, which are ignored. A field that is new in this program
/// needs `#[serde(default)]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The number of tasks that work at the same time.
    pub workers: u32,
    /// The first line of each answer.
    pub greeting: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let servers = arguments.next().or_else(|| std::env::var("ZK_SERVER").ok());
    let servers = servers.as_deref().unwrap_or("localhost:2181");
    let file = arguments.next().unwrap_or("/tmp/config.json".to_owned());
    run(servers, Path::new(&file)).await
}

/// Prints the configuration whenever it changes, until Ctrl-C.
///
/// # Errors
/// The list of servers is invalid.
pub async fn run(servers: &str, file: &Path) -> Result<(), Box<dyn Error>> {
    // `start` does not wait for a connection, so the program also starts while ZooKeeper is down.
    let zk = Client::builder(servers).start()?;
    let mut config = follow(&zk, "/example/config", file.to_owned());
    if config.borrow().is_none() {
        println!("no configuration yet");
    }
    // Also shows what the file had.
    config.mark_changed();
    let show = async {
        while config.changed().await.is_ok() {
            if let Some(config) = &*config.borrow_and_update() {
                println!("workers: {}, greeting: {}", config.workers, config.greeting);
            }
        }
    };
    tokio::select! {
        () = show => return Err("the configuration cannot be followed any more".into()),
        signal = tokio::signal::ctrl_c() => signal?,
    }
    zk.close().await?;
    Ok(())
}

/// The latest good value, which the other parts of the program read with `borrow`; `None` until there is one.
pub fn follow(zk: &Client, path: &str, file: PathBuf) -> watch::Receiver<Option<Config>> {
    let (sender, receiver) = watch::channel(load(&file));
    let mut states = DataWatch::new(zk, path).json::<Config>();
    tokio::spawn(async move {
        // Ends when the client is closed, or after an error that no retry can repair.
        while let Some(state) = states.next().await {
            match state {
                Ok(DataState::Present { data: config, .. }) => {
                    if let Err(error) = store(&file, &config) {
                        println!("not stored in {}: {error}", file.display());
                    }
                    sender.send_if_modified(|known| {
                        known.replace(config.clone()).as_ref() != Some(&config)
                    });
                }
                Ok(DataState::Absent) => println!("kept: there is no znode"),
                Err(error) => println!("kept: {error}"),
            }
        }
    });
    receiver
}

fn load(file: &Path) -> Option<Config> {
    Json.decode(&fs::read(file).ok()?.into()).ok()
}

/// A crash in between leaves the old file.
fn store(file: &Path, config: &Config) -> io::Result<()> {
    let temporary = file.with_extension("new");
    let data = Json.encode(config).map_err(io::Error::other)?;
    fs::write(&temporary, data)?;
    fs::rename(&temporary, file)
}
