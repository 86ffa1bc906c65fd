//! What an operation does, as far as the text of its error depends on it.

use zk_proto::OpCode;

pub(crate) fn is_create(op: OpCode) -> bool {
    use OpCode::{Create, Create2, CreateContainer, CreateTtl};
    matches!(op, Create | Create2 | CreateContainer | CreateTtl)
}

/// Whether a request can be sent again without harm. `sync` and the operations that set watches
/// count as reads.
pub(crate) fn is_read(op: OpCode) -> bool {
    op.is_read() || sets_no_znode(op)
}

/// Whether the operation counts as a read and returns no data of a znode.
pub(super) fn sets_no_znode(op: OpCode) -> bool {
    matches!(op, OpCode::AddWatch | OpCode::CheckWatches | OpCode::Sync)
}

/// Whether the client sends an older operation instead to a server that lacks this one.
pub(super) fn is_replaced(op: OpCode) -> bool {
    matches!(op, OpCode::Create2 | OpCode::CreateContainer)
}
