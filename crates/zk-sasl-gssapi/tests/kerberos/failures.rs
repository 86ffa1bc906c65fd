//! Logins that fail, and what the errors say.

use std::time::Duration;

use zk_client::{ErrorKind, SaslError};
use zk_sasl_gssapi::Gssapi;

use super::scene::{Tickets, builder, cause, localhost, login_failure, play, soon, until};

/// Nothing listens there: these logins fail before a server is dialled.
const NOWHERE: &str = "localhost:1";

/// The error of a login that the client tries again until its time is over.
async fn temporary(login: Gssapi) -> String {
    let mut limit = Duration::from_millis(500);
    let mut found = None;
    until("the reason is known", async || {
        let builder = builder(NOWHERE).connect_timeout(limit).sasl(login.clone());
        let error = soon("a failure", builder.connect()).await.unwrap_err();
        assert_ne!(error.kind(), ErrorKind::AuthFailed, "{error}");
        limit *= 2;
        found = login_failure(&error);
        found.is_some()
    })
    .await;
    found.unwrap()
}

/// The error of a login that is not tried again.
async fn permanent(login: Gssapi) -> String {
    let error = builder(NOWHERE).sasl(login).connect();
    let error = soon("a refusal", error).await.unwrap_err();
    let cause = cause(&error);
    assert!(matches!(cause, SaslError::Unusable(_)), "{cause:?}");
    error.to_string()
}

/// All parts are in the text.
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

/// Guards: A34, T5.
#[test]
fn every_refusal_of_the_kdc_is_explained() {
    play(
        "failures::every_refusal_of_the_kdc_is_explained",
        Tickets::Keytab,
        async |realm| {
            let keytab = realm.keytab();
            realm.kdc.add("zookeeper/localhost", "1h");
            for principal in ["app", "ghost", "stale"] {
                realm.kdc.add(principal, "1h");
                realm.kdc.export(principal, &keytab);
            }
            realm.kdc.delete("ghost");
            realm
                .kdc
                .export("stale", &realm.directory.join("newer.keytab"));
            let app = || Gssapi::new().principal("app");

            let text = permanent(Gssapi::new().principal("ghost")).await;
            says(
                &text,
                &[
                    "GSSAPI",
                    "ghost",
                    "not found in Kerberos database",
                    "check the client's principal",
                ],
            );
            let text = permanent(Gssapi::new().principal("stale")).await;
            says(&text, &["stale", "Decrypt integrity check failed", "ktadd"]);
            let text = permanent(app().service("keeper")).await;
            says(
                &text,
                &[
                    "keeper/localhost",
                    "not found in Kerberos database",
                    "exact_host_names()",
                ],
            );
            let text = permanent(app().server_principal("zookeeper/elsewhere@ZK.TEST")).await;
            says(
                &text,
                &[
                    "zookeeper/elsewhere@ZK.TEST",
                    "not found",
                    "server_principal()",
                ],
            );
            let text = permanent(app().server_principal("a/b/c@d@e")).await;
            says(&text, &["a/b/c@d@e", "NAME@REALM"]);
            // A realm that krb5.conf does not have.
            let text = permanent(app().server_principal("zookeeper/localhost@ELSE.TEST")).await;
            says(&text, &["ELSE.TEST"]);
            // No key of it in the keytab, and no ticket in the cache: a `kinit` may follow.
            let text = temporary(Gssapi::new().principal("absent")).await;
            says(
                &text,
                &["absent", "KRB5_CLIENT_KTNAME", "kinit", "tries again"],
            );
            realm.kdc.stop();
            let text = temporary(Gssapi::new().principal("stale")).await;
            says(&text, &["ZK.TEST", "KDC", "krb5.conf"]);
        },
    );
}

#[test]
fn a_missing_or_old_ticket_is_explained() {
    play(
        "failures::a_missing_or_old_ticket_is_explained",
        Tickets::Cache,
        async |realm| {
            let text = temporary(Gssapi::new()).await;
            says(
                &text,
                &["zookeeper/localhost", "run `kinit`", "tries again"],
            );
            let keytab = realm.directory.join("app.keytab");
            realm.kdc.add("zookeeper/localhost", "1h");
            realm.kdc.add("app", "2s");
            realm.kdc.export("app", &keytab);
            realm.kdc.kinit("app", &keytab, &[]);
            until("the ticket has expired", async || !realm.kdc.has_ticket()).await;
            let text = temporary(Gssapi::new()).await;
            says(&text, &["expired", "run `kinit`"]);
            let text = temporary(Gssapi::new().principal("other")).await;
            says(&text, &["other", "run `kinit`"]);
        },
    );
}

/// The server cannot read a ticket that is for another key.
/// Guards: T5.
#[test]
fn a_server_with_an_old_key_is_named() {
    play(
        "failures::a_server_with_an_old_key_is_named",
        Tickets::Keytab,
        async |realm| {
            let server = realm.server();
            realm.kdc.add("app", "1h");
            realm.kdc.export("app", &realm.keytab());
            // From now on, tickets are for a key that the server does not have.
            let newer = realm.directory.join("newer.keytab");
            realm.kdc.export("zookeeper/localhost", &newer);
            let hosts = localhost(server.client_port());
            let connecting = builder(&hosts).sasl(Gssapi::new()).connect();
            let error = soon("a refusal", connecting).await.unwrap_err();
            let text = error.to_string();
            says(&text, &["GSSAPI", "localhost:"]);
            let failure = cause(&error);
            assert!(
                matches!(failure, SaslError::Refused(_) | SaslError::Closed),
                "{failure:?}"
            );
        },
    );
}
