//! The latest data of a znode, for ever.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use zk_client::{Client, Stat, Watch};

use crate::error::Result;
use crate::follow::{Followed, follow};
use crate::latest::Latest;

/// The data of a znode at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataState {
    /// The znode does not exist.
    Absent,
    /// The znode exists.
    Present {
        /// Its data.
        data: Bytes,
        /// Its stat.
        stat: Stat,
    },
}

/// A stream of a znode's data: what they are now, and then the latest whenever they have changed,
/// the znode has been deleted, or created.
///
/// It yields states, not changes: one that is overtaken before it is read is skipped, and the last
/// one is always yielded. It ends when the client is closed, or after an error.
///
/// # Losing the session
///
/// The stream goes on in the next session, and yields what has changed meanwhile. While there is
/// no connection it yields nothing; [`Client::states`] tells that.
///
/// # Cost
///
/// One task, one watch, and one read for each change.
#[derive(Debug)]
pub struct DataWatch {
    latest: Latest<Result<DataState>>,
}

impl DataWatch {
    /// Watches `path`, which need not exist.
    pub fn new(client: &Client, path: &str) -> Self {
        DataWatch {
            latest: follow(client, path),
        }
    }

    /// The next state; `None` at the end.
    ///
    /// # Errors
    /// The ensemble refuses to let the znode be read. Nothing follows an error.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<DataState>> {
        std::future::poll_fn(|cx| Pin::new(&mut self.latest).poll_next(cx)).await
    }
}

impl Stream for DataWatch {
    type Item = Result<DataState>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.latest).poll_next(cx)
    }
}

impl Followed for DataState {
    const ABSENT: Self = DataState::Absent;

    async fn read(client: &Client, path: &str) -> zk_client::Result<(Self, Watch)> {
        let (data, stat, watch) = client.get(path).watch().await?;
        Ok((DataState::Present { data, stat }, watch))
    }

    /// The same transaction wrote the same data, whatever has become of the children.
    fn is_known(&self, known: &Self) -> bool {
        let written = |state: &Self| match state {
            DataState::Absent => None,
            DataState::Present { stat, .. } => Some(stat.mzxid),
        };
        written(self) == written(known)
    }
}
