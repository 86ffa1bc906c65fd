//! Starts real Apache ZooKeeper servers for tests, and breaks them on request.
//!
//! The layer above is the integration tests in `tests/tests/` and `cargo xtask servers`; below are
//! only `std`, a system call of `rustix`'s, a Java runtime and ZooKeeper's jars. Nothing here is built on the client, so a bug in
//! it cannot hide in its harness.
//!
//! ```no_run
//! use zk_tests::{Ensemble, ServerOptions, Standalone};
//!
//! # fn main() -> zk_tests::Result<()> {
//! let server = Standalone::start(ServerOptions::default())?;
//! server.kill()?; // kill -9
//! server.restart()?; // same port, same data
//!
//! let ensemble = Ensemble::start(3, ServerOptions::default())?;
//! let leader = ensemble.leader()?;
//! leader.pause()?; // SIGSTOP
//! leader.resume()?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is left behind
//!
//! Nothing, whether the process returns, panics, aborts or is killed with SIGKILL: dropping a
//! [`Standalone`] or [`Ensemble`] kills its servers and removes its directory, and what is not
//! dropped falls to a janitor process that outlives this one by a moment ([`run_directory`]).
//! `ZK_TESTS_KEEP=1` keeps the directories (configuration, data, `server.log`) and still ends the
//! servers.
//!
//! # Which release
//!
//! Of Debian's package, unless `ZOOKEEPER_HOME` or `ZK_CLASSPATH` names another ([`Installation`]).
//! `cargo xtask test` runs the suites on Debian's and on the one in `ZOOKEEPER_HOME`: it gives each
//! test process `ZK_CLASSPATH`. A test that has to know asks a server for its version
//! ([`Server::srvr`]).
//!
//! # Tests that use it
//!
//! The program and the module of a test in `tests/tests/` decide which servers it runs on, if any
//! (`tests/tests/server/main.rs`). A test simply starts what it needs and unwraps: the error says what
//! to install, or ends with the server's log.
//!
//! # Layout
//!
//! - [`installation`]: where Java and ZooKeeper are, and how to install them
//! - [`tool`]: programs that count what another does
//! - [`kazoo`]: the Python client, and the Python to run it with
//! - [`kerberos`]: a KDC, and the headers of its library
//! - [`curator`]: the Java recipes, of the release's jars or of Debian
//! - [`network`], [`namespace`]: hosts on a bridge, and what cuts them off (Linux, root)
//! - [`options`]: what a server is started with, and the `zoo.cfg` made of it
//! - [`server`]: one server process: kill, pause, restart, query
//! - [`standalone`], [`ensemble`]: servers with a life time and a directory
//! - [`four_letter`]: `srvr` and other four-letter words
//! - [`lincheck`]: whether a recorded history can be explained
//! - [`constant`]: a server that answers from prepared bytes, for measuring
//! - [`proxy`]: a TCP proxy that cuts, refuses, delays and stalls
//! - [`starvation`]: scenes that depend on real time
//! - [`txn_log`]: a reader of a server's transaction log
//! - [`watchdog`]: waits that fail when nothing happens, and never because a machine is slow
//! - [`ports`], [`run_directory`], [`signal`]: loopback ports, clean-up, signals without `unsafe`

mod apt;
mod command;
pub mod constant;
pub mod curator;
pub mod ensemble;
pub mod error;
pub mod four_letter;
pub mod installation;
pub mod kazoo;
pub mod kerberos;
pub mod lincheck;
mod missing;
pub mod namespace;
pub mod network;
pub mod options;
pub mod ports;
pub mod proxy;
pub mod run_directory;
pub mod server;
pub mod signal;
mod site;
pub mod standalone;
pub mod starvation;
pub mod tool;
pub mod txn_log;
pub mod watchdog;

pub use command::cargo;
pub use constant::Constant;
pub use curator::Curator;
pub use ensemble::Ensemble;
pub use error::{Error, Result};
pub use four_letter::{Mode, Srvr};
pub use installation::Installation;
pub use kazoo::Kazoo;
pub use missing::MissingZooKeeper;
pub use network::{Cut, Host, Loss, Network};
pub use options::{SUPER_CREDENTIALS, ServerOptions};
pub use proxy::{Direction, Place, Proxy};
pub use server::Server;
pub use standalone::Standalone;
pub use tool::Tool;
pub use watchdog::Wait;
