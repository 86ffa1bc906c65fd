//! Long runs that need no server.

mod budget;
mod embedded_limits;
mod histories;
mod rearm_at_size;
mod simulation;
