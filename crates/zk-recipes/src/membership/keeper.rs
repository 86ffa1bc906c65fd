//! The task of a persistent node: it creates the znode, watches it, creates it again, and deletes it at
//! the end.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use tokio::time::Sleep;
use zk_client::{
    Client, Error, ErrorKind, Outcome, SessionId, Stat, State, StateStream, Watch, Zxid,
};

use super::board::{Board, Closing, End, Present};
use super::claims::{Claims, Finding};
use super::node_state::NodeState;
use super::plan::Plan;
use crate::paths::check_own;
use crate::retry::RetryBackoff;

/// Keeps the znode of one handle.
#[derive(Debug)]
pub(super) struct Keeper {
    /// A background handle: the task does not keep the client open.
    client: Client,
    plan: Plan,
    board: Arc<Board>,
    states: StateStream,
    claims: Claims,
    /// The znode, if it is this node's and its session lasts.
    known: Option<Known>,
    backoff: RetryBackoff,
    /// The delays between deletions of znodes of earlier runs, of which two programs with the same
    /// identity could make an endless series.
    takeovers: RetryBackoff,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    czxid: Zxid,
    session: SessionId,
}

/// What an attempt has found.
enum Found {
    /// The znode is there, and watched.
    Present(Stat, Watch),
    /// Another znode is there, and watched.
    Foreign(Option<SessionId>, Watch),
    /// Nothing, or a ghost that has been deleted. To be looked at again.
    Nothing,
}

/// Why the task ends although the handle exists.
struct Over(Arc<Error>);

impl Keeper {
    pub(super) fn new(client: &Client, plan: Plan, board: Arc<Board>) -> Self {
        let client = client.with_deadline(None).background();
        Keeper {
            states: client.states(),
            claims: Claims::new(plan.mode.is_ephemeral(), plan.unique),
            client,
            plan,
            board,
            known: None,
            backoff: RetryBackoff::new(),
            takeovers: RetryBackoff::new(),
        }
    }

    /// Keeps the znode until the handle is closed, or the client is over.
    pub(super) async fn run(mut self) {
        let kept = match self.check_path() {
            Ok(()) => self.keep().await,
            Err(error) => Err(Over(Arc::new(error))),
        };
        let end = match kept {
            Ok(()) => self.remove().await,
            Err(Over(error)) => Err(error),
        };
        self.board.end(end);
    }

    fn check_path(&self) -> zk_client::Result<()> {
        match self.plan.mode.is_sequential() {
            // The client checks it with the creation.
            true => Ok(()),
            false => check_own(&self.client, &self.plan.path),
        }
    }

    /// Returns when the handle is closed.
    async fn keep(&mut self) -> Result<(), Over> {
        while !self.board.is_closing() {
            match self.attempt().await {
                Ok(Found::Present(stat, watch)) => self.stay(stat, watch).await?,
                Ok(Found::Foreign(owner, watch)) => {
                    self.backoff.reset();
                    let path = self.path();
                    self.board.publish(NodeState::Conflict { path, owner });
                    self.idle(Some(watch)).await;
                }
                Ok(Found::Nothing) => {}
                Err(error) => self.recover(error).await?,
            }
        }
        Ok(())
    }

    /// The path of the znode; of a sequential one without the number, until that is known.
    fn path(&self) -> String {
        let path = self.board.lock().path.clone();
        path.unwrap_or_else(|| self.plan.path.clone())
    }

    /// The znode is present: writes what is to be written, whenever there is something, until anything else
    /// happens.
    async fn stay(&mut self, mut stat: Stat, mut watch: Watch) -> Result<(), Over> {
        loop {
            let path = self.path();
            self.board.publish_present(Present { path, stat });
            match self.write(&mut stat, &mut watch).await {
                Ok(true) => self.backoff.reset(),
                Ok(false) => return Ok(()),
                Err(error) => return self.recover(error).await,
            }
            if !self.wait_for_data(&mut watch).await {
                return Ok(());
            }
        }
    }

    /// Waits for a session. False if the handle is closed before.
    async fn connect(&self) -> zk_client::Result<bool> {
        let mut connected = pin!(self.client.connected());
        poll_fn(|cx| match self.board.poll_task(cx, false) {
            Poll::Ready(()) => Poll::Ready(Ok(false)),
            Poll::Pending => connected.as_mut().poll(cx).map_ok(|()| true),
        })
        .await
    }

    /// Looks for the znode, or creates it.
    async fn attempt(&mut self) -> zk_client::Result<Found> {
        if !self.connect().await? {
            return Ok(Found::Nothing);
        }
        self.handle_states();
        let path = self.path();
        if let Some(known) = self.known {
            let (found, watch) = self.client.exists(&path).watch().await?;
            match found {
                Some(stat) if stat.czxid == known.czxid => {
                    return self.judge(&path, stat, watch).await;
                }
                _ => self.miss(),
            }
        }
        if self.plan.mode.is_sequential() && self.board.lock().path.is_none() {
            return self.create_numbered().await;
        }
        if self.board.is_closing() {
            return Ok(Found::Nothing);
        }
        let (data, number) = self.board.latest();
        if std::mem::take(&mut self.plan.adopting) {
            // An earlier process of this session may have created it.
            self.claims.lose_outcome(self.client.session().id);
        }
        self.claims.attempt(self.client.session().id);
        let creating = self.plan.submit_at(&self.client, &path, &data);
        // Submitted before the answer: the server executes both in order, in one round trip.
        let looking = self.client.exists(&path).watch().submit();
        let created = creating.await;
        let session = self.client.session().id;
        match created {
            Ok(created) => {
                let owner = created.stat.owner().unwrap_or(session);
                self.own(created.stat.czxid, owner);
                self.board.set_written(Some((data, number)), &created.stat);
            }
            Err(error) if error.kind() == ErrorKind::NodeExists => {}
            Err(error) if error.kind() == ErrorKind::NoNode => {
                drop(looking);
                return match self.plan.ensure_parents(&self.client).await? {
                    true => Ok(Found::Nothing),
                    false => Err(error),
                };
            }
            Err(error) => {
                if error.outcome() == Outcome::Unknown {
                    self.claims.lose_outcome(session);
                }
                drop(looking);
                return self.refuse_created(&data, number, error);
            }
        }
        let (found, watch) = looking.await?;
        match found {
            Some(stat) => self.judge(&path, stat, watch).await,
            None => Ok(Found::Nothing),
        }
    }

    /// Creates a sequential znode for the first time.
    async fn create_numbered(&mut self) -> zk_client::Result<Found> {
        let (data, number) = self.board.latest();
        self.claims.attempt(self.client.session().id);
        match self.plan.create_numbered(&self.client, &data).await {
            Ok(created) => {
                let session = self.client.session().id;
                self.board.set_path(&created.path);
                self.own(created.stat.czxid, created.stat.owner().unwrap_or(session));
                self.board.set_written(Some((data, number)), &created.stat);
                Ok(Found::Nothing)
            }
            Err(error) if error.kind() == ErrorKind::NoNode => {
                match self.plan.ensure_parents(&self.client).await? {
                    true => Ok(Found::Nothing),
                    false => Err(error),
                }
            }
            Err(error) => self.refuse_created(&data, number, error),
        }
    }

    /// The creation with this value has failed. If the ensemble refuses the value, another attempt has the
    /// last one that the znode had.
    fn refuse_created(&self, value: &Bytes, number: u64, error: Error) -> zk_client::Result<Found> {
        if !is_refusal_of_data(&error) || !self.board.lock().data.has_other(value) {
            return Err(error);
        }
        self.board.refuse(value, number, &Arc::new(error));
        Ok(Found::Nothing)
    }

    /// The znode with this creation is this node's.
    fn own(&mut self, czxid: Zxid, session: SessionId) {
        self.claims.confirm(session, czxid);
        self.known = Some(Known { czxid, session });
    }

    /// The znode does not exist any more.
    fn miss(&mut self) {
        self.known = None;
        self.board.forget_present();
        self.board.publish(NodeState::Missing);
    }

    /// Finds out whose the znode is.
    async fn judge(&mut self, path: &str, stat: Stat, watch: Watch) -> zk_client::Result<Found> {
        let session = self.client.session().id;
        match self.claims.judge(&stat, session) {
            Finding::Own => {
                if self.known.is_none_or(|known| known.czxid != stat.czxid) {
                    self.own(stat.czxid, session);
                    // Which data it has is not known: they are written.
                    self.board.set_written(None, &stat);
                }
                Ok(Found::Present(stat, watch))
            }
            Finding::Ghost => {
                self.miss();
                let is_known = stat.owner().is_some_and(|it| self.claims.has_attempted(it));
                let found = self.delete_ghost(path, &stat).await?;
                if !is_known {
                    // An earlier process's, or that of a program with the same name that creates it again.
                    self.sleep_before_takeover().await;
                }
                Ok(found)
            }
            Finding::Foreign(owner) => {
                self.known = None;
                // A znode of this session is another node's of this program.
                let is_earlier = owner != Some(self.client.session().id);
                if let Some(earlier_run) = self.plan.earlier_run.clone().filter(|_| is_earlier) {
                    match self.client.get(path).await {
                        Ok((data, found))
                            if found.czxid == stat.czxid && earlier_run.recognizes(&data) =>
                        {
                            let found = self.delete_ghost(path, &found).await?;
                            self.sleep_before_takeover().await;
                            return Ok(found);
                        }
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::NoNode => {
                            return Ok(Found::Nothing);
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(Found::Foreign(owner, watch))
            }
        }
    }

    async fn sleep_before_takeover(&mut self) {
        let delay = self.takeovers.next_delay();
        self.idle_for(delay).await;
    }

    /// Deletes a znode of a session that is over.
    async fn delete_ghost(&self, path: &str, stat: &Stat) -> zk_client::Result<Found> {
        match self.client.delete(path).version(stat.version).await {
            Ok(()) => Ok(Found::Nothing),
            // The servers have deleted it, and perhaps another client has created one.
            Err(error) if matches!(error.kind(), ErrorKind::NoNode | ErrorKind::BadVersion) => {
                Ok(Found::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the latest data, unless the znode has them, and watches it again. False if the znode is another
    /// one by now.
    async fn write(&mut self, stat: &mut Stat, watch: &mut Watch) -> zk_client::Result<bool> {
        while let Some((data, number)) = self.board.unwritten() {
            let path = self.path();
            let set = self.client.set(&path, &data).version(stat.version);
            let set = set.submit();
            // The write uses up the watch; another is submitted before the answer, in one round trip.
            let looking = self.client.exists(&path).watch().submit();
            match set.await {
                Ok(written) if written.czxid == stat.czxid => {
                    self.board.set_written(Some((data, number)), &written);
                    match looking.await? {
                        (Some(found), next) if found.czxid == written.czxid => {
                            (*stat, *watch) = (found, next);
                        }
                        _ => return Ok(false),
                    }
                }
                Ok(_) => return Ok(false),
                Err(error) if matches!(error.kind(), ErrorKind::NoNode | ErrorKind::BadVersion) => {
                    return Ok(false);
                }
                Err(error) if is_refusal(&error) => {
                    drop(looking);
                    let error = Arc::new(error);
                    if !self.board.refuse(&data, number, &error) {
                        self.board.publish(NodeState::Refused(error));
                        let delay = self.backoff.next_delay();
                        self.idle_for(delay).await;
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Waits until another attempt may succeed.
    ///
    /// # Errors
    /// The client is over, or no attempt can succeed.
    async fn recover(&mut self, error: Error) -> Result<(), Over> {
        self.board.forget_present();
        match error.kind() {
            ErrorKind::Closed | ErrorKind::AuthFailed => return Err(Over(Arc::new(error))),
            ErrorKind::InvalidPath | ErrorKind::InvalidArgument => {
                return Err(Over(Arc::new(error)));
            }
            ErrorKind::SessionExpired => {
                // Waits for the next session, or fails with the reason why there is none.
                self.handle_states();
                self.connect()
                    .await
                    .map_err(|error| Over(Arc::new(error)))?;
            }
            // A state reports the next server, which may have a quorum.
            ErrorKind::ReadOnly => {
                self.idle(None).await;
                return Ok(());
            }
            _ if is_refusal(&error) => {
                self.board.publish(NodeState::Refused(Arc::new(error)));
                // A server may refuse by ending the connection: the next one is no reason to hurry.
                let delay = self.backoff.next_delay();
                self.sleep_unless_closed(delay).await;
                return Ok(());
            }
            _ => {}
        }
        let delay = self.backoff.next_delay();
        self.idle_for(delay).await;
        Ok(())
    }

    /// Waits for new data of a znode that is present: true. False if anything else happens before.
    async fn wait_for_data(&mut self, watch: &mut Watch) -> bool {
        poll_fn(|cx| {
            // An event, a gap, or the end of the session.
            if Pin::new(&mut *watch).poll(cx).is_ready() || self.poll_states(cx).is_ready() {
                return Poll::Ready(false);
            }
            let is_present = self.is_known_now() && self.client.state().is_connected();
            let task = self.board.poll_task(cx, true);
            task.map(|()| is_present && !self.board.is_closing())
        })
        .await
    }

    /// Waits for a change of the znode or of the connection, or until the handle has something to do.
    async fn idle(&mut self, watch: Option<Watch>) {
        let mut watch = watch;
        poll_fn(|cx| {
            let Poll::Pending = self.poll_reason(cx) else {
                return Poll::Ready(());
            };
            match &mut watch {
                // An event, a gap, or the end of the session.
                Some(watch) => Pin::new(watch).poll(cx).map(drop),
                None => Poll::Pending,
            }
        })
        .await;
    }

    /// Waits this long, or until the handle is closed.
    async fn sleep_unless_closed(&self, delay: std::time::Duration) {
        let mut timer: Pin<Box<Sleep>> = Box::pin(tokio::time::sleep(delay));
        poll_fn(|cx| match self.board.poll_task(cx, false) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => timer.as_mut().poll(cx),
        })
        .await;
    }

    /// Waits this long, or until the connection changes or the handle is closed.
    async fn idle_for(&mut self, delay: std::time::Duration) {
        let mut timer: Pin<Box<Sleep>> = Box::pin(tokio::time::sleep(delay));
        poll_fn(|cx| {
            let Poll::Pending = self.poll_reason(cx) else {
                return Poll::Ready(());
            };
            timer.as_mut().poll(cx)
        })
        .await;
    }

    fn poll_reason(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.board.poll_task(cx, false).is_ready() {
            return Poll::Ready(());
        }
        self.poll_states(cx)
    }

    /// Publishes what the states of the session say about the znode. Ready when the znode has to be looked
    /// at.
    fn poll_states(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut look = false;
        loop {
            match Pin::new(&mut self.states).poll_next(cx) {
                Poll::Ready(Some(State::Suspended { .. })) => {
                    self.board.forget_present();
                    self.board.publish(NodeState::Suspended);
                }
                Poll::Ready(Some(State::Expired { .. })) => {
                    if self.plan.mode.is_ephemeral() && !self.is_known_now() {
                        self.miss();
                    }
                    look = true;
                }
                Poll::Ready(Some(State::Connected { .. })) => look = true,
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending if look => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether the znode is of the session that lasts now. A state may be read when the next session has
    /// begun, in which the znode was created again.
    fn is_known_now(&self) -> bool {
        let session = self.client.session().id;
        let lasts = !matches!(self.client.state(), State::Expired { .. });
        lasts && self.known.is_some_and(|known| known.session == session)
    }

    /// Publishes the states that have not been read yet.
    fn handle_states(&mut self) {
        let _ = self.poll_states(&mut Context::from_waker(Waker::noop()));
    }

    /// Deletes the znode, unless it is not this node's, through lost connections.
    async fn remove(&mut self) -> End {
        let Closing {
            mut deleting,
            pledge,
        } = self.board.take_closing();
        if !self.plan.deleted_at_end || self.claims.is_empty() || self.ends_with_session() {
            return Ok(());
        }
        let path = self.path();
        let mut backoff = RetryBackoff::of_cleanup();
        loop {
            let result = match deleting.take() {
                Some((czxid, deleting)) => match deleting.await {
                    // The task has created the znode again since the handle submitted the deletion.
                    Ok(()) if !self.is_known(czxid) => continue,
                    Err(error) if error.kind() == ErrorKind::NoNode && !self.is_known(czxid) => {
                        continue;
                    }
                    deleted => deleted,
                },
                None => match self.client.exists(&path).synced().await {
                    Ok(Some(stat)) if self.is_own(&stat) => {
                        let session = self.client.session().id;
                        self.own(stat.czxid, stat.owner().unwrap_or(session));
                        let delete = self.client.delete(&path).version(stat.version);
                        deleting = Some((stat.czxid, delete.submit()));
                        continue;
                    }
                    Ok(_) => return Ok(()),
                    Err(error) => Err(error),
                },
            };
            let Err(error) = result else {
                return Ok(());
            };
            match error.kind() {
                ErrorKind::NoNode => return Ok(()),
                ErrorKind::BadVersion => {}
                // The end of the session deletes it.
                ErrorKind::Closed if self.plan.mode.is_ephemeral() => return Ok(()),
                ErrorKind::Closed => {
                    if pledge.is_some() {
                        self.client.delete(&path).guaranteed_across_sessions();
                    }
                    return Ok(());
                }
                _ if backoff.allows(&error) => {
                    if error.kind() == ErrorKind::SessionExpired {
                        // Waits for the next session; without one nothing is left to delete.
                        if let Err(over) = self.client.connected().await {
                            return match self.plan.mode.is_ephemeral() {
                                true => Ok(()),
                                false => Err(Arc::new(over)),
                            };
                        }
                    }
                    backoff.sleep().await;
                }
                _ => return Err(Arc::new(error)),
            }
        }
    }

    /// Whether the end of a session has deleted the znode, or will, as far as the client can know without a
    /// connection.
    fn ends_with_session(&self) -> bool {
        let resolved = self.known.is_none() && !self.claims.is_unresolved(self.client.session().id);
        self.plan.mode.is_ephemeral() && resolved && !self.client.state().is_connected()
    }

    fn is_known(&self, czxid: Zxid) -> bool {
        self.known.is_some_and(|known| known.czxid == czxid)
    }

    fn is_own(&self, stat: &Stat) -> bool {
        let session = self.client.session().id;
        let finding = self.claims.judge(stat, session);
        !matches!(finding, Finding::Foreign(_))
    }
}

/// Whether the ensemble refuses a creation for a reason that may have to do with the data.
fn is_refusal_of_data(error: &Error) -> bool {
    let is_of_data = matches!(
        error.kind(),
        ErrorKind::RequestTooLarge | ErrorKind::QuotaExceeded | ErrorKind::Server
    );
    is_of_data && is_refusal(error)
}

/// Whether the ensemble refuses a request for a reason that has to do with its contents or permissions.
fn is_refusal(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::ConnectionLost
        | ErrorKind::SessionExpired
        | ErrorKind::Throttled
        | ErrorKind::QueueFull
        | ErrorKind::ReadOnly
        | ErrorKind::Closed => false,
        // Another server may have the operation; its caller decides.
        ErrorKind::Unimplemented => true,
        _ => error.outcome() != Outcome::Unknown && !error.is_retryable(),
    }
}
