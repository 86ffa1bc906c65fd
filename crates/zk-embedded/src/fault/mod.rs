//! The script of faults: which requests, and what is done to them.
//!
//! A [`Rule`] is a [`Matcher`] and an [`Action`]; a [`Cut`] ends a connection at a byte. Both are added
//! with [`Faults`](crate::Faults).

mod cut;
mod matcher;
mod rule;
mod script;

pub use cut::{Cut, Direction};
pub(crate) use matcher::RequestView;
pub use matcher::{Matcher, on, on_any, on_connect};
pub use rule::{Action, Rule};
pub(crate) use script::Script;

// What rules name, so that a test needs no other crate for it.
pub use zk_proto::{ErrorCode, OpCode};
