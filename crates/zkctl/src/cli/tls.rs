//! The options for TLS.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use zk_client::{ClientBuilder, ClientConfig, Passphrase, TlsConfig};

use super::context::references::{References, TLS, TLS_CA, TLS_KEY};
use super::credentials::passphrase;
use super::environment::{CA_PASSPHRASE, PASSPHRASE};
use crate::output::failure::Failure;
use crate::output::terminal::message;

/// Which servers are trusted, and what this program presents to them.
#[derive(Args, Clone)]
#[command(next_help_heading = "Security")]
pub(crate) struct Tls {
    /// Connect with TLS, and trust the CAs, or a server's own certificate, in this file: PEM, DER, PKCS#12
    /// or JKS
    #[arg(long, global = true, value_name = "FILE", env = "ZK_TLS_CA")]
    tls_ca: Option<PathBuf>,
    /// The file whose first line is the passphrase of the key store --tls-ca, in place of the variable
    /// ZK_TLS_CA_PASSPHRASE
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ZK_TLS_CA_PASSPHRASE_FILE"
    )]
    tls_ca_passphrase_file: Option<PathBuf>,
    /// Connect with TLS, and trust the CAs of this system
    #[arg(long, global = true)]
    tls_system_roots: bool,
    /// Connect with TLS, and accept a server only if its certificate has this SHA-256, in hexadecimal
    /// digits; can be repeated. Without a CA, nothing else of the certificate is verified
    #[arg(long, global = true, value_name = "SHA256")]
    tls_pin: Vec<String>,
    /// Connect with TLS, and accept a server only if its certificate is in this file, PEM or DER
    #[arg(long, global = true, value_name = "FILE")]
    tls_pin_file: Option<PathBuf>,
    /// Refuse the certificates that a file of revocation lists names; needs a CA
    #[arg(long, global = true, value_name = "FILE")]
    tls_crl: Option<PathBuf>,
    /// The oldest version of TLS to accept, 1.2 unless given
    #[arg(long, global = true, value_name = "VERSION", value_parser = ["1.2", "1.3"])]
    tls_min_version: Option<String>,
    /// The certificate of this client, as a file in PEM or DER
    #[arg(long, global = true, value_name = "FILE", env = "ZK_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert, as a file in PEM or DER
    #[arg(long, global = true, value_name = "FILE", env = "ZK_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// The certificate and the key of this client, as a key store in PKCS#12 or JKS, or as one file in PEM
    #[arg(long, global = true, value_name = "FILE", env = "ZK_TLS_STORE")]
    tls_store: Option<PathBuf>,
    /// The alias of the key in --tls-store, if there are several
    #[arg(long, global = true, value_name = "NAME", env = "ZK_TLS_ALIAS")]
    tls_alias: Option<String>,
    /// The file whose first line is the passphrase of --tls-key or --tls-store, in place of the variable
    /// ZK_TLS_PASSPHRASE
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ZK_TLS_PASSPHRASE_FILE"
    )]
    tls_passphrase_file: Option<PathBuf>,
    /// The same of the key in --tls-store, if it has a passphrase of its own
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ZK_TLS_KEY_PASSPHRASE_FILE"
    )]
    tls_key_passphrase_file: Option<PathBuf>,
    /// The name that the servers' certificates must be for, in place of the one in --server
    #[arg(long, global = true, value_name = "NAME", env = "ZK_TLS_SERVER_NAME")]
    tls_server_name: Option<String>,
    /// Accept the certificate of any other host if a CA of --tls-ca issued it
    #[arg(long, global = true)]
    tls_insecure_any_host_name: bool,
    /// Connect with TLS, and accept any server, whatever certificate it presents
    #[arg(long, global = true)]
    tls_insecure_any_certificate: bool,
    /// With a dns-srv:// service, accept the host names in the DNS's answers, which may be forged
    #[arg(long, global = true)]
    tls_insecure_trust_dns: bool,
    /// The servers' URL demands TLS.
    #[arg(skip)]
    secure: bool,
}

impl Tls {
    /// Fills what is left open with the options of a URL.
    pub(crate) fn complete(&mut self, url: &ClientConfig) {
        let text = |value: &mut Option<String>, name: &str| {
            *value = value.take().or_else(|| url.get(name).map(str::to_owned));
        };
        let file = |value: &mut Option<PathBuf>, name: &str| {
            *value = value.take().or_else(|| url.get(name).map(PathBuf::from));
        };
        // The CAs and the pins as groups: those of the URL would be accepted beside the ones given otherwise.
        if self.tls_ca.is_none() && !self.tls_system_roots {
            file(&mut self.tls_ca, "tls_ca");
            file(&mut self.tls_ca_passphrase_file, "tls_ca_passphrase_file");
            self.tls_system_roots = url.get("tls_system_roots") == Some("true");
        }
        if !self.is_pinned() {
            file(&mut self.tls_pin_file, "tls_pin_file");
            let pins = url.get("tls_pin").into_iter();
            let pins = pins.flat_map(|pins| pins.split(','));
            self.tls_pin = pins.map(|pin| pin.trim().to_owned()).collect();
        }
        file(&mut self.tls_crl, "tls_crl");
        // One certificate: that of the URL, or one given otherwise.
        if self.tls_cert.is_none() && self.tls_key.is_none() && self.tls_store.is_none() {
            file(&mut self.tls_cert, "tls_cert");
            file(&mut self.tls_key, "tls_key");
            self.tls_key = self.tls_key.take().or_else(|| self.tls_cert.clone());
            file(&mut self.tls_store, "tls_store");
            text(&mut self.tls_alias, "tls_alias");
            file(&mut self.tls_passphrase_file, "tls_passphrase_file");
            file(&mut self.tls_key_passphrase_file, "tls_key_passphrase_file");
        }
        text(&mut self.tls_server_name, "tls_server_name");
        text(&mut self.tls_min_version, "tls_min_version");
        self.secure = url.is_secure();
    }

    /// Configures the client with these options.
    pub(crate) fn apply(
        &self,
        builder: ClientBuilder,
        server: &str,
        references: &References,
    ) -> Result<ClientBuilder, Failure> {
        let usage = |text: &str| Err(Failure::Usage(text.to_owned()));
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return usage("--tls-cert and --tls-key go together");
        }
        if self.tls_cert.is_some() && self.tls_store.is_some() {
            return usage("give --tls-cert and --tls-key, or --tls-store, and not both");
        }
        let trusts = self.tls_ca.is_some()
            || self.tls_system_roots
            || self.is_pinned()
            || self.tls_insecure_any_certificate;
        if !trusts {
            let other = self.tls_cert.is_some()
                || self.tls_store.is_some()
                || self.tls_server_name.is_some()
                || self.tls_crl.is_some()
                || self.tls_min_version.is_some()
                || self.secure
                || self.tls_insecure_any_host_name
                || self.tls_insecure_trust_dns;
            if other {
                return usage(
                    "TLS needs --tls-ca, the CA that issued the servers' certificates, or --tls-pin, or \
                     --tls-system-roots",
                );
            }
            return Ok(builder);
        }
        let has_ca = self.tls_ca.is_some() || self.tls_system_roots;
        if self.tls_crl.is_some() && !has_ca && !self.tls_insecure_any_certificate {
            return usage(
                "--tls-crl needs --tls-ca or --tls-system-roots: with --tls-pin alone, revocation lists have \
                 no effect",
            );
        }
        let by_name = self.tls_server_name.is_none()
            && !self.tls_insecure_any_host_name
            && !self.tls_insecure_any_certificate
            && !self.tls_insecure_trust_dns
            && !self.is_pinned();
        if by_name && server.trim_start().starts_with("dns-srv:") {
            return usage(
                "dns-srv:// with TLS needs --tls-server-name, a name that all servers' certificates \
                 are for: the names in the DNS are not authenticated; or list the servers in --server; \
                 or, if forged answers are no concern, give --tls-insecure-trust-dns",
            );
        }
        let config = self.config(references)?;
        let notes = match config.check() {
            Ok(skipped) => skipped,
            // The error itself is reported when the client connects.
            Err(error) if error.to_string().contains("no passphrase was given") => vec![
                "a passphrase is read from the file of --tls-passphrase-file (for --tls-ca of \
                 --tls-ca-passphrase-file), or from the variable ZK_TLS_PASSPHRASE \
                 (ZK_TLS_CA_PASSPHRASE)"
                    .to_owned(),
            ],
            Err(_) => Vec::new(),
        };
        for note in notes {
            // If standard error is closed, nothing can show it.
            let _ = writeln!(io::stderr(), "zkctl: {}", message(&note));
        }
        Ok(builder.tls(config))
    }

    fn config(&self, references: &References) -> Result<TlsConfig, Failure> {
        let mut config = self.pinned(TlsConfig::new());
        if let Some(ca) = &self.tls_ca {
            let option = "--tls-ca-passphrase-file (ZK_TLS_CA_PASSPHRASE_FILE)";
            let file = self.tls_ca_passphrase_file.as_deref();
            let passphrase = passphrase(file, option, CA_PASSPHRASE, references.get(TLS_CA)?)?;
            config = config.ca_store(ca, passphrase.map(Passphrase::new));
        }
        if self.tls_system_roots {
            config = config.system_roots();
        }
        let option = "--tls-passphrase-file (ZK_TLS_PASSPHRASE_FILE)";
        let passphrase = passphrase(
            self.tls_passphrase_file.as_deref(),
            option,
            PASSPHRASE,
            references.get(TLS)?,
        )?;
        let key_passphrase = self.key_passphrase(references)?;
        if let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) {
            config = config.identity_files(certificate, key);
            if let Some(passphrase) = key_passphrase.or(passphrase) {
                config = config.key_passphrase(passphrase);
            }
        } else if let Some(store) = &self.tls_store {
            config = config.identity_store(store, passphrase.unwrap_or_default());
            if let Some(alias) = &self.tls_alias {
                config = config.identity_alias(alias);
            }
            if let Some(passphrase) = key_passphrase {
                config = config.key_passphrase(passphrase);
            }
        }
        if let Some(name) = &self.tls_server_name {
            config = config.server_name(name);
        }
        if self.tls_min_version.as_deref() == Some("1.3") {
            config = config.only_tls13();
        }
        if self.tls_insecure_any_host_name {
            config = config.danger_accept_any_host_name();
        }
        if self.tls_insecure_any_certificate {
            config = config.danger_accept_any_certificate();
        }
        if self.tls_insecure_trust_dns {
            config = config.danger_trust_dns_names();
        }
        Ok(config)
    }

    /// The passphrase of a key in a store with another.
    fn key_passphrase(&self, references: &References) -> Result<Option<String>, Failure> {
        let of_context = references.get(TLS_KEY)?;
        let file = self.tls_key_passphrase_file.as_deref();
        // The variable is that of the other passphrase.
        if file.is_none() && of_context.is_none() {
            return Ok(None);
        }
        let option = "--tls-key-passphrase-file (ZK_TLS_KEY_PASSPHRASE_FILE)";
        passphrase(file, option, PASSPHRASE, of_context)
    }

    fn is_pinned(&self) -> bool {
        !self.tls_pin.is_empty() || self.tls_pin_file.is_some()
    }

    /// With the pins and the revocation lists.
    fn pinned(&self, mut config: TlsConfig) -> TlsConfig {
        for pin in &self.tls_pin {
            config = config.pin_sha256(pin);
        }
        if let Some(file) = &self.tls_pin_file {
            config = config.pin_file(file);
        }
        if let Some(list) = &self.tls_crl {
            config = config.crl_file(list);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Only {
        #[command(flatten)]
        tls: Tls,
    }

    fn completed(options: &[&str], url: &str) -> Tls {
        let arguments = [&["zkctl"], options].concat();
        let Only { mut tls } = Only::try_parse_from(arguments).unwrap();
        tls.complete(&ClientConfig::from_url(url).unwrap());
        tls
    }

    /// What a URL adds to the servers that the command line trusts would be accepted as well.
    #[test]
    fn options_replace_a_group_of_the_url() {
        let (old, new) = ("aa".repeat(32), "bb".repeat(32));
        let of_url = format!("zks://zk1?tls_pin={old},{new}&tls_pin_file=/old.pem");
        let tls = completed(&["--tls-pin", &new], &of_url);
        assert_eq!((tls.tls_pin, tls.tls_pin_file), (vec![new.clone()], None));
        let tls = completed(&["--tls-pin-file", "/new.pem"], &of_url);
        assert_eq!(tls.tls_pin_file.as_deref(), Some(Path::new("/new.pem")));
        assert_eq!(tls.tls_pin, [""; 0]);
        let tls = completed(&[], &of_url);
        assert_eq!(tls.tls_pin_file.as_deref(), Some(Path::new("/old.pem")));
        assert_eq!(tls.tls_pin, [old, new]);

        let of_url = "zks://zk1?tls_ca=/old.p12&tls_ca_passphrase_file=/old.pass&\
                      tls_system_roots=true&tls_crl=/list.pem";
        let tls = completed(&["--tls-ca", "/new.pem"], of_url);
        assert_eq!(tls.tls_ca.as_deref(), Some(Path::new("/new.pem")));
        assert_eq!(
            (tls.tls_ca_passphrase_file, tls.tls_system_roots),
            (None, false)
        );
        // A condition more, and no server more.
        assert_eq!(tls.tls_crl.as_deref(), Some(Path::new("/list.pem")));
        let tls = completed(&["--tls-system-roots"], of_url);
        assert_eq!((tls.tls_ca, tls.tls_ca_passphrase_file), (None, None));
        // The passphrase of the URL's store.
        let tls = completed(&["--tls-ca-passphrase-file", "/new.pass"], of_url);
        assert_eq!(tls.tls_ca.as_deref(), Some(Path::new("/old.p12")));
        let passphrase = tls.tls_ca_passphrase_file.as_deref();
        assert_eq!(passphrase, Some(Path::new("/new.pass")));
        assert!(tls.tls_system_roots);
    }
}
