//! Families of recipes in the simulation's world of all faults, each with what must be true of it.
//!
//! A family is a function of a [`Stage`]: it starts its work with the stage's clients, waits for
//! [`Stage::calm`], and reports what is not as promised with [`Stage::violation`]. After it, no client may
//! hold a request or a watch, and no ephemeral znode may outlive the clients.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test"
)]

mod barrier;
mod counters;
mod crash;
mod discovery;
mod leases;
mod membership;
mod partition;
mod queues;
mod run;
mod semaphore;
mod stage;
mod typed;

use run::hold;
use stage::Stage;
