//! A member's port: open while the member listens, closed while it does not.

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::connection;
use crate::core::Peer;
use crate::gate::{Gate, Port};
use crate::shared::Shared;

/// Accepts connections while the gate is open. Ends when the port cannot be had back.
pub(crate) async fn run(
    listener: TcpListener,
    mut gate: watch::Receiver<Gate>,
    shared: Arc<Shared>,
    member: usize,
) {
    let Ok(address) = listener.local_addr() else {
        return report(&shared, member, Port::Lost);
    };
    let mut open = Some(listener);
    loop {
        let listens = gate.borrow_and_update().listens();
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
            if gate.changed().await.is_err() {
                return;
            }
            continue;
        };
        report(&shared, member, Port::Open);
        loop {
            tokio::select! {
                changed = gate.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    break;
                }
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
        gate.send_if_modified(|gate| {
            let changed = gate.port != port;
            gate.port = port;
            changed
        });
    }
}

/// Waits until a port that was open is closed.
pub(crate) async fn closed(gate: &watch::Sender<Gate>) {
    let mut gate = gate.subscribe();
    // The sender is borrowed, so it is there.
    drop(
        gate.wait_for(|gate| gate.listens() || gate.port != Port::Open)
            .await,
    );
}

/// Waits until the port is open, if it should be.
pub(crate) async fn opened(gate: &watch::Sender<Gate>) -> io::Result<()> {
    let mut gate = gate.subscribe();
    let lost = gate
        .wait_for(|gate| !gate.listens() || gate.port != Port::Closed)
        .await
        .is_ok_and(|gate| gate.port == Port::Lost);
    if lost {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    Ok(())
}
