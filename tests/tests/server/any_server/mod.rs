//! Requests, watches and sessions as every server has them, Apache 3.4 and Keeper included.

mod bad_input;
mod blocking;
mod chroots;
mod commands;
mod composed;
mod fresh_reads;
mod handover;
mod operations;
mod retry;
mod session;
mod tree_cache;
mod watch_modes;
