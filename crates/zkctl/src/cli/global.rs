//! The options that every command has.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::duration::{duration, session_timeout};
use super::environment;
use super::security::Security;
use super::size::size;
use crate::output::Format;

#[derive(Args)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Global {
    /// The servers, and the znode to use as the root: host:port,host:port/chroot, or
    /// dns-srv://service/chroot
    #[arg(
        long,
        global = true,
        value_name = "HOSTS",
        env = environment::SERVER,
        default_value = "127.0.0.1:2181"
    )]
    pub(crate) server: String,
    /// The session timeout to request; servers clamp it
    #[arg(
        long,
        global = true,
        value_name = "D",
        default_value = "10s",
        value_parser = session_timeout
    )]
    pub(crate) session_timeout: Duration,
    /// How long to try to open a session; 5s unless given, for lock and elect 1s with --no-wait, and
    /// at most the time of --wait
    #[arg(long, global = true, value_name = "D", value_parser = duration)]
    pub(crate) connect_timeout: Option<Duration>,
    /// How long one request may take, once there is a session
    #[arg(long, global = true, value_name = "D", default_value = "10s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Credentials, as in digest:user:password; may be given several times. Other users of the
    /// machine can see command lines, so prefer ZK_AUTH or a file
    #[arg(long, global = true, value_name = "SCHEME:CRED")]
    pub(crate) auth: Vec<String>,
    /// A file with credentials, one a line; may be given several times, and ZK_AUTH_FILE names one
    /// more
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) auth_file: Vec<PathBuf>,
    /// The largest reply to accept, such as a long list of children; 8M unless given
    #[arg(long, global = true, value_name = "BYTES", value_parser = size)]
    pub(crate) max_reply_bytes: Option<usize>,
    /// The largest request to send, data included: the servers' jute.maxbuffer, which is 1048575
    /// unless they are configured otherwise
    #[arg(long, global = true, value_name = "BYTES", value_parser = size)]
    pub(crate) max_request_bytes: Option<usize>,
    /// Accept a server without a quorum if no other answers: ls, tree, get, stat, exists and config
    /// may then show old data
    #[arg(long, global = true)]
    pub(crate) read_only: bool,
    /// Text, or one JSON object a line
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        value_name = "FORMAT",
        default_value_t
    )]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) security: Security,
}
