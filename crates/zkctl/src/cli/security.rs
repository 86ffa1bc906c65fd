//! The options for TLS and SASL.

#[cfg(feature = "tls")]
use std::io::{self, Write as _};

use clap::Args;
use zk_client::ClientBuilder;

#[cfg(feature = "sasl")]
use super::credentials::sasl_password;
use crate::output::failure::Failure;
#[cfg(feature = "tls")]
use crate::output::terminal::visible;

/// How the servers and this program authenticate each other.
#[derive(Args)]
#[command(next_help_heading = "Security")]
pub(crate) struct Security {
    /// Connect with TLS, and trust the CAs, or a server's own certificate, in this PEM file
    #[cfg(feature = "tls")]
    #[arg(long, global = true, value_name = "FILE", env = "ZK_TLS_CA")]
    tls_ca: Option<std::path::PathBuf>,
    /// The certificate of this client, as a PEM file
    #[cfg(feature = "tls")]
    #[arg(long, global = true, value_name = "FILE", env = "ZK_TLS_CERT")]
    tls_cert: Option<std::path::PathBuf>,
    /// The private key of --tls-cert, as a PEM file that is not encrypted
    #[cfg(feature = "tls")]
    #[arg(long, global = true, value_name = "FILE", env = "ZK_TLS_KEY")]
    tls_key: Option<std::path::PathBuf>,
    /// The name that the servers' certificates must be for, in place of the one in --server
    #[cfg(feature = "tls")]
    #[arg(long, global = true, value_name = "NAME", env = "ZK_TLS_SERVER_NAME")]
    tls_server_name: Option<String>,
    /// Accept the certificate of any other host if a CA of --tls-ca issued it
    #[cfg(feature = "tls")]
    #[arg(long, global = true)]
    tls_insecure_any_host_name: bool,
    /// With a dns-srv:// service, accept the host names in the DNS's answers, which may be forged
    #[cfg(feature = "tls")]
    #[arg(long, global = true)]
    tls_insecure_trust_dns: bool,
    /// Log in with SASL (DIGEST-MD5) as this user; the password is in ZK_SASL_PASSWORD or in the
    /// file that --sasl-password-file names
    #[cfg(feature = "sasl")]
    #[arg(long, global = true, value_name = "USER", env = "ZK_SASL_USER")]
    sasl_user: Option<String>,
    /// The file whose first line is the password for --sasl-user
    #[cfg(feature = "sasl")]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ZK_SASL_PASSWORD_FILE"
    )]
    sasl_password_file: Option<std::path::PathBuf>,
}

impl Security {
    /// Configures the client with these options.
    pub(crate) fn apply(
        &self,
        builder: ClientBuilder,
        server: &str,
    ) -> Result<ClientBuilder, Failure> {
        #[cfg(feature = "tls")]
        let builder = self.tls(builder, server)?;
        #[cfg(not(feature = "tls"))]
        let _ = server;
        #[cfg(feature = "sasl")]
        let builder = self.sasl(builder)?;
        Ok(builder)
    }

    #[cfg(feature = "tls")]
    fn tls(&self, builder: ClientBuilder, server: &str) -> Result<ClientBuilder, Failure> {
        let usage = |text: &str| Err(Failure::Usage(text.to_owned()));
        let identity = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return usage("--tls-cert and --tls-key go together"),
        };
        let Some(ca) = &self.tls_ca else {
            let other = identity.is_some()
                || self.tls_server_name.is_some()
                || self.tls_insecure_any_host_name
                || self.tls_insecure_trust_dns;
            if other {
                return usage("TLS needs --tls-ca: the CA that issued the servers' certificates");
            }
            return Ok(builder);
        };
        let by_name = self.tls_server_name.is_none()
            && !self.tls_insecure_any_host_name
            && !self.tls_insecure_trust_dns;
        if by_name && server.trim_start().starts_with("dns-srv:") {
            return usage(
                "dns-srv:// with TLS needs --tls-server-name, a name that all servers' certificates \
                 are for: the names in the DNS are not authenticated; or list the servers in --server; \
                 or, if forged answers are no concern, give --tls-insecure-trust-dns",
            );
        }
        let mut config = zk_client::TlsConfig::new().ca_file(ca);
        if let Some((certificate, key)) = identity {
            config = config.identity_files(certificate, key);
        }
        if let Some(name) = &self.tls_server_name {
            config = config.server_name(name);
        }
        if self.tls_insecure_any_host_name {
            config = config.danger_accept_any_host_name();
        }
        if self.tls_insecure_trust_dns {
            config = config.danger_trust_dns_names();
        }
        // An error is reported when the client connects.
        for problem in config.check().unwrap_or_default() {
            // If standard error is closed, nothing can show the warning.
            let _ = writeln!(io::stderr(), "zkctl: {}", visible(&problem));
        }
        Ok(builder.tls(config))
    }

    #[cfg(feature = "sasl")]
    fn sasl(&self, builder: ClientBuilder) -> Result<ClientBuilder, Failure> {
        let Some(user) = &self.sasl_user else {
            if self.sasl_password_file.is_some() {
                return Err(Failure::Usage(
                    "--sasl-password-file needs --sasl-user".to_owned(),
                ));
            }
            return Ok(builder);
        };
        if user.is_empty() || user.trim() != user {
            return Err(Failure::Usage(
                "--sasl-user (ZK_SASL_USER) is empty, or has white space at an end".to_owned(),
            ));
        }
        let password = sasl_password(self.sasl_password_file.as_deref())?;
        Ok(builder.sasl_digest(user, password))
    }
}
