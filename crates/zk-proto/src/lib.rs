//! ZooKeeper's wire protocol: jute, records, paths, connect strings; pure, no I/O.
//!
//! This crate turns bytes into values and back, in both directions: a client encodes requests and
//! decodes replies, a server the opposite. It has no runtime, clock or source of randomness, and
//! nothing in it panics, or allocates ahead of the bytes it has, on what a peer sends. The layer
//! above, `zk-transport`, moves the bytes.
//!
//! # Layout
//!
//! - [`jute`]: the serialization, a cursor for reading and helpers for writing
//! - [`header`], [`op`], [`error_code`]: what stands in front of every request and reply
//! - [`records`]: the bodies, one module for each family of operations
//! - [`ids`], [`stat`], [`acl`], [`mode`], [`event`]: the data model
//! - [`path`]: validation, chroots, sequence numbers
//! - [`connect_string`]: hosts and chroot, `zk1:2181,[::1]:2182/chroot`
//! - [`config`], [`admin`]: the ensemble's dynamic configuration and the four-letter words
//!
//! # Example
//!
//! ```
//! use bytes::BytesMut;
//! use zk_proto::jute::{Encode, decode_frame};
//! use zk_proto::records::{GetDataRequest, GetDataResponse};
//! use zk_proto::{OpCode, ReplyHeader, RequestHeader};
//!
//! let mut out = BytesMut::new();
//! RequestHeader::new(1, OpCode::GetData).encode(&mut out);
//! GetDataRequest { path: "/config".into(), watch: false }.encode(&mut out);
//!
//! # let mut reply = BytesMut::new();
//! # ReplyHeader { xid: 1, zxid: zk_proto::Zxid(7), err: 0 }.encode(&mut reply);
//! # GetDataResponse { data: Some("on".into()), stat: Default::default() }.encode(&mut reply);
//! # let frame = reply.freeze();
//! // … and for the reply, a frame as it came from the server:
//! let header: ReplyHeader = decode_frame(&frame, 0)?;
//! assert_eq!(header.error(), None);
//! let body: GetDataResponse = decode_frame(&frame, ReplyHeader::LEN)?;
//! assert_eq!(body.data.as_deref(), Some(&b"on"[..]));
//! # Ok::<(), zk_proto::jute::DecodeError>(())
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `serde` | `Serialize` and `Deserialize` on what people see: [`Stat`], [`Acl`], [`CreateMode`], [`Zxid`], connect strings, configurations |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod acl;
pub mod admin;
pub mod config;
pub mod connect_string;
pub mod error_code;
pub mod event;
pub mod header;
mod host;
pub mod ids;
pub mod jute;
pub mod mode;
pub mod op;
pub mod path;
mod record;
pub mod records;
#[doc(hidden)]
pub mod seeded;
pub mod stat;
mod unreadable;

/// Makes types that are written with `Display` and read with `FromStr` text for serde as well.
#[cfg(feature = "serde")]
macro_rules! text_serde {
    ($($name:ty),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
#[cfg(feature = "serde")]
pub(crate) use text_serde;

pub use acl::{Acl, Id, Permissions, digest_id};
pub use connect_string::{ConnectString, ConnectTarget, HostPort};
pub use error_code::ErrorCode;
pub use event::{EventType, KeeperState, WatcherEvent};
pub use header::{ReplyHeader, RequestHeader};
pub use ids::{SessionId, SessionPassword, Xid, Zxid, xid};
pub use jute::{Decode, DecodeError, DecodeProblem, Decoder, Encode, decode_frame};
pub use mode::{CreateMode, MAX_TTL_MS};
pub use op::OpCode;
pub use path::{Chroot, PathError, WirePath};
pub use stat::Stat;
pub use unreadable::UnreadableLine;

// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
