//! Single nodes: create, delete, exists, data, ACL, sync, check.

use std::borrow::Cow;

use bytes::Bytes;

use crate::acl::Acl;
use crate::jute::record::record;
use crate::path::WirePath;
use crate::stat::Stat;

record! {
    /// `create`, `create2` and `createContainer`.
    pub struct CreateRequest<'a> {
        /// The node; a sequential one gets its number added.
        pub path: WirePath<'a>,
        /// Its data; null is not empty.
        pub data: Option<&'a [u8]>,
        /// Its ACL. The server refuses an empty one.
        pub acl: Cow<'a, [Acl]>,
        /// [`CreateMode::flags`](crate::CreateMode::flags).
        pub flags: i32,
    }
}

record! {
    /// `createTTL`.
    pub struct CreateTtlRequest<'a> {
        /// The node; a sequential one gets its number added.
        pub path: WirePath<'a>,
        /// Its data; null is not empty.
        pub data: Option<&'a [u8]>,
        /// Its ACL. The server refuses an empty one.
        pub acl: Cow<'a, [Acl]>,
        /// [`CreateMode::flags`](crate::CreateMode::flags).
        pub flags: i32,
        /// Time to live in milliseconds, 1..=[`MAX_TTL_MS`](crate::MAX_TTL_MS).
        pub ttl_ms: i64,
    }
}

record! {
    /// Answers `create`.
    pub struct CreateResponse {
        /// The node's path, with its number if it is sequential.
        pub path: String,
    }
}

record! {
    /// Answers `create2`, `createContainer` and `createTTL`.
    pub struct Create2Response {
        /// The node's path, with its number if it is sequential.
        pub path: String,
        /// Its metadata.
        pub stat: Stat,
    }
}

record! {
    /// `delete`. Its reply has no body.
    #[derive(Copy)]
    pub struct DeleteRequest<'a> {
        /// The node.
        pub path: WirePath<'a>,
        /// The version it must have; −1 for any.
        pub version: i32,
    }
}

record! {
    /// `exists`.
    #[derive(Copy)]
    pub struct ExistsRequest<'a> {
        /// The node.
        pub path: WirePath<'a>,
        /// Whether to set a watch: on the data if the node exists, on its creation if not.
        pub watch: bool,
    }
}

record! {
    /// Answers `exists`, `setData` and `setACL`.
    #[derive(Copy)]
    pub struct StatResponse {
        /// The node's metadata.
        pub stat: Stat,
    }
}

/// Answers `exists`.
pub type ExistsResponse = StatResponse;
/// Answers `setData`.
pub type SetDataResponse = StatResponse;
/// Answers `setACL`.
pub type SetAclResponse = StatResponse;

record! {
    /// `getData`.
    #[derive(Copy)]
    pub struct GetDataRequest<'a> {
        /// The node.
        pub path: WirePath<'a>,
        /// Whether to set a watch on the data.
        pub watch: bool,
    }
}

record! {
    /// Answers `getData` and `reconfig`.
    pub struct GetDataResponse {
        /// The data; null is not empty.
        pub data: Option<Bytes>,
        /// The node's metadata.
        pub stat: Stat,
    }
}

record! {
    /// `setData`.
    #[derive(Copy)]
    pub struct SetDataRequest<'a> {
        /// The node.
        pub path: WirePath<'a>,
        /// Its new data; null is not empty.
        pub data: Option<&'a [u8]>,
        /// The version it must have; −1 for any.
        pub version: i32,
    }
}

record! {
    /// `getACL`.
    #[derive(Copy)]
    pub struct GetAclRequest<'a> {
        /// The node.
        pub path: WirePath<'a>,
    }
}

record! {
    /// Answers `getACL`.
    pub struct GetAclResponse {
        /// The ACL. Digest hashes are masked as `x` for clients that may not set the ACL.
        pub acl: Vec<Acl>,
        /// The node's metadata.
        pub stat: Stat,
    }
}

record! {
    /// `setACL`.
    pub struct SetAclRequest<'a> {
        /// The node.
        pub path: WirePath<'a>,
        /// Its new ACL. The server refuses an empty one.
        pub acl: Cow<'a, [Acl]>,
        /// The ACL version ([`Stat::aversion`]) it must have; −1 for any.
        pub version: i32,
    }
}

record! {
    /// `sync`.
    #[derive(Copy)]
    pub struct SyncRequest<'a> {
        /// A path. Servers sync all nodes, and return the path unchanged.
        pub path: WirePath<'a>,
    }
}

record! {
    /// Answers `sync`.
    pub struct SyncResponse {
        /// The request's path.
        pub path: String,
    }
}

record! {
    /// `check`, normally in a multi.
    #[derive(Copy)]
    pub struct CheckVersionRequest<'a> {
        /// The node.
        pub path: WirePath<'a>,
        /// The version it must have; −1 for any.
        pub version: i32,
    }
}

record! {
    /// `deleteContainer`; sent by servers.
    #[derive(Copy)]
    pub struct DeleteContainerRequest<'a> {
        /// The node.
        pub path: WirePath<'a>,
    }
}

record! {
    /// An error code as a body: the result of an operation in a multi that failed.
    #[derive(Copy)]
    pub struct ErrorResponse {
        /// 0 for success.
        pub err: i32,
    }
}
