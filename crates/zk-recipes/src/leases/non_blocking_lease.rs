//! A lease that one program has until a time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use zk_client::{Client, ErrorKind, Guid, OpResult, Outcome, Stat, Zxid, path};

use super::record::{Record, Stored};
use crate::error::{Error, Result};
use crate::guard::{Token, now};
use crate::locks::{Lock, LockGuard};
use crate::paths::check_own;
use crate::queue::{Layout, PlaceId};
use crate::retry::RetryBackoff;

/// A clock that returns the time in UTC.
type Clock = dyn Fn() -> SystemTime + Send + Sync;

/// A lease that one program has until a time on the clock, whether it runs or not: the counterpart of
/// kazoo's `NonBlockingLease`. For a task that should run on one machine at a time, such as one that is
/// started every hour on each of them: those that do not obtain the lease exit.
///
/// It is no [`Lock`](crate::Lock): it outlives sessions and processes, and its end depends on the
/// clocks of all machines.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use std::time::Duration;
/// use zk_recipes::NonBlockingLease;
///
/// // Longer than the hour between two runs, so that the task stays on this machine while it lives.
/// let lease = NonBlockingLease::new(&zk, "/leases/cleanup", Duration::from_secs(70 * 60), "host-1");
/// match lease.try_obtain().await? {
///     Some(obtained) => println!("this machine's until {:?}", obtained.end()),
///     None => println!("{:?} has it", lease.holder().await?),
/// }
/// # Ok(()) }
/// ```
///
/// # Clocks
///
/// The end is a time in UTC, to the second, by the clock of the machine that has obtained the lease;
/// each other machine compares it with its own clock. So two machines whose clocks differ by s seconds
/// can both have the lease for up to s seconds: the one whose clock is ahead obtains it that much
/// before the other's [`is_held`](ObtainedLease::is_held) is false. A clock that is set forward or back
/// while a lease is held adds the same error. Keep the clocks synchronized, stop s seconds before the
/// [end](ObtainedLease::end), or pass on the [token](ObtainedLease::token) to a service that refuses
/// smaller ones: tokens do not depend on clocks.
///
/// An obtained lease is also measured by the monotonic clock, and is over when either has passed its
/// end, so a wall clock that is set back does not prolong it in this process.
///
/// A holder should always use the same duration: a renewal with a shorter one, of which the future was
/// dropped or failed, may have shortened the lease that it has. The duration counts from the moment
/// before the lease is written. The end is rounded down to the
/// second, so a duration of less than a second can be over at once.
///
/// # Znodes
///
/// Those of kazoo: `path/lease_holder`, persistent, with `{"version": 1, "holder": "<identifier>",
/// "end": "<UTC>"}`, and during an attempt a contender for a [`Lock`](crate::Lock) with
/// [kazoo's names](crate::Layout::Kazoo) at `path`. A lease is obtained by deleting the znode and
/// creating it again. kazoo does so in two requests while it holds the lock; here it is one
/// transaction, which fails if the lock is lost. Curator has no counterpart.
///
/// # Cost
///
/// If another program has the lease: a sync and a read in one round trip. Otherwise the lock, two
/// reads, one transaction, and the release of the lock: seven requests in five round trips without
/// contention. Nothing while it is held.
///
/// # Losing the session
///
/// Nothing is lost: the znode belongs to no session. An attempt continues in the next session.
///
/// # After a crash
///
/// The lease stays until its end, whatever becomes of the session, and the next process with the same
/// identifier renews it. A process that dies during an attempt leaves a contender, which goes with its
/// session; if the next process resumes that session, it takes the contender up with the id given to
/// [`adopt_by`](Self::adopt_by). Without an id the contender stays, and no program obtains the lease as
/// long as that session lasts.
///
/// # Cancel safety
///
/// Dropping an attempt leaves no contender. The lease may have been obtained then, and stays until its
/// end; another attempt with the same identifier obtains it again.
#[derive(Clone)]
pub struct NonBlockingLease {
    client: Client,
    path: String,
    duration: Duration,
    identifier: String,
    clock: Arc<Clock>,
    /// Of the turns.
    id: Option<PlaceId>,
}

/// What a lease's znode contains.
struct Found {
    stored: Stored,
    stat: Stat,
}

/// A write of this program whose outcome is unknown.
struct Tried {
    record: Record,
    /// When the znode that it has replaced was created.
    replaced: Option<Zxid>,
}

impl NonBlockingLease {
    /// The lease at `path`, for `duration` from each time that it is obtained. The identifier is the
    /// name of the holder: a holder that obtains the lease again renews it, so no two programs may
    /// have the same. kazoo's default is the host's name.
    pub fn new(
        client: &Client,
        path: &str,
        duration: Duration,
        identifier: impl Into<String>,
    ) -> Self {
        NonBlockingLease {
            client: client.with_deadline(None),
            path: path.to_owned(),
            duration,
            identifier: identifier.into(),
            clock: Arc::new(SystemTime::now),
            id: None,
        }
    }

    /// The clock by which the lease begins and ends; the system's unless given. kazoo's `utcnow`.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// An id by which a process that has resumed the session of an earlier one recognises the contender
    /// that a crash during an attempt has left: see "After a crash" above.
    #[must_use]
    pub fn adopt_by(mut self, id: Guid) -> Self {
        self.id = Some(PlaceId::new(id));
        self
    }

    /// Obtains the lease, or renews it, unless another holder has it by this machine's clock. Waits for
    /// a connection, and for other attempts that are being made, but not for the lease.
    ///
    /// A lease in a later version of the format counts as another holder's, as in kazoo.
    ///
    /// # Errors
    /// - [`Error::Undecodable`]: the znode does not contain a lease.
    /// - [`Error::PlacesLost`]: the attempt lost its contender ten times, each sooner than a session lasts,
    ///   with its session or because another client deleted it.
    /// - The client is closed, or the ensemble refuses the znodes.
    /// - An invalid path, or the root of the ensemble ([`InvalidPath`](ErrorKind::InvalidPath)), or an end
    ///   after the year 9999 ([`Error::Unsupported`]). Nothing was sent.
    ///
    /// After [`PlacesLost`](Error::PlacesLost), and after an error of a client that is closed meanwhile, the
    /// lease may have been obtained, and stays until its end.
    ///
    /// # Cancel safety
    /// Dropping the future leaves no contender. The lease may have been obtained.
    pub async fn try_obtain(&self) -> Result<Option<ObtainedLease>> {
        check_own(&self.client, &self.path)?;
        self.record((self.clock)())?;
        if let Some(found) = self.find(true).await?
            && self.is_others(&found.stored, (self.clock)())
        {
            self.leave_turn().await?;
            return Ok(None);
        }
        loop {
            let turn = self.turn().await?;
            match self.obtain_in(&turn).await {
                // The next turn finds out whether the lease was obtained.
                Err(Error::Lost(_)) => {}
                obtained => {
                    // After an error the release is tried in the background.
                    let obtained = obtained?;
                    turn.release().await?;
                    return Ok(obtained);
                }
            }
        }
    }

    /// The latest holder, also if its lease is over; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Undecodable`] if the znode does not contain a lease, or one in a later version of the
    /// format. Otherwise the read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn holder(&self) -> Result<Option<LeaseHolder>> {
        check_own(&self.client, &self.path)?;
        let Some(found) = self.find(true).await? else {
            return Ok(None);
        };
        match found.stored {
            Stored::Lease(record) => Ok(Some(LeaseHolder {
                identifier: record.holder,
                end: record.end,
                token: Token::of(&found.stat),
            })),
            Stored::LaterVersion => Err(Error::Undecodable {
                path: self.holder_path(),
                version: found.stat.version,
                source: "a later version of the format".into(),
            }),
        }
    }

    /// Whether this holder has the lease by this machine's clock, as far as is stored.
    pub(super) async fn standing(&self) -> Result<Standing> {
        check_own(&self.client, &self.path)?;
        let Some(found) = self.find(true).await? else {
            return Ok(Standing::Free);
        };
        Ok(match found.stored {
            Stored::Lease(record) if record.holder == self.identifier => Standing::Own,
            stored if self.is_others(&stored, (self.clock)()) => Standing::Others,
            _ => Standing::Free,
        })
    }

    fn holder_path(&self) -> String {
        path::join(&self.path, "lease_holder")
    }

    /// The turn among the programs that read and write the lease.
    async fn turn(&self) -> Result<LockGuard> {
        self.lock().acquire().await
    }

    /// Leaves the contender that an earlier process has left, for which the other programs would wait.
    pub(super) async fn leave_turn(&self) -> Result<()> {
        self.lock().queue().leave_own().await
    }

    fn lock(&self) -> Lock {
        let lock = Lock::new(&self.client, &self.path).layout(Layout::Kazoo);
        lock.identifier(&self.identifier).with_id(self.id.clone())
    }

    fn is_others(&self, stored: &Stored, now: SystemTime) -> bool {
        match stored {
            Stored::Lease(record) => record.holder != self.identifier && now < record.end,
            Stored::LaterVersion => true,
        }
    }

    /// A lease from now on.
    fn record(&self, now: SystemTime) -> Result<(Record, Vec<u8>)> {
        let end = now.checked_add(self.duration);
        let record = end.map(|end| Record {
            holder: self.identifier.clone(),
            end,
        });
        let encoded = record.and_then(|record| {
            let data = record.encode()?;
            // As it is read again, to the second.
            match Record::decode(&data) {
                Ok(Stored::Lease(record)) => Some((record, data)),
                _ => None,
            }
        });
        encoded.ok_or(Error::Unsupported(
            "a lease that ends before 1970 or after the year 9999 cannot be written; nothing was sent",
        ))
    }

    async fn find(&self, synced: bool) -> Result<Option<Found>> {
        let path = self.holder_path();
        let mut backoff = RetryBackoff::new();
        loop {
            let get = self.client.get(&path);
            let read = match synced {
                true => get.synced().await,
                false => get.await,
            };
            match read {
                Ok((data, stat)) => {
                    return match Record::decode(&data) {
                        Ok(stored) => Ok(Some(Found { stored, stat })),
                        Err(error) => Err(Error::Undecodable {
                            path,
                            version: stat.version,
                            source: Box::new(error),
                        }),
                    };
                }
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(None),
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    async fn obtain_in(&self, turn: &LockGuard) -> Result<Option<ObtainedLease>> {
        let path = self.holder_path();
        let mut backoff = RetryBackoff::new();
        let mut tried: Option<(Tried, ObtainedLease)> = None;
        loop {
            // The turn has shown this server all that was written in earlier turns.
            let found = self.find(false).await?;
            if let Some((tried, obtained)) = tried.take()
                && let Some(found) = &found
                && tried.has_written(found)
            {
                return Ok(Some(obtained.with_token(&found.stat)));
            }
            let (time, began) = ((self.clock)(), now());
            if found
                .as_ref()
                .is_some_and(|found| self.is_others(&found.stored, time))
            {
                return Ok(None);
            }
            let (record, data) = self.record(time)?;
            let left = record.end.duration_since(time).unwrap_or_default();
            let obtained = ObtainedLease {
                lease: self.clone(),
                end: record.end,
                until: began.checked_add(left).unwrap_or(began),
                token: Token::from(0),
            };
            let mut multi = turn.fenced();
            if let Some(found) = &found {
                multi = multi.delete_version(&path, found.stat.version);
            }
            let error = match multi.create(&path, &data).commit().await {
                Ok(results) => {
                    if let Some(OpResult::Created {
                        stat: Some(stat), ..
                    }) = results.last()
                    {
                        return Ok(Some(obtained.with_token(stat)));
                    }
                    // Servers before 3.9 do not return the stat: it is read.
                    let replaced = found.map(|found| found.stat.czxid);
                    tried = Some((Tried { record, replaced }, obtained));
                    continue;
                }
                Err(Error::Client(error)) => error,
                Err(lost) => return Err(lost),
            };
            match (error.outcome(), error.kind()) {
                (Outcome::Unknown, _) => {
                    let replaced = found.map(|found| found.stat.czxid);
                    tried = Some((Tried { record, replaced }, obtained));
                }
                // A program without the turn has written: an administrator, or a holder of kazoo's
                // that has lost its turn.
                (_, ErrorKind::BadVersion | ErrorKind::NoNode | ErrorKind::NodeExists) => {
                    backoff.sleep().await;
                    continue;
                }
                _ => {}
            }
            backoff.sleep_after(error).await?;
        }
    }
}

/// What is stored about a lease, for one of its holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Own,
    Free,
    Others,
}

impl Tried {
    fn has_written(&self, found: &Found) -> bool {
        let is_same = matches!(&found.stored, Stored::Lease(record) if *record == self.record);
        is_same && self.replaced != Some(found.stat.czxid)
    }
}

impl fmt::Debug for NonBlockingLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NonBlockingLease")
            .field("path", &self.path)
            .field("identifier", &self.identifier)
            .field("duration", &self.duration)
            .finish_non_exhaustive()
    }
}

/// The holder of a lease, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseHolder {
    /// The name of the holder.
    pub identifier: String,
    /// The end of its lease, in UTC and to the second, by the holder's clock.
    pub end: SystemTime,
    /// The lease's token.
    pub token: Token,
}

/// A lease that this program has obtained. Dropping it does nothing: the lease stays until its end.
#[derive(Debug, Clone)]
pub struct ObtainedLease {
    lease: NonBlockingLease,
    end: SystemTime,
    /// The end by the monotonic clock.
    until: Instant,
    token: Token,
}

impl ObtainedLease {
    fn with_token(mut self, stat: &Stat) -> Self {
        self.token = Token::of(stat);
        self
    }

    /// The end, in UTC and to the second, by the clock of this machine.
    pub fn end(&self) -> SystemTime {
        self.end
    }

    /// The time that is left, by the wall clock or by the monotonic clock, whichever is less; zero once
    /// the lease is over. Other machines may have other clocks: see
    /// [`NonBlockingLease`](NonBlockingLease#clocks).
    pub fn remaining(&self) -> Duration {
        let by_wall_clock = self.end.duration_since((self.lease.clock)());
        let by_monotonic_clock = self.until.saturating_duration_since(now());
        by_wall_clock.unwrap_or_default().min(by_monotonic_clock)
    }

    /// Whether the lease is not over: reads the clocks and sends nothing.
    pub fn is_held(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// The path of the lease.
    pub fn path(&self) -> &str {
        &self.lease.path
    }

    /// A number that grows with each lease that is obtained or renewed at the path: the zxid at which
    /// the znode was created. A service that has seen a greater one can refuse this one.
    pub fn token(&self) -> Token {
        self.token
    }

    /// Ends the lease before its time, if it has not been renewed and no other holder has it since.
    /// kazoo has no such method; its programs find the lease free.
    ///
    /// # Errors
    /// The client is closed, or the ensemble refuses; the lease may stay until its end.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the lease until its end, or ends it.
    pub async fn release(self) -> Result<()> {
        let path = self.lease.holder_path();
        loop {
            let turn = self.lease.turn().await?;
            match self.release_in(&turn, &path).await {
                Err(Error::Lost(_)) => {}
                released => {
                    released?;
                    return turn.release().await;
                }
            }
        }
    }

    async fn release_in(&self, turn: &LockGuard, path: &str) -> Result<()> {
        let mut backoff = RetryBackoff::new();
        loop {
            let error = match self.lease.client.exists(path).await {
                Ok(Some(stat)) if Token::of(&stat) == self.token => {
                    let delete = turn.fenced().delete_version(path, stat.version);
                    match delete.commit().await {
                        Ok(_) => return Ok(()),
                        Err(Error::Client(error)) => error,
                        Err(lost) => return Err(lost),
                    }
                }
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::NoNode | ErrorKind::BadVersion => {}
                _ => backoff.sleep_after(error).await?,
            }
        }
    }
}
