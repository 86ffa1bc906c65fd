//! Logins that succeed, and as which identity.

use zk_client::{Acl, ErrorKind, Permissions};
use zk_sasl_gssapi::Gssapi;

use super::scene::{Tickets, builder, connect, localhost, play, soon};

#[test]
fn a_keytab_logs_in_without_kinit() {
    play(
        "logins::a_keytab_logs_in_without_kinit",
        Tickets::Keytab,
        async |realm| {
            let server = realm.server();
            let hosts = localhost(server.client_port());
            for principal in ["app", "other"] {
                realm.kdc.add(principal, "1h");
                realm.kdc.export(principal, &realm.keytab());
            }
            let app = builder(&hosts).sasl(Gssapi::new().principal("app@ZK.TEST"));
            let app = soon("a connection", app.connect()).await.unwrap();
            let only_app = vec![Acl::new(Permissions::ALL, "sasl", "app@ZK.TEST")];
            app.create("/app", "its").acl(only_app).await.unwrap();
            assert_eq!(app.get("/app").await.unwrap().0, "its");
            // Each client has its own principal, from the same keytab.
            let other = Gssapi::new().principal("other").exact_host_names();
            let other = builder(&hosts).sasl(other).connect();
            let other = soon("a connection", other).await.unwrap();
            let error = other.get("/app").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoAuth);
            other.close().await.unwrap();
            // A ticket serves all logins of its principal.
            let again = builder(&hosts).sasl(Gssapi::new().principal("app@ZK.TEST"));
            let again = soon("a connection", again.connect()).await.unwrap();
            assert_eq!(realm.kdc.issued("app"), 1);
            again.close().await.unwrap();
            app.close().await.unwrap();
        },
    );
}

#[test]
fn a_ticket_cache_logs_in() {
    play(
        "logins::a_ticket_cache_logs_in",
        Tickets::Cache,
        async |realm| {
            let server = realm.server();
            let hosts = localhost(server.client_port());
            let keytab = realm.directory.join("app.keytab");
            realm.kdc.add("app", "1h");
            realm.kdc.export("app", &keytab);
            realm.kdc.kinit("app", &keytab, &[]);
            // The keytab of the environment does not exist.
            assert!(realm.cache().exists() && !realm.keytab().exists());
            let zk = connect(&hosts).await;
            zk.create("/cached", "").await.unwrap();
            zk.close().await.unwrap();
            // One name for all servers.
            let named = Gssapi::new().server_principal("zookeeper/localhost@ZK.TEST");
            let zk = builder(&server.connect_string()).sasl(named).connect();
            let zk = soon("a connection", zk).await.unwrap();
            zk.delete("/cached").await.unwrap();
            zk.close().await.unwrap();
        },
    );
}
