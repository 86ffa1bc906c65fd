//! Putting items into a queue, exactly once as far as that can be decided.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use zk_client::{Client, CreateMode, ErrorKind, Guid, Outcome, path};

use super::change::{Change, millis};
use super::layout::ItemOptions;
use super::line::Line;
use super::places::Places;
use crate::connections::Connections;
use crate::error::{Error, Result};
use crate::retry::RetryBackoff;

/// Puts items into a [`Queue`](crate::Queue); await it. From [`Queue::put`](crate::Queue::put) and
/// [`Queue::put_all`](crate::Queue::put_all).
///
/// A put whose reply is lost is repeated in the same session and not applied twice: it creates the
/// items together with an ephemeral znode of a random name, which exists if an earlier attempt was
/// executed.
///
/// # Errors
/// - A failed request. With [`Outcome::Unknown`], the session ended before the reply arrived, and the
///   items may be in the queue.
/// - [`Error::Unsupported`]: the layout has no place for an option. Nothing was put.
/// - [`Error::TooManyItems`], with [`no_wait`](Self::no_wait). Nothing was put.
///
/// # Cancel safety
/// Dropping the future leaves all items in the queue or none.
#[derive(Debug)]
#[must_use = "puts do nothing unless awaited"]
pub struct Put {
    places: Arc<Places>,
    items: Vec<Bytes>,
    options: ItemOptions,
    no_wait: bool,
}

impl Put {
    pub(super) fn new(places: &Arc<Places>, items: Vec<Bytes>) -> Self {
        Put {
            places: places.clone(),
            items,
            options: ItemOptions::default(),
            no_wait: false,
        }
    }

    /// Sets the priority; the lowest is delivered first. kazoo's layouts have 0 to 999, and
    /// `CuratorPriority` any number.
    pub fn priority(mut self, priority: i32) -> Self {
        self.options.priority = Some(priority);
        self
    }

    /// Delivers the items no earlier than this time, by the consumers' clocks. For `CuratorDelay`.
    pub fn not_before(mut self, time: SystemTime) -> Self {
        self.options.due = Some(millis(time));
        self
    }

    /// Delivers the items after this delay, by the clocks of this program and of the consumers. For
    /// `CuratorDelay`.
    pub fn delay(mut self, delay: Duration) -> Self {
        let due = SystemTime::now().checked_add(delay);
        self.options.due = Some(due.map_or(i64::MAX.unsigned_abs(), millis));
        self
    }

    /// Sets the id by which [`Queue::remove`](crate::Queue::remove) finds the items. For `CuratorId`.
    /// Curator replaces `/` and `|` in it by `_`, and so does this.
    pub fn id(mut self, id: &str) -> Self {
        self.options.id = Some(id.to_owned());
        self
    }

    /// Fails if the queue has its [maximum of items](crate::Queue::max_items), instead of waiting.
    pub fn no_wait(mut self) -> Self {
        self.no_wait = true;
        self
    }

    async fn run(self) -> Result<()> {
        let places = &self.places;
        places.check_path()?;
        let name = places.layout.name(&self.options)?;
        if self.items.is_empty() {
            return Ok(());
        }
        // The place in the line is kept until the items are in the queue and count.
        let _line = self.wait_for_room().await?;
        let path = path::join(&places.directories.entries, &name);
        let payloads = places.layout.payloads(&self.items);
        let mut backoff = RetryBackoff::new();
        loop {
            places.client.connected().await?;
            let lease = places.client.lease();
            let mark = Mark::new(places);
            let mut unknown: Option<zk_client::Error> = None;
            // Attempts of one session: the mark ends with it.
            while lease.deadline().is_some() {
                let mut multi = places.client.multi();
                multi = multi.create_mode(&mark.path, "", CreateMode::Ephemeral);
                for payload in &payloads {
                    multi = multi.create_mode(&path, payload, CreateMode::PersistentSequential);
                }
                let error = match multi.commit().await {
                    Ok(_) => return Ok(()),
                    Err(error) => error,
                };
                match error.kind() {
                    ErrorKind::NodeExists if unknown.is_some() => return Ok(()),
                    ErrorKind::NoNode => {
                        places.ensure().await?;
                    }
                    _ if lease.deadline().is_none() => {
                        if error.outcome() == Outcome::Unknown {
                            unknown = Some(error);
                        } else if !backoff.allows(&error) {
                            return Err(error.into());
                        }
                        break;
                    }
                    _ if error.outcome() == Outcome::Unknown && backoff.allows(&error) => {
                        unknown = Some(error);
                        backoff.sleep().await;
                    }
                    _ => backoff.sleep_after(error).await?,
                }
            }
            if let Some(unknown) = unknown {
                return Err(unknown.into());
            }
        }
    }

    /// Waits until the queue has fewer items than its maximum, if it has one.
    async fn wait_for_room(&self) -> Result<Option<Line>> {
        let Some(max) = self.places.max_items else {
            return Ok(None);
        };
        let limit = usize::try_from(max).unwrap_or(usize::MAX);
        let client = &self.places.client;
        let directory = &self.places.directories.entries;
        let mut connections = Connections::of(client);
        let mut line = Line::new(client, &self.places.directories.put_line);
        let mut backoff = RetryBackoff::new();
        loop {
            // Without the names, as long as there is room.
            let error = match client.exists(directory).await {
                Ok(None) => return Ok(Some(line)),
                Ok(Some(stat)) if i64::from(stat.num_children) < i64::from(max) => {
                    return Ok(Some(line));
                }
                Ok(Some(_)) if self.no_wait => {
                    return Err(Error::TooManyItems {
                        path: self.places.path.clone(),
                        max,
                    });
                }
                Ok(Some(_)) if !line.is_first() => {
                    line.advance().await?;
                    continue;
                }
                Ok(Some(_)) => match client.children(directory).watch().await {
                    Ok((names, _, _)) if names.len() < limit => return Ok(Some(line)),
                    Ok((_, _, watch)) => {
                        backoff.reset();
                        let change = Change::new(&mut connections, [Some(watch), None], None);
                        change.await;
                        continue;
                    }
                    Err(error) if error.kind() == ErrorKind::NoNode => return Ok(Some(line)),
                    Err(error) => error,
                },
                Err(error) => error,
            };
            backoff.sleep_after(error).await?;
        }
    }
}

impl IntoFuture for Put {
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The znode that shows whether a put was executed. Deletes it when it is dropped.
struct Mark {
    client: Client,
    path: String,
}

impl Mark {
    fn new(places: &Places) -> Self {
        Mark {
            client: places.client.clone(),
            path: path::join(&places.directories.puts, &Guid::random().hex()),
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.client.delete(&self.path).guaranteed_ephemeral();
    }
}
