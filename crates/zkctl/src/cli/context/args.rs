//! The arguments of `context`.

use clap::{Args, Subcommand};

use super::settings::Row;

#[derive(Subcommand)]
pub(crate) enum ContextCommand {
    /// List the contexts; * marks the one that is used without --context and --server
    List,
    /// Show the settings that a command would have, and where each of them is from
    Show(Show),
    /// Use a context unless --context or --server is given
    Use(Use),
    /// Create or change a context; comments in the file stay
    ///
    /// A setting is an option without the hyphens before it: server=zk1:2181,zk2:2181, tls-ca=/etc/zk/ca.pem,
    /// timeout=5s. In place of secrets a context has where they are, file:PATH, env:VARIABLE or prompt:
    /// sasl-password=prompt, digest-password=env:ZK_OPS, tls-passphrase=file:PATH, and auth=file:PATH with one
    /// SCHEME:CREDENTIAL a line.
    Set(Set),
    /// Delete a context
    Delete(Name),
}

#[derive(Args)]
pub(crate) struct Show {
    /// The context, as with --context
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The settings.
    #[arg(skip)]
    pub(crate) rows: Vec<Row>,
}

#[derive(Args)]
pub(crate) struct Use {
    /// The context
    #[arg(value_name = "NAME", required_unless_present = "none")]
    pub(crate) name: Option<String>,
    /// No context
    #[arg(long, conflicts_with = "name")]
    pub(crate) none: bool,
}

#[derive(Args)]
pub(crate) struct Name {
    /// The context
    pub(crate) name: String,
}

#[derive(Args)]
pub(crate) struct Set {
    /// The context
    pub(crate) name: String,
    /// Settings, such as server=zk1:2181 or protected=true
    #[arg(value_name = "KEY=VALUE", required_unless_present = "unset")]
    pub(crate) settings: Vec<String>,
    /// Remove a setting; may be given several times
    #[arg(long, value_name = "KEY")]
    pub(crate) unset: Vec<String>,
}
