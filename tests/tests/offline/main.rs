//! Tests that need no server of their own machine: the client, the recipes and the embedded server in
//! one process, most of them on tokio's paused clock.

#[path = "../common/mod.rs"]
mod common;

mod addresses;
mod bad_input;
mod cancellation;
mod catalogue;
mod clean_ups;
mod connections;
mod delete_recursive;
mod descendants;
mod fuzz_replay;
mod guide_pages;
mod hosts;
mod lincheck;
mod machine;
mod other_servers;
mod outcomes;
mod placement;
mod read_only;
mod readme;
mod secure_example;
mod server_table;
mod stale_reads;
mod tls;
mod tls_formats;
mod tls_material;
mod tls_names;
mod tls_options;
mod tls_stores;
mod watches;
