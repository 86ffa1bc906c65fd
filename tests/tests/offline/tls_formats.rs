//! Certificates and keys in formats that are not read: the error names the format and the command that
//! converts it.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::fs;
use std::path::PathBuf;

use super::tls_material::{CUT_OFF, input, text};
use crate::common::certificates::Authority;
use zk_client::TlsConfig;
use zk_tests::run_directory::ServerDirectory;

/// Guards: P47.
#[test]
fn other_formats_are_named_with_the_command() {
    let ca = Authority::new("ours");
    let own = ca.issue(&["client"]);
    let base64: String = text("ca.pem")
        .lines()
        .filter(|line| !line.contains('-'))
        .collect();
    let directory = ServerDirectory::create("formats").unwrap();
    let made = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let (empty, bare) = (made("empty.pem", "\n"), made("bare.pem", &base64));
    let (cut, words) = (made("cut.pem", CUT_OFF), made("words.pem", "<html>"));
    let file = input;
    let at = |command: &str, path: &PathBuf| format!("`{command} {}", path.display());
    let checked = |as_what: &str, path: &PathBuf, expected: &[&str]| {
        let tls = match as_what {
            "CA file" => TlsConfig::new().ca_file(path),
            "client certificate" => ca.trusted().identity_files(path, path),
            "revocation list" => ca.trusted().crl_file(path),
            _ => {
                let certificate = made("own.pem", &own.certificate);
                ca.trusted().identity_files(certificate, path)
            }
        };
        let refused = tls.check().unwrap_err().to_string();
        assert!(
            refused.starts_with(&format!("{as_what} {}", path.display())),
            "{refused}"
        );
        for part in expected {
            assert!(refused.contains(part), "{part:?} is not in: {refused}");
        }
    };
    for what in ["CA file", "client certificate"] {
        let as_certificate = |path: &PathBuf, words: &str, command: &str| {
            checked(
                what,
                path,
                &["holds no certificate in PEM", words, &at(command, path)],
            );
        };
        as_certificate(&file("store.jks"), "(JKS)", "keytool -list -rfc -keystore");
        as_certificate(&file("store.p12"), "PKCS#12", "openssl pkcs12 -in");
        as_certificate(
            &file("pkcs7.der"),
            "PKCS#7",
            "openssl pkcs7 -inform DER -print_certs -in",
        );
        as_certificate(
            &file("pkcs7.pem"),
            "PKCS#7",
            "openssl pkcs7 -print_certs -in",
        );
        as_certificate(&bare, "base64", "base64 -d");
        for (path, words) in [
            (&file("request.csr"), "a certificate request"),
            (&file("ca.key"), "but a private key"),
            (&file("key.der"), "a private key in DER"),
            (&file("key-encrypted.der"), "a private key in DER"),
            (&empty, "it is empty"),
            (&words, "holds no certificate in PEM"),
        ] {
            checked(what, path, &["holds no certificate in PEM", words]);
        }
        checked(what, &cut, &["none of its certificates can be used"]);
    }
    let as_key = |path: &PathBuf, words: &str, command: &str| {
        checked(
            "client key",
            path,
            &["holds no private key in PEM", words, &at(command, path)],
        );
    };
    as_key(
        &file("store.jks"),
        "(JKS)",
        "keytool -importkeystore -srckeystore",
    );
    as_key(&file("store.p12"), "-nocerts", "openssl pkcs12 -in");
    as_key(&bare, "base64", "base64 -d");
    checked(
        "client key",
        &file("ca.pem"),
        &["holds no private key", "but a certificate"],
    );
    checked(
        "client key",
        &file("ca.der"),
        &["holds no private key", "a certificate in DER"],
    );
    checked("client key", &empty, &["it is empty"]);
    checked(
        "revocation list",
        &file("ca.pem"),
        &["holds no revocation list", "but a certificate"],
    );
    checked("revocation list", &file("store.p12"), &["PKCS#12"]);
}
