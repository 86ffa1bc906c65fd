//! Free loopback ports that stay free while their server is down.
//!
//! The kernel's own choice (port 0) comes from the range it also gives to outgoing connections,
//! so between a kill and a restart any client on the machine may sit down on such a port. These
//! come from below that range, from a block picked by process id so that test binaries running
//! side by side begin in different places. A port that is taken all the same shows when the server
//! binds; starting again with other ports is the caller's part.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a loop waits that could not accept a connection: without descriptors it would fail again at
/// once, for as long as they last.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

const FIRST: u32 = 10_000;
const BLOCK: u32 = 64;
/// Far longer than a process that was started keeps the sockets of its parent.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Distinct ports of 127.0.0.1 that nothing listens on.
///
/// # Errors
///
/// If the machine has no free port left to offer.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    // All stay bound until the last is found, or the same one could be offered twice.
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let (number, listener) = bind_free()?;
        *port = number;
        held.push(listener);
    }
    Ok(ports)
}

/// Listens on a port that was closed a moment ago.
///
/// A child process that another thread is just starting has every socket of ours until its exec,
/// so a port can stay taken for a moment after it was closed here.
///
/// # Errors
///
/// If another process keeps the port, or no port may be bound.
pub(crate) fn listen_again(address: SocketAddr) -> io::Result<TcpListener> {
    let deadline = Instant::now() + LISTEN_TIMEOUT;
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1));
            }
            outcome => return outcome,
        }
    }
}

fn bind_free() -> io::Result<(u16, TcpListener)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);

    let span = ephemeral_floor().saturating_sub(FIRST);
    if span >= 4 * BLOCK {
        let start = (std::process::id() % (span / BLOCK)) * BLOCK;
        for _ in 0..span {
            let offset = (start + NEXT.fetch_add(1, Ordering::Relaxed)) % span;
            let Ok(port) = u16::try_from(FIRST + offset) else {
                continue;
            };
            // Taken, reserved or forbidden: the next one is as good.
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                return Ok((port, listener));
            }
        }
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok((listener.local_addr()?.port(), listener))
}

/// The first port the kernel hands to outgoing connections.
fn ephemeral_floor() -> u32 {
    const LINUX_DEFAULT: u32 = 32_768;
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(LINUX_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_and_free() {
        let mut ports = free_ports::<9>().unwrap();
        for port in ports {
            listen_again((Ipv4Addr::LOCALHOST, port).into()).unwrap();
        }
        ports.sort_unstable();
        assert!(ports.windows(2).all(|pair| pair[0] != pair[1]), "{ports:?}");
    }

    #[test]
    fn a_port_in_use_is_not_offered() {
        let [port] = free_ports().unwrap();
        let _taken = listen_again((Ipv4Addr::LOCALHOST, port).into()).unwrap();
        assert!(!free_ports::<64>().unwrap().contains(&port));
    }
}
