//! Streams of the latest state of one znode, through reconnects and sessions.

mod children_watch;
mod data_watch;
mod follow;
mod patient_children_watch;

pub use children_watch::{ChildrenState, ChildrenWatch};
pub use data_watch::{DataState, DataWatch};
pub use patient_children_watch::PatientChildrenWatch;
