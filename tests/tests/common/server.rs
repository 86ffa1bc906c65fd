//! The servers the tests run against, real or embedded: `ZK_TESTS_SERVER` says which.
//!
//! | value | servers |
//! |---|---|
//! | `apache`, or not set | Apache ZooKeeper, processes of their own, of the release that [`zk_tests::Installation`] finds |
//! | `embedded` | `zk_embedded`, as Apache ZooKeeper 3.9 behaves |
//! | `embedded-POSE` | `zk_embedded` in another pose: `3.4`, `3.5`, `3.6`, `3.8`, `keeper-old`, `keeper-new` |
//!
//! A test is the same on all of them. Nothing here talks to the client's runtime, so that a test
//! may call it from anywhere, and block.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use tokio::runtime::Runtime;
use zk_client::{ErrorKind, Outcome};
use zk_embedded::{Pose, ServerBuilder, UnknownPose};
use zk_proto::OpCode;
use zk_tests::starvation::LONGEST_SESSION;
use zk_tests::watchdog::{receive, try_poll};
use zk_tests::{
    Ensemble, Mode, SUPER_CREDENTIALS, Server, ServerOptions, Srvr, Standalone, four_letter,
};

const PARAMETER: &str = "ZK_TESTS_SERVER";
const MEMBERS: usize = 3;
/// As [`ServerOptions`] has it, and with it the shortest session: 1 s.
const TICK: Duration = Duration::from_millis(500);
/// After which an embedded server counts as frozen.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Prints as what it is made of, which for servers ends with their log.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What `ZK_TESTS_SERVER` selects; `None` is Apache ZooKeeper.
pub fn embedded() -> Option<Pose> {
    let wanted = std::env::var(PARAMETER).unwrap_or_else(|_| "apache".to_owned());
    match wanted.strip_prefix("embedded") {
        None if wanted == "apache" => None,
        Some("") => Some(Pose::V3_9),
        Some(pose) => match pose.strip_prefix('-').map(str::parse) {
            Some(Ok(pose)) => Some(pose),
            _ => panic!("{PARAMETER} is embedded-POSE in {wanted:?}, and {UnknownPose}"),
        },
        None => panic!("{PARAMETER} is apache, embedded or embedded-POSE, and not {wanted:?}"),
    }
}

/// Whether the servers are embedded ones.
pub fn is_embedded() -> bool {
    embedded().is_some()
}

/// Whether the servers execute the operation, sent by itself. Apache ZooKeeper from 3.8 on, which runs as
/// processes, has all that clients send.
pub fn server_has(op: OpCode) -> bool {
    embedded().is_none_or(|pose| pose.knows(op))
}

/// Whether the servers are ClickHouse Keeper's.
pub fn is_keeper() -> bool {
    embedded().is_some_and(|pose| matches!(pose, Pose::KeeperOld | Pose::KeeperNew))
}

/// Whether a session outlives its connection: a client can resume it on another one.
pub fn server_resumes_sessions() -> bool {
    embedded().is_none_or(Pose::resumes_sessions)
}

/// Whether a recursive watch reports which znode has changed.
pub fn server_has_recursive_watches() -> bool {
    server_has(OpCode::AddWatch) && !is_keeper()
}

/// The value of an operation that nothing can be used for instead, or `None` where the servers do not
/// have it: then it must fail with an error that is made for that and names the operation.
pub fn if_server_has<T>(op: OpCode, result: zk_client::Result<T>) -> Option<T> {
    if server_has(op) {
        return Some(result.unwrap());
    }
    let error = result
        .err()
        .expect("the server does not know the operation");
    assert_unimplemented(&error, op.name());
    None
}

/// That the error is that of an operation which the servers do not have, and says so.
pub fn assert_unimplemented(error: &zk_client::Error, said: &str) {
    assert_eq!(error.kind(), ErrorKind::Unimplemented, "{error:?}");
    let text = error.to_string();
    assert!(text.contains(said), "{text}");
    let outcome = error.outcome();
    assert!(
        matches!(outcome, Outcome::NotSent | Outcome::Rejected),
        "{error:?}"
    );
}

/// One server, alone or of an ensemble. It ends when it is dropped, with its ensemble if it has one.
#[derive(Debug)]
pub struct TestServer(Kind);

#[derive(Debug)]
enum Kind {
    Standalone(Box<Standalone>),
    Member(Arc<Ensemble>, usize),
    Embedded(Arc<Embedded>, usize),
}

impl TestServer {
    pub fn start() -> Result<Self> {
        Self::start_with(ServerOptions::default(), |builder| builder)
    }

    /// One that looks for containers without children this often.
    pub fn start_reaping(interval: Duration) -> Result<Self> {
        let every = interval.as_millis().to_string();
        let options = ServerOptions::default();
        Self::start_with(
            options.system_property("znode.container.checkIntervalMs", every),
            |builder| builder.container_check_interval(interval),
        )
    }

    /// The options of Apache ZooKeeper's process, and those of the embedded server.
    fn start_with(
        options: ServerOptions,
        change: impl FnOnce(ServerBuilder) -> ServerBuilder,
    ) -> Result<Self> {
        Ok(TestServer(match embedded() {
            None => Kind::Standalone(Box::new(Standalone::start(options)?)),
            Some(pose) => {
                let server = Embedded::start_with(change(Embedded::builder(pose, 1)))?;
                Kind::Embedded(Arc::new(server), 0)
            }
        }))
    }

    /// The process, or the embedded server and which of its members this is.
    fn what(&self) -> std::result::Result<&Server, (&Embedded, usize)> {
        match &self.0 {
            Kind::Standalone(server) => Ok(server),
            Kind::Member(ensemble, index) => Ok(&ensemble.servers()[*index]),
            Kind::Embedded(server, index) => Err((server, *index)),
        }
    }

    /// Its number in the ensemble, from 1.
    pub fn id(&self) -> usize {
        self.what().map_or_else(|(_, index)| index + 1, Server::id)
    }

    pub fn address(&self) -> SocketAddr {
        self.what().map_or_else(
            |(embedded, index)| embedded.server.addresses()[index],
            Server::address,
        )
    }

    pub fn connect_string(&self) -> String {
        self.address().to_string()
    }

    /// Asks a four-letter word, on the wire.
    pub fn four_letter(&self, word: &str) -> Result<String> {
        match self.what() {
            Ok(server) => Ok(server.four_letter(word)?),
            Err(_) => Ok(four_letter::ask(self.address(), word, ANSWER_TIMEOUT)?),
        }
    }

    /// kill -9. When this returns, the port is closed and every connection is lost.
    pub fn kill(&self) -> Result<()> {
        match self.what() {
            Ok(server) => Ok(server.kill()?),
            Err((embedded, index)) => embedded.stop(index),
        }
    }

    /// Starts it after [`kill`](Self::kill), with the same port and data, and does not wait.
    pub fn spawn(&self) -> Result<()> {
        match self.what() {
            Ok(server) => Ok(server.spawn()?),
            Err((embedded, index)) => embedded.run(index),
        }
    }

    pub fn wait_until_serving(&self) -> Result<()> {
        match self.what() {
            Ok(server) => {
                server.wait_until_serving()?;
                Ok(())
            }
            Err(_) => Ok(try_poll("a server to serve", || {
                self.srvr_now().ok().map(drop)
            })?),
        }
    }

    /// Kills it, if it runs, starts it again and waits until it serves.
    pub fn restart(&self) -> Result<()> {
        match self.what() {
            Ok(server) => {
                server.restart()?;
                Ok(())
            }
            Err((embedded, index)) => {
                embedded.stop(index)?;
                embedded.run(index)?;
                self.wait_until_serving()
            }
        }
    }

    /// Starts it again with nothing of its own: it gets all data from the leader.
    pub fn restart_empty(&self) -> Result<()> {
        match self.what() {
            Ok(server) => {
                server.restart_empty()?;
                Ok(())
            }
            Err(_) => self.restart(),
        }
    }

    /// As SIGSTOP does: connections stay, and nothing is answered.
    pub fn pause(&self) -> Result<()> {
        match self.what() {
            Ok(server) => server.pause()?,
            Err((embedded, index)) => embedded.server.member(index).freeze(),
        }
        Ok(())
    }

    /// Lets it continue after [`pause`](Self::pause).
    pub fn resume(&self) -> Result<()> {
        match self.what() {
            Ok(server) => server.resume()?,
            Err((embedded, index)) => embedded.server.member(index).thaw(),
        }
        Ok(())
    }

    /// Whether it says that it leads.
    pub fn is_leader(&self) -> bool {
        self.what().map_or_else(
            |_| self.srvr_now().is_ok_and(|srvr| srvr.mode == Mode::Leader),
            Server::is_leader,
        )
    }

    /// Asks `srvr`; an error while it does not serve.
    pub fn srvr(&self) -> Result<Srvr> {
        match self.what() {
            Ok(server) => Ok(server.srvr()?),
            Err(_) => self.srvr_now(),
        }
    }

    fn srvr_now(&self) -> Result<Srvr> {
        Ok(four_letter::ask(self.address(), "srvr", ANSWER_TIMEOUT)?.parse::<Srvr>()?)
    }
}

/// Three servers with a quorum.
#[derive(Debug)]
pub struct TestEnsemble(Vec<TestServer>);

impl TestEnsemble {
    /// A leader whose followers fail to synchronize tries again after `initLimit`, which 3.8.0 needs about once
    /// in ten elections.
    pub fn start() -> Result<Self> {
        Self::start_with(ServerOptions::default().config("initLimit", "40"))
    }

    /// The options are those of Apache ZooKeeper's processes.
    pub fn start_with(options: ServerOptions) -> Result<Self> {
        let member: Box<dyn Fn(usize) -> Kind> = match embedded() {
            None => {
                let ensemble = Arc::new(Ensemble::start(MEMBERS, options)?);
                Box::new(move |index| Kind::Member(Arc::clone(&ensemble), index))
            }
            Some(pose) => {
                let server = Arc::new(Embedded::start(pose, MEMBERS)?);
                Box::new(move |index| Kind::Embedded(Arc::clone(&server), index))
            }
        };
        let servers = (0..MEMBERS).map(|index| TestServer(member(index)));
        Ok(TestEnsemble(servers.collect()))
    }

    /// In the order of their ids.
    pub fn servers(&self) -> &[TestServer] {
        &self.0
    }

    pub fn connect_string(&self) -> String {
        let hosts: Vec<_> = self.0.iter().map(TestServer::connect_string).collect();
        hosts.join(",")
    }

    /// The leader; waits for an election to end.
    pub fn leader(&self) -> Result<&TestServer> {
        Ok(try_poll("one leader", || {
            let mut leaders = self.0.iter().filter(|server| server.is_leader());
            // Two claim to lead until one of them has received the other's epoch.
            leaders.next().filter(|_| leaders.next().is_none())
        })?)
    }
}

/// Servers of this process, on a runtime that no test pauses or drops.
#[derive(Debug)]
struct Embedded {
    // An `Arc` because what runs on the other runtime may outlive the caller that waits for it.
    server: Arc<zk_embedded::Server>,
}

impl Embedded {
    fn builder(pose: Pose, members: usize) -> ServerBuilder {
        zk_embedded::Server::builder()
            .pose(pose)
            .members(members)
            .reconfig_enabled(true)
            .super_digest(zk_proto::acl::proven_digest_id(
                SUPER_CREDENTIALS.as_bytes(),
            ))
            .tick(TICK)
            .session_timeouts(TICK * 2, LONGEST_SESSION)
    }

    fn start(pose: Pose, members: usize) -> Result<Self> {
        Self::start_with(Self::builder(pose, members))
    }

    fn start_with(builder: ServerBuilder) -> Result<Self> {
        let server = Arc::new(there(builder.start())??);
        Ok(Embedded { server })
    }

    fn stop(&self, index: usize) -> Result<()> {
        let server = Arc::clone(&self.server);
        if server.member_count() == 1 {
            return there(async move { server.stop().await });
        }
        server.member(index).stop();
        there(async move { server.member(index).refuse_connections(true).await })
    }

    fn run(&self, index: usize) -> Result<()> {
        let server = Arc::clone(&self.server);
        if server.member_count() == 1 {
            return Ok(there(async move { server.start_again(true).await })??);
        }
        server.member(index).run();
        there(async move { server.member(index).refuse_connections(false).await })
    }
}

/// Runs a future on the servers' runtime and blocks until it is done.
fn there<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Result<T> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("servers")
            .enable_all()
            .build()
            .unwrap()
    });
    let (done, result) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // The receiver is gone if its wait was given up, which has been reported.
        let _ = done.send(future.await);
    });
    Ok(receive("an embedded server", &result).ok_or("its runtime has ended")?)
}
