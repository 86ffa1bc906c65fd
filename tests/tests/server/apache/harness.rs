//! The harness against real servers: what the other tests take for granted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use zk_tests::{Ensemble, Error, Mode, Proxy, ServerOptions, Standalone, Wait};
use zk_tests::{four_letter, watchdog};

const OWNER: &str = "ZK_TESTS_OWNER";

/// A session on a raw socket: enough of the protocol to leave a node behind.
struct RawSession(TcpStream);

impl RawSession {
    fn open(address: SocketAddr) -> Self {
        let mut session = Self(TcpStream::connect(address).unwrap());
        let mut connect = vec![0; 4 + 8]; // protocol version, last zxid
        connect.extend(10_000_i32.to_be_bytes()); // session timeout
        connect.extend(0_i64.to_be_bytes()); // session id
        connect.extend(16_i32.to_be_bytes());
        connect.extend([0; 16 + 1]); // password, read-only
        let reply = session.exchange(&connect);
        assert_eq!(reply.len(), 37);
        session
    }

    fn create(&mut self, path: &str) {
        let mut request = Vec::new();
        let buffer = |bytes: &[u8]| {
            let length = i32::try_from(bytes.len()).unwrap();
            [&length.to_be_bytes(), bytes].concat()
        };
        request.extend(1_i32.to_be_bytes()); // xid
        request.extend(1_i32.to_be_bytes()); // create
        request.extend(buffer(path.as_bytes()));
        request.extend(buffer(b"data"));
        request.extend(1_i32.to_be_bytes()); // one ACL entry
        request.extend(31_i32.to_be_bytes()); // all permissions
        request.extend(buffer(b"world"));
        request.extend(buffer(b"anyone"));
        request.extend(0_i32.to_be_bytes()); // persistent
        let reply = self.exchange(&request);
        assert_eq!(reply[12..16], [0; 4], "the server refused to create {path}");
    }

    fn exchange(&mut self, request: &[u8]) -> Vec<u8> {
        let _wait = Wait::begin("a reply");
        let length = u32::try_from(request.len()).unwrap();
        self.0
            .write_all(&[&length.to_be_bytes(), request].concat())
            .unwrap();
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut reply = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut reply).unwrap();
        reply
    }
}

#[test]
fn killed_server_keeps_port_and_data() {
    let begun = Instant::now();
    let server = Standalone::start(ServerOptions::default()).unwrap();
    eprintln!("standalone serves after {:?}", begun.elapsed());
    let before = server.srvr().unwrap();
    assert_eq!(before.mode, Mode::Standalone);
    RawSession::open(server.address()).create("/kept");
    let written = server.srvr().unwrap();
    assert_eq!(written.node_count, before.node_count + 1);

    let first = server.pid().unwrap();
    server.kill().unwrap();
    assert_eq!(server.pid(), None);
    assert!(TcpStream::connect(server.address()).is_err());
    assert!(
        server.kill().is_err(),
        "a server that is down cannot be killed"
    );

    let again = server.restart().unwrap();
    assert_ne!(server.pid().unwrap(), first);
    assert_eq!(again.node_count, written.node_count);
    assert!(
        again.zxid >= written.zxid,
        "{:#x} after {:#x}",
        again.zxid,
        written.zxid
    );
}

#[test]
fn stop_keeps_data_also_when_paused() {
    let server = Standalone::start(ServerOptions::default()).unwrap();
    RawSession::open(server.address()).create("/kept");
    let written = server.srvr().unwrap();
    server.pause().unwrap();
    server.stop().unwrap();
    assert_eq!(server.pid(), None);
    assert_eq!(server.restart().unwrap().node_count, written.node_count);
}

#[test]
fn paused_server_answers_after_resume() {
    let server = Standalone::start(ServerOptions::default()).unwrap();
    server.pause().unwrap();
    // The kernel accepts on the server's behalf; the server says nothing.
    assert!(TcpStream::connect(server.address()).is_ok());
    four_letter::ask(server.address(), "ruok", Duration::from_millis(300)).unwrap_err();
    server.resume().unwrap();
    assert_eq!(server.four_letter("ruok").unwrap(), "imok");
    server.pause().unwrap();
    server.kill().unwrap();
}

#[test]
fn options_reach_the_server() {
    let options = ServerOptions::default()
        .tick_time(Duration::from_millis(700))
        .system_property("zookeeper.maxResponseCacheSize", "12")
        .config("maxSessionTimeout", "30000");
    let server = Standalone::start(options).unwrap();
    let conf = server.four_letter("conf").unwrap();
    for line in [
        "tickTime=700",
        "minSessionTimeout=1400",
        "maxSessionTimeout=30000",
    ] {
        assert!(conf.contains(line), "no {line} in\n{conf}");
    }
    let log = std::fs::read_to_string(server.log_path()).unwrap();
    assert!(
        log.contains("response cache size is initialized with value 12"),
        "{log}"
    );
}

#[test]
fn secure_port_is_beside_the_plain_one() {
    let server = Standalone::start(ServerOptions::default().secure_port()).unwrap();
    assert!(TcpStream::connect(server.secure_address().unwrap()).is_ok());
    RawSession::open(server.address()).create("/through-netty");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let options = ServerOptions::default().config("tickTime", "a while");
    let error = Standalone::start(options).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("ended by itself"), "{text}");
    assert!(text.contains("NumberFormatException"), "no log in: {text}");
}

#[test]
fn a_lost_port_is_an_error_that_says_so() {
    let server = Standalone::start(ServerOptions::default()).unwrap();
    server.kill().unwrap();
    let _thief = TcpListener::bind((Ipv4Addr::LOCALHOST, server.client_port())).unwrap();
    let error = server.restart().unwrap_err();
    assert!(error.is_port_conflict(), "{error}");
    assert!(matches!(error, Error::Server { .. }));
}

#[test]
fn a_proxy_stands_between() {
    let server = Standalone::start(ServerOptions::default()).unwrap();
    let proxy = Proxy::start(server.address()).unwrap();
    let mut session = RawSession::open(proxy.address());
    session.create("/through-the-proxy");
    assert_eq!(proxy.cut_all(), 1);
    assert_eq!(session.0.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn ensemble_replaces_a_killed_leader() {
    let begun = Instant::now();
    let ensemble = Ensemble::start(3, ServerOptions::default()).unwrap();
    eprintln!("an ensemble of three serves after {:?}", begun.elapsed());
    assert_eq!(ensemble.connect_string().split(',').count(), 3);
    assert_eq!(ensemble.followers().unwrap().len(), 2);

    let old = ensemble.leader().unwrap();
    RawSession::open(ensemble.followers().unwrap()[0].address()).create("/kept");
    let killed = Instant::now();
    old.kill().unwrap();
    let new = ensemble.leader().unwrap();
    eprintln!("another leads {:?} after the kill", killed.elapsed());
    assert_ne!(new.id(), old.id());

    old.restart().unwrap();
    assert_eq!(old.mode().unwrap(), Mode::Follower);
    let states = ensemble.wait_until_serving().unwrap();
    let counts: Vec<_> = states.iter().map(|srvr| srvr.node_count).collect();
    assert_eq!(counts, [counts[0]; 3], "the restarted server has caught up");
}

#[test]
fn ensemble_without_quorum_does_not_serve() {
    let ensemble = Ensemble::start(3, ServerOptions::default().config("syncLimit", "4")).unwrap();
    let leader = ensemble.leader().unwrap();
    let followers = ensemble.followers().unwrap();
    for follower in &followers {
        follower.kill().unwrap();
    }
    watchdog::poll("it to serve no more without a quorum", || {
        leader.srvr().is_err().then_some(())
    });
    assert!(ensemble.leader_now().is_none());
    for follower in &followers {
        follower.spawn().unwrap();
    }
    ensemble.wait_until_serving().unwrap();
    ensemble.leader().unwrap();
}

#[test]
fn drop_leaves_no_process_or_directory() {
    let server = Standalone::start(ServerOptions::default()).unwrap();
    let (pid, dir, address) = (
        server.pid().unwrap(),
        server.dir().to_owned(),
        server.address(),
    );
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert_eq!(dir.exists(), zk_tests::run_directory::keep_requested());
}

/// The test runs itself a second time as the owner of a server, and kills that process: no
/// destructor runs there.
#[test]
fn killed_owner_leaves_no_process() {
    if std::env::var_os(OWNER).is_some() {
        let server = Standalone::start(ServerOptions::default()).unwrap();
        server.pause().unwrap();
        println!("owner {} {}", server.client_port(), server.dir().display());
        // Ends when the parent does, should that fail before it kills.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        return;
    }
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "apache::harness::killed_owner_leaves_no_process",
            "--nocapture",
        ])
        .env(OWNER, "1")
        .env_remove("ZK_TESTS_KEEP")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        .find_map(|line| Some(line.split_once("owner ")?.1.to_owned()))
        .expect("the owner starts a server");
    let (port, dir) = line.split_once(' ').unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap()));
    assert!(TcpStream::connect(address).is_ok());
    assert!(Path::new(dir).is_dir());

    owner.kill().unwrap();
    owner.wait().unwrap();
    watchdog::poll(
        &format!("{address} and {dir} to go with their owner"),
        || (TcpStream::connect(address).is_err() && !Path::new(dir).exists()).then_some(()),
    );
}
