//! ZooKeeper's wire protocol: jute, records, paths, connect strings; pure, no I/O.
//!
//! This crate turns bytes into values and back, in both directions: a client encodes requests and
//! decodes replies, a server the opposite. It has no runtime, clock or source of randomness, and
//! nothing in it panics on what a peer sends, or allocates more than the bytes that it has. The layer
//! above, `zk-transport`, moves the bytes.
//!
//! # Layout
//!
//! The module list is a map of the code:
//!
//! - [`jute`]: the serialization: a cursor for reading, functions for writing, frames
//! - [`records`]: what is in a frame: headers, bodies by family of operations, and
//!   [`Request`] and [`Reply`], which choose the body by the operation
//! - [`op`], [`error_code`]: the numbers of operations and errors
//! - [`ids`], [`stat`], [`mode`], [`event`], [`acl`]: the data model
//! - [`path`]: validation, chroots, sequence numbers
//! - [`connect_string`]: hosts and chroot, `zk1:2181,[::1]:2182/chroot`
//! - [`config`], [`admin`]: the ensemble's dynamic configuration and the four-letter words
//! - `host`, `unreadable`: what the readers of texts share
//!
//! # Example: one request
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
//! # Example: a captured conversation
//!
//! Both directions of a connection, as a packet capture has them. The reply does not name its
//! operation, so the reader keeps the operation of every xid.
//!
//! ```
//! use std::collections::HashMap;
//! use bytes::BytesMut;
//! use zk_proto::records::{ConnectRequest, ConnectResponse};
//! use zk_proto::{OpCode, ReplyHeader, Request, ServerFrame, decode_frame, split_frame};
//!
//! // Handshake, then getData of "/a" with xid 1.
//! let client: &[u8] = b"\0\0\0\x2d\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x75\x30\0\0\0\0\0\0\0\0\0\0\0\x10\
//!     \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0f\0\0\0\x01\0\0\0\x04\0\0\0\x02/a\0";
//! // Handshake, then the reply: the node does not exist.
//! let server: &[u8] = b"\0\0\0\x25\0\0\0\0\0\0\x75\x30\x01\0\0\0\0\0\0\x02\0\0\0\x10secret-password!\0\
//!     \0\0\0\x10\0\0\0\x01\0\0\0\x01\0\0\0\x03\xff\xff\xff\x9b";
//! let (mut client, mut server) = (BytesMut::from(client), BytesMut::from(server));
//! let limit = 1 << 20;
//! let mut log = Vec::new();
//!
//! let frame = split_frame(&mut client, limit)?.expect("a whole frame");
//! log.push(format!("{:?}", decode_frame::<ConnectRequest>(&frame, 0)?.session_id));
//! let frame = split_frame(&mut server, limit)?.expect("a whole frame");
//! log.push(format!("{:?}", decode_frame::<ConnectResponse>(&frame, 0)?.session_id));
//!
//! let mut ops = HashMap::new();
//! while let Some(frame) = split_frame(&mut client, limit)? {
//!     let (header, request) = Request::decode_frame(&frame)?;
//!     ops.insert(header.xid, request.op_code());
//!     log.push(format!("{} {request:?}", header.xid));
//! }
//! while let Some(frame) = split_frame(&mut server, limit)? {
//!     let header: ReplyHeader = decode_frame(&frame, 0)?;
//!     // An event answers no request, so its operation is of no importance.
//!     let op = ops.remove(&header.xid).unwrap_or(OpCode::Notification);
//!     let (header, reply) = ServerFrame::decode(&frame, op)?;
//!     log.push(format!("{} {:?} {reply:?}", header.xid, header.zxid));
//! }
//! assert_eq!(log, [
//!     "SessionId(0x0)",
//!     "SessionId(0x100000000000002)",
//!     r#"1 GetData(GetDataRequest { path: "/a", watch: false })"#,
//!     "1 Zxid(0x100000003) Error(NoNode)",
//! ]);
//! # Ok::<(), zk_proto::DecodeError>(())
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `serde` | `Serialize` and `Deserialize` on the values that a program shows or stores: [`Stat`], [`Acl`], [`CreateMode`], [`Zxid`], connect strings, configurations |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod acl;
pub mod admin;
pub mod config;
pub mod connect_string;
pub mod error_code;
pub mod event;
mod host;
pub mod ids;
pub mod jute;
pub mod mode;
pub mod op;
pub mod path;
pub mod records;
pub mod stat;
mod unreadable;

/// Serializes with `Display` and deserializes with `FromStr`.
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
pub use ids::{SessionId, SessionPassword, Xid, Zxid, xid};
pub use jute::{Decode, DecodeError, DecodeProblem, Decoder, Encode, decode_frame, split_frame};
pub use mode::{CreateMode, MAX_TTL_MS};
pub use op::OpCode;
pub use path::{Chroot, PathError, WirePath};
pub use records::{Reply, ReplyHeader, Request, RequestHeader, ServerFrame};
pub use stat::Stat;
pub use unreadable::UnreadableLine;

// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
