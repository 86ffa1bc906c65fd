//! Operation codes.

use std::fmt;

macro_rules! op_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// The operation of a request, by the numbers of the protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        #[non_exhaustive]
        pub enum OpCode {
            $($(#[$doc])* $name = $code,)*
        }

        impl OpCode {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The operation with this number, or `None` for a number that is not known.
            pub fn from_i32(code: i32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// ZooKeeper's name of the operation.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

op_codes! {
    /// A watch event; never sent by a client.
    Notification = 0, "notification";
    /// Create a node, answered with its path.
    Create = 1, "create";
    /// Delete a node.
    Delete = 2, "delete";
    /// A node's stat, if it exists.
    Exists = 3, "exists";
    /// A node's data and stat.
    GetData = 4, "getData";
    /// Replace a node's data.
    SetData = 5, "setData";
    /// A node's access control list.
    GetAcl = 6, "getACL";
    /// Replace a node's access control list.
    SetAcl = 7, "setACL";
    /// The names of a node's children.
    GetChildren = 8, "getChildren";
    /// Wait until the server has caught up with the leader.
    Sync = 9, "sync";
    /// Keep the session alive.
    Ping = 11, "ping";
    /// The names of a node's children and its stat.
    GetChildren2 = 12, "getChildren2";
    /// Require a version; only inside [`OpCode::Multi`].
    Check = 13, "check";
    /// Several writes, all or none.
    Multi = 14, "multi";
    /// Create a node, answered with its path and stat.
    Create2 = 15, "create2";
    /// Change the ensemble.
    Reconfig = 16, "reconfig";
    /// Check whether the server holds a watch.
    CheckWatches = 17, "checkWatches";
    /// Remove a watch from the server.
    RemoveWatches = 18, "removeWatches";
    /// Create a container node.
    CreateContainer = 19, "createContainer";
    /// Delete an empty container node; sent by servers.
    DeleteContainer = 20, "deleteContainer";
    /// Create a node with a time to live.
    CreateTtl = 21, "createTTL";
    /// Several reads, each with its own result.
    MultiRead = 22, "multiRead";
    /// Add an identity to the connection.
    Auth = 100, "auth";
    /// Set data, exists and child watches again after a reconnect.
    SetWatches = 101, "setWatches";
    /// One step of a SASL exchange.
    Sasl = 102, "sasl";
    /// The session's ephemeral nodes.
    GetEphemerals = 103, "getEphemerals";
    /// The number of a node's descendants.
    GetAllChildrenNumber = 104, "getAllChildrenNumber";
    /// As [`OpCode::SetWatches`], with persistent watches.
    SetWatches2 = 105, "setWatches2";
    /// Add a persistent watch.
    AddWatch = 106, "addWatch";
    /// The identities of the connection.
    WhoAmI = 107, "whoAmI";
    /// A new session; between servers.
    CreateSession = -10, "createSession";
    /// End the session.
    CloseSession = -11, "closeSession";
    /// A failed operation in a [`OpCode::Multi`] response.
    Error = -1, "error";
}

impl OpCode {
    /// The number on the wire.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// Whether the operation only reads, from the tree of the server that it is sent to or from that
    /// server's connection.
    pub fn is_read(self) -> bool {
        matches!(
            self,
            Self::Exists
                | Self::GetData
                | Self::GetAcl
                | Self::GetChildren
                | Self::GetChildren2
                | Self::GetEphemerals
                | Self::GetAllChildrenNumber
                | Self::MultiRead
                | Self::WhoAmI
        )
    }

    /// Whether the leader proposes a transaction for the operation, and a quorum commits it, before
    /// the reply. Of the operations that end a session or begin one this is false: servers decide on
    /// local sessions alone.
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Self::Create
                | Self::Create2
                | Self::CreateContainer
                | Self::CreateTtl
                | Self::Delete
                | Self::DeleteContainer
                | Self::SetData
                | Self::SetAcl
                | Self::Check
                | Self::Multi
                | Self::Reconfig
        )
    }

    /// Whether a follower passes the operation on to the leader: the [writes](Self::is_write), the end
    /// of a session, and `sync`, which the leader answers without a quorum ([ZOOKEEPER-2136]).
    ///
    /// [ZOOKEEPER-2136]: https://issues.apache.org/jira/browse/ZOOKEEPER-2136
    pub fn needs_leader(self) -> bool {
        self.is_write() || matches!(self, Self::CloseSession | Self::Sync)
    }
}

impl fmt::Display for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_operation_is_read_and_write() {
        let count = |is: fn(OpCode) -> bool| OpCode::ALL.iter().filter(|op| is(**op)).count();
        assert_eq!(count(OpCode::is_read), 9);
        assert_eq!(count(OpCode::is_write), 11);
        assert_eq!(count(OpCode::needs_leader), 13);
        assert_eq!(count(|op| op.is_read() && op.needs_leader()), 0);
    }

    #[test]
    fn every_op_code_maps_back() {
        for &op in OpCode::ALL {
            assert_eq!(OpCode::from_i32(op.code()), Some(op));
        }
        let known = (-1000..1000)
            .filter(|&code| OpCode::from_i32(code).is_some())
            .count();
        assert_eq!(known, OpCode::ALL.len());
        assert_eq!(OpCode::ALL.len(), 33);
    }
}
