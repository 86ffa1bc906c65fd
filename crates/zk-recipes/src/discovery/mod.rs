//! Service discovery in the format of Curator's x-discovery, and in that of Finagle and Aurora.

mod catalog;
mod circuit;
mod instance;
mod json;
mod provider;
mod published;
mod registration;
mod server_set;
mod service_cache;
mod service_change;
mod service_changes;
mod service_discovery;
mod service_snapshot;
mod service_type;
mod strategy;
#[cfg(feature = "tower")]
mod tower_discover;
mod uri_spec;

pub use circuit::DownPolicy;
pub use instance::ServiceInstance;
pub use provider::ServiceProvider;
pub use registration::Registration;
pub use server_set::{Endpoint, ServerSet, ServerSetMember, ServerSetMembership};
pub use service_cache::ServiceCache;
pub use service_change::ServiceChange;
pub use service_changes::ServiceChanges;
pub use service_discovery::ServiceDiscovery;
pub use service_snapshot::ServiceSnapshot;
pub use service_type::ServiceType;
pub use strategy::{Random, RoundRobin, Sticky, Strategy, Weighted};
#[cfg(feature = "tower")]
pub use tower_discover::Discover;
pub use uri_spec::{InvalidUriSpec, UriSpec};
