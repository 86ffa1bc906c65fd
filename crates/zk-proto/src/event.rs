//! Watch events as the server sends them.

use crate::jute::record::record;

/// An enum of numbers that keeps unknown ones.
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal,)* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// A number this crate does not know.
            Unknown(i32),
        }

        impl $name {
            /// Reads the number on the wire; an unknown one survives as `Unknown`.
            pub fn from_i32(code: i32) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    unknown => Self::Unknown(unknown),
                }
            }

            /// The number on the wire.
            pub fn code(self) -> i32 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Unknown(code) => code,
                }
            }
        }

        impl<'a> $crate::jute::record::Field<'a> for $name {
            fn get(
                input: &mut $crate::jute::Decoder<'a>,
                name: &'static str,
            ) -> Result<Self, $crate::jute::DecodeError> {
                input.i32(name).map(Self::from_i32)
            }
            fn put(&self, out: &mut bytes::BytesMut) {
                $crate::jute::record::Field::put(&self.code(), out);
            }
        }
    };
}
pub(crate) use wire_enum;

wire_enum! {
    /// What happened to a node.
    pub enum EventType {
        /// Nothing to a node: the event is about the connection.
        None = -1,
        /// The node was created.
        NodeCreated = 1,
        /// The node was deleted.
        NodeDeleted = 2,
        /// The node's data was set.
        NodeDataChanged = 3,
        /// A child was created or deleted.
        NodeChildrenChanged = 4,
        /// A data watch was removed; made by clients.
        DataWatchRemoved = 5,
        /// A child watch was removed; made by clients.
        ChildWatchRemoved = 6,
        /// A persistent watch was removed; made by clients.
        PersistentWatchRemoved = 7,
    }
}

wire_enum! {
    /// The state of the connection in an event. Servers always send [`KeeperState::SyncConnected`];
    /// the other states are made by clients.
    pub enum KeeperState {
        /// Not connected.
        Disconnected = 0,
        /// Not used by current servers.
        NoSync = 1,
        /// Connected to a server that is part of a quorum.
        SyncConnected = 3,
        /// Authentication failed.
        AuthFailed = 4,
        /// Connected to a read-only server.
        ConnectedReadOnly = 5,
        /// Authenticated with SASL.
        SaslAuthenticated = 6,
        /// Closed by the client.
        Closed = 7,
        /// The session has expired.
        Expired = -112,
    }
}

record! {
    /// A watch event, the body of a frame with xid −1.
    #[derive(Copy)]
    pub struct WatcherEvent<'a> {
        /// What happened.
        pub kind: EventType,
        /// The state of the connection.
        pub state: KeeperState,
        /// The full path of the node; servers do not know the client's chroot.
        pub path: &'a str,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_known_or_not() {
        for code in (-200..200).chain([i32::MIN, i32::MAX]) {
            assert_eq!(EventType::from_i32(code).code(), code);
            assert_eq!(KeeperState::from_i32(code).code(), code);
        }
        assert_eq!(EventType::from_i32(-1), EventType::None);
        assert_eq!(EventType::from_i32(0), EventType::Unknown(0));
        assert_eq!(KeeperState::from_i32(-112), KeeperState::Expired);
        assert_eq!(KeeperState::from_i32(-1), KeeperState::Unknown(-1));
        assert_eq!(KeeperState::from_i32(2), KeeperState::Unknown(2));
    }
}
