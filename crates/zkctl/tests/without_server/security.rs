//! The options for TLS and SASL, and those in a URL, without a server that has them.

use super::common::{assert_fails, fails};
#[cfg(feature = "tls")]
use super::common::{finish, listener, zkctl};

#[test]
fn incomplete_security_is_a_usage_error() {
    for (arguments, words) in [
        (&["--tls-cert", "c.pem", "ls"][..], &["--tls-key"][..]),
        (
            &["--tls-cert", "c.pem", "--tls-key", "k.pem", "ls"],
            &["--tls-ca"],
        ),
        (&["--tls-insecure-any-host-name", "ls"], &["--tls-ca"]),
        (
            &["--tls-store", "own.p12", "ls"],
            &["--tls-ca", "--tls-pin"],
        ),
        (
            &["--tls-pin", "00", "--tls-crl", "list.pem", "ls"],
            &["--tls-crl", "--tls-ca"],
        ),
        (
            &[
                "--tls-cert",
                "c",
                "--tls-key",
                "k",
                "--tls-store",
                "s",
                "ls",
            ],
            &["not both"],
        ),
        (
            &["--sasl-user", "bob", "ls"],
            &["ZK_SASL_PASSWORD", "--sasl-password-file"],
        ),
        (&["--sasl-password-file", "x", "ls"], &["--sasl-user"]),
        (&["--sasl-realm", "x", "ls"], &["--sasl-user"]),
        (&["--kerberos", "ls"], &["zk-sasl-gssapi", "zkctl-gssapi"]),
        (&["--kerberos-principal", "x", "ls"], &["need --kerberos"]),
        (&["--kerberos-keytab", "x", "ls"], &["need --kerberos"]),
        (&["--sasl-user", "bob ", "ls"], &["white space"]),
    ] {
        assert_fails(arguments, 2, words);
    }
    assert_fails(
        &["--tls-ca", "/no/such/ca.pem", "ls"],
        1,
        &["/no/such/ca.pem"],
    );
    assert_fails(
        &[
            "--sasl-user",
            "bob",
            "--sasl-password-file",
            "/no/such/file",
            "ls",
        ],
        1,
        &["--sasl-password-file", "No such file"],
    );
}

/// Guards: M5.
#[cfg(feature = "tls")]
#[test]
fn names_from_the_dns_need_a_server_name() {
    assert_fails(
        &[
            "--server",
            "dns-srv://_zk._tcp.invalid",
            "--tls-ca",
            "/no/such/ca.pem",
            "ls",
        ],
        2,
        &[
            "--tls-server-name",
            "--tls-insecure-trust-dns",
            "not authenticated",
        ],
    );
    assert_fails(
        &["--server", "zk1", "--tls-insecure-trust-dns", "ls"],
        2,
        &["TLS needs --tls-ca"],
    );
}

/// Guards: P45.
#[cfg(feature = "tls")]
#[test]
fn a_certificate_that_is_skipped_is_named() {
    let inputs = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../zk-transport/tests/inputs/tls/"
    );
    let bundle = std::env::temp_dir().join(format!("zkctl-bundle-{}.pem", std::process::id()));
    let good = std::fs::read_to_string(format!("{inputs}ca.pem")).unwrap();
    let bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&bundle, format!("{good}{bad}")).unwrap();
    let closing = listener(|_| {});
    let server = closing.replace("127.0.0.1", "localhost");
    let arguments = ["--server", &server, "--connect-timeout", "1s", "--tls-ca"];
    let (code, stderr) = fails(&[&arguments[..], &[bundle.to_str().unwrap(), "ls"]].concat());
    std::fs::remove_file(&bundle).unwrap();
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("certificate 2 is refused: it is malformed; it is skipped"),
        "{stderr}"
    );
}

/// Guards: P47.
#[cfg(feature = "tls")]
#[test]
fn key_stores_and_passphrases_are_explained() {
    let formats = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../zk-transport/tests/inputs/tls/formats/"
    );
    let file = |name: &str| format!("{formats}{name}");
    let passphrase = std::env::temp_dir().join(format!("zkctl-passphrase-{}", std::process::id()));
    std::fs::write(&passphrase, "changeit\n").unwrap();
    let passphrase = passphrase.to_str().unwrap();
    let (ca, trust, store, jceks) = (
        file("ec.pem"),
        file("keytool-trust.PKCS12"),
        file("keytool.jks"),
        file("keytool.jceks"),
    );
    let (key, other) = (file("pkcs8-scrypt.key"), file("rsa.pem"));
    let with_key = ["--tls-ca", &ca, "--tls-cert", &ca, "--tls-key", &key];
    let closing = listener(|_| {});
    let server = closing.replace("127.0.0.1", "localhost");
    let connecting = ["--server", &server, "--connect-timeout", "1s"];
    // What is read without an error fails in the handshake, as the server closes.
    let handshake = "closed the connection during the TLS handshake";
    for (arguments, words) in [
        (&["--tls-ca", &trust][..], "no passphrase was given"),
        (
            &["--tls-ca", &trust, "--tls-ca-passphrase-file", passphrase],
            handshake,
        ),
        (
            &["--tls-ca", &trust, "--tls-ca-passphrase-file", &ca],
            "the passphrase is wrong",
        ),
        (
            &["--tls-ca", &ca, "--tls-store", &store],
            "the passphrase is wrong",
        ),
        (
            &["--tls-ca", &ca, "--tls-store", &jceks],
            "keytool -importkeystore",
        ),
        (
            &[
                "--tls-ca",
                &ca,
                "--tls-store",
                &store,
                "--tls-passphrase-file",
                passphrase,
            ],
            handshake,
        ),
        (
            &[
                "--tls-ca",
                &ca,
                "--tls-store",
                &store,
                "--tls-alias",
                "other",
                "--tls-passphrase-file",
                passphrase,
            ],
            "the aliases \"own\"",
        ),
        (&with_key, "--tls-passphrase"),
        (
            &[&with_key[..], &["--tls-passphrase-file", passphrase]].concat(),
            handshake,
        ),
        (&["--tls-pin", "00:11"], "openssl x509 -noout -fingerprint"),
        (&["--tls-pin", &"00".repeat(32)], handshake),
        (&["--tls-insecure-any-certificate"], handshake),
        (
            &[
                "--tls-ca",
                &ca,
                "--tls-cert",
                &other,
                "--tls-key",
                &key,
                "--tls-passphrase-file",
                passphrase,
            ],
            "not the certificate of the private key",
        ),
    ] {
        let (code, stderr) = fails(&[&connecting[..], arguments, &["ls"]].concat());
        assert_eq!(code, 1, "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("changeit"), "{stderr}");
    }
    std::fs::remove_file(passphrase).unwrap();
    // The CAs of the system, by the variables of OpenSSL.
    for (roots, words) in [
        (ca.as_str(), handshake),
        ("/no/such/file", "CAs of the system"),
    ] {
        let mut command = zkctl(&[&connecting[..], &["--tls-system-roots", "ls"]].concat());
        command
            .env("SSL_CERT_FILE", roots)
            .env_remove("SSL_CERT_DIR");
        let output = finish(command);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(words), "{roots}: {stderr}");
    }
}

/// What a URL says counts as an option does.
#[cfg(feature = "tls")]
#[test]
fn a_url_has_the_options_of_tls() {
    let formats = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../zk-transport/tests/inputs/tls/formats/"
    );
    let trust = format!("{formats}keytool-trust.PKCS12");
    let passphrase = std::env::temp_dir().join(format!("zkctl-url-{}", std::process::id()));
    std::fs::write(&passphrase, "changeit\n").unwrap();
    let file = passphrase.display();
    let closing = listener(|_| {}).replace("127.0.0.1", "localhost");
    let handshake = "closed the connection during the TLS handshake";
    for (query, more, words) in [
        (
            format!("?tls_ca={trust}"),
            &[][..],
            "no passphrase was given",
        ),
        (
            format!("?tls_ca={trust}&tls_ca_passphrase_file={file}"),
            &[],
            handshake,
        ),
        // The option on the command line replaces that of the URL.
        (
            format!("?tls_ca={trust}&tls_ca_passphrase_file={file}"),
            &["--tls-ca", "/no/such/ca.pem"],
            "/no/such/ca.pem",
        ),
        (format!("?tls_pin={}", "00".repeat(32)), &[], handshake),
        (
            "?tls_pin=00".to_owned(),
            &[],
            "openssl x509 -noout -fingerprint",
        ),
        (
            "?connect_timeout=1s".to_owned(),
            &["--tls-insecure-any-certificate"],
            handshake,
        ),
    ] {
        let url = format!("zks://{closing}{query}");
        let limit = ["--connect-timeout", "1s", "--server", &url];
        let (code, stderr) = fails(&[&limit[..], more, &["ls"]].concat());
        assert_eq!(code, 1, "{query}: {stderr}");
        assert!(stderr.contains(words), "{query}: {stderr}");
    }
    std::fs::remove_file(passphrase).unwrap();
}

#[test]
fn mistakes_in_a_url_are_usage_errors() {
    for (url, words) in [
        (
            "zk://zk1?timeout=3s",
            &["--server", "no option \"timeout\"", "session_timeout"][..],
        ),
        ("zk://zk1:x", &["--server", "not a port"]),
        ("zk://zk1?session_timeout=3", &["10s"]),
        ("zks://zk1?tls_passphrase=hunter2", &["tls_passphrase_file"]),
        ("zk://zk1?auth=digest:u:hunter2", &["ZK_AUTH or --auth"]),
        #[cfg(feature = "tls")]
        ("zks://zk1", &["TLS needs --tls-ca"]),
        #[cfg(feature = "tls")]
        ("zk://zk1?tls_server_name=zk", &["TLS needs --tls-ca"]),
        #[cfg(not(feature = "tls"))]
        ("zks://zk1", &["TLS"]),
    ] {
        assert_fails(&["--server", url, "ls"], 2, words);
        let (_, stderr) = fails(&["--server", url, "ls"]);
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}
