//! Requests and replies: the headers, the bodies, and the choice of a body by its operation
//! ([`Request`], [`Reply`]).
//!
//! Requests borrow what they carry; replies own it, sharing the frame's buffer where that is large.
//! Every record can be both written and read, so that a server can be built on the same types.
//!
//! Null and empty are different in data and in optional strings. In vectors, null is read as empty:
//! no operation distinguishes them.

mod auth;
mod children;
mod connect;
mod exchange;
mod header;
mod multi;
mod node;
mod reconfig;
mod watch;

pub use auth::{AuthRequest, ClientInfo, SaslRequest, SaslResponse, WhoAmIResponse};
pub use children::{
    Children, ChildrenIntoIter, ChildrenIter, GetAllChildrenNumberRequest,
    GetAllChildrenNumberResponse, GetChildren2Request, GetChildren2Response, GetChildrenRequest,
    GetChildrenResponse, GetEphemeralsRequest, GetEphemeralsResponse,
};
pub use connect::{ConnectRequest, ConnectResponse};
pub use exchange::{Reply, Request, ServerFrame};
pub use header::{ReplyHeader, RequestHeader};
pub use multi::{MultiHeader, MultiOp, MultiRequest, MultiResponse, MultiResult};
pub use node::{
    CheckVersionRequest, Create2Response, CreateRequest, CreateResponse, CreateTtlRequest,
    DeleteContainerRequest, DeleteRequest, ErrorResponse, ExistsRequest, ExistsResponse,
    GetAclRequest, GetAclResponse, GetDataRequest, GetDataResponse, SetAclRequest, SetAclResponse,
    SetDataRequest, SetDataResponse, StatResponse, SyncRequest, SyncResponse,
};
pub use reconfig::{ReconfigRequest, ReconfigResponse};
pub use watch::{
    AddWatchMode, AddWatchRequest, AddWatchResponse, CheckWatchesRequest, PathList,
    RemoveWatchesRequest, SetWatches2Request, SetWatchesRequest, WatcherType,
};
