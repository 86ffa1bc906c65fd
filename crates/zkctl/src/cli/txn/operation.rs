//! The operations of a transaction.

use std::time::Duration;

use zk_client::{Acl, path};

use crate::output::failure::Failure;

/// An operation of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    /// The znode's data must have this version; it must exist if that is `None`.
    Check {
        path: String,
        version: Option<i32>,
    },
    Create(Create),
    Set {
        path: String,
        data: Vec<u8>,
        version: Option<i32>,
    },
    Delete {
        path: String,
        version: Option<i32>,
    },
}

/// A znode to create.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Create {
    pub(crate) path: String,
    pub(crate) data: Vec<u8>,
    pub(crate) sequential: bool,
    pub(crate) container: bool,
    pub(crate) ttl: Option<Duration>,
    pub(crate) acl: Option<Vec<Acl>>,
}

impl Operation {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Operation::Check { .. } => "check",
            Operation::Create(_) => "create",
            Operation::Set { .. } => "set",
            Operation::Delete { .. } => "delete",
        }
    }

    pub(crate) fn path(&self) -> &str {
        match self {
            Operation::Create(create) => &create.path,
            Operation::Check { path, .. }
            | Operation::Set { path, .. }
            | Operation::Delete { path, .. } => path,
        }
    }
}

/// Checks the path of a znode to create.
pub(super) fn check_path(path: &str, sequential: bool) -> Result<(), String> {
    let valid = match sequential {
        true => path::validate_sequential(path),
        false => path::validate(path),
    };
    valid.map_err(|error| error.to_string())
}

/// The text of a usage error.
pub(super) fn text(failure: Failure) -> String {
    match failure {
        Failure::Usage(text) | Failure::Failed(text) => text,
        _ => String::new(),
    }
}
