//! The crate `zookeeper-client`.

use std::fs;

use zk_tests::constant::FLOOD;
use zookeeper_client::{
    Acls, AddWatchMode, CreateMode, CreateOptions, LockOptions, LockPrefix, OwnedLockClient,
    PersistentWatcher, TlsOptions,
};

use crate::client::{Client, Locks, Outcome, PATH};
use crate::tls;

pub type ZookeeperClient = zookeeper_client::Client;

fn persistent() -> CreateOptions<'static> {
    CreateMode::Persistent.with_acls(Acls::anyone_all())
}

impl Client for ZookeeperClient {
    type Flood = (ZookeeperClient, PersistentWatcher);

    async fn connect(address: &str) -> Outcome<Self> {
        if let Some(address) = tls::secured(address) {
            // It takes the process's provider; aws-lc-rs is the one that comes with it.
            let provider = zk_client::rustls::crypto::aws_lc_rs::default_provider();
            let _ = provider.install_default();
            let options = TlsOptions::new().with_pem_ca(&fs::read_to_string(tls::ca())?)?;
            let connector = zookeeper_client::Client::connector().with_tls(options);
            return Ok(connector.secure_connect(address).await?);
        }
        Ok(zookeeper_client::Client::connect(address).await?)
    }

    async fn get(&self) -> Outcome<usize> {
        let (data, _) = self.get_data(PATH).await?;
        Ok(data.len())
    }

    async fn get_together(&self, gets: usize) -> Outcome<()> {
        let pending: Vec<_> = (0..gets).map(|_| self.get_data(PATH)).collect();
        for reply in pending {
            reply.await?;
        }
        Ok(())
    }

    async fn set(&self, data: &'static [u8]) -> Outcome<()> {
        self.set_data(PATH, data, None).await?;
        Ok(())
    }

    async fn create(&self, data: &'static [u8]) -> Outcome<()> {
        zookeeper_client::Client::create(self, PATH, data, &persistent()).await?;
        Ok(())
    }

    async fn flood(address: &str) -> Outcome<Self::Flood> {
        let zk = zookeeper_client::Client::connect(address).await?;
        let events = zk.watch(FLOOD, AddWatchMode::Persistent).await?;
        Ok((zk, events))
    }

    async fn events((zk, watcher): &mut Self::Flood, events: usize) -> Outcome<()> {
        zk.set_data(FLOOD, events.to_string().as_bytes(), None)
            .await?;
        for _ in 0..events {
            watcher.changed().await;
        }
        Ok(())
    }

    /// It has no other way, and does not say when the session has ended.
    async fn close(self) -> Outcome<()> {
        Ok(())
    }
}

impl Locks for ZookeeperClient {
    type Guard = OwnedLockClient;

    async fn lock(&self, path: &str) -> Outcome<OwnedLockClient> {
        let prefix = LockPrefix::new_curator(path, "lock-")?;
        let options = LockOptions::new(Acls::anyone_all()).with_ancestor_options(persistent())?;
        Ok(zookeeper_client::Client::lock(self, prefix, b"", options)
            .await?
            .into_owned())
    }

    /// It has no other way, and does not say when the lock is released; the session's next request
    /// comes behind it.
    async fn release(guard: OwnedLockClient) -> Outcome<()> {
        drop(guard);
        Ok(())
    }
}
