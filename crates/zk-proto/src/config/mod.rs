//! The ensemble's dynamic configuration: the text of `/zookeeper/config`, and the `server.N=…`
//! lines that `reconfig` takes.

mod servers;
mod text;

pub use servers::{ClientAddress, EnsembleConfig, Role, Server, ServerAddress};
pub use text::{ConfigError, ConfigProblem};

#[cfg(feature = "serde")]
crate::text_serde!(EnsembleConfig, Server);

#[cfg(test)]
mod tests;
