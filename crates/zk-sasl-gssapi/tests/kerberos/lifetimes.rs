//! Tickets that expire, and KDCs that restart, while a client holds a lock.

use std::time::Duration;

use zk_client::Client;
use zk_recipes::Lock;
use zk_tests::Proxy;

use super::scene::{Realm, Tickets, connect, localhost, login_failure, play, soon, until};

/// A client behind a proxy that cuts its connections.
struct Scene {
    zk: Client,
    proxy: Proxy,
}

impl Scene {
    async fn begin(address: std::net::SocketAddr) -> Self {
        let proxy = Proxy::start(address).unwrap();
        let zk = connect(&localhost(proxy.address().port())).await;
        Scene { zk, proxy }
    }

    /// Cuts the connection, again and again, until a login fails for this reason.
    async fn until_a_login_fails(&self, reason: &str) {
        until("a login fails", async || {
            self.proxy.cut_all();
            let answer = self
                .zk
                .exists("/")
                .deadline(Duration::from_millis(500))
                .await;
            let failure = answer.err().as_ref().and_then(login_failure);
            failure.is_some_and(|text| text.contains(reason))
        })
        .await;
    }
}

/// The tickets live for three seconds.
fn short_lived(realm: &Realm, keytab: &std::path::Path) {
    realm.kdc.add("app", "3s");
    realm.kdc.export("app", keytab);
}

/// ZOOKEEPER-2139, 4477: every connection logs in with a ticket that is valid then.
#[test]
fn a_keytab_outlives_three_tickets() {
    play(
        "lifetimes::a_keytab_outlives_three_tickets",
        Tickets::Keytab,
        async |realm| {
            let server = realm.server();
            short_lived(&realm, &realm.keytab());
            let Scene { zk, proxy } = Scene::begin(server.address()).await;
            let session = zk.session();
            zk.create("/mine", "").ephemeral().await.unwrap();
            let first = realm.kdc.issued("app");
            until("three more tickets were issued", async || {
                proxy.cut_all();
                soon("a write", zk.exists("/mine")).await.unwrap().unwrap();
                realm.kdc.issued("app") >= first + 3
            })
            .await;
            assert_eq!(zk.session(), session);
            zk.close().await.unwrap();
        },
    );
}

#[test]
fn a_lock_outlives_a_kdc_restart() {
    play(
        "lifetimes::a_lock_outlives_a_kdc_restart",
        Tickets::Keytab,
        async |realm| {
            let server = realm.server();
            short_lived(&realm, &realm.keytab());
            let scene = Scene::begin(server.address()).await;
            let lock = Lock::new(&scene.zk, "/lock");
            let guard = soon("the lock", lock.acquire()).await.unwrap();
            let session = scene.zk.session();
            realm.kdc.stop();
            // Until the ticket has expired, logins need no KDC.
            scene.until_a_login_fails("no KDC has answered").await;
            guard.check().unwrap();
            realm.kdc.restart();
            soon("a reconnect", scene.zk.exists("/")).await.unwrap();
            guard.check().unwrap();
            assert_eq!(scene.zk.session(), session);
            guard.fenced().create("/proof", "").commit().await.unwrap();
            guard.release().await.unwrap();
            scene.zk.close().await.unwrap();
        },
    );
}

#[test]
fn a_lock_outlives_an_expired_ticket() {
    play(
        "lifetimes::a_lock_outlives_an_expired_ticket",
        Tickets::Cache,
        async |realm| {
            let server = realm.server();
            let keytab = realm.directory.join("app.keytab");
            short_lived(&realm, &keytab);
            realm.kdc.kinit("app", &keytab, &[]);
            let scene = Scene::begin(server.address()).await;
            let lock = Lock::new(&scene.zk, "/lock");
            let guard = soon("the lock", lock.acquire()).await.unwrap();
            let session = scene.zk.session();
            until("the ticket has expired", async || !realm.kdc.has_ticket()).await;
            // The connection that has logged in lives on.
            scene.zk.exists("/").await.unwrap();
            guard.check().unwrap();
            scene.until_a_login_fails("run `kinit`").await;
            guard.check().unwrap();
            realm.kdc.kinit("app", &keytab, &[]);
            soon("a reconnect", scene.zk.exists("/")).await.unwrap();
            guard.check().unwrap();
            assert_eq!(scene.zk.session(), session);
            guard.release().await.unwrap();
            scene.zk.close().await.unwrap();
        },
    );
}
