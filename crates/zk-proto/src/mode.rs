//! How long a new node lives, and whether it gets a sequence number.

/// The largest time to live a node can have: 40 bits of milliseconds, about 34 years.
pub const MAX_TTL_MS: i64 = 0xff_ffff_ffff;

/// The kind of node to create.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum CreateMode {
    /// Lives until it is deleted.
    #[default]
    Persistent,
    /// Lives as long as the session that creates it.
    Ephemeral,
    /// Persistent, with a ten-digit number from the parent's counter added to its name.
    PersistentSequential,
    /// Ephemeral, with a number added to its name.
    EphemeralSequential,
    /// Deleted by the server some time after its last child is gone.
    Container,
    /// Deleted by the server when it has had no children and no change for its time to live. Only on
    /// servers with extended types enabled.
    PersistentWithTtl,
    /// [`CreateMode::PersistentWithTtl`], with a number added to its name.
    PersistentSequentialWithTtl,
}

impl CreateMode {
    /// Every mode.
    pub const ALL: &[Self] = &[
        Self::Persistent,
        Self::Ephemeral,
        Self::PersistentSequential,
        Self::EphemeralSequential,
        Self::Container,
        Self::PersistentWithTtl,
        Self::PersistentSequentialWithTtl,
    ];

    /// The mode with this number on the wire.
    pub fn from_flags(flags: i32) -> Option<Self> {
        Self::ALL.iter().copied().find(|mode| mode.flags() == flags)
    }

    /// The number on the wire.
    pub fn flags(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::Ephemeral => 1,
            Self::PersistentSequential => 2,
            Self::EphemeralSequential => 3,
            Self::Container => 4,
            Self::PersistentWithTtl => 5,
            Self::PersistentSequentialWithTtl => 6,
        }
    }

    /// Whether the server adds a number to the name.
    pub fn is_sequential(self) -> bool {
        matches!(
            self,
            Self::PersistentSequential
                | Self::EphemeralSequential
                | Self::PersistentSequentialWithTtl
        )
    }

    /// Whether the node ends with its session.
    pub fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// Whether the node needs a time to live.
    pub fn has_ttl(self) -> bool {
        matches!(
            self,
            Self::PersistentWithTtl | Self::PersistentSequentialWithTtl
        )
    }

    /// Whether the node is a container.
    pub fn is_container(self) -> bool {
        self == Self::Container
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_map_both_ways() {
        for &mode in CreateMode::ALL {
            assert_eq!(CreateMode::from_flags(mode.flags()), Some(mode));
        }
        for flags in [-1, 7, 8, i32::MIN, i32::MAX] {
            assert_eq!(CreateMode::from_flags(flags), None);
        }
    }

    #[test]
    fn properties_of_each_mode() {
        let table: Vec<_> = CreateMode::ALL
            .iter()
            .map(|m| {
                (
                    m.flags(),
                    m.is_sequential(),
                    m.is_ephemeral(),
                    m.has_ttl(),
                    m.is_container(),
                )
            })
            .collect();
        assert_eq!(
            table,
            [
                (0, false, false, false, false),
                (1, false, true, false, false),
                (2, true, false, false, false),
                (3, true, true, false, false),
                (4, false, false, false, true),
                (5, false, false, true, false),
                (6, true, false, true, false),
            ]
        );
    }
}
