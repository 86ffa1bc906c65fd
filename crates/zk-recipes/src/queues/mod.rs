//! Queues of work items, delivered at least once.

mod change;
mod claim;
mod claim_node;
mod deliveries;
mod item_format;
mod layout;
mod line;
mod places;
mod put;
mod queue;
mod stock;

pub use claim::Claim;
pub use layout::QueueLayout;
pub use put::Put;
pub use queue::Queue;
