//! The options that every command has.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::context::references::References;
use super::duration::{duration, session_timeout};
use super::environment;
use super::security::Security;
use super::size::size;
use crate::output::Format;
use crate::output::colour::Colour;

#[derive(Args, Clone)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Global {
    /// The servers, and the znode to use as the root: host:port,host:port/chroot, or
    /// dns-srv://service/chroot; or a URL with options, zk://host,host/chroot?order=nearest, with TLS zks://
    #[arg(
        long,
        global = true,
        value_name = "HOSTS",
        env = environment::SERVER,
        default_value = "127.0.0.1:2181"
    )]
    pub(crate) server: String,
    /// The context to use, a name for servers and options: see `zkctl context --help`. Precedes variables
    #[arg(long, global = true, value_name = "NAME", env = environment::CONTEXT)]
    pub(crate) context: Option<String>,
    /// Let this command write although the context is protected; and let ui change znodes
    #[arg(long, global = true)]
    pub(crate) write: bool,
    /// What the context adds that is no option.
    #[arg(skip)]
    pub(crate) references: References,
    /// The session timeout to request, 10s unless given; servers clamp it
    #[arg(long, global = true, value_name = "D", value_parser = session_timeout)]
    pub(crate) session_timeout: Option<Duration>,
    /// How long to try to open a session; 5s unless given, for lock and elect 1s with --no-wait, and
    /// at most the time of --wait
    #[arg(long, global = true, value_name = "D", value_parser = duration)]
    pub(crate) connect_timeout: Option<Duration>,
    /// How long closing the session may take, by the servers' URL.
    #[arg(skip)]
    pub(crate) close_timeout: Option<Duration>,
    /// How long one request may take, once there is a session; 10s unless given
    #[arg(long, global = true, value_name = "D", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
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
    /// Accept a server without a quorum if no other answers: the commands that read, such as get, ls and
    /// config, may then show old data
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
    /// Whether there are colours; auto leaves them out unless standard output is a terminal, and if
    /// NO_COLOR is set
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: Colour,
    #[command(flatten)]
    pub(crate) security: Security,
}

/// Of a session and of a request, unless given.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Global {
    /// The variables that commands run by zkctl do not inherit.
    pub(crate) fn secret_variables(&self) -> Vec<String> {
        let of_context = self.references.variables();
        let all = environment::SECRET_VARIABLES.into_iter().chain(of_context);
        all.map(str::to_owned).collect()
    }

    pub(crate) fn session_timeout(&self) -> Duration {
        self.session_timeout.unwrap_or(TIMEOUT)
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(TIMEOUT)
    }
}
