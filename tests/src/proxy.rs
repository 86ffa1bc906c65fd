//! A TCP proxy between client and server that cuts, refuses, delays and stalls.
//!
//! One thread accepts; two pump each connection, one per direction. All of them look at one state
//! behind a mutex before they let anything through.

mod frames;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::ports::{self, ACCEPT_PAUSE, free_ports};

pub use frames::Place;
use frames::{CutFrame, Frames};

const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);
const BUFFER: usize = 64 * 1024;

/// A direction through a [`Proxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// A proxy on a loopback port of its own; its connections are cut and its port closed when it is
/// dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    closing: bool,
    refusing: bool,
    listening: bool,
    listen_error: Option<io::Error>,
    stalled: bool,
    delay: Duration,
    to_server: Flow,
    to_client: Flow,
    accepted: u64,
    open: HashMap<u64, Connection>,
}

#[derive(Debug, Default)]
struct Flow {
    forwarded: u64,
    cut_after: Option<u64>,
    cut_frame: Option<CutFrame>,
}

#[derive(Debug)]
struct Connection {
    client: TcpStream,
    server: TcpStream,
    open_directions: u8,
}

impl Connection {
    fn shut(&self) {
        // Fails for a side that is closed already, which is what is wanted.
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

impl Proxy {
    /// Starts a proxy to `upstream`.
    ///
    /// # Errors
    ///
    /// If no port can be bound.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        // The port is given up and taken back by `refuse`, so it must not be one of those the
        // kernel hands to others meanwhile.
        let [port] = free_ports().map_err(|source| Error::io("find a free port", source))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = ports::listen_again(address)
            .map_err(|source| Error::io(format!("listen on {address}"), source))?;
        let shared = Arc::new(Shared {
            upstream,
            state: Mutex::new(State {
                listening: true,
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&shared, address, listener)
        });
        Ok(Self {
            address,
            shared,
            accepting: Some(accepting),
        })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.address.to_string()
    }

    /// Ends every open connection, both ways, and says how many there were. New ones are welcome.
    pub fn cut_all(&self) -> usize {
        let mut state = self.shared.lock();
        let cut = state.open.len();
        for (_, connection) in state.open.drain() {
            connection.shut();
        }
        self.shared.changed.notify_all();
        cut
    }

    /// Closes the port, so that connecting is refused as by a server that is down, or opens it
    /// again. Open connections are not touched. The change is complete on return.
    ///
    /// # Errors
    ///
    /// If another process has taken the port meanwhile.
    pub fn refuse(&self, refuse: bool) -> Result<()> {
        self.shared.lock().refusing = refuse;
        self.shared.changed.notify_all();
        if refuse {
            self.wake_acceptor();
        }
        let mut state = self
            .shared
            .changed
            .wait_while(self.shared.lock(), |state| {
                state.listening == refuse && state.listen_error.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        match state.listen_error.take() {
            Some(source) => Err(Error::io(
                format!("listen on {} again", self.address),
                source,
            )),
            None => Ok(()),
        }
    }

    /// Holds back everything that arrives from now on, in both directions, or lets it flow. New
    /// connections are accepted, and their bytes are held back too.
    pub fn stall(&self, stall: bool) {
        self.shared.lock().stalled = stall;
        self.shared.changed.notify_all();
    }

    /// Lets `bytes` more bytes through in `direction`, counted over all connections, and then cuts
    /// the connection the last of them went through; with 0, the next that would carry one. Once.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        self.shared.lock().flow(direction).cut_after = Some(bytes);
    }

    /// Lets `frames` more frames through in `direction`, counted over all connections, and cuts the
    /// connection of the next at this place in it. Once.
    pub fn cut_frame(&self, direction: Direction, frames: u64, place: Place) {
        self.shared.lock().flow(direction).cut_frame = Some(CutFrame { frames, place });
    }

    /// Whether what [`cut_frame`](Self::cut_frame) or [`cut_after`](Self::cut_after) asked for in
    /// `direction` has yet to happen.
    #[must_use]
    pub fn is_to_cut(&self, direction: Direction) -> bool {
        let mut state = self.shared.lock();
        let flow = state.flow(direction);
        flow.cut_after.is_some() || flow.cut_frame.is_some()
    }

    /// Forgets what was to be cut.
    pub fn spare(&self) {
        let mut state = self.shared.lock();
        for direction in [Direction::ToServer, Direction::ToClient] {
            let flow = state.flow(direction);
            (flow.cut_after, flow.cut_frame) = (None, None);
        }
    }

    /// Holds whatever arrives, in both directions, for `delay` before it is forwarded; zero forwards at
    /// once. What arrives meanwhile is forwarded with it.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// How many bytes have passed in `direction` since the start.
    #[must_use]
    pub fn forwarded(&self, direction: Direction) -> u64 {
        self.shared.lock().flow(direction).forwarded
    }

    /// How many connections have been accepted since the start.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.lock().accepted
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.lock().open.len()
    }

    fn wake_acceptor(&self) {
        // Refused means it is not waiting in accept(), and then it needs no waking.
        drop(TcpStream::connect(self.address));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.cut_all();
        self.wake_acceptor();
        if let Some(accepting) = self.accepting.take() {
            // Its panic would have been printed; a second one while unwinding would abort.
            let _ = accepting.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn flow(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    fn cut(&mut self, id: u64) {
        if let Some(connection) = self.open.remove(&id) {
            connection.shut();
        }
    }
}

fn accept(shared: &Arc<Shared>, address: SocketAddr, mut listener: TcpListener) {
    loop {
        let accepted = listener.accept();
        let state = shared.lock();
        if state.closing {
            return;
        }
        if state.refusing {
            drop(state);
            drop(listener);
            match listen_again(shared, address) {
                Some(again) => listener = again,
                None => return,
            }
            continue;
        }
        drop(state);
        let Ok((client, _)) = accepted else {
            thread::sleep(ACCEPT_PAUSE);
            continue;
        };
        // A server that cannot be reached shows to the client as a closed connection.
        if let Ok(server) = TcpStream::connect_timeout(&shared.upstream, UPSTREAM_TIMEOUT) {
            let _ = pump_both(shared, client, server);
        }
    }
}

/// Waits, with the port closed, until the proxy is to listen again; `None` when it is to end.
fn listen_again(shared: &Shared, address: SocketAddr) -> Option<TcpListener> {
    let mut state = shared.lock();
    loop {
        state.listening = false;
        shared.changed.notify_all();
        state = shared
            .changed
            .wait_while(state, |state| {
                !state.closing && (state.refusing || state.listen_error.is_some())
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.closing {
            return None;
        }
        // A fork in another thread keeps the port for a moment. Only callers of this function wait for
        // the lock.
        match ports::listen_again(address) {
            Ok(listener) => {
                state.listening = true;
                shared.changed.notify_all();
                return Some(listener);
            }
            Err(error) => {
                state.refusing = true;
                state.listen_error = Some(error);
            }
        }
    }
}

fn pump_both(shared: &Arc<Shared>, client: TcpStream, server: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let up = (client.try_clone()?, server.try_clone()?);
    let down = (server.try_clone()?, client.try_clone()?);
    let id = {
        let mut state = shared.lock();
        if state.closing {
            return Ok(());
        }
        state.accepted += 1;
        let id = state.accepted;
        state.open.insert(
            id,
            Connection {
                client,
                server,
                open_directions: 2,
            },
        );
        id
    };
    for ((from, to), direction) in [(up, Direction::ToServer), (down, Direction::ToClient)] {
        let shared = Arc::clone(shared);
        thread::spawn(move || pump(&shared, id, direction, from, to));
    }
    Ok(())
}

fn pump(shared: &Shared, id: u64, direction: Direction, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; BUFFER];
    let mut frames = Frames::default();
    loop {
        // An error of either socket ends the connection for both sides.
        let read = from.read(&mut buffer).unwrap_or(0);
        let arrived = buffer.get(..read).unwrap_or_default();
        let delay = shared.lock().delay;
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        let mut state = shared
            .changed
            .wait_while(shared.lock(), |state| {
                state.stalled && state.open.contains_key(&id)
            })
            .unwrap_or_else(PoisonError::into_inner);
        let Some(connection) = state.open.get_mut(&id) else {
            break;
        };
        if arrived.is_empty() {
            // The other direction may still have something to say.
            let _ = to.shutdown(Shutdown::Write);
            connection.open_directions -= 1;
            if connection.open_directions == 0 {
                state.open.remove(&id);
            }
            return;
        }

        let flow = state.flow(direction);
        let length = u64::try_from(arrived.len()).unwrap_or(u64::MAX);
        let mut allowed = flow.cut_after.map_or(length, |left| left.min(length));
        let mut cut = flow.cut_after.is_some_and(|left| left <= length);
        flow.cut_after = if cut {
            None
        } else {
            flow.cut_after.map(|left| left - length)
        };
        if let Some(place) = frames.pass(arrived, &mut flow.cut_frame) {
            allowed = allowed.min(place);
            cut = true;
        }
        flow.forwarded += allowed;
        drop(state);

        let passed = arrived
            .get(..usize::try_from(allowed).unwrap_or(read))
            .unwrap_or_default();
        let written = to.write_all(passed);
        if cut || written.is_err() {
            shared.lock().cut(id);
            shared.changed.notify_all();
            break;
        }
    }
    // A socket closed with unread bytes resets its peer, which may then lose what was delivered
    // just before the cut.
    while from.read(&mut buffer).is_ok_and(|read| read > 0) {}
}

#[cfg(test)]
mod tests;
