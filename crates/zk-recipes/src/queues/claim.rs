//! An item that was taken and is not yet acknowledged.

use std::sync::Arc;

use bytes::Bytes;
use zk_client::{Client, ErrorKind, LeaseLost, Outcome, Stat, Zxid, path};

use super::claim_node::ClaimNode;
use super::item_format;
use super::places::Places;
use crate::error::{Error, Result};
use crate::retry::RetryBackoff;

/// An item of a [`Queue`](crate::Queue), claimed by this consumer until it is acknowledged or released.
///
/// A claim is an ephemeral znode. It lasts through reconnects, and ends with its session: then other
/// consumers get the item. Dropping the claim releases it in the background.
#[derive(Debug)]
#[must_use = "a claim that is dropped is released"]
pub struct Claim {
    places: Arc<Places>,
    node: ClaimNode,
    name: String,
    item: String,
    data: Bytes,
    /// Of the item's znode.
    created: Zxid,
    deliveries: Option<u32>,
}

impl Claim {
    pub(super) fn new(
        places: &Arc<Places>,
        node: ClaimNode,
        name: String,
        (data, stat): (Bytes, Stat),
    ) -> Self {
        Claim {
            places: places.clone(),
            node,
            item: places.item(&name),
            name,
            data,
            created: stat.czxid,
            deliveries: None,
        }
    }

    pub(super) fn set_deliveries(&mut self, deliveries: u32) {
        self.deliveries = Some(deliveries);
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The transaction that has put the item.
    pub(super) fn created(&self) -> Zxid {
        self.created
    }

    /// Whether the claim has ended with its session.
    pub(super) fn is_over(&self) -> bool {
        self.node.is_over()
    }

    /// The data of the item's znode: what was put, or, in a layout of Curator with its item format, the
    /// items as encoded; see [`items`](Self::items).
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// What was put: one item, or, in a layout with Curator's item format, those that were put together.
    ///
    /// # Errors
    /// [`Error::Undecodable`] if the data do not have Curator's item format. The claim still holds;
    /// [`reject`](Self::reject) moves such an item out of the way.
    pub fn items(&self) -> Result<Vec<Bytes>> {
        match self.places.layout.has_item_format() {
            false => Ok(vec![self.data.clone()]),
            true => item_format::decode(&self.data).map_err(|source| Error::Undecodable {
                path: self.item.clone(),
                version: 0,
                source: Box::new(source),
            }),
        }
    }

    /// The path of the item's znode.
    pub fn path(&self) -> &str {
        &self.item
    }

    /// The number of deliveries of the item, with this one, if they are counted: see
    /// [`Queue::max_deliveries`](crate::Queue::max_deliveries).
    pub fn deliveries(&self) -> Option<u32> {
        self.deliveries
    }

    /// Whether the claim can be trusted now. Sends nothing.
    ///
    /// # Errors
    /// [`Error::ClaimLost`]: the session has ended, or the ensemble has not answered for so long that
    /// it may have ended. Another consumer may have the item.
    #[doc(alias = "holds_lock")]
    pub fn check(&self) -> Result<()> {
        self.node.lease.check().map_err(|_| self.lost_error())
    }

    /// Waits until the claim can no longer be trusted.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn lost(&self) -> LeaseLost {
        self.node.lease.lost().await
    }

    /// Acknowledges the item: removes it, together with the claim. Retries until that is done, in the
    /// session of the claim.
    ///
    /// # Errors
    /// - [`Error::ClaimLost`]: the session has ended, or another client deleted the claim. This call has not
    ///   acknowledged the item. It is delivered again, or was already, to a consumer that claimed it after the
    ///   end of this claim.
    /// - [`Error::ItemRemoved`]: another program has removed the item, which happens in the layouts in
    ///   which foreign consumers take no claims.
    /// - A failed request. With [`Outcome::Unknown`], the session ended before the reply arrived. The item
    ///   is gone, acknowledged by this call or by a consumer to which it was delivered again; or the
    ///   servers have not ended the session yet, and may still execute this call.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the item acknowledged or released.
    #[doc(alias = "consume")]
    pub async fn ack(self) -> Result<()> {
        self.finish(false).await
    }

    /// Gives the item back: it is delivered again, to any consumer.
    ///
    /// # Errors
    /// The client is closed, or the ensemble refuses. The claim then ends with its session.
    ///
    /// # Cancel safety
    /// Dropping the future releases the item in the background.
    #[doc(alias = "nack")]
    pub async fn release(self) -> Result<()> {
        self.node.release().await
    }

    /// Moves the item to the dead letters, where [`Queue::dead_letters`](crate::Queue::dead_letters)
    /// finds it.
    ///
    /// # Errors
    /// As [`ack`](Self::ack).
    ///
    /// # Cancel safety
    /// Dropping the future leaves the item moved or released.
    pub async fn reject(self) -> Result<()> {
        self.finish(true).await
    }

    async fn finish(mut self, is_dead: bool) -> Result<()> {
        let client = self.places.client.clone();
        let counter = path::join(&self.places.directories.deliveries, &self.name);
        let mut dead = path::join(&self.places.directories.dead, &self.name);
        let mut counted = self.places.max_deliveries.is_some();
        let mut backoff = RetryBackoff::new();
        let mut unknown: Option<zk_client::Error> = None;
        loop {
            if self.node.is_over() {
                return Err(self.after_session(&client, unknown).await);
            }
            let multi = self.node.in_session.multi();
            let mut multi = multi.delete(&self.item).delete(&self.node.path);
            if is_dead {
                multi = multi.create(&dead, &self.data);
            }
            if counted {
                multi = multi.delete(&counter);
            }
            let error = match multi.commit().await {
                Ok(_) => {
                    self.node.forget();
                    return Ok(());
                }
                Err(error) => error,
            };
            match (error.kind(), error.failed_op()) {
                (ErrorKind::NoNode, Some(0)) => return self.after_removal(unknown).await,
                (ErrorKind::NoNode, Some(1)) => {
                    self.node.forget();
                    return Err(self.lost_error());
                }
                (ErrorKind::NoNode, Some(2)) if is_dead => {
                    let ensured = client.ensure_path(&self.places.directories.dead);
                    ensured.await?;
                }
                // That of an earlier item: see `Queue::dead_letters`. The id of the claim is random.
                (ErrorKind::NodeExists, Some(2)) => {
                    let name = format!("{}-{}", self.name, self.node.id);
                    dead = path::join(&self.places.directories.dead, &name);
                }
                (ErrorKind::NoNode, Some(_)) if counted => counted = false,
                // The loop finds the end of the session.
                (ErrorKind::SessionExpired, _) if self.node.is_over() => {
                    if error.outcome() == Outcome::Unknown {
                        unknown = Some(error);
                    }
                }
                (_, _) if error.outcome() == Outcome::Unknown && backoff.allows(&error) => {
                    unknown = Some(error);
                    backoff.sleep().await;
                }
                _ => backoff.sleep_after(error).await?,
            }
        }
    }

    /// The item is gone: by an earlier attempt, if its outcome is unknown, or by a foreign consumer.
    async fn after_removal(mut self, unknown: Option<zk_client::Error>) -> Result<()> {
        let ended = match unknown {
            Some(_) => self.node.has_ended().await,
            None => Ok(false),
        };
        match (ended, unknown) {
            // An attempt that was executed has deleted the claim, too.
            (Ok(true), Some(_)) if !self.node.is_over() => {
                self.node.forget();
                Ok(())
            }
            (Ok(true) | Err(_), Some(unknown)) => Err(unknown.into()),
            (_, _) => Err(Error::ItemRemoved {
                path: std::mem::take(&mut self.item),
            }),
        }
    }

    /// Why the item is not known to be acknowledged, after the end of the session.
    async fn after_session(&self, client: &Client, unknown: Option<zk_client::Error>) -> Error {
        let Some(unknown) = unknown else {
            return self.lost_error();
        };
        // The client gives a session up before the servers end it. Until then they execute an attempt that
        // is still on its way. The item is read second: without the claim, it is not removed between the
        // two reads.
        if !matches!(self.node.has_ended().await, Ok(true)) {
            return unknown.into();
        }
        match client.exists(&self.item).synced().await {
            Ok(Some(_)) => self.lost_error(),
            _ => unknown.into(),
        }
    }

    fn lost_error(&self) -> Error {
        Error::ClaimLost {
            path: self.item.clone(),
        }
    }
}
