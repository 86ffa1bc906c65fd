//! The client of this repository.

use zk_client::{WatchEvent, WatchMode, WatchStream};
use zk_recipes::{Lock, LockGuard};
use zk_tests::constant::FLOOD;

use crate::client::{Client, Locks, Outcome, PATH};
use crate::tls;

pub type Ours = zk_client::Client;

impl Client for Ours {
    type Flood = (Ours, WatchStream);

    async fn connect(address: &str) -> Outcome<Self> {
        if let Some(address) = tls::secured(address) {
            let config = zk_client::TlsConfig::new().ca_file(tls::ca());
            let builder = zk_client::Client::builder(address).tls(config);
            return Ok(builder.connect().await?);
        }
        Ok(zk_client::Client::connect(address).await?)
    }

    async fn get(&self) -> Outcome<usize> {
        let (data, _) = zk_client::Client::get(self, PATH).await?;
        Ok(data.len())
    }

    async fn get_together(&self, gets: usize) -> Outcome<()> {
        let pending: Vec<_> = (0..gets)
            .map(|_| zk_client::Client::get(self, PATH).submit())
            .collect();
        for reply in pending {
            reply.await?;
        }
        Ok(())
    }

    async fn set(&self, data: &'static [u8]) -> Outcome<()> {
        zk_client::Client::set(self, PATH, data).await?;
        Ok(())
    }

    async fn create(&self, data: &'static [u8]) -> Outcome<()> {
        zk_client::Client::create(self, PATH, data).await?;
        Ok(())
    }

    async fn flood(address: &str) -> Outcome<Self::Flood> {
        let zk = zk_client::Client::connect(address).await?;
        let events = zk.watch(FLOOD, WatchMode::Persistent).await?;
        Ok((zk, events))
    }

    async fn events((zk, stream): &mut Self::Flood, events: usize) -> Outcome<()> {
        zk_client::Client::set(zk, FLOOD, events.to_string()).await?;
        for _ in 0..events {
            match stream.next().await {
                Some(WatchEvent::Node(_)) => {}
                other => return Err(format!("instead of an event: {other:?}").into()),
            }
        }
        Ok(())
    }

    async fn close(self) -> Outcome<()> {
        Ok(zk_client::Client::close(self).await?)
    }
}

impl Locks for Ours {
    type Guard = LockGuard;

    async fn lock(&self, path: &str) -> Outcome<LockGuard> {
        Ok(Lock::new(self, path).acquire().await?)
    }

    async fn release(guard: LockGuard) -> Outcome<()> {
        Ok(guard.release().await?)
    }
}
