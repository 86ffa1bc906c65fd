//! Streams of the latest state of one znode, through reconnects and sessions.

#[cfg(feature = "watches")]
mod children_watch;
mod data_watch;
mod follow;
#[cfg(feature = "watches")]
mod patient_children_watch;
#[cfg(feature = "watches")]
mod persistent_watch;

#[cfg(feature = "watches")]
pub use children_watch::{ChildrenState, ChildrenWatch};
pub use data_watch::{DataState, DataWatch};
#[cfg(feature = "watches")]
pub use follow::StateChange;
#[cfg(feature = "watches")]
pub use patient_children_watch::PatientChildrenWatch;
#[cfg(feature = "watches")]
pub use persistent_watch::{GapCause, PersistentEvent, PersistentWatch};
