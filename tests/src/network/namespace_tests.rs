//! What a cut stops, and what it does not. `cargo xtask test` leaves these out by the name of this module
//! where there are no namespaces.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::*;
use crate::watchdog::poll;

/// That a dropped packet does not arrive takes this time to see. What is to arrive is tried again.
const NO_LIMIT: Duration = Duration::from_millis(300);
const PORT: u16 = 4242;

/// Two hosts, the second of which echoes.
fn two_hosts() -> (Network, Arc<Host>, Arc<Host>) {
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
    (network, one, other)
}

fn connect(from: &Host, to: &Host) -> io::Result<TcpStream> {
    let address = (to.address(), PORT).into();
    let connected = from.run(|| TcpStream::connect_timeout(&address, NO_LIMIT));
    connected.unwrap()
}

/// A connection, however slow the machine is.
fn reach(from: &Host, to: &Host) -> TcpStream {
    poll("a connection", || connect(from, to).ok())
}

fn path(from: &Host, to: &Host, loss: Loss) -> Cut {
    let (from, to) = (from.number(), to.number());
    Cut::Path { from, to, loss }
}

fn send(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(NO_LIMIT)).unwrap();
    stream.write_all(b"x").unwrap();
}

/// Whether the byte that was sent comes back, in the time that it has.
fn comes_back(stream: &mut TcpStream) -> bool {
    stream.read_exact(&mut [0]).is_ok()
}

#[test]
fn a_trial_of_a_network_succeeds() {
    find_or_install().unwrap();
    find_or_install().unwrap();
}

#[test]
fn a_cut_ends_what_it_names_until_mended() {
    let (network, one, other) = two_hosts();
    reach(&one, &other);
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
        reach(&one, &other);
    }
    for cut in [path(&one, &other, Loss::Reject), Cut::Interface(from)] {
        network.cut(&[cut]).unwrap();
        let error = poll("a refusal", || {
            let refused = connect(&one, &other).unwrap_err();
            (refused.kind() != io::ErrorKind::TimedOut).then_some(refused)
        });
        let at_once = [
            io::ErrorKind::HostUnreachable,
            io::ErrorKind::NetworkUnreachable,
        ];
        assert!(at_once.contains(&error.kind()), "{cut:?}: {error}");
        network.heal().unwrap();
        reach(&one, &other);
    }
}

#[test]
fn a_cut_stalls_only_what_it_names() {
    let (mut network, one, other) = two_hosts();
    let third = network.add_host().unwrap();
    let mut established = reach(&one, &other);
    send(&mut established);
    poll("an echo", || comes_back(&mut established).then_some(()));
    for loss in [Loss::Drop, Loss::Reject] {
        network
            .cut(&Cut::between(one.number(), other.number(), loss))
            .unwrap();
        send(&mut established);
        assert!(!comes_back(&mut established));
        reach(&third, &other);
        // A host reaches itself, whatever is cut.
        reach(&other, &other);
        network.heal().unwrap();
        poll("the byte that was lost", || {
            comes_back(&mut established).then_some(())
        });
    }
}

#[test]
fn two_networks_have_nothing_in_common() {
    let (_first, one, other) = two_hosts();
    let mut second = Network::start().unwrap();
    let stranger = second.add_host().unwrap();
    assert_eq!(stranger.address(), one.address());
    reach(&one, &other);
    connect(&stranger, &other).unwrap_err();
}
