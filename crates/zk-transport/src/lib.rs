//! One connection to a ZooKeeper server.
//!
//! Below it is [`zk_proto`], the records; above it `zk-client`, the session that outlives any
//! connection. What dies with the connection lives here: transaction ids, the requests in flight,
//! the output buffer, the ping and read deadlines.
//!
//! # Modules
//! - [`link`]: the pure state machine of one connection. No socket, no clock, no runtime.
//! - [`frame`]: splitting a byte stream into length-prefixed frames.
//! - [`hosts`]: which server to try next, and when.
//! - [`backoff`]: seeded, jittered, capped delays.
//! - [`error`]: why a connection ended, in words a person can act on.
//! - `pump` (feature `io`): the loop that moves bytes between a stream and a machine.
//! - `dial` (feature `io`): opening a stream to a host, all its addresses considered.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `io` | yes | `pump` and `dial`, on tokio. Without it the crate has no runtime in its tree |

pub mod backoff;
#[cfg(feature = "io")]
pub mod dial;
pub mod error;
pub mod frame;
pub mod hosts;
pub mod link;
#[cfg(feature = "io")]
pub mod pump;

pub use backoff::{Backoff, BackoffPolicy};
#[cfg(feature = "io")]
pub use dial::{Dial, DialError, Dialing, Stream, TcpDial};
pub use error::Disconnect;
pub use frame::FrameReader;
pub use hosts::{Attempt, Hosts};
pub use link::{Link, Lost, Received, Unsent};
#[cfg(feature = "io")]
pub use pump::{Ended, Endpoint, pump};
