//! One connection on the network, and what is wrong with it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use zk_proto::jute::decode_frame;
use zk_proto::records::ConnectRequest;
use zk_proto::{Encode, EventType, KeeperState, ReplyHeader, WatcherEvent, Zxid, xid};

use super::history::Recorder;
use super::network::{CutAt, Network, rearms, until};
use super::pipe::{End, Endpoint, Pipe};
use super::wire::{Frames, Observer};

/// Paths outside every client's chroot, some of which begin as if they were inside.
const FOREIGN_PATHS: [&str; 3] = ["/elsewhere/h0", "/appendix", "/app2/h0"];

/// What one direction does to bytes.
#[derive(Debug, Default)]
struct Flow {
    delay: Duration,
    held: bool,
    held_until: Option<Instant>,
    /// At most so many bytes at once, for so many bytes, this far apart.
    pieces: Option<(usize, usize, Duration)>,
    cut: Option<(CutAt, &'static str)>,
}

/// What is done to frames on their way to the client.
#[derive(Debug, Default)]
struct Forgery {
    foreign_notifications: usize,
    foreign_xid: bool,
    zxid_back: bool,
    cut_between_rearms: bool,
}

#[derive(Debug)]
struct State {
    to_server: Flow,
    to_client: Flow,
    forgery: Forgery,
    black_hole: bool,
    kept: Option<Endpoint>,
    rng: fastrand::Rng,
}

pub(crate) struct Link {
    pub(crate) client: usize,
    pub(crate) member: usize,
    from_client: Pipe,
    to_client: Pipe,
    from_server: Pipe,
    to_server: Pipe,
    observer: Arc<Observer>,
    recorder: Arc<Recorder>,
    state: Mutex<State>,
    changed: [Notify; 2],
    dead: AtomicBool,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    pub(crate) fn new(
        client: usize,
        member: usize,
        [from_client, to_client, from_server, to_server]: [Pipe; 4],
        observer: Arc<Observer>,
        recorder: Arc<Recorder>,
        seed: u64,
    ) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut flow = || Flow {
            delay: Duration::from_micros(rng.u64(0..4000)),
            ..Flow::default()
        };
        let (there, back) = (flow(), flow());
        Self {
            client,
            member,
            from_client,
            to_client,
            from_server,
            to_server,
            observer,
            recorder,
            state: Mutex::new(State {
                to_server: there,
                to_client: back,
                forgery: Forgery::default(),
                black_hole: false,
                kept: None,
                rng,
            }),
            changed: [Notify::new(), Notify::new()],
            dead: AtomicBool::new(false),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let result = work(&mut self.state.lock().unwrap());
        for changed in &self.changed {
            changed.notify_one();
        }
        result
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Keeps the far end, so that it is neither read nor closed.
    pub(crate) fn keep(&self, far: Endpoint) {
        self.with(|state| state.kept = Some(far));
    }

    /// Holds back what is sent, one way or both.
    pub(crate) fn hold(&self, to_server: bool, to_client: bool, until: Option<Instant>) {
        self.with(|state| {
            for (flow, held) in [
                (&mut state.to_server, to_server),
                (&mut state.to_client, to_client),
            ] {
                if held {
                    flow.held = true;
                    flow.held_until = until;
                }
            }
        });
    }

    pub(crate) fn release(&self) {
        self.with(|state| {
            state.to_server.held = false;
            state.to_client.held = false;
        });
    }

    pub(crate) fn delay(&self, to_server: bool, delay: Duration) {
        self.with(|state| {
            if to_server {
                state.to_server.delay = delay;
            } else {
                state.to_client.delay = delay;
            }
        });
    }

    /// Carries at most `size` bytes at once, for `bytes` bytes, `apart` from each other.
    pub(crate) fn split(&self, to_server: bool, size: usize, bytes: usize, apart: Duration) {
        self.with(|state| {
            let flow = if to_server {
                &mut state.to_server
            } else {
                &mut state.to_client
            };
            flow.pieces = Some((size, bytes, apart));
        });
    }

    pub(crate) fn cut(&self, to_server: bool, at: CutAt, name: &'static str) {
        self.with(|state| {
            let flow = if to_server {
                &mut state.to_server
            } else {
                &mut state.to_client
            };
            flow.cut = Some((at, name));
        });
    }

    /// The client's write fails after so many bytes, which arrive.
    pub(crate) fn break_write(&self, bytes: usize) {
        self.from_client.break_after(bytes);
    }

    /// The peer is gone, and the client gets no sign of it.
    pub(crate) fn black_hole(&self) {
        self.with(|state| state.black_hole = true);
        self.to_server.end(End::Fin);
    }

    pub(crate) fn forge_notifications(&self, count: usize) {
        self.with(|state| state.forgery.foreign_notifications += count);
    }

    pub(crate) fn forge_xid(&self) {
        self.with(|state| state.forgery.foreign_xid = true);
    }

    pub(crate) fn forge_zxid(&self) {
        self.with(|state| state.forgery.zxid_back = true);
    }

    pub(crate) fn cut_between_rearms(&self) {
        self.with(|state| state.forgery.cut_between_rearms = true);
    }

    /// Ends what is wrong, unless it cannot be undone.
    pub(crate) fn calm(&self) {
        self.with(|state| {
            for flow in [&mut state.to_server, &mut state.to_client] {
                *flow = Flow::default();
            }
            state.forgery = Forgery::default();
        });
    }

    fn reset(&self) {
        for pipe in [
            &self.from_client,
            &self.to_client,
            &self.from_server,
            &self.to_server,
        ] {
            pipe.end(End::Reset);
        }
        self.dead.store(true, Ordering::Relaxed);
    }

    /// Carries bytes in one direction, as its flow lets it. False if it was cut.
    async fn carry(&self, to_server: bool, mut bytes: Bytes) -> bool {
        let changed = &self.changed[usize::from(to_server)];
        let pipe = if to_server {
            &self.to_server
        } else {
            &self.to_client
        };
        let delay = self.look(to_server, |flow, _| flow.delay);
        sleep(delay).await;
        while !bytes.is_empty() {
            let (held, held_until) = self.look(to_server, |flow, _| (flow.held, flow.held_until));
            if held && held_until.is_none_or(|until| until > Instant::now()) {
                tokio::select! {
                    biased;
                    () = changed.notified() => {}
                    () = until(held_until) => {}
                }
                continue;
            }
            if !to_server && self.with_quietly(|state| state.black_hole) {
                return true;
            }
            let mut apart = Duration::ZERO;
            let (piece, cut) = self.look(to_server, |flow, _| {
                let mut piece = bytes.len();
                if let Some((size, left, pause)) = &mut flow.pieces {
                    piece = piece.min(*size);
                    apart = *pause;
                    *left = left.saturating_sub(piece);
                    if *left == 0 {
                        flow.pieces = None;
                    }
                }
                let mut cut = None;
                if let Some((at, name)) = &mut flow.cut {
                    piece = piece.min(at.bytes);
                    at.bytes -= piece;
                    if at.bytes == 0 {
                        cut = Some((at.how, *name));
                    }
                }
                (piece, cut)
            });
            pipe.push(&bytes.split_to(piece));
            if let Some((how, name)) = cut {
                self.recorder.fault(name);
                if how == End::Fin {
                    // What was carried up to here arrives; nothing else does.
                    self.to_client.end(End::Fin);
                    self.to_server.end(End::Fin);
                    self.from_client.end(End::Reset);
                    self.from_server.end(End::Reset);
                    self.dead.store(true, Ordering::Relaxed);
                } else {
                    // Let the peer read what came before.
                    tokio::task::yield_now().await;
                    tokio::task::yield_now().await;
                    self.reset();
                }
                return false;
            }
            if apart.is_zero() {
                tokio::task::yield_now().await;
            } else {
                sleep(apart).await;
            }
        }
        true
    }

    fn with_quietly<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap())
    }

    fn look<T>(&self, to_server: bool, work: impl FnOnce(&mut Flow, &mut fastrand::Rng) -> T) -> T {
        self.with_quietly(|state| {
            let flow = if to_server {
                &mut state.to_server
            } else {
                &mut state.to_client
            };
            work(flow, &mut state.rng)
        })
    }

    /// A frame for the client, and whether the connection is to be cut after it.
    fn forge(&self, frame: &Bytes, first: bool, out: &mut BytesMut) -> bool {
        let mut cut = false;
        let header = decode_frame::<ReplyHeader>(&frame.slice(..frame.len().min(16)), 0).ok();
        let mut frame = BytesMut::from(&frame[..]);
        if let (false, Some(header)) = (first, header) {
            self.with_quietly(|state| {
                while state.forgery.foreign_notifications > 0 {
                    state.forgery.foreign_notifications -= 1;
                    let path = FOREIGN_PATHS[state.rng.usize(0..FOREIGN_PATHS.len())];
                    notification(path, out);
                    self.recorder.fault("X22 notification from outside");
                }
                if header.xid > 0 && std::mem::take(&mut state.forgery.foreign_xid) {
                    frame[..4].copy_from_slice(&(header.xid + 1_000_000).to_be_bytes());
                    self.recorder.fault("X21 foreign xid");
                }
                if header.xid > 0 && std::mem::take(&mut state.forgery.zxid_back) {
                    let counter = header.zxid.0 & 0xffff_ffff;
                    let back = header.zxid.0 - counter + counter / 2;
                    frame[4..12].copy_from_slice(&back.to_be_bytes());
                    self.recorder.fault("X23 zxid goes back");
                }
                // The first reply on such a connection is to the first batch.
                if header.xid > 0 && rearms(&self.observer) > 1 {
                    cut = std::mem::take(&mut state.forgery.cut_between_rearms);
                }
            });
        }
        out.put_u32(u32::try_from(frame.len()).unwrap());
        out.extend_from_slice(&frame);
        cut
    }
}

fn notification(path: &str, out: &mut BytesMut) {
    let mut frame = BytesMut::new();
    ReplyHeader {
        xid: xid::NOTIFICATION,
        zxid: Zxid(i64::MAX - 1),
        err: 0,
    }
    .encode(&mut frame);
    WatcherEvent {
        kind: EventType::NodeDataChanged,
        state: KeeperState::SyncConnected,
        path,
    }
    .encode(&mut frame);
    out.put_u32(u32::try_from(frame.len()).unwrap());
    out.extend_from_slice(&frame);
}

pub(crate) async fn carry_to_server(link: Arc<Link>, network: Arc<Network>, expire: bool) {
    let mut frames = Frames::default();
    let mut greeted = false;
    loop {
        let bytes = match link.from_client.take().await {
            Ok(bytes) => bytes,
            Err(End::Fin) => {
                link.to_server.end(End::Fin);
                break;
            }
            Err(End::Reset) => break,
        };
        if link.with_quietly(|state| state.black_hole) {
            continue;
        }
        if !greeted {
            frames.push(&bytes);
            if let Some(frame) = frames.next() {
                greeted = true;
                let request: ConnectRequest = decode_frame(&frame, 0).unwrap();
                if expire && !request.session_id.is_none() {
                    network.expire(request.session_id);
                }
            }
        }
        if !link.carry(true, bytes).await {
            break;
        }
    }
    link.dead.store(true, Ordering::Relaxed);
}

pub(crate) async fn carry_to_client(link: Arc<Link>) {
    let mut frames = Frames::default();
    let mut first = true;
    loop {
        let bytes = match link.from_server.take().await {
            Ok(bytes) => bytes,
            Err(end) => {
                if !link.with_quietly(|state| state.black_hole) {
                    // A fragment, should the server have ended in one, arrives as well.
                    let rest = frames.rest().freeze();
                    if !rest.is_empty() {
                        link.carry(false, rest).await;
                    }
                    link.to_client.end(end);
                }
                break;
            }
        };
        if link.with_quietly(|state| state.black_hole) {
            continue;
        }
        frames.push(&bytes);
        let mut out = BytesMut::new();
        let mut cut = false;
        while let Some(frame) = frames.next() {
            cut = link.forge(&frame, first, &mut out);
            first = false;
            if cut {
                break;
            }
        }
        if !link.carry(false, out.freeze()).await {
            break;
        }
        if cut {
            link.recorder.fault("X25 cut between batches");
            link.to_client.end(End::Fin);
            link.to_server.end(End::Fin);
            link.dead.store(true, Ordering::Relaxed);
            break;
        }
    }
}
