//! Locks are leases: fencing.
//!
//! This module holds no code. It says what a lock on an ensemble can promise and what it cannot, and
//! how to write a program that is right all the same.
//!
//! # What goes wrong
//!
//! A program acquires a lock, checks that it holds it, and writes to a database. Between the check
//! and the write it is stopped: by the garbage collector of a runtime, by a full disk, by a hypervisor
//! that moves it to another machine, by `SIGSTOP`. Its session ends meanwhile, the ensemble gives the
//! lock to another program, and that one writes, too. Then the first is continued, and writes what
//! it had computed from what it had read: the other's write is lost. Nobody has done anything wrong,
//! and no client library can prevent it, for the program was not running when it would have had to.
//!
//! ```text
//!   A  acquires ── checks ── reads 41 ──[ stopped ............................ ]── writes 42   ✗
//!   ensemble                              A's session ends ── gives it to B
//!   B                waits ........................................ acquires ── reads 41 ── writes 42
//! ```
//!
//! # What this crate does about it
//!
//! Each makes the window smaller; the last two close it.
//!
//! 1. **[`check`](crate::Guard::check) asks the clock.** A guard counts as lost nine tenths of the
//!    session's timeout after the last sign of life that the ensemble's leader is known to have heard
//!    of ([`LeaseBasis`](crate::LeaseBasis)), which is before the ensemble can end the session. The check is
//!    right at once in a program that has just been continued. It says nothing about the next
//!    instruction.
//! 2. **[`run`](crate::Guard::run) and [`lost`](crate::Guard::lost) end the work**, if it is
//!    asynchronous and comes back to the runtime now and then.
//! 3. **[`fenced`](crate::Guard::fenced) lets ZooKeeper check.** A transaction that begins with the
//!    check that the guard's znode exists cannot take effect after the lock has been given away. That
//!    is complete, for what is kept in ZooKeeper.
//! 4. **[`token`](crate::Guard::token) lets everybody else check.** It is a number that grows from
//!    holder to holder. What is written to refuses a token that is less than one it has seen.
//!
//! # A worked example
//!
//! A ledger in a database, and programs that take turns in adding to it. The table has one row more,
//! for the token:
//!
//! ```sql
//! CREATE TABLE fence (resource TEXT PRIMARY KEY, token BIGINT NOT NULL);
//! INSERT INTO fence VALUES ('ledger', 0);
//! ```
//!
//! Each transaction begins by showing its token. It writes nothing if a greater one was shown:
//!
//! ```sql
//! UPDATE fence SET token = :token WHERE resource = 'ledger' AND token <= :token;
//! -- no row updated: a later holder has been here; roll back
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
//! /// What is written to must know the greatest token it was shown.
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
//! // The program is stopped here, and its session ends …
//! server.expire_session(one.session().id);
//! let guard = Lock::new(&other, "/locks/ledger").acquire().await?;
//! ledger.add(guard.token(), "first of the next holder").unwrap();
//!
//! // … and when it goes on it does not know. The ledger does.
//! assert_eq!(ledger.add(stale.token(), "late"), Err(guard.token()));
//! # Ok(()) }
//! ```
//!
//! # Details
//!
//! - The token is the zxid at which the holder's znode was created ([`Token`](crate::Token)), not the
//!   sequence number in its name: that one starts over when the lock's parent znode is deleted, as
//!   containers are, and overflows. A zxid is 64 bits and never goes back, unless the ensemble is
//!   restored from a backup: see [`Token`](crate::Token) for what to compare then.
//! - A program in Python or Java that shares the lock gets the same number as the `czxid` of its
//!   znode's stat.
//! - Readers of a [`ReadLock`](crate::ReadLock) and holders of a [`Semaphore`](crate::Semaphore)
//!   hold at the same time. A token orders them, but a smaller one is not stale.
//! - On Linux the monotonic clock stands still while the whole machine is suspended, and a check right
//!   after it may be wrong by that time. `fenced` and `token` are not concerned.
