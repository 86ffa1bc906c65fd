//! How the missing znodes above a znode are created.

use zk_proto::Acl;

/// How the missing znodes above a znode are created.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parents {
    pub(crate) containers: bool,
    pub(crate) acl: ParentsAcl,
}

/// The ACL of the znodes above.
#[derive(Debug, Clone, Default)]
pub(crate) enum ParentsAcl {
    /// That of the znode, if it has one of its own.
    #[default]
    AsNode,
    /// That of the handle, for their paths.
    Default,
    Own(Vec<Acl>),
}
