//! TLS of `serve`: a CA for one run, and the files from which clients take it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zk_embedded::ServerTls;

use crate::cli::serve::Serve;
use crate::output::failure::Failure;

const CA: &str = "ca.pem";
const CERTIFICATE: &str = "client.pem";
const KEY: &str = "client-key.pem";

/// The certificates, and where those for clients are.
pub(super) struct Tls {
    pub(super) certificates: ServerTls,
    directory: PathBuf,
    requires_client: bool,
}

impl Tls {
    /// Writes the files. `None` if the server is to serve without TLS.
    pub(super) fn new(serve: &Serve, listen: &[SocketAddr]) -> Result<Option<Self>, Failure> {
        let Some(directory) = &serve.tls_dir else {
            return Ok(None);
        };
        let written = write(directory, serve.tls_require_client, listen);
        let failed = |error| {
            let action = format!("write the certificates into {}", directory.display());
            Failure::io(&action, error)
        };
        written.map(Some).map_err(failed)
    }

    /// What clients connect to, with the options for TLS.
    pub(super) fn url(&self, servers: &str) -> String {
        let file = |name| escaped(&self.directory.join(name));
        let mut url = format!("zks://{servers}?tls_ca={}", file(CA));
        if self.requires_client {
            let (certificate, key) = (file(CERTIFICATE), file(KEY));
            url.push_str(&format!("&tls_cert={certificate}&tls_key={key}"));
        }
        url
    }
}

fn write(directory: &Path, requires_client: bool, listen: &[SocketAddr]) -> io::Result<Tls> {
    let mut hosts = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    for address in listen {
        let host = address.ip().to_string();
        if !address.ip().is_unspecified() && !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let mut certificates = ServerTls::generate_for(hosts)?;
    if requires_client {
        certificates = certificates.require_client_certificate();
    }
    fs::create_dir_all(directory)?;
    // Clients may be started in another directory.
    let directory = fs::canonicalize(directory)?;
    replace(&directory.join(CA), certificates.authority_pem(), 0o644)?;
    let certificate = certificates.client_certificate_pem();
    replace(&directory.join(CERTIFICATE), certificate, 0o644)?;
    replace(&directory.join(KEY), certificates.client_key_pem(), 0o600)?;
    Ok(Tls {
        certificates,
        directory,
        requires_client,
    })
}

/// Writes a file of an earlier run again, with the mode of a new one.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

/// A path as the value of an option in a URL.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_values_of_options() {
        let path = Path::new("/tmp/a b/\u{e4}&c%d#e");
        assert_eq!(escaped(path), "/tmp/a%20b/%C3%A4%26c%25d%23e");
    }
}
