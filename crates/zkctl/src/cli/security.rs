//! The options for TLS and SASL.

use std::sync::Arc;

use clap::Args;
use zk_client::sasl::Login;
use zk_client::{ClientBuilder, ClientConfig};

use super::context::references::References;
#[cfg(feature = "sasl")]
use super::credentials::sasl_password;
use super::kerberos::{Kerberos, KerberosLogin};
use crate::output::failure::Failure;

/// How the servers and this program authenticate each other.
#[derive(Args, Clone)]
#[command(next_help_heading = "Security")]
pub(crate) struct Security {
    #[cfg(feature = "tls")]
    #[command(flatten)]
    tls: super::tls::Tls,
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
    /// The realm for --sasl-user; the first that the server offers unless given
    #[cfg(feature = "sasl")]
    #[arg(long, global = true, value_name = "REALM", env = "ZK_SASL_REALM")]
    sasl_realm: Option<String>,
    #[command(flatten)]
    kerberos: Kerberos,
    /// What `kerberos` stands for.
    #[arg(skip)]
    login: Option<Arc<dyn Login>>,
}

impl Security {
    /// Makes the login that `--kerberos` demands. The process may begin again: see [`Kerberos::enter`].
    pub(crate) fn set_kerberos(&mut self, login: Option<KerberosLogin>) -> Result<(), Failure> {
        if !self.kerberos.is_demanded().map_err(Failure::Usage)? {
            return Ok(());
        }
        let login = login.ok_or_else(|| {
            Failure::Usage(
                "this program was built without Kerberos; `cargo install zk-sasl-gssapi --features zkctl` \
                 installs one with it, zkctl-gssapi"
                    .to_owned(),
            )
        })?;
        self.kerberos.enter()?;
        self.login = Some(login(&self.kerberos));
        Ok(())
    }

    /// Fills the options that the command line and the environment leave open.
    pub(crate) fn complete(&mut self, url: &ClientConfig) -> Result<(), Failure> {
        #[cfg(feature = "tls")]
        self.tls.complete(url);
        #[cfg(not(feature = "tls"))]
        if url.is_secure() {
            return Err(Failure::Usage(
                "this program was built without TLS".to_owned(),
            ));
        }
        Ok(())
    }

    /// Configures the client with these options.
    pub(crate) fn apply(
        &self,
        builder: ClientBuilder,
        server: &str,
        references: &References,
    ) -> Result<ClientBuilder, Failure> {
        #[cfg(feature = "tls")]
        let builder = self.tls.apply(builder, server, references)?;
        #[cfg(not(feature = "tls"))]
        let _ = (server, references);
        #[cfg(feature = "sasl")]
        let builder = self.sasl(builder, references)?;
        Ok(match &self.login {
            Some(login) => builder.sasl(Arc::clone(login)),
            None => builder,
        })
    }

    #[cfg(feature = "sasl")]
    fn sasl(
        &self,
        builder: ClientBuilder,
        references: &References,
    ) -> Result<ClientBuilder, Failure> {
        let Some(user) = &self.sasl_user else {
            let needs = |option: &str| Err(Failure::Usage(format!("{option} needs --sasl-user")));
            if self.sasl_password_file.is_some() {
                return needs("--sasl-password-file");
            }
            if self.sasl_realm.is_some() {
                return needs("--sasl-realm");
            }
            return Ok(builder);
        };
        if self.login.is_some() {
            return Err(Failure::Usage(
                "--kerberos and --sasl-user (ZK_SASL_USER) exclude each other".to_owned(),
            ));
        }
        if user.is_empty() || user.trim() != user {
            return Err(Failure::Usage(
                "--sasl-user (ZK_SASL_USER) is empty, or has white space at an end".to_owned(),
            ));
        }
        let password = sasl_password(self.sasl_password_file.as_deref(), references)?;
        let digest = zk_client::sasl::Digest::new(user, password);
        Ok(match &self.sasl_realm {
            Some(realm) => builder.sasl(digest.realm(realm)),
            None => builder.sasl(digest),
        })
    }
}
