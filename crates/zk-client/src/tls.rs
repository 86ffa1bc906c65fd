//! What a client dials with.

#[cfg(feature = "tls-no-provider")]
use std::sync::Arc;

#[cfg(feature = "tls-no-provider")]
use zk_transport::{Dial, TcpDial, TlsConfig, TlsDial};

#[cfg(feature = "tls-no-provider")]
use crate::error::{Error, Result};

/// Why a service in the DNS cannot be used with these TLS options.
pub(crate) const NAMES_FROM_DNS: &str = "dns-srv:// cannot be used with TLS like this: servers would be \
     verified by names from the DNS, whose answers are not authenticated, so that a forged answer could \
     have the credentials sent to any holder of a certificate of the CA; set TlsConfig::server_name to a \
     name that all servers' certificates are for, or list the servers in the connect string, or, if forged \
     answers are no concern, set TlsConfig::danger_trust_dns_names; a Dial of your own counts as TLS \
     unless its method authenticates_host returns false";

/// How a client with TLS dials.
#[cfg(feature = "tls-no-provider")]
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) dial: TlsDial,
    /// Whether the servers' names come from the DNS.
    pub(crate) names_from_dns: bool,
}

#[cfg(feature = "tls-no-provider")]
impl Tls {
    pub(crate) fn over(
        below: Arc<dyn Dial>,
        config: TlsConfig,
        names_from_dns: bool,
    ) -> Result<Self> {
        // The text is the whole cause, so there is no source.
        let dial = TlsDial::over(below, config)
            .map_err(|error| Error::invalid_argument(error.to_string()))?;
        Ok(Tls {
            dial,
            names_from_dns,
        })
    }

    pub(crate) fn replace(&self, config: TlsConfig) -> Result<Vec<String>> {
        if self.names_from_dns {
            let other = Tls::over(Arc::new(TcpDial::default()), config.clone(), true)?;
            if other.dial.authenticates_host() {
                return Err(Error::invalid_argument(NAMES_FROM_DNS));
            }
        }
        let replaced = self.dial.replace(config);
        replaced.map_err(|error| Error::invalid_argument(error.to_string()))
    }
}
