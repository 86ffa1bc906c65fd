//! What an error says about the effect of a request is so, whatever lost the reply: a connection that
//! ends at any byte below TLS, or a server that executes a request and answers with an error.

// What the lints let tests do they do not let their helpers do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod below_tls;
mod misreported;
mod oversize;
mod recipes;
