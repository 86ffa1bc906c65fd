//! The variables that options are read from. An empty variable counts as unset, because that is what
//! `${X:-}` gives in the files of service managers.

use std::env::{self, VarError};

use clap::Command;

use crate::output::failure::Failure;

pub(crate) const SERVER: &str = "ZK_SERVER";
pub(crate) const AUTH: &str = "ZK_AUTH";
pub(crate) const AUTH_FILE: &str = "ZK_AUTH_FILE";
/// The name of the context.
pub(crate) const CONTEXT: &str = "ZKCTL_CONTEXT";
pub(crate) const SASL_PASSWORD: &str = "ZK_SASL_PASSWORD";
/// The passphrase of this client's key or key store.
pub(crate) const PASSPHRASE: &str = "ZK_TLS_PASSPHRASE";
/// The passphrase of the key store with the CAs.
pub(crate) const CA_PASSPHRASE: &str = "ZK_TLS_CA_PASSPHRASE";
/// The superuser of `serve`.
pub(crate) const SUPER: &str = "ZK_SUPER";
/// Variables whose values are secrets. The command of `lock`, `elect` and `watch` does not inherit them.
pub(crate) const SECRET_VARIABLES: [&str; 5] =
    [AUTH, SASL_PASSWORD, PASSPHRASE, CA_PASSPHRASE, SUPER];

/// The value of a variable, unless it is empty.
pub(crate) fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) => Ok((!value.is_empty()).then_some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Failure::Usage(format!("{name} is not UTF-8"))),
    }
}

/// Makes options ignore empty variables, and the help hide the values of variables.
pub(crate) fn ignore_empty_variables(command: Command) -> Command {
    command.mut_args(|arg| {
        let is_empty = arg
            .get_env()
            .and_then(env::var_os)
            .is_some_and(|value| value.is_empty());
        let arg = arg.hide_env_values(true);
        if is_empty {
            arg.env(None::<&'static str>)
        } else {
            arg
        }
    })
}
