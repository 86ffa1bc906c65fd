//! The latest data of a znode, for ever.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use zk_client::{Client, Stat, Watch};

use crate::error::{Error, Result};
use crate::follow::{Followed, follow};
use crate::latest::Latest;

/// The data of a znode at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataState<T = Bytes> {
    /// The znode does not exist.
    Absent,
    /// The znode exists.
    Present {
        /// Its data.
        data: T,
        /// Its stat.
        stat: Stat,
    },
}

/// A stream of a znode's data: what they are now, and then the latest whenever they have changed,
/// the znode has been deleted, or created.
///
/// It yields states, not changes: one that is overtaken before it is read is skipped, and the last
/// one is always yielded. It ends when the client is closed, or after an error of the ensemble.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) {
/// use zk_recipes::{DataState, DataWatch};
///
/// let mut config = DataWatch::new(&zk, "/config");
/// while let Some(state) = config.next().await {
///     match state {
///         Ok(DataState::Present { data, stat }) => println!("version {}: {data:?}", stat.version),
///         Ok(DataState::Absent) => println!("there is none"),
///         Err(error) => println!("{error}"),
///     }
/// }
/// # }
/// ```
///
/// # Losing the connection, losing the session
///
/// The stream goes on by the next connection and in the next session, and yields what has changed
/// meanwhile. What is read after a sync counts, also if the ensemble was restored from a backup
/// meanwhile and its zxids and versions are smaller than before. While there is no connection the stream yields nothing;
/// [`Client::states`] reports that.
///
/// # Znodes
///
/// None, so nothing of it is seen by others. kazoo's `DataWatch` and Curator's `NodeCache` are the
/// same.
///
/// # Cost
///
/// One task, one watch, and one read for each change, or two if the znode does not exist. After
/// each reconnect, and in each later session, one more read and a sync, which go out together.
///
/// # Cancel safety
///
/// A state that was not read stays until it is, or is overtaken. Dropping the stream removes the
/// watch.
pub struct DataWatch<T = Bytes> {
    path: String,
    latest: Latest<Result<DataState>>,
    decode: Decode<T>,
}

type Decode<T> = Box<dyn Fn(Bytes) -> Result<T, Box<dyn StdError + Send + Sync>> + Send + Sync>;

impl DataWatch {
    /// Watches `path`, which need not exist.
    pub fn new(client: &Client, path: &str) -> Self {
        DataWatch {
            path: path.to_owned(),
            latest: follow(client, path),
            decode: Box::new(Ok),
        }
    }

    /// Yields what `decode` makes of the data. Data that it can make nothing of are an error and not
    /// the end: [`Error::Undecodable`].
    pub fn decode_with<T, E>(
        self,
        decode: impl Fn(Bytes) -> Result<T, E> + Send + Sync + 'static,
    ) -> DataWatch<T>
    where
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        DataWatch {
            path: self.path,
            latest: self.latest,
            decode: Box::new(move |data| decode(data).map_err(Into::into)),
        }
    }

    /// Yields what the data, which are JSON, stand for. Data that are not, or not that, are an error
    /// and not the end: [`Error::Undecodable`]. Needs the feature `serde`.
    #[cfg(feature = "serde")]
    pub fn json<T: serde::de::DeserializeOwned>(self) -> DataWatch<T> {
        self.decode_with(|data| serde_json::from_slice(&data))
    }
}

impl<T> DataWatch<T> {
    /// The next state; `None` at the end.
    ///
    /// # Errors
    /// The path is invalid, or the ensemble refuses to let the znode be read; nothing follows that. Or the data cannot be
    /// decoded; what they are changed to follows.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<DataState<T>>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn decode(&self, state: DataState) -> Result<DataState<T>> {
        let (data, stat) = match state {
            DataState::Absent => return Ok(DataState::Absent),
            DataState::Present { data, stat } => (data, stat),
        };
        match (self.decode)(data) {
            Ok(data) => Ok(DataState::Present { data, stat }),
            Err(source) => Err(Error::Undecodable {
                path: self.path.clone(),
                version: stat.version,
                source,
            }),
        }
    }
}

impl<T> Stream for DataWatch<T> {
    type Item = Result<DataState<T>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let state = Pin::new(&mut self.latest).poll_next(cx);
        state.map(|state| Some(state?.and_then(|state| self.decode(state))))
    }
}

impl<T> fmt::Debug for DataWatch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataWatch")
            .field("path", &self.path)
            .field("latest", &self.latest)
            .finish_non_exhaustive()
    }
}

impl Followed for DataState {
    const ABSENT: Self = DataState::Absent;

    async fn read(client: &Client, path: &str) -> zk_client::Result<(Self, Watch)> {
        let (data, stat, watch) = client.get(path).watch().await?;
        Ok((DataState::Present { data, stat }, watch))
    }

    /// The data were not written since, whatever has become of the children.
    fn is_same(&self, known: &Self) -> bool {
        match (self, known) {
            (
                DataState::Present { data, stat },
                DataState::Present {
                    data: known_data,
                    stat: known,
                },
            ) => {
                let written = |stat: &Stat| (stat.czxid, stat.mzxid, stat.version);
                (data == known_data && written(stat) == written(known))
                    || (zk_proto::seeded_bug!("M1") && stat.mzxid <= known.mzxid)
            }
            (DataState::Absent, DataState::Absent) => true,
            _ => false,
        }
    }
}
