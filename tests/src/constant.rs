//! A server that answers from prepared bytes, as fast as requests arrive, so that a client measured
//! against it waits for nothing but itself.
//!
//! It keeps no znodes: every path exists, is as long as was said at the start, and is
//! unchanged by any write. A thread for each connection reads what there is, and writes the answers
//! to all of it at once. Unlike the rest of this library it implements the client protocol, but a
//! client's correctness is never judged by it.

mod answers;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::error::{Error, Result};
use crate::ports::ACCEPT_PAUSE;
use answers::Answers;

pub use answers::FLOOD;

/// What is read at once. A kernel's socket buffer holds more, so that a batch of large requests
/// takes several reads, as it does with a real server.
const READ: usize = 64 * 1024;
/// Answers are written before they are more than this.
const WRITE: usize = 1024 * 1024;

/// A constant-answer server on a loopback port of its own. Dropping it ends every connection.
#[derive(Debug)]
pub struct Constant {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// The length of every znode's data, in bytes.
    size: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closing: bool,
    /// Connections since the start; the last is this session's id.
    accepted: u64,
    open: HashMap<u64, TcpStream>,
}

impl Constant {
    /// Starts a server whose znodes hold `size` bytes each.
    ///
    /// # Errors
    ///
    /// If no port can be bound.
    pub fn start(size: usize) -> Result<Self> {
        let cannot = |source| Error::io("listen on a free port", source);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let shared = Arc::new(Shared {
            size,
            state: Mutex::default(),
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&shared, &listener)
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

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.shared.lock().open.len()
    }
}

impl Drop for Constant {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.closing = true;
        for (_, connection) in state.open.drain() {
            // Fails for one that is closed already, which is what is wanted.
            let _ = connection.shutdown(Shutdown::Both);
        }
        drop(state);
        // Wakes the acceptor.
        drop(TcpStream::connect(self.address));
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

fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    loop {
        let accepted = listener.accept();
        let mut state = shared.lock();
        if state.closing {
            return;
        }
        // The client disconnected before it was accepted: nothing to serve.
        let Ok((stream, _)) = accepted else {
            drop(state);
            thread::sleep(ACCEPT_PAUSE);
            continue;
        };
        let Ok(kept) = stream.try_clone() else {
            continue;
        };
        state.accepted += 1;
        let id = state.accepted;
        state.open.insert(id, kept);
        drop(state);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // How a connection ends is the client's affair.
            let _ = serve_socket(stream, &mut Answers::new(id, shared.size));
            shared.lock().open.remove(&id);
        });
    }
}

fn serve_socket(mut stream: TcpStream, answers: &mut Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    serve(&mut stream, answers)?;
    if answers.closed() {
        stream.shutdown(Shutdown::Both)?;
    }
    Ok(())
}

/// Answers a connection that the caller has opened, such as one with TLS, until either side closes it. The
/// znodes hold `size` bytes each; `id` is the session's.
///
/// # Errors
///
/// Those of the stream, and of frames that are no requests.
pub fn answer(stream: &mut (impl Read + Write), id: u64, size: usize) -> io::Result<()> {
    serve(stream, &mut Answers::new(id, size))
}

/// Answers one connection until either side closes it.
fn serve(stream: &mut (impl Read + Write), answers: &mut Answers) -> io::Result<()> {
    let mut input = vec![0; READ];
    let mut filled = 0;
    let mut output = Vec::new();
    loop {
        let space = input.get_mut(filled..).unwrap_or_default();
        let read = stream.read(space)?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let mut rest = input.get(..filled).unwrap_or_default();
        while let Some((frame, behind)) = split_frame(rest) {
            let mut more = answers.answer(frame, &mut output)?;
            while more || output.len() > WRITE {
                stream.write_all(&output)?;
                output.clear();
                more = answers.events(WRITE, &mut output);
            }
            rest = behind;
        }
        stream.write_all(&output)?;
        stream.flush()?;
        output.clear();
        if answers.closed() {
            return Ok(());
        }
        let begun = filled - rest.len();
        input.copy_within(begun..filled, 0);
        filled -= begun;
        if filled == input.len() {
            input.resize(2 * filled, 0);
        }
    }
}

/// The first frame, without its length, and what comes behind it; `None` if it is not whole.
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests;
