//! A member's port: open while the member listens, closed while it does not.

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;

use crate::connection;
use crate::core::Peer;
use crate::gate::{Gate, Port, Watched};
use crate::shared::Shared;

/// Accepts connections while the gate is open. Ends when the port cannot be had back.
pub(crate) async fn run(
    listener: TcpListener,
    gate: Arc<Watched>,
    shared: Arc<Shared>,
    member: usize,
) {
    let Ok(address) = listener.local_addr() else {
        return report(&shared, member, Port::Lost);
    };
    let mut open = Some(listener);
    loop {
        let listens = gate.get().listens();
        if !listens {
            open = None;
            report(&shared, member, Port::Closed);
        } else if open.is_none() {
            match TcpListener::bind(address).await {
                Ok(listener) => open = Some(listener),
                Err(_) => return report(&shared, member, Port::Lost),
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
                accepted = listener.accept() => {
                    // A connection that failed before it was accepted, or too many open files: the
                    // next one may do better.
                    let Ok((stream, peer)) = accepted else {
                        tokio::task::yield_now().await;
                        continue;
                    };
                    // Without it small replies wait; a server that cannot set it still works.
                    let _ = stream.set_nodelay(true);
                    let peer = Peer::Socket(peer);
                    tokio::spawn(connection::serve(stream, shared.clone(), member, peer));
                }
            }
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
