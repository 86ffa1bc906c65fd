//! What older servers do not have, or would only repeat.

mod cancellation;
mod crash;
mod election;
mod ensemble_config;
mod frozen_server;
mod kazoo_barrier;
mod preferred_server;
mod read_only;
mod rearming;
mod split_brain;
mod state_watches;
mod tracing_events;
mod zkctl;
mod zkctl_shell;
