//! What the embedded server does not have: processes, TLS, SASL, other clients.

mod foreign_clients;
mod guide_production;
mod harness;
mod local_sessions;
mod sasl;
mod tls;
