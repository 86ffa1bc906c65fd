//! The arguments of `four-letter`, `version` and `health`.

use std::time::Duration;

use clap::Args;

use super::duration::duration;

#[derive(Args)]
pub(crate) struct FourLetter {
    /// The word, such as srvr, mntr, cons or wchp. crst and srst reset statistics
    #[arg(value_parser = word)]
    pub(crate) word: String,
    /// Send it to every server, and not only to the first that answers
    #[arg(short, long)]
    pub(crate) all: bool,
}

impl FourLetter {
    /// Whether the word resets statistics, ends the server, or changes what it does.
    pub(crate) fn changes_servers(&self) -> bool {
        let of_apache = ["crst", "kill", "srst", "stmk"];
        // A snapshot, the leadership, a recovery, digests, caches.
        let of_keeper = ["clrs", "csnp", "rclc", "rcvr", "rqld", "ydld"];
        let word = &*self.word;
        of_apache.contains(&word) || of_keeper.contains(&word)
    }
}

#[derive(Args)]
pub(crate) struct Version {
    /// Of every server, and not only of the first that answers
    #[arg(short, long)]
    pub(crate) all: bool,
}

#[derive(Args)]
pub(crate) struct Health {
    /// The port of the servers' AdminServer, which is asked where mntr is not allowed; 0 for none
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) admin_port: u16,
    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// What servers may report without being a problem.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many transactions a server may be behind the leader
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) max_lag: u64,
    /// How many requests a server may have received and not answered
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) max_outstanding: u64,
    /// The average latency that a server may have, as it reports it: since its start or the last srst
    #[arg(long, value_name = "D", default_value = "1s", value_parser = duration)]
    pub(crate) max_latency: Duration,
}

fn word(text: &str) -> Result<String, &'static str> {
    if text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_lowercase()) && text != "stmk" {
        return Ok(text.to_owned());
    }
    Err("write a word of four lower-case letters that takes no argument, such as srvr or mntr")
}
