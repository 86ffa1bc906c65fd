//! A znode with a value.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use zk_client::{Client, ErrorKind, Outcome, RetryPolicy, Stat};

use super::children::ChildrenWithData;
use super::options::NodeOptions;
use super::value::TypedValue;
use crate::codec::Codec;
use crate::error::{Error, Result};
use crate::paths::check;
use crate::retry::RetryBackoff;
use crate::watch::DataWatch;

/// A znode whose data are a value of type `T`, in the format of a [`Codec`].
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::{Text, TypedNode};
///
/// let limit = TypedNode::<u32>::new(&zk, "/config/limit", Text);
/// limit.set(&10).await?;
/// // Reads, computes and writes again if another client was faster.
/// limit.update(|limit| Some(limit.unwrap_or(10) * 2)).await?;
/// let found = limit.get().await?;
/// assert_eq!(found.map(|found| found.value), Some(20));
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// The znode at `path`, with the data of the codec; its parents, persistent and empty, if they are
/// missing when it is created. The counterpart is a `ModeledFramework` of Curator's `x-async`, which
/// reads and writes the same data with `Json` and, for a model with compression, `Gzip`. kazoo has no
/// counterpart.
///
/// # Cost
///
/// | method | round trips |
/// |---|---|
/// | [`get`](Self::get) | 1 |
/// | [`set`](Self::set) | 1; 2 if the znode does not exist |
/// | [`get_or_insert`](Self::get_or_insert) | 1; 2 if the znode does not exist |
/// | [`update`](Self::update) | 2, and 2 for each time that another client was faster |
/// | [`compare_and_set`](Self::compare_and_set), [`delete`](Self::delete), [`delete_version`](Self::delete_version) | 1 |
/// | [`children`](Self::children) | 2; one more for each further window of 64 children |
///
/// Where parents are missing, two more for each level at most; after a lost reply, one for the read
/// that finds out what happened.
///
/// # Losing the session
///
/// A persistent znode stays. An [ephemeral](NodeOptions::ephemeral) one is deleted by the server, and
/// is not created again: a `PersistentNode` is. A write that is retried is never sent in a session
/// later than the one that it was first sent in, and its outcome is [`Outcome::Unknown`] then; a
/// [`set`](Self::set) or [`delete`](Self::delete) is repeated in the next session.
///
/// # Cancel safety
///
/// A dropped `get` or `children` has no effect. A write on the wire at that moment may take effect.
#[doc(alias = "ModeledFramework")]
pub struct TypedNode<T> {
    client: Client,
    path: String,
    codec: Arc<dyn Codec<T>>,
    options: NodeOptions,
}

impl<T: 'static> TypedNode<T> {
    /// The znode at `path`, which need not exist.
    pub fn new(client: &Client, path: &str, codec: impl Codec<T>) -> Self {
        TypedNode {
            client: client.clone(),
            path: path.to_owned(),
            codec: Arc::new(codec),
            options: NodeOptions::new(),
        }
    }

    pub(super) fn with(
        client: &Client,
        path: String,
        codec: Arc<dyn Codec<T>>,
        options: NodeOptions,
    ) -> Self {
        TypedNode {
            client: client.clone(),
            path,
            codec,
            options,
        }
    }

    /// How the znode is created where it does not exist. Without effect on a znode that exists.
    pub fn options(mut self, options: NodeOptions) -> Self {
        self.options = options;
        self
    }

    /// The znode's path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A child, with the same codec and options.
    pub fn child(&self, name: &str) -> TypedNode<T> {
        TypedNode {
            path: zk_client::path::join(&self.path, name),
            ..self.clone()
        }
    }

    /// The value and the stat; `None` if the znode does not exist.
    ///
    /// # Errors
    /// [`Error::Undecodable`], and those of the read.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn get(&self) -> Result<Option<TypedValue<T>>> {
        match self.client.get(&self.path).await {
            Ok((data, stat)) => self.decoded(&data, stat).map(Some),
            Err(error) if error.kind() == ErrorKind::NoNode => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the value whatever it was, and creates the znode if it does not exist.
    ///
    /// If the reply to a write is lost, the znode is read. Unless it contains this value, it is
    /// written again. So the value is written at least once, and a value that another client
    /// has written during the call may be overwritten twice. To overwrite only what was
    /// read before, use [`update`](Self::update) or [`compare_and_set`](Self::compare_and_set).
    ///
    /// # Errors
    /// [`Error::Unencodable`], and those of the requests.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the znode with the value or without it.
    pub async fn set(&self, value: &T) -> Result<Stat> {
        check(&self.path)?;
        let data = self.encoded(value)?;
        let mut backoff = RetryBackoff::new();
        loop {
            let error = match self.client.set(&self.path, &data).await {
                Ok(stat) => return Ok(stat),
                Err(error) if error.kind() == ErrorKind::NoNode => match self.create(&data).await {
                    Ok(stat) => return Ok(stat),
                    Err(error) if error.kind() == ErrorKind::NodeExists => continue,
                    Err(error) => error,
                },
                Err(error) => error,
            };
            if let Some(stat) = self.found_after(error, &data, &mut backoff).await? {
                return Ok(stat);
            }
        }
    }

    /// The value of the znode; creates it with `value` if it does not exist. The value returned is that
    /// in the ensemble, whichever client has created it.
    ///
    /// # Errors
    /// [`Error::Unencodable`], [`Error::Undecodable`], and those of the requests.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the znode as it was, or created.
    pub async fn get_or_insert(&self, value: &T) -> Result<TypedValue<T>> {
        check(&self.path)?;
        let data = self.encoded(value)?;
        let mut backoff = RetryBackoff::new();
        let mut attempted = false;
        loop {
            // The server may lag behind the one that refused a second creation.
            let read = self.client.get(&self.path);
            let found = match attempted {
                true => read.synced().await,
                false => read.await,
            };
            match found {
                Ok((data, stat)) => return self.decoded(&data, stat),
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) => return Err(error.into()),
            }
            attempted = true;
            match self.create(&data).await {
                Ok(stat) => return self.decoded(&data, stat),
                Err(error) if error.kind() == ErrorKind::NodeExists => {}
                // The next read finds what a creation has left whose reply was lost.
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// Sets the value that `change` computes from the present one, if the znode still has that by then:
    /// compare-and-set. If another client was faster, it starts again, so `change` is called once for
    /// each attempt. It gets `None` if the znode does not exist, which is created then; if it returns
    /// `None`, nothing is written. The output is what the znode contains afterwards.
    ///
    /// Failures without effect are retried. If the reply to a write is lost, the znode is read: if the
    /// write had no effect, it starts again; otherwise the outcome is [`Outcome::Unknown`], also where
    /// the new value is found, since another client may have written the same. So a call that
    /// succeeds has changed the value once, and no call changes it twice: see
    /// [`Client::update`].
    ///
    /// # Errors
    /// [`Error::Undecodable`], if the present data are not a value: nothing is written then.
    /// [`Error::Unencodable`], and those of the requests.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the value as it was, or changed once.
    pub async fn update(
        &self,
        mut change: impl FnMut(Option<T>) -> Option<T>,
    ) -> Result<Option<TypedValue<T>>> {
        check(&self.path)?;
        loop {
            match self.update_existing(&mut change).await {
                Err(error) if error.kind() == Some(ErrorKind::NoNode) => {}
                found => return found.map(Some),
            }
            let Some(value) = change(None) else {
                return Ok(None);
            };
            let data = self.encoded(&value)?;
            if let Some(stat) = self.create_once(&data).await? {
                return Ok(Some(TypedValue::new(value, stat)));
            }
        }
    }

    async fn update_existing(
        &self,
        change: &mut impl FnMut(Option<T>) -> Option<T>,
    ) -> Result<TypedValue<T>> {
        // The error of the codec in the last attempt, and the value that it has computed.
        let (mut failed, mut written) = (None, None);
        let (data, stat) = self
            .client
            .update(&self.path, |data| {
                (failed, written) = (None, None);
                let Ok(value) = self.codec.decode(&Bytes::copy_from_slice(data)) else {
                    // The update returns these data, with their version.
                    failed = Some(Failed::Decode);
                    return None;
                };
                let value = change(Some(value))?;
                let encoded = self.encoded(&value);
                match encoded {
                    Ok(data) => {
                        written = Some(value);
                        Some(data)
                    }
                    Err(error) => {
                        failed = Some(Failed::Encode(error));
                        None
                    }
                }
            })
            .await?;
        match (failed, written) {
            (Some(Failed::Encode(error)), _) => Err(error),
            (Some(Failed::Decode), _) | (None, None) => self.decoded(&data, stat),
            (None, Some(value)) => Ok(TypedValue::new(value, stat)),
        }
    }

    /// Creates the znode unless it exists: `None`. Never creates it twice.
    async fn create_once(&self, data: &Bytes) -> Result<Option<Stat>> {
        let mut backoff = RetryBackoff::new();
        loop {
            let error = match self.create(data).await {
                Ok(stat) => return Ok(Some(stat)),
                Err(error) if error.kind() == ErrorKind::NodeExists => return Ok(None),
                Err(error) => error,
            };
            if is_unknown(&error) {
                return match self.client.exists(&self.path).synced().await {
                    // The creation had no effect.
                    Ok(None) => Ok(None),
                    // Ours, or that of another client: its data may be the same.
                    _ => Err(error.into()),
                };
            }
            backoff.sleep_after(error).await?;
        }
    }

    /// Sets the value if the znode still has the version of `known`; otherwise
    /// [`BadVersion`](ErrorKind::BadVersion). Failures without effect are retried, and an attempt whose
    /// reply was lost is resolved, on the terms of [`Set::retry`](zk_client::Set::retry).
    ///
    /// # Errors
    /// [`Error::Unencodable`], and those of the requests.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the value as it was, or set.
    pub async fn compare_and_set(&self, known: &Stat, value: &T) -> Result<Stat> {
        let data = self.encoded(value)?;
        let set = self.client.set(&self.path, &data).version(known.version);
        Ok(set.retry(&RetryPolicy::default()).await?)
    }

    /// Deletes the znode; one that does not exist is no error. If the reply is lost, it is deleted
    /// again, which may delete a znode that another client has created during the call.
    ///
    /// # Errors
    /// Those of the request, such as that the znode has children.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the znode as it was, or deletes it.
    pub async fn delete(&self) -> Result<()> {
        let mut backoff = RetryBackoff::new();
        loop {
            match self.client.delete(&self.path).await {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(()),
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// Deletes the znode if it still has the version of `known`; otherwise
    /// [`BadVersion`](ErrorKind::BadVersion) or [`NoNode`](ErrorKind::NoNode). An attempt whose reply
    /// was lost is resolved, on the terms of [`Delete::retry`](zk_client::Delete::retry).
    ///
    /// # Errors
    /// Those of the requests.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the znode as it was, or deletes it.
    pub async fn delete_version(&self, known: &Stat) -> Result<()> {
        let delete = self.client.delete(&self.path).version(known.version);
        Ok(delete.retry(&RetryPolicy::default()).await?)
    }

    /// The children with their values, by name, each as it was at some time during the call: see
    /// [`ChildrenWithData`]. None if the znode does not exist.
    ///
    /// # Errors
    /// [`Error::Undecodable`], if the data of one child are not a value; and those of the reads.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn children(&self) -> Result<BTreeMap<String, TypedValue<T>>> {
        let read = match ChildrenWithData::new(&self.client, &self.path).read().await {
            Ok(read) => read,
            Err(error) if error.kind() == Some(ErrorKind::NoNode) => return Ok(BTreeMap::new()),
            Err(error) => return Err(error),
        };
        let decoded = read.children.into_iter().map(|(name, (data, stat))| {
            let path = zk_client::path::join(&self.path, &name);
            Ok((name, TypedValue::decode(&*self.codec, &path, &data, stat)?))
        });
        decoded.collect()
    }

    /// A stream of the value, through reconnects and sessions.
    pub fn watch(&self) -> DataWatch<T> {
        let codec = self.codec.clone();
        DataWatch::new(&self.client, &self.path).decode_with(move |data| codec.decode(&data))
    }

    async fn create(&self, data: &Bytes) -> zk_client::Result<Stat> {
        let created = self.options.create(&self.client, &self.path, data).await?;
        Ok(created.stat)
    }

    /// After a write of `data` that has failed: the stat if the znode contains them, or `None` if the
    /// write may be repeated.
    async fn found_after(
        &self,
        error: zk_client::Error,
        data: &Bytes,
        backoff: &mut RetryBackoff,
    ) -> Result<Option<Stat>> {
        let unknown = is_unknown(&error);
        backoff.sleep_after(error).await?;
        if unknown
            && let Ok((found, stat)) = self.client.get(&self.path).synced().await
            && found == *data
        {
            return Ok(Some(stat));
        }
        Ok(None)
    }

    fn encoded(&self, value: &T) -> Result<Bytes> {
        self.codec
            .encode(value)
            .map_err(|source| Error::Unencodable {
                path: self.path.clone(),
                source,
            })
    }

    fn decoded(&self, data: &Bytes, stat: Stat) -> Result<TypedValue<T>> {
        TypedValue::decode(&*self.codec, &self.path, data, stat)
    }
}

/// Why an attempt at an update writes nothing.
enum Failed {
    Decode,
    Encode(Error),
}

/// Whether a write may have taken effect, and the client can find out.
fn is_unknown(error: &zk_client::Error) -> bool {
    error.outcome() == Outcome::Unknown && error.kind() != ErrorKind::Closed
}

impl<T> Clone for TypedNode<T> {
    fn clone(&self) -> Self {
        TypedNode {
            client: self.client.clone(),
            path: self.path.clone(),
            codec: self.codec.clone(),
            options: self.options.clone(),
        }
    }
}

impl<T> fmt::Debug for TypedNode<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedNode")
            .field("path", &self.path)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
