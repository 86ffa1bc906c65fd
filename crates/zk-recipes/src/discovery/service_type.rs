//! The lifetimes of a registered instance.

use serde::{Deserialize, Serialize};
use zk_client::CreateMode;

/// How long the znode of an instance exists. The names in its data are Curator's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum ServiceType {
    /// Until it is unregistered or the session ends. The znode is ephemeral.
    #[default]
    Dynamic,
    /// Until it is unregistered. Curator's discovery server deletes such instances when they are not
    /// refreshed for a time.
    Static,
    /// Until it is unregistered.
    Permanent,
    /// As [`Dynamic`](Self::Dynamic), and the servers append a number to the id in the name of the
    /// znode, so that several instances can have one id.
    DynamicSequential,
}

impl ServiceType {
    /// The mode of the znode.
    pub(super) fn mode(self) -> CreateMode {
        match self {
            ServiceType::Dynamic => CreateMode::Ephemeral,
            ServiceType::DynamicSequential => CreateMode::EphemeralSequential,
            ServiceType::Static | ServiceType::Permanent => CreateMode::Persistent,
        }
    }

    /// Its text in a URI.
    pub(super) fn in_uri(self) -> &'static str {
        match self {
            ServiceType::Dynamic => "dynamic",
            ServiceType::Static => "static",
            ServiceType::Permanent => "permanent",
            ServiceType::DynamicSequential => "dynamic_sequential",
        }
    }
}
