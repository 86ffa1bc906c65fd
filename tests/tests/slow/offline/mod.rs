//! Long runs that need no server.

mod budget;
mod embedded_limits;
mod families;
mod histories;
mod peers_pages;
mod rearm_at_size;
mod simulation;
