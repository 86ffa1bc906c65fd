//! A member's port: open while the member listens, closed while it does not.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use crate::net::gate::{Gate, Port, Watched};
use crate::net::handshake::Handshake;
use crate::net::shared::Shared;

/// The pause after the first failure to accept.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause after repeated failures.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const BETWEEN_WARNINGS: Duration = Duration::from_secs(60);
/// How long a port may be taken although it was closed here: a process that is being started has the sockets of
/// this one until it executes its program.
const INHERITED: Duration = Duration::from_secs(5);

/// Accepts connections while the gate is open. Ends when another program has taken the port.
pub(crate) async fn run(
    listener: TcpListener,
    gate: Arc<Watched>,
    shared: Arc<Shared>,
    member: usize,
    handshake: Handshake,
) {
    let Ok(address) = listener.local_addr() else {
        return report(&shared, member, Port::Lost);
    };
    let mut open = Some(listener);
    let mut shortage = Shortage::new(address);
    let mut taken_since = None;
    loop {
        let listens = gate.get().listens();
        if !listens {
            open = None;
            taken_since = None;
            report(&shared, member, Port::Closed);
        } else if open.is_none() {
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    shortage.end();
                    open = Some(listener);
                }
                Err(error) if is_taken(&error) => {
                    let since = *taken_since.get_or_insert_with(Instant::now);
                    let is_inherited = error.kind() == io::ErrorKind::AddrInUse;
                    if !is_inherited || since.elapsed() >= INHERITED {
                        return report(&shared, member, Port::Lost);
                    }
                    tokio::select! {
                        _ = gate.wait_for(|gate| !gate.listens()) => {}
                        () = sleep(FIRST_PAUSE) => {}
                    }
                    continue;
                }
                Err(error) => {
                    tokio::select! {
                        _ = gate.wait_for(|gate| !gate.listens()) => {}
                        () = shortage.pause_after(&error) => {}
                    }
                    continue;
                }
            }
        }
        let Some(listener) = &open else {
            gate.wait_for(Gate::listens).await;
            continue;
        };
        report(&shared, member, Port::Open);
        loop {
            tokio::select! {
                _ = gate.wait_for(|gate| !gate.listens()) => break,
                (stream, peer) = accept(|cx| listener.poll_accept(cx), &mut shortage) => {
                    let handshake = handshake.clone();
                    tokio::spawn(handshake.serve(stream, shared.clone(), member, peer));
                }
            }
        }
    }
}

/// The next connection. Pauses after a failure to accept: out of descriptors, the operating system would
/// report the same connection again at once, and the loop would spin.
async fn accept<T>(
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<io::Result<T>>,
    shortage: &mut Shortage,
) -> T {
    loop {
        match poll_fn(&mut poll).await {
            Ok(accepted) => {
                shortage.end();
                return accepted;
            }
            // Only this connection failed; the next one is accepted without a pause.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                tokio::task::yield_now().await;
            }
            Err(error) => shortage.pause_after(&error).await,
        }
    }
}

/// Whether the address is not available, as opposed to resources of the operating system.
fn is_taken(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
    matches!(
        error.kind(),
        AddrInUse | AddrNotAvailable | PermissionDenied
    )
}

/// A shortage of resources to accept connections, such as descriptors.
#[derive(Debug)]
struct Shortage {
    address: SocketAddr,
    /// The last pause; `None` without a shortage.
    pause: Option<Duration>,
    warned: Option<Instant>,
}

impl Shortage {
    fn new(address: SocketAddr) -> Self {
        Shortage {
            address,
            pause: None,
            warned: None,
        }
    }

    /// Waits, each time twice as long.
    async fn pause_after(&mut self, error: &io::Error) {
        let pause = match self.pause {
            Some(last) => (last * 2).min(LONGEST_PAUSE),
            None => {
                self.warn(error);
                FIRST_PAUSE
            }
        };
        self.pause = Some(pause);
        sleep(pause).await;
    }

    /// Warns at most once per interval, however many shortages there are.
    fn warn(&mut self, error: &io::Error) {
        if self
            .warned
            .is_none_or(|at| at.elapsed() >= BETWEEN_WARNINGS)
        {
            self.warned = Some(Instant::now());
            warn!(
                address = %self.address, %error,
                "cannot accept connections, retrying; if too many files are open, close connections or \
                 raise the limit (ulimit -n)"
            );
        }
    }

    fn end(&mut self) {
        if self.pause.take().is_some() {
            debug!(address = %self.address, "accepts connections again");
        }
    }
}

fn report(shared: &Shared, member: usize, port: Port) {
    if let Some(gate) = shared.gates.get(member) {
        gate.change(|gate| gate.port = port);
    }
}

/// Waits until a port that was open is closed.
pub(crate) async fn closed(gate: &Watched) {
    gate.wait_for(|gate| gate.listens() || gate.port != Port::Open)
        .await;
}

/// Waits until the port is open, if it should be.
pub(crate) async fn opened(gate: &Watched) -> io::Result<()> {
    let gate = gate
        .wait_for(|gate| !gate.listens() || gate.port != Port::Closed)
        .await;
    if gate.port == Port::Lost {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    /// More polls than a loop with pauses makes.
    const SPINNING: u32 = 1_000;

    fn shortage() -> Shortage {
        Shortage::new(SocketAddr::from(([127, 0, 0, 1], 2181)))
    }

    /// Guards: L12.
    #[tokio::test(start_paused = true)]
    async fn accepting_pauses_while_it_fails() {
        let mut polls = 0;
        let mut shortage = shortage();
        let out_of_descriptors = |_: &mut Context<'_>| -> Poll<io::Result<u8>> {
            polls += 1;
            assert!(polls < SPINNING, "it spins");
            // EMFILE.
            Poll::Ready(Err(io::Error::from_raw_os_error(24)))
        };
        let minute = Duration::from_secs(60);
        let waited = tokio::time::timeout(minute, accept(out_of_descriptors, &mut shortage)).await;
        assert!(waited.is_err());
        assert!((60..80).contains(&polls), "{polls}");
        // The listener polls again when its gate has changed; the shortage keeps its pause.
        assert_eq!(shortage.pause, Some(LONGEST_PAUSE));
        let accepted = accept(|_| Poll::Ready(Ok(7)), &mut shortage).await;
        assert_eq!((accepted, shortage.pause), (7, None));
    }

    /// Guards: L12.
    #[tokio::test(start_paused = true)]
    async fn an_aborted_connection_costs_no_pause() {
        let started = Instant::now();
        let mut gone = 100;
        let mut shortage = shortage();
        let mut accepting = pin!(accept(
            |_| {
                if gone == 0 {
                    return Poll::Ready(Ok(()));
                }
                gone -= 1;
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            },
            &mut shortage
        ));
        accepting.as_mut().await;
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
