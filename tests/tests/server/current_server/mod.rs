//! What older servers do not have, or would only repeat.

mod cancellation;
mod election;
mod ensemble_config;
mod frozen_server;
mod kazoo_barrier;
mod read_only;
mod rearming;
mod split_brain;
mod state_watches;
mod tracing_events;
mod zkctl;
