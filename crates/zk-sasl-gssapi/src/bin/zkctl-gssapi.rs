//! `zkctl`, with its options for Kerberos in effect.

use std::process::ExitCode;
use std::sync::Arc;

use zk_client::sasl::Login;
use zk_sasl_gssapi::Gssapi;
use zkctl::Kerberos;

fn main() -> ExitCode {
    zkctl::main(Some(login))
}

fn login(options: &Kerberos) -> Arc<dyn Login> {
    let mut login = Gssapi::new();
    if let Some(principal) = &options.principal {
        login = login.principal(principal);
    }
    if let Some(service) = &options.service {
        login = login.service(service);
    }
    if let Some(principal) = &options.server_principal {
        login = login.server_principal(principal);
    }
    if options.exact_host_names {
        login = login.exact_host_names();
    }
    Arc::new(login)
}
