//! The crate `tokio-zookeeper`.

use std::pin::Pin;

use futures::future::try_join_all;
use futures::{Stream, StreamExt};
use tokio_zookeeper::{Acl, CreateMode, WatchedEvent, ZooKeeper};
use zk_tests::constant::FLOOD;

use crate::client::{Client, Outcome, PATH};

pub type TokioZookeeper = ZooKeeper;

impl Client for TokioZookeeper {
    type Flood = (
        TokioZookeeper,
        Pin<Box<dyn Stream<Item = WatchedEvent> + Send>>,
    );

    async fn connect(address: &str) -> Outcome<Self> {
        let (zk, _) = ZooKeeper::connect(&address.parse()?).await?;
        Ok(zk)
    }

    async fn get(&self) -> Outcome<usize> {
        let found = self.get_data(PATH).await?;
        let (data, _) = found.ok_or("there is no znode")?;
        Ok(data.len())
    }

    async fn get_together(&self, gets: usize) -> Outcome<()> {
        try_join_all((0..gets).map(|_| self.get_data(PATH))).await?;
        Ok(())
    }

    async fn set(&self, data: &'static [u8]) -> Outcome<()> {
        self.set_data(PATH, None, data).await??;
        Ok(())
    }

    async fn create(&self, data: &'static [u8]) -> Outcome<()> {
        let mode = CreateMode::Persistent;
        ZooKeeper::create(self, PATH, data, Acl::open_unsafe(), mode).await??;
        Ok(())
    }

    /// Its stream yields every event that the server sends.
    async fn flood(address: &str) -> Outcome<Self::Flood> {
        let (zk, events) = ZooKeeper::connect(&address.parse()?).await?;
        Ok((zk, Box::pin(events)))
    }

    async fn events((zk, stream): &mut Self::Flood, events: usize) -> Outcome<()> {
        zk.set_data(FLOOD, None, events.to_string().into_bytes())
            .await??;
        for _ in 0..events {
            stream.next().await.ok_or("the events have ended")?;
        }
        Ok(())
    }

    /// It has no other way, and does not say when the session has ended.
    async fn close(self) -> Outcome<()> {
        Ok(())
    }
}
