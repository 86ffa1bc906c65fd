//! One connection to a ZooKeeper server, and the loop that keeps one open.
//!
//! Below it is [`zk_proto`], the records; above it `zk-client`, the session that outlives any
//! connection. What ends with the connection is here: transaction ids, the requests in flight, the
//! output buffer, the ping and read deadlines. The change from one connection to the next is here
//! too: the list of servers, dialling, time limits, backoff.
//!
//! # How the pieces fit
//!
//! A [`Link`] writes requests into its output, a [`FrameReader`] splits what arrives into frames, and the
//! link says what each frame means. Neither does I/O; here a slice is the socket:
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! use bytes::BytesMut;
//! use zk_proto::records::{ConnectRequest, ExistsRequest};
//! use zk_proto::{Encode, OpCode, SessionId, SessionPassword, WirePath, Zxid};
//! use zk_transport::{Disconnect, FrameReader, Link, Received};
//!
//! # // What a server sends: its answer to the handshake, an event, and the reply to the request.
//! # fn from_server() -> BytesMut {
//! #     use zk_proto::records::ConnectResponse;
//! #     use zk_proto::{EventType, KeeperState, ReplyHeader, WatcherEvent};
//! #     let mut bytes = BytesMut::new();
//! #     let mut send = |records: &[&dyn Encode]| {
//! #         let mut frame = BytesMut::new();
//! #         records.iter().for_each(|record| record.encode(&mut frame));
//! #         bytes.extend_from_slice(&i32::try_from(frame.len()).unwrap().to_be_bytes());
//! #         bytes.extend_from_slice(&frame);
//! #     };
//! #     let (session_id, password) = (SessionId(7), SessionPassword::zero());
//! #     let (protocol_version, timeout_ms, read_only) = (0, 6_000, false);
//! #     send(&[&ConnectResponse { protocol_version, timeout_ms, session_id, password, read_only }]);
//! #     let (kind, state, path) = (EventType::NodeCreated, KeeperState::SyncConnected, "/b");
//! #     let header = ReplyHeader { xid: -1, zxid: Zxid(-1), err: 0 };
//! #     send(&[&header, &WatcherEvent { kind, state, path }]);
//! #     send(&[&ReplyHeader { xid: 1, zxid: Zxid(4), err: -101 }]);
//! #     bytes
//! # }
//! # fn main() -> Result<(), Disconnect> {
//! let now = Instant::now();
//! let request = ConnectRequest {
//!     protocol_version: 0,
//!     last_zxid_seen: Zxid::ZERO,
//!     timeout_ms: 6_000,
//!     session_id: SessionId::NONE,
//!     password: SessionPassword::zero(),
//!     read_only: Some(false),
//! };
//! let mut link = Link::new(now, &request, Duration::from_secs(2));
//!
//! // Output: the connect request. It goes to the socket.
//! let mut out = BytesMut::new();
//! link.poll_output(&mut out);
//! assert_eq!(out.len(), 49);
//!
//! // Input: bytes from the socket, and the time when they came.
//! let mut frames = FrameReader::new(1 << 20);
//! frames.extend(&from_server());
//! link.handle_received(now);
//! while let Some(frame) = frames.peek()? {
//!     // A notification is decoded in place, and skipped.
//!     if let Some(fired) = link.notification(frame)? {
//!         assert_eq!(fired.event.path, "/b");
//!         frames.skip()?;
//!         continue;
//!     }
//!     let Some(frame) = frames.next_frame()? else { break };
//!     match link.handle_frame(frame)? {
//!         Received::Connected(session) => {
//!             assert_eq!(session.timeout_ms, 6_000);
//!             let exists = ExistsRequest { path: WirePath::new("", "/a"), watch: false };
//!             let submitted = link.submit(now, OpCode::Exists, "is /a there?", 1024, |out| {
//!                 exists.encode(out);
//!             });
//!             assert!(submitted.is_ok());
//!             let mut out = BytesMut::new();
//!             link.poll_output(&mut out);
//!         }
//!         Received::Reply { token, result, .. } => {
//!             assert_eq!(token, "is /a there?");
//!             assert_eq!(result, Err(zk_proto::ErrorCode::NoNode));
//!         }
//!         other => unreachable!("{other:?}"),
//!     }
//! }
//!
//! // Time: a ping when nothing else is sent, and an error when the server does not answer.
//! assert!(link.poll_timeout() > now);
//! link.handle_timeout(link.poll_timeout())?;
//! assert!(link.pending_output() > 0);
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `io`, `pump` does this with a stream and a timer, and `reconnect` with one
//! stream after the other. The example `raw_get` uses `reconnect`.
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
//! - `pump` (feature `io`): the loop that moves bytes between one stream and an endpoint.
//! - `dial` (feature `io`): opening a stream to a host.
//! - `four_letter` (feature `io`): sending a server a four-letter word and reading the answer.
//! - `tls` (feature `tls` or another whose name begins so): opening an encrypted stream to a server whose certificate is verified.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `io` | yes | `reconnect`, `pump`, `dial`, `dns::resolve` and `four_letter`, on tokio. Without it the crate has no runtime in its tree |
//! | `tls` | no | `tls`, on rustls with ring; brings `io` |
//! | `tls-aws-lc-rs` | no | the same with aws-lc-rs, which needs a C compiler to build, and on some platforms CMake |
//! | `tls-no-provider` | no | the same with a provider of cryptography that the program brings |
//! | `tls-native-roots` | no | `TlsConfig::system_roots`, the CAs of the operating system |
//! | `tls-stores` | no | encrypted private keys, and key stores in PKCS#12 and JKS |
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
#[cfg(feature = "tls-no-provider")]
#[cfg_attr(docsrs, doc(cfg(any(feature = "tls", feature = "tls-no-provider"))))]
pub mod tls;

pub use backoff::{Backoff, BackoffPolicy};
#[cfg(feature = "io")]
pub use dial::{Dial, DialError, DialFn, Dialing, TcpDial, Transport, dial_fn};
#[cfg(feature = "io")]
pub use dns::resolve::{Resolve, Resolving, Servers, SystemResolver};
pub use error::Disconnect;
pub use frame::FrameReader;
pub use hosts::{Addresses, Attempt, HostOrder, Hosts, NoHosts, Timing};
pub use link::{Link, Lost, Notification, Received, RoundTrip, Sent, ping_interval};
#[cfg(feature = "io")]
pub use pump::{Ended, Endpoint, pump};
#[cfg(feature = "io")]
pub use reconnect::{Reconnect, ReconnectOptions, stay_connected};
pub use sasl::{Beginning, Login, Mechanism, SaslError, Step};
#[cfg(feature = "tls-no-provider")]
#[cfg_attr(docsrs, doc(cfg(any(feature = "tls", feature = "tls-no-provider"))))]
pub use tls::{TlsConfig, TlsDial, TlsError};

// Compiles the examples of the README.
#[cfg(all(doctest, feature = "io"))]
#[doc = include_str!("../README.md")]
struct Readme;
