//! Usage errors without passwords.

use clap::error::{ContextKind, ContextValue};

/// The arguments in whose place a user may have written a password by mistake.
const MAY_HOLD_SECRETS: [&str; 7] = [
    "--server",
    "--auth",
    "--acl",
    "--join",
    "--member",
    "<USER>",
    "[PASSWORD]",
];

/// Hides the value of an argument that may hold a password.
pub(crate) fn without_secrets(mut error: clap::Error) -> clap::Error {
    let may_hold_secret = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => MAY_HOLD_SECRETS
            .iter()
            .any(|name| argument.split(' ').next() == Some(name)),
        _ => false,
    };
    if may_hold_secret {
        let hidden = ContextValue::String("(not shown)".to_owned());
        error.insert(ContextKind::InvalidValue, hidden);
    }
    error
}
