//! The options for Kerberos, and the environment that the library of Kerberos reads.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use clap::Args;
use zk_client::sasl::Login;

use crate::output::failure::Failure;

/// The keytab with which the library fetches tickets.
const KEYTAB: &str = "KRB5_CLIENT_KTNAME";
/// Where the library keeps them.
const CACHE: &str = "KRB5CCNAME";
/// A cache that lives as long as the process.
const OWN_CACHE: &str = "MEMORY:zkctl";
/// Set in a process that has begun again. The values that the variables had before are in variables with
/// this prefix.
const CHANGED: &str = "ZKCTL_CHANGED_ENVIRONMENT";
const SAVED: &str = "ZKCTL_SAVED_";

/// Makes a login with Kerberos.
pub type KerberosLogin = fn(&Kerberos) -> Arc<dyn Login>;

/// How to log in with Kerberos.
#[derive(Args, Debug, Clone, Default)]
#[non_exhaustive]
pub struct Kerberos {
    /// Log in with Kerberos (SASL, GSSAPI): with the ticket cache that KRB5CCNAME names, or with
    /// --kerberos-keytab. Only zkctl-gssapi can
    #[arg(long, global = true, env = "ZK_KERBEROS")]
    pub kerberos: bool,
    /// The principal to log in as, in place of the default one of the ticket cache or the keytab
    #[arg(
        long = "kerberos-principal",
        global = true,
        value_name = "NAME",
        env = "ZK_KERBEROS_PRINCIPAL"
    )]
    pub principal: Option<String>,
    /// A file with the key of the principal, with which tickets are fetched
    #[arg(
        long = "kerberos-keytab",
        global = true,
        value_name = "FILE",
        env = "ZK_KERBEROS_KEYTAB"
    )]
    pub keytab: Option<PathBuf>,
    /// The service of the servers' principals; zookeeper unless given
    #[arg(
        long = "kerberos-service",
        global = true,
        value_name = "NAME",
        env = "ZK_KERBEROS_SERVICE"
    )]
    pub service: Option<String>,
    /// The principal of all servers, in place of one that is made of the service and the host name
    #[arg(
        long = "kerberos-server-principal",
        global = true,
        value_name = "NAME",
        env = "ZK_KERBEROS_SERVER_PRINCIPAL"
    )]
    pub server_principal: Option<String>,
    /// Take the host names of the servers' principals from --server as they are, and not from the DNS
    #[arg(long = "kerberos-exact-host-names", global = true)]
    pub exact_host_names: bool,
}

impl Kerberos {
    /// Whether to log in with Kerberos. The other options alone do nothing, which is an error on the command
    /// line's part.
    pub(crate) fn is_demanded(&self) -> Result<bool, String> {
        let other = self.principal.is_some()
            || self.keytab.is_some()
            || self.service.is_some()
            || self.server_principal.is_some()
            || self.exact_host_names;
        match (self.kerberos, other) {
            (false, true) => {
                Err("the options for Kerberos need --kerberos (ZK_KERBEROS=true)".to_owned())
            }
            (demanded, _) => Ok(demanded),
        }
    }

    /// The library finds a keytab by variables only, and those of a running process cannot be changed without
    /// `unsafe`. So with a keytab the process begins again (`execve`), with other variables.
    pub(crate) fn enter(&self) -> Result<(), Failure> {
        let Some(keytab) = &self.keytab else {
            return Ok(());
        };
        // The library would report a file that it cannot read as a missing ticket.
        let opened = std::fs::File::open(keytab).and_then(|_| std::path::absolute(keytab));
        let keytab = opened.map_err(|error| {
            let file = keytab.display();
            Failure::Failed(format!("cannot read --kerberos-keytab {file}: {error}"))
        })?;
        let mut value = OsString::from("FILE:");
        value.push(keytab);
        if env::var_os(CHANGED).is_some() {
            return Ok(());
        }
        let program = env::current_exe().map_err(|error| Failure::io("start again", error))?;
        let mut arguments = env::args_os();
        let mut again = Command::new(program);
        if let Some(name) = arguments.next() {
            again.arg0(name);
        }
        again.args(arguments).env(CHANGED, "1");
        for (name, value) in [(KEYTAB, value.as_os_str()), (CACHE, OsStr::new(OWN_CACHE))] {
            if let Some(before) = env::var_os(name) {
                again.env(format!("{SAVED}{name}"), before);
            }
            again.env(name, value);
        }
        // It returns only if it fails.
        Err(Failure::io("start again", again.exec()))
    }
}

/// Gives a command the variables that this process had been started with.
pub(crate) fn restore(command: &mut Command) {
    if env::var_os(CHANGED).is_none() {
        return;
    }
    command.env_remove(CHANGED);
    for name in [KEYTAB, CACHE] {
        let saved = format!("{SAVED}{name}");
        match env::var_os(&saved) {
            Some(before) => command.env(name, before),
            None => command.env_remove(name),
        };
        command.env_remove(saved);
    }
}
