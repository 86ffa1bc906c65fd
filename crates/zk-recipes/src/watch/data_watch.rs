//! A stream of the latest data of a znode.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use zk_client::{Client, Stat, Watch};

use super::follow::{Followed, StateChange, follow};
use crate::codec::{Codec, CodecError};
use crate::error::{Error, Result};
use crate::latest::Latest;

/// The state of a znode at one time.
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

/// A stream of a znode's data: the present state, and then the latest whenever the data are set or
/// the znode is created or deleted.
///
/// It yields states, not changes: a state that changes before it is read is skipped, and the last
/// state is always yielded. It ends when the client is closed, or after an error of the ensemble.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) {
/// use zk_recipes::{DataState, DataWatch};
///
/// let mut config = DataWatch::new(&zk, "/config");
/// while let Some(state) = config.next().await {
///     match state {
///         Ok(DataState::Present { data, stat }) => println!("version {}: {data:?}", stat.version),
///         Ok(DataState::Absent) => println!("it does not exist"),
///         Err(error) => println!("{error}"),
///     }
/// }
/// # }
/// ```
///
/// One stream has one reader. For any number of them, forward the states to a channel of tokio, which keeps
/// the latest:
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) {
/// use zk_recipes::DataWatch;
///
/// let mut config = DataWatch::new(&zk, "/config");
/// let (sender, latest) = tokio::sync::watch::channel(None);
/// tokio::spawn(async move {
///     while let Some(state) = config.next().await {
///         if sender.send(Some(state)).is_err() {
///             return; // all readers are gone
///         }
///     }
/// });
/// # let _ = latest; }
/// ```
///
/// # Losing the connection or the session
///
/// The stream continues on the next connection and in the next session, and yields what has changed
/// meanwhile. What is read after a sync counts, also if the ensemble was restored from a backup
/// meanwhile and its zxids and versions are smaller than before. While there is no connection the
/// stream yields nothing; [`Client::states`] reports the connection.
///
/// # Znodes
///
/// None. The counterparts are kazoo's `DataWatch` and Curator's `NodeCache`.
///
/// # Cost
///
/// One task, one watch, and one read for each change, or two if the znode does not exist. After
/// each reconnect, and in each later session, one more read and a sync, which are sent together.
///
/// # Cancel safety
///
/// Dropping a [`next`](Self::next) loses nothing: an unread state stays until it is read or replaced.
/// Dropping the stream removes the watch.
#[doc(alias = "NodeCache")]
pub struct DataWatch<T = Bytes> {
    path: String,
    latest: Latest<Result<StateChange<DataState>>>,
    decode: Decode<T>,
}

type Decode<T> = Box<dyn Fn(Bytes) -> Result<T, CodecError> + Send + Sync>;

impl DataWatch {
    /// Watches `path`, which need not exist.
    pub fn new(client: &Client, path: &str) -> Self {
        DataWatch {
            path: path.to_owned(),
            latest: follow(client, path),
            decode: Box::new(Ok),
        }
    }

    /// Yields the data decoded by `decode`. Data that it cannot decode are an error, after which the
    /// stream continues: [`Error::Undecodable`].
    pub fn decode_with<T, E>(
        self,
        decode: impl Fn(Bytes) -> Result<T, E> + Send + Sync + 'static,
    ) -> DataWatch<T>
    where
        E: Into<CodecError>,
    {
        DataWatch {
            path: self.path,
            latest: self.latest,
            decode: Box::new(move |data| decode(data).map_err(Into::into)),
        }
    }

    /// Yields the data decoded by a [`Codec`](crate::Codec). Data that it cannot decode are an error, after
    /// which the stream continues: [`Error::Undecodable`].
    pub fn codec<T>(self, codec: impl Codec<T>) -> DataWatch<T> {
        self.decode_with(move |data| codec.decode(&data))
    }

    /// Yields the data decoded from JSON. Data that are not JSON of a `T` are an error, after which the
    /// stream continues: [`Error::Undecodable`]. Needs the feature `serde`.
    #[cfg(feature = "serde")]
    pub fn json<T: serde::de::DeserializeOwned>(self) -> DataWatch<T> {
        self.decode_with(|data| serde_json::from_slice(&data))
    }
}

impl<T> DataWatch<T> {
    /// The next state; `None` at the end.
    ///
    /// # Errors
    /// The path is invalid, or the ensemble refuses the read: the stream ends after that. Or the data
    /// cannot be decoded: the next state follows.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<DataState<T>>> {
        Some(self.next_change().await?.map(|change| change.state))
    }

    /// The next state, and the event that led to it; `None` at the end. Takes the state from the same
    /// stream as [`next`](Self::next).
    ///
    /// # Errors
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next_change(&mut self) -> Option<Result<StateChange<DataState<T>>>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<StateChange<DataState<T>>>>> {
        let change = Pin::new(&mut self.latest).poll_next(cx);
        change.map(|change| {
            Some(change?.and_then(|StateChange { state, event }| {
                let state = self.decode(state)?;
                Ok(StateChange { state, event })
            }))
        })
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
        let change = self.poll(cx);
        change.map(|change| Some(change?.map(|change| change.state)))
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

    /// Whether the data were not set since, whatever has happened to the children.
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
                data == known_data && written(stat) == written(known)
            }
            (DataState::Absent, DataState::Absent) => true,
            _ => false,
        }
    }
}
