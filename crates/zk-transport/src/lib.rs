//! One connection to a ZooKeeper server, and the loop that keeps one open.
//!
//! Below it is [`zk_proto`], the records; above it `zk-client`, the session that outlives any
//! connection. What ends with the connection is here: transaction ids, the requests in flight, the
//! output buffer, the ping and read deadlines. So is the way from one connection to the next: the
//! list of servers, dialling, time limits, backoff.
//!
//! # Modules
//! - [`link`]: the state machine of one connection. No socket, no clock, no runtime.
//! - [`frame`]: splitting a byte stream into length-prefixed frames.
//! - [`hosts`]: which server to try next, when, at which of its addresses, and for how long.
//! - [`backoff`]: seeded, jittered, capped delays.
//! - [`sasl`]: the login that precedes every other request.
//! - [`error`]: why a connection ended.
//! - [`dns`]: names to addresses, and services to servers.
//! - `reconnect` (feature `io`): the loop that keeps a connection open.
//! - `pump` (feature `io`): the loop that moves bytes between one stream and a machine.
//! - `dial` (feature `io`): opening a stream to a host.
//! - `four_letter` (feature `io`): asking a server a four-letter word.
//! - `tls` (feature `tls`): opening an encrypted stream to a server whose certificate is verified.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `io` | yes | `reconnect`, `pump`, `dial`, `dns::resolve` and `four_letter`, on tokio. Without it the crate has no runtime in its tree |
//! | `tls` | no | `tls`, on rustls with ring; brings `io` |
//! | `sasl` | no | `sasl::Digest`, the mechanism DIGEST-MD5 |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod backoff;
#[cfg(feature = "io")]
pub mod dial;
pub mod dns;
pub mod error;
#[cfg(feature = "io")]
pub mod four_letter;
pub mod frame;
pub mod hosts;
pub mod link;
#[cfg(feature = "io")]
pub mod pump;
#[cfg(feature = "io")]
pub mod reconnect;
pub mod sasl;
#[cfg(feature = "tls")]
pub mod tls;

pub use backoff::{Backoff, BackoffPolicy};
#[cfg(feature = "io")]
pub use dial::{Dial, DialError, DialFn, Dialing, TcpDial, Transport, dial_fn};
#[cfg(feature = "io")]
pub use dns::resolve::{Resolve, Resolving, Servers, SystemResolver};
pub use error::Disconnect;
pub use frame::FrameReader;
pub use hosts::{Addresses, Attempt, Hosts, NoHosts, Timing};
pub use link::{Link, Lost, Notification, Received, RoundTrip, Sent, ping_interval};
#[cfg(feature = "io")]
pub use pump::{Ended, Endpoint, pump};
#[cfg(feature = "io")]
pub use reconnect::{Reconnect, ReconnectOptions, stay_connected};
pub use sasl::{Beginning, Login, Mechanism, SaslError, Step};
#[cfg(feature = "tls")]
pub use tls::{TlsConfig, TlsDial, TlsError};

// Compiles the examples of the README.
#[cfg(all(doctest, feature = "io"))]
#[doc = include_str!("../README.md")]
struct Readme;
