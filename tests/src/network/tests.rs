//! What a cut stops, and what it does not. Where there are no namespaces, only the commands are seen.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::*;

/// Long enough for a connection between two hosts of one machine; that a dropped packet does not
/// arrive takes this time to see.
const PATIENCE: Duration = Duration::from_millis(300);
const PORT: u16 = 4242;

/// Two hosts, the second of which echoes; `None` where that cannot be had.
fn two_hosts() -> Option<(Network, Arc<Host>, Arc<Host>)> {
    if let Err(error) = find_or_install() {
        crate::watchdog::write(&format!("not tested: {error}\n"));
        return None;
    }
    let mut network = Network::start().unwrap();
    let (one, other) = (network.add_host().unwrap(), network.add_host().unwrap());
    let listener = other.run(|| TcpListener::bind((other.address(), PORT)).unwrap());
    let listener = listener.unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
            });
        }
    });
    Some((network, one, other))
}

fn connect(from: &Host, to: &Host) -> io::Result<TcpStream> {
    let address = (to.address(), PORT).into();
    let connected = from.run(|| TcpStream::connect_timeout(&address, PATIENCE));
    connected.unwrap()
}

fn path(from: &Host, to: &Host, loss: Loss) -> Cut {
    let (from, to) = (from.number(), to.number());
    Cut::Path { from, to, loss }
}

/// Whether a byte comes back, in the time that it has.
fn echoes(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"x").unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).is_ok()
}

#[test]
fn a_cut_ends_what_it_names_until_mended() {
    let Some((network, one, other)) = two_hosts() else {
        return;
    };
    connect(&one, &other).unwrap();
    let (from, to) = (one.number(), other.number());
    let there_and_back = [(&one, &other), (&other, &one)];
    let mut cuts = vec![Cut::Cable(to), Cut::Cable(from), Cut::Interface(to)];
    cuts.extend(there_and_back.map(|(from, to)| path(from, to, Loss::Drop)));
    cuts.push(path(&other, &one, Loss::Reject));
    for cut in cuts {
        network.cut(&[cut, cut]).unwrap();
        let error = connect(&one, &other).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{cut:?}");
        network.mend(&[cut, cut]).unwrap();
        crate::watchdog::poll("a connection", || connect(&one, &other).ok());
    }
    for cut in [path(&one, &other, Loss::Reject), Cut::Interface(from)] {
        network.cut(&[cut]).unwrap();
        let error = connect(&one, &other).unwrap_err();
        let at_once = [
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::NetworkUnreachable,
        ];
        assert!(at_once.contains(&error.kind()), "{cut:?}: {error}");
        network.heal().unwrap();
        crate::watchdog::poll("a connection", || connect(&one, &other).ok());
    }
}

#[test]
fn a_cut_stalls_only_what_it_names() {
    let Some((mut network, one, other)) = two_hosts() else {
        return;
    };
    let third = network.add_host().unwrap();
    let mut established = connect(&one, &other).unwrap();
    assert!(echoes(&mut established));
    for loss in [Loss::Drop, Loss::Reject] {
        network
            .cut(&Cut::between(one.number(), other.number(), loss))
            .unwrap();
        assert!(!echoes(&mut established));
        connect(&third, &other).unwrap();
        // A host reaches itself, whatever is cut.
        connect(&other, &other).unwrap();
        network.heal().unwrap();
        let mut byte = [0];
        crate::watchdog::poll("the byte that was lost", || {
            established.read_exact(&mut byte).ok()
        });
    }
}

#[test]
fn two_networks_have_nothing_in_common() {
    let Some((_first, one, other)) = two_hosts() else {
        return;
    };
    let mut second = Network::start().unwrap();
    let stranger = second.add_host().unwrap();
    assert_eq!(stranger.address(), one.address());
    connect(&one, &other).unwrap();
    connect(&stranger, &other).unwrap_err();
}
