//! The arguments of `serve`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use zk_embedded::Pose;

use super::duration::{duration, positive};
use super::size::size;

#[derive(Args, Default)]
pub(crate) struct Serve {
    /// The port to listen on, 2181 unless given; 0 for any that is free. Members of an ensemble take
    /// the ports after it
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// The address to listen on; 127.0.0.1 unless given
    #[arg(long)]
    pub(crate) host: Option<IpAddr>,
    /// The server to imitate: 3.4, 3.5, 3.6, 3.8 or 3.9 of Apache ZooKeeper, or keeper-old (22.8) or
    /// keeper-new (26.1) of ClickHouse
    #[arg(long, value_name = "NAME", default_value_t = Pose::V3_9)]
    pub(crate) pose: Pose,
    /// Apply a zoo.cfg, as far as a server in memory can: ports, timeouts, limits, the members of its
    /// server.N lines, all of them in this process. Lines without effect are named. Other options
    /// override the file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The number of members of an ensemble; 1 is a server alone
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) members: Option<u8>,
    /// How many of the members, the last ones, are observers
    #[arg(long, value_name = "N", requires = "members")]
    pub(crate) observers: Option<u8>,
    /// Let clients change the ensemble with reconfig, as the superuser
    #[arg(long)]
    pub(crate) reconfig: bool,
    /// The unit of session timeouts, which are between 2 and 20 ticks; 2s unless given
    #[arg(long, value_name = "D", value_parser = positive)]
    pub(crate) tick: Option<Duration>,
    /// The shortest session timeout granted
    #[arg(long, value_name = "D", value_parser = positive)]
    pub(crate) min_session_timeout: Option<Duration>,
    /// The longest session timeout granted
    #[arg(long, value_name = "D", value_parser = positive)]
    pub(crate) max_session_timeout: Option<Duration>,
    /// How often expired containers and znodes with a time to live are deleted; 1m unless given
    #[arg(long, value_name = "D", value_parser = positive)]
    pub(crate) container_check: Option<Duration>,
    /// Delay every reply and event by this much
    #[arg(long, value_name = "D", default_value = "0", value_parser = duration)]
    pub(crate) delay: Duration,
    /// A file whose first line is user:password of the superuser; or put that line into ZK_SUPER
    #[arg(long, value_name = "FILE")]
    pub(crate) super_file: Option<PathBuf>,
    /// A file with the users that can log in with SASL's DIGEST-MD5: user:password, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) sasl_users_file: Option<PathBuf>,
    /// Serve only clients that have authenticated with one of these schemes, such as sasl,digest
    #[arg(long, value_name = "SCHEMES", value_delimiter = ',')]
    pub(crate) enforce_auth: Vec<String>,
    /// Serve TLS only, with a new CA. Its certificate, and a certificate and key for clients, are written
    /// into this directory: ca.pem, client.pem and client-key.pem
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "DIR")]
    pub(crate) tls_dir: Option<PathBuf>,
    /// Refuse clients without a certificate of that CA
    #[cfg(feature = "tls")]
    #[arg(long, requires = "tls_dir")]
    pub(crate) tls_require_client: bool,
    /// The names of the ensemble that clients may give with the scheme ensemble
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) ensemble_name: Vec<String>,
    /// The four-letter words that are answered; all unless given
    #[arg(long, value_name = "WORDS", value_delimiter = ',')]
    pub(crate) four_letter_words: Option<Vec<String>>,
    /// How many connections a member accepts from one address; any number unless given
    #[arg(long, value_name = "N")]
    pub(crate) max_connections: Option<usize>,
    /// The largest request that is accepted, as the servers' jute.maxbuffer
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) max_frame: Option<usize>,
    /// Enforce hard quotas
    #[arg(long)]
    pub(crate) enforce_quota: bool,
    /// Differences from Apache's server in its default configuration
    #[arg(long, value_enum, value_name = "QUIRKS", value_delimiter = ',')]
    pub(crate) quirks: Vec<Quirk>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Quirk {
    /// The deletion of a child does not change its parent's pzxid
    KeepPzxid,
    /// Znodes have no time to live
    NoTtl,
    /// A member without a quorum serves no client, instead of reads
    NoReadOnly,
}
