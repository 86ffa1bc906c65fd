//! One connection to a ZooKeeper server.
//!
//! Below it is [`zk_proto`], the records; above it `zk-client`, the session that outlives any
//! connection. What dies with the connection lives here: transaction ids, the requests in flight,
//! the output buffer, the ping and read deadlines.
//!
//! # Modules
//! - [`link`]: the pure state machine of one connection. No socket, no clock, no runtime.
//! - [`frame`]: splitting a byte stream into length-prefixed frames.
//! - [`hosts`]: which server to try next, and when. [`addresses`]: at which of its addresses.
//! - [`backoff`]: seeded, jittered, capped delays.
//! - [`sasl`]: logging in before anything else is said.
//! - [`error`]: why a connection ended, in words a person can act on.
//! - `pump` (feature `io`): the loop that moves bytes between a stream and a machine.
//! - [`srv`]: DNS questions for the servers of a service, and their answers. Bytes only.
//! - `resolve` (feature `io`): names to addresses, and services to servers.
//! - `four_letter` (feature `io`): asking a server a four-letter word.
//! - `dial` (feature `io`): opening a stream to a host, all its addresses considered.
//! - `tls` (feature `tls`): opening a stream to a host whose certificate is good.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `io` | yes | `pump`, `dial`, `resolve` and `four_letter`, on tokio. Without it the crate has no runtime in its tree |
//! | `tls` | no | `tls`, on rustls with ring; brings `io` |
//! | `sasl` | no | `sasl::Digest`, the mechanism DIGEST-MD5 |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod addresses;
pub mod backoff;
#[cfg(feature = "io")]
pub mod dial;
pub mod error;
#[cfg(feature = "io")]
pub mod four_letter;
pub mod frame;
pub mod hosts;
pub mod link;
#[cfg(feature = "io")]
pub mod pump;
#[cfg(feature = "io")]
pub mod resolve;
pub mod sasl;
pub mod srv;
#[cfg(feature = "tls")]
pub mod tls;

pub use addresses::Addresses;
pub use backoff::{Backoff, BackoffPolicy};
#[cfg(feature = "io")]
pub use dial::{Dial, DialError, Dialing, Stream, TcpDial};
pub use error::Disconnect;
pub use frame::FrameReader;
pub use hosts::{Attempt, Hosts, NoHosts};
pub use link::{Link, Lost, Notification, Received, RoundTrip, Unsent, ping_interval};
#[cfg(feature = "io")]
pub use pump::{Ended, Endpoint, pump};
#[cfg(feature = "io")]
pub use resolve::{Resolve, Resolving, Servers, SystemResolver};
pub use sasl::{Beginning, Login, Mechanism, SaslError, Step};
#[cfg(feature = "tls")]
pub use tls::{TlsConfig, TlsDial, TlsError};

// Compiles the examples of the README.
#[cfg(all(doctest, feature = "io"))]
#[doc = include_str!("../README.md")]
struct Readme;
