//! Contexts: named servers with their options, in a file.
//!
//! An option of the command line replaces a variable, which replaces the context's value, which replaces what is
//! built in. A context that `--context` names replaces variables too. Other servers than a context's do not
//! receive its logins: with `--server` or `ZK_SERVER`, only a context that `--context` names is used.
//!
//! - [`file`]: the file, and its errors. [`keys`]: what a context has. [`references`]: where its secrets are.
//! - [`choice`]: the context of one invocation, and what it adds to the command line.
//! - [`settings`]: where each value is from. [`edit`]: changes of the file. [`args`]: the arguments of `context`.

pub(crate) mod args;
pub(crate) mod choice;
pub(crate) mod edit;
pub(crate) mod file;
mod keys;
pub(crate) mod references;
pub(crate) mod settings;
