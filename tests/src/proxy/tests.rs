use super::*;
use crate::Wait;
use crate::watchdog::poll;

const A_MOMENT: Duration = Duration::from_millis(50);

/// A server that says everything back, to any number of clients.
fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || io::copy(&mut stream.try_clone().unwrap(), &mut stream));
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).unwrap()
}

fn say(mut stream: &TcpStream, text: &[u8]) {
    stream.write_all(text).unwrap();
}

fn receive(mut stream: &TcpStream, length: usize) -> Vec<u8> {
    let _wait = Wait::begin("bytes from the proxy");
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Whatever arrives until the connection ends; a reset is an end as well.
fn receive_to_the_end(mut stream: &TcpStream) -> Vec<u8> {
    let _wait = Wait::begin("the end of a connection");
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => bytes,
        Err(error) => panic!("still open: {error}"),
    }
}

fn assert_quiet(stream: &TcpStream) {
    stream.set_read_timeout(Some(A_MOMENT)).unwrap();
    let error = { stream }.read(&mut [0; 1]).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        ),
        "{error}"
    );
    stream.set_read_timeout(None).unwrap();
}

#[test]
fn bytes_pass_both_ways_and_are_counted() {
    let proxy = Proxy::start(echo_server()).unwrap();
    let stream = connect(&proxy);
    say(&stream, b"hello");
    assert_eq!(receive(&stream, 5), b"hello");
    assert_eq!(proxy.forwarded(Direction::ToServer), 5);
    assert_eq!(proxy.forwarded(Direction::ToClient), 5);
    assert_eq!((proxy.accepted(), proxy.open()), (1, 1));
}

#[test]
fn half_closed_connection_carries_replies() {
    let proxy = Proxy::start(echo_server()).unwrap();
    let stream = connect(&proxy);
    say(&stream, b"last words");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive_to_the_end(&stream), b"last words");
    poll("no connection to be open", || {
        (proxy.open() == 0).then_some(())
    });
}

#[test]
fn cut_all_ends_open_connections_only() {
    let proxy = Proxy::start(echo_server()).unwrap();
    let streams = [connect(&proxy), connect(&proxy)];
    for stream in &streams {
        say(stream, b"x");
        receive(stream, 1);
    }
    assert_eq!(proxy.cut_all(), 2);
    for stream in &streams {
        assert_eq!(receive_to_the_end(stream), b"");
    }
    let stream = connect(&proxy);
    say(&stream, b"again");
    assert_eq!(receive(&stream, 5), b"again");
}

#[test]
fn refusing_keeps_open_connections() {
    let proxy = Proxy::start(echo_server()).unwrap();
    let stream = connect(&proxy);
    say(&stream, b"x");
    receive(&stream, 1);
    for _ in 0..3 {
        proxy.refuse(true).unwrap();
        let error = TcpStream::connect(proxy.address()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        say(&stream, b"still here");
        assert_eq!(receive(&stream, 10), b"still here");
        proxy.refuse(false).unwrap();
        let other = connect(&proxy);
        say(&other, b"new");
        assert_eq!(receive(&other, 3), b"new");
    }
}

#[test]
fn port_taken_while_refusing_can_be_retried() {
    let proxy = Proxy::start(echo_server()).unwrap();
    proxy.refuse(true).unwrap();
    let thief = TcpListener::bind(proxy.address()).unwrap();
    assert!(proxy.refuse(false).is_err());
    drop(thief);
    proxy.refuse(false).unwrap();
    let stream = connect(&proxy);
    say(&stream, b"x");
    assert_eq!(receive(&stream, 1), b"x");
}

#[test]
fn stalled_bytes_are_delivered_later() {
    let proxy = Proxy::start(echo_server()).unwrap();
    let stream = connect(&proxy);
    say(&stream, b"x");
    receive(&stream, 1);
    proxy.stall(true);
    say(&stream, b"held");
    let newcomer = connect(&proxy);
    say(&newcomer, b"me too");
    assert_quiet(&stream);
    assert_quiet(&newcomer);
    assert_eq!(proxy.forwarded(Direction::ToServer), 1);
    proxy.stall(false);
    assert_eq!(receive(&stream, 4), b"held");
    assert_eq!(receive(&newcomer, 6), b"me too");
}

#[test]
fn a_stalled_connection_can_be_cut() {
    let proxy = Proxy::start(echo_server()).unwrap();
    let stream = connect(&proxy);
    say(&stream, b"x");
    receive(&stream, 1);
    proxy.stall(true);
    say(&stream, b"held");
    assert_eq!(proxy.cut_all(), 1);
    assert_eq!(receive_to_the_end(&stream), b"");
}

#[test]
fn cut_comes_once_after_exact_bytes() {
    for direction in [Direction::ToServer, Direction::ToClient] {
        for bytes in [0_usize, 1, 7, 10] {
            let proxy = Proxy::start(echo_server()).unwrap();
            let stream = connect(&proxy);
            say(&stream, b"before");
            receive(&stream, 6);
            let allowed = u64::try_from(bytes).unwrap();
            proxy.cut_after(direction, allowed);
            say(&stream, b"0123456789");
            let received = receive_to_the_end(&stream);
            assert_eq!(
                proxy.forwarded(direction),
                6 + allowed,
                "{direction:?} {bytes}"
            );
            if direction == Direction::ToClient {
                assert_eq!(received, b"0123456789"[..bytes]);
            }
            let next = connect(&proxy);
            say(&next, b"after the cut");
            assert_eq!(receive(&next, 13), b"after the cut");
        }
    }
}

#[test]
fn dropped_proxy_leaves_no_port() {
    let proxy = Proxy::start(echo_server()).unwrap();
    let stream = connect(&proxy);
    say(&stream, b"x");
    receive(&stream, 1);
    let address = proxy.address();
    drop(proxy);
    assert_eq!(receive_to_the_end(&stream), b"");
    assert_eq!(
        TcpStream::connect(address).unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );
}

#[test]
fn stopped_server_closes_the_connection() {
    let [anonymous] = free_ports().unwrap();
    let proxy = Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, anonymous))).unwrap();
    assert_eq!(receive_to_the_end(&connect(&proxy)), b"");
    assert_eq!(proxy.open(), 0);
}

#[test]
fn frame_is_cut_once() {
    let proxy = Proxy::start(echo_server()).unwrap();
    proxy.cut_frame(Direction::ToClient, 1, Place::Within(6));
    let stream = connect(&proxy);
    let frames = b"\0\0\0\x02hi\0\0\0\x04ends";
    say(&stream, frames);
    assert_eq!(receive_to_the_end(&stream), &frames[..12]);
    assert!(!proxy.is_to_cut(Direction::ToClient));
    let stream = connect(&proxy);
    say(&stream, frames);
    assert_eq!(receive(&stream, frames.len()), frames);
    proxy.cut_frame(Direction::ToServer, 0, Place::Before);
    proxy.spare();
    assert!(!proxy.is_to_cut(Direction::ToServer));
    say(&stream, frames);
    assert_eq!(receive(&stream, frames.len()), frames);
}

#[test]
fn what_is_delayed_arrives_later_and_whole() {
    let proxy = Proxy::start(echo_server()).unwrap();
    proxy.delay(A_MOMENT);
    let started = std::time::Instant::now();
    let stream = connect(&proxy);
    say(&stream, b"late");
    assert_eq!(receive(&stream, 4), b"late");
    assert!(started.elapsed() >= 2 * A_MOMENT);
}
