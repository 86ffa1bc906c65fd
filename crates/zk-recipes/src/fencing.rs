//! Locks are leases: fencing tokens and fenced writes.
//!
//! This module holds no code. It says what a lock on an ensemble can guarantee and what it cannot, and
//! how to write a program that is correct nevertheless.
//!
//! # The problem
//!
//! A program acquires a lock, checks that it holds it, and writes to a database. Between the check
//! and the write the program is suspended: by the garbage collector of a runtime, by a full disk, by
//! a hypervisor that moves it to another machine, by `SIGSTOP`. Its session ends meanwhile, and the
//! ensemble gives the lock to another program, which writes, too. Then the first program continues,
//! and writes what it had computed from its earlier read: the other write is lost. Both programs were
//! correct, and no client library can prevent this, since the first program was not running at the
//! time of the loss.
//!
//! ```text
//!   A  acquires ── checks ── reads 41 ──[ suspended .......................... ]── writes 42   ✗
//!   ensemble                              A's session ends ── gives it to B
//!   B                waits ........................................ acquires ── reads 41 ── writes 42
//! ```
//!
//! # What this crate does about it
//!
//! Each measure makes the window smaller; the last two close it.
//!
//! 1. **[`check`](crate::Guard::check) reads the clock.** A guard counts as lost eleven twelfths of the session's timeout after
//!    the last sign of life that is proven to have reached the ensemble's leader ([`LeaseBasis`](crate::LeaseBasis)), which
//!    is before the ensemble can end the session. The check is correct at once in a program that has
//!    just been continued. It says nothing about the next instruction.
//! 2. **[`run`](crate::Guard::run) and [`lost`](crate::Guard::lost) end the work**, if the work is asynchronous and returns to the runtime at
//!    times. They do not stop what the work has moved to other threads, such as with `spawn_blocking`.
//! 3. **[`fenced`](crate::Guard::fenced) lets ZooKeeper check.** A transaction that begins with the check that the guard's
//!    znode exists cannot take effect after the lock has been given away. For data in ZooKeeper this
//!    is complete.
//! 4. **[`token`](crate::Guard::token) lets any other service check.** It is a number that grows from holder to holder. The
//!    service refuses a token that is smaller than one it has seen.
//!
//! # A worked example
//!
//! A ledger in a database, and programs that add to it in turn. One more row holds the token:
//!
//! ```sql
//! CREATE TABLE fence (resource TEXT PRIMARY KEY, token BIGINT NOT NULL);
//! INSERT INTO fence VALUES ('ledger', 0);
//! ```
//!
//! Each transaction begins by presenting its token. It writes nothing if a greater one was presented
//! before:
//!
//! ```sql
//! UPDATE fence SET token = :token WHERE resource = 'ledger' AND token <= :token;
//! -- no row updated: a later holder has written; roll back
//! INSERT INTO ledger …;
//! COMMIT;
//! ```
//!
//! The program, with a ledger in place of the database:
//!
//! ```
//! use std::sync::Mutex;
//!
//! use zk_recipes::{Lock, Token};
//!
//! /// The protected service remembers the greatest token.
//! #[derive(Default)]
//! struct Ledger {
//!     inner: Mutex<(Option<Token>, Vec<String>)>,
//! }
//!
//! impl Ledger {
//!     fn add(&self, token: Token, entry: &str) -> Result<(), Token> {
//!         let mut inner = self.inner.lock().unwrap();
//!         match inner.0 {
//!             Some(seen) if seen > token => return Err(seen),
//!             _ => inner.0 = Some(token),
//!         }
//!         inner.1.push(entry.to_owned());
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = zk_embedded::Server::start().await?;
//! # let (one, other) = (
//! #     zk_client::Client::connect(server.connect_string()).await?,
//! #     zk_client::Client::connect(server.connect_string()).await?,
//! # );
//! let ledger = Ledger::default();
//! let stale = Lock::new(&one, "/locks/ledger").acquire().await?;
//! ledger.add(stale.token(), "opened").unwrap();
//!
//! // The program is suspended here, and its session ends …
//! server.expire_session(one.session().id);
//! let guard = Lock::new(&other, "/locks/ledger").acquire().await?;
//! ledger.add(guard.token(), "first of the next holder").unwrap();
//!
//! // … and when it continues, it has not noticed that. The ledger refuses its write.
//! assert_eq!(ledger.add(stale.token(), "late"), Err(guard.token()));
//! # Ok(()) }
//! ```
//!
//! # Details
//!
//! - The token is the zxid at which the holder's znode was created, not the sequence number in its
//!   name: sequence numbers restart when the lock's parent znode is deleted, as containers are, and
//!   overflow. A zxid has 64 bits and never goes back, unless the ensemble is restored from a backup:
//!   the page of [`Token`](crate::Token) says what to compare then, and how to store a token.
//! - A program in Python or Java that shares the lock gets the same number as the `czxid` of its
//!   znode's stat.
//! - Readers of a [`ReadLock`](crate::ReadLock) and holders of a
//!   [`Semaphore`](crate::Semaphore) hold at the same time. A token orders them,
//!   but a smaller token is not stale.
//! - On Linux the monotonic clock does not advance while the whole machine is suspended, so a check
//!   right after that may be wrong by the time of the suspension. `fenced` and `token` do not depend
//!   on clocks.
