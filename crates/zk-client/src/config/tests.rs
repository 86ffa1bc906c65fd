use std::collections::HashMap;

#[cfg(all(feature = "tls-stores", feature = "tls-native-roots"))]
use zk_transport::tls::Passphrase;

use super::*;
use crate::client::Client;
use crate::error::ErrorKind;

fn shown(builder: &ClientBuilder) -> String {
    format!("{builder:?}")
}

fn text_of(error: &Error) -> String {
    let source = std::error::Error::source(error);
    format!(
        "{error} {}",
        source.map(ToString::to_string).unwrap_or_default()
    )
}

fn refused(url: &str) -> String {
    let error = ClientConfig::from_url(url).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    text_of(&error)
}

#[test]
fn a_url_has_servers_and_options() {
    let url = "zk://zk1,zk2:2182/app/x%20y?session_timeout=20s&deadline=none&order=as_given&\
               read_only=true&max_outage=5m&max_connect_attempts=7&session_policy=close";
    let builder = shown(&Client::builder(url));
    for part in [
        "zk1:2181,zk2:2182/app/x y",
        "session_timeout: 20s",
        "deadline: None",
        "AsGiven",
        "read_only: true",
        "max_outage: Some(300s)",
        "max_connect_attempts: Some(7)",
        "policy: Close",
    ] {
        assert!(builder.contains(part), "{part}: {builder}");
    }
    // What is set later counts.
    let later = Client::builder(url).session_timeout(std::time::Duration::from_secs(7));
    assert!(shown(&later).contains("session_timeout: 7s"));
    for empty in ["zk://zk1", "zk://zk1/", "zk://zk1?", "zk://zk1/?&"] {
        assert!(
            shown(&Client::builder(empty)).contains("\"zk1:2181\""),
            "{empty}"
        );
    }
    assert!(shown(&Client::builder("zk://[::1]:2182/a")).contains("[::1]:2182/a"));
}

#[test]
fn errors_of_urls_say_what_to_write() {
    for (url, parts) in [
        (
            "zk://zk1?timeout=3s",
            &["no option \"timeout\"", "session_timeout", "order"][..],
        ),
        ("zk://zk1?session_timeout=3", &["session_timeout", "10s"]),
        ("zk://zk1?order=random", &["order", "first_available"]),
        ("zk://zk1?read_only=yes", &["read_only", "true or false"]),
        ("zk://zk1?read_only", &["without a value"]),
        ("zk://zk1?servers=zk2", &["twice"]),
        ("zk://", &["no host"]),
        ("zk:///app", &["no host"]),
        ("zk://zk1:x", &["not a port"]),
        ("zk://zk1/a%2", &["%25"]),
        ("zk://zk1/a%ff", &["%25"]),
        ("zk://zk1/a#b", &["%23"]),
        ("http://zk1", &["zk:// or zks://"]),
    ] {
        let error = refused(url);
        for part in parts {
            assert!(error.contains(part), "{url}: {error}");
        }
    }
    // The builder reports them at start.
    let error = Client::builder("zk://zk1?timeout=3s").start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(
        error.to_string().contains("no option \"timeout\""),
        "{error}"
    );
}

/// Guards: B75, P27.
#[test]
fn credentials_in_a_url_are_refused() {
    for url in [
        "zk://user:hunter2@zk1:2181",
        "zk://user:hun/ter2@zk1",
        "zk://user:hunter2?x@zk1",
        "zks://hunter2@zk1/app?order=nearest",
        "zk://zk1?auth=digest:user:hunter2",
        "zk://zk1?password=hunter2",
        "zk://zk1?hunter2=1&x",
        "zk://zk1?read_only=hunter2",
        "zk://zk1/?hunter2",
    ] {
        let error = refused(url);
        let secret = if url.contains("hun/") {
            "hun/ter2"
        } else {
            "hunter2"
        };
        if !url.contains("hunter2=1") {
            assert!(!error.contains(secret), "{error}");
        }
        let builder = Client::builder(url);
        assert!(!shown(&builder).contains(secret));
        if !url.contains('&') {
            assert!(!format!("{:?}", builder.start().unwrap_err()).contains(secret));
        }
    }
}

#[cfg(feature = "tls-no-provider")]
#[test]
fn zks_demands_tls() {
    let secure = |builder: &ClientBuilder| !shown(builder).contains("tls: None");
    assert!(secure(&Client::builder("zks://zk1")));
    assert!(!secure(&Client::builder("zk://zk1")));
    assert!(secure(&Client::builder("zk://zk1?tls_ca=/ca.pem")));
    let error = Client::builder("zks://zk1").start().unwrap_err();
    assert!(error.to_string().contains("no CA is given"), "{error}");
    let config = ClientConfig::from_url("zks://zk1").unwrap();
    assert!(config.is_secure() && !ClientConfig::from_url("zk://zk1").unwrap().is_secure());
    for (url, words) in [
        ("zks://zk1?tls_key=/key.pem", &["tls_key", "tls_cert"][..]),
        (
            "zks://zk1?tls_min_version=1.1",
            &["tls_min_version", "1.2 or 1.3"],
        ),
        ("zks://zk1?tls_ca=", &["tls_ca", "not empty"]),
        (
            "zks://zk1?tls_insecure_any_certificate=true",
            &["no option"],
        ),
    ] {
        let error = Client::builder(url).start().unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{url}: {error}");
        }
    }
}

#[cfg(all(feature = "tls-stores", feature = "tls-native-roots"))]
#[test]
fn options_of_tls_are_those_of_tls_config() {
    let pin = "00".repeat(32);
    let url = format!(
        "zks://zk1?tls_ca=/trust.p12&tls_ca_passphrase_file=/trust.pass&tls_system_roots=true&\
         tls_crl=/list.pem&tls_pin={pin},{pin}&tls_pin_file=/pin.pem&tls_store=/own.p12&\
         tls_alias=own&tls_passphrase_file=/own.pass&tls_key_passphrase_file=/key.pass&\
         tls_server_name=zk&tls_min_version=1.3"
    );
    let config = ClientConfig::from_url(&url).unwrap();
    assert_eq!(config.get("tls_alias"), Some("own"));
    assert!(!format!("{config:?}").contains("trust"));
    let ours = shown(&config.builder().unwrap());
    let theirs = zk_transport::TlsConfig::new()
        .ca_store("/trust.p12", Passphrase::file("/trust.pass"))
        .system_roots()
        .crl_file("/list.pem")
        .pin_sha256(&pin)
        .pin_sha256(&pin)
        .pin_file("/pin.pem")
        .identity_store("/own.p12", Passphrase::file("/own.pass"))
        .identity_alias("own")
        .key_passphrase(Passphrase::file("/key.pass"))
        .server_name("zk")
        .only_tls13();
    assert!(ours.contains(&format!("tls: Some({theirs:?})")), "{ours}");
    // An encrypted key has a certificate of its own file.
    let url = "zk://zk1?tls_ca=/ca.pem&tls_cert=/c.pem&tls_key=/k.pem&tls_passphrase_file=/k.pass";
    let ours = shown(&Client::builder(url));
    let theirs = zk_transport::TlsConfig::new()
        .ca_store("/ca.pem", None)
        .identity_files("/c.pem", "/k.pem")
        .key_passphrase(Passphrase::file("/k.pass"));
    assert!(ours.contains(&format!("tls: Some({theirs:?})")), "{ours}");
    for (url, words) in [
        ("zks://zk1?tls_alias=own", &["tls_alias", "tls_store"][..]),
        (
            "zks://zk1?tls_passphrase_file=/p",
            &["tls_cert or tls_store"],
        ),
        ("zks://zk1?tls_ca_passphrase_file=/p", &["without tls_ca"]),
        ("zks://zk1?tls_cert=/c&tls_store=/s", &["one certificate"]),
        ("zks://zk1?tls_system_roots=yes", &["true or false"]),
    ] {
        let error = Client::builder(url).start().unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{url}: {error}");
        }
    }
}

#[cfg(feature = "tls")]
#[test]
fn a_url_with_pins_has_no_revocation_lists() {
    let pin = "00".repeat(32);
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let error = Client::builder(format!("zks://zk1?tls_pin={pin}&tls_crl={list}")).start();
    let error = error.unwrap_err().to_string();
    assert!(error.contains("revocation lists"), "{error}");
}

/// Guards: P27.
#[test]
fn a_passphrase_as_a_value_is_refused() {
    for name in ["tls_passphrase", "tls_ca_passphrase", "tls_key_password"] {
        let error = refused(&format!("zks://zk1?tls_ca=/ca.pem&{name}=hunter2"));
        assert!(
            error.contains(name) && error.contains("tls_passphrase_file"),
            "{error}"
        );
        assert!(!error.contains("hunter2"), "{error}");
        let mut config = ClientConfig::new();
        assert!(
            !config
                .set(name, "hunter2")
                .unwrap_err()
                .to_string()
                .contains("hunter2")
        );
    }
}

#[cfg(not(feature = "tls-no-provider"))]
#[test]
fn tls_needs_its_feature() {
    for url in [
        "zks://zk1",
        "zk://zk1?tls_ca=/ca.pem",
        "zk://zk1?tls_store=/s",
    ] {
        let error = Client::builder(url).start().unwrap_err().to_string();
        assert!(error.contains("needs the feature `tls"), "{error}");
    }
}

#[test]
fn the_environment_has_documented_names() {
    let read = |vars: &[(&str, &str)]| {
        let vars: HashMap<_, _> = vars.iter().copied().collect();
        ClientConfig::read_env(|name| Ok(vars.get(name).map(ToString::to_string)))
    };
    let config = read(&[
        ("ZK_SERVER", "zk1,zk2/app"),
        ("ZK_SESSION_TIMEOUT", "20s"),
        ("ZK_ORDER", ""),
        ("ZK_AUTH", "digest:user:hunter2"),
        ("ZK_OTHER", "ignored"),
    ]);
    let config = config.unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    assert_eq!(config.get("session_timeout"), Some("20s"));
    for none in ["order", "auth", "servers", "tls_ca"] {
        assert_eq!(config.get(none), None);
    }
    let builder = shown(&config.builder().unwrap());
    for part in [
        "zk1:2181,zk2:2181/app",
        "session_timeout: 20s",
        "\"digest\"",
        "Shuffled",
    ] {
        assert!(builder.contains(part), "{part}: {builder}");
    }
    let error = read(&[("ZK_FAIL_EAGERLY", "1")]).unwrap_err().to_string();
    assert!(
        error.contains("ZK_FAIL_EAGERLY") && error.contains("true or false"),
        "{error}"
    );
    let error = read(&[("ZK_AUTH", "hunter2")]).unwrap_err().to_string();
    assert!(
        error.contains("scheme:credentials") && !error.contains("hunter2"),
        "{error}"
    );
    let error = read(&[]).unwrap().builder().unwrap_err().to_string();
    assert!(error.contains("ZK_SERVER"), "{error}");
}

#[test]
fn lists_are_servers_as_well() {
    let hosts: Vec<zk_proto::HostPort> = ["zk1:1", "zk2:2"].map(|it| it.parse().unwrap()).to_vec();
    let whole: zk_proto::ConnectString = "zk1:1,zk2:2".parse().unwrap();
    for list in [
        ServerList::from("zk1:1,zk2:2"),
        hosts.clone().into(),
        hosts.as_slice().into(),
        hosts.iter().cloned().collect(),
        ["zk1:1", "zk2:2"].into(),
        vec!["zk1:1".to_owned(), "zk2:2".to_owned()].into(),
        whole.into(),
    ] {
        assert_eq!(format!("{list:?}"), "\"zk1:1,zk2:2\"");
        assert_eq!(list.hosts().unwrap().hosts, hosts);
    }
    let error = Client::builder(Vec::<zk_proto::HostPort>::new())
        .start()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("empty"), "{error}");
}

#[cfg(feature = "serde")]
#[test]
fn a_file_is_read_by_serde() {
    let read = serde_json::from_str::<ClientConfig>;
    let config = read(
        r#"{"servers": ["zk1", "zk2:2182"], "session_timeout": "20s", "read_only": true,
            "max_outstanding": 9, "auth": ["digest:a:hunter2", "digest:b:hunter3"]}"#,
    );
    let builder = shown(&config.unwrap().builder().unwrap());
    for part in [
        "zk1:2181,zk2:2182",
        "session_timeout: 20s",
        "max_outstanding: 9",
    ] {
        assert!(builder.contains(part), "{part}: {builder}");
    }
    assert!(!builder.contains("hunter"));
    for (text, parts) in [
        (
            r#"{"server": "zk1"}"#,
            &["no option \"server\"", "servers"][..],
        ),
        (r#"{"servers": "zk1:x"}"#, &["not a port"]),
        (r#"{"session_timeout": 20}"#, &["session_timeout", "10s"]),
        (r#"{"read_only": 1.5}"#, &[]),
        (r#"{"auth": "hunter2"}"#, &["scheme:credentials"]),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
        for part in parts {
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}

/// A file may be the base, and what is set on the builder counts.
#[test]
fn a_second_value_replaces_the_first() {
    let mut config = ClientConfig::new().with_servers("zk1");
    config.set("session_timeout", "5s").unwrap();
    config.set("session_timeout", "6s").unwrap();
    assert!(shown(&config.builder().unwrap()).contains("session_timeout: 6s"));
    let error = ClientConfig::new()
        .set("Session_Timeout", "5s")
        .unwrap_err();
    assert!(!error.to_string().contains("Session_Timeout"), "{error}");
}
