//! Kerberos logins for [`zk_client`]: SASL's mechanism GSSAPI (RFC 4752), over the GSSAPI library of the
//! system, MIT Kerberos or Heimdal.
//!
//! ```no_run
//! use zk_client::Client;
//! use zk_sasl_gssapi::Gssapi;
//!
//! # async fn example() -> Result<(), zk_client::Error> {
//! let zk = Client::builder("zk1.example.com:2181,zk2.example.com:2181")
//!     .sasl(Gssapi::new().principal("app@EXAMPLE.COM"))
//!     .connect()
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What to install
//! To build: the headers of the library, libclang, and pkg-config or `krb5-config`; on Debian
//! `apt-get install libkrb5-dev libclang-dev pkg-config`. To run: the library (`libgssapi-krb5-2`) and a
//! `krb5.conf` that names the realm. macOS has the library as its framework `GSS`. There is no Windows
//! build. With the feature `zkctl`, `cargo install zk-sasl-gssapi --features zkctl` installs the program
//! `zkctl-gssapi`, which is `zkctl` with Kerberos.
//!
//! # Tickets
//! The library reads the environment of the process when it looks for tickets:
//!
//! | variable | what it names |
//! |---|---|
//! | `KRB5CCNAME` | the ticket cache: `FILE:/run/app/tickets`, `DIR:…`, `KEYRING:…`, `KCM:`, `MEMORY:app` |
//! | `KRB5_CLIENT_KTNAME` | the keytab with which the library fetches tickets by itself: `FILE:/etc/app.keytab` |
//! | `KRB5_CONFIG` | a `krb5.conf` other than `/etc/krb5.conf` |
//!
//! - With a keytab there is nothing to renew and nothing else to run: the library fetches a ticket when
//!   a login needs one and the cache has none that is valid. `KRB5CCNAME=MEMORY:app` keeps the tickets out
//!   of the file system. Set both variables where the process is started, as in the unit of systemd or in the
//!   manifest of Kubernetes. (This crate does not set them: the environment belongs to all threads, and
//!   changing it is `unsafe` in Rust.)
//! - An outage of all KDCs costs a client its session, and with that its locks, only if its ticket expires and
//!   its connection is lost meanwhile, and if no KDC is back within the session's timeout.
//! - There is no JAAS file for clients, and no thread that renews tickets, as clients in Java have: the principal is
//!   [`Gssapi::principal`], and every login looks for a valid ticket.
//! - A cache `FILE:` or `MEMORY:` holds the tickets of one principal. For several in one process name a collection:
//!   `DIR:`, `KEYRING:` or `KCM:`.
//! - With a cache that `kinit` fills, `kinit -R` or `k5start` has to renew it; every login reads it anew.
//!
//! A connection that has logged in lives on when its ticket expires: ZooKeeper's servers check tickets at the
//! login only. The next connection needs a valid one. While it cannot be had (the cache is empty, the ticket has
//! expired, the KDC does not answer or cannot serve, the clocks differ), the client tries again until the session
//! has expired; a lock is kept as long as its session. A refusal that no repetition will change (an unknown
//! principal, a keytab whose key is not the KDC's) ends the client with
//! [`ErrorKind::AuthFailed`](zk_client::ErrorKind::AuthFailed).
//!
//! # The server
//! In `zoo.cfg`: `authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider`, and in the file
//! that the system property `java.security.auth.login.config` names:
//!
//! ```text
//! Server {
//!   com.sun.security.auth.module.Krb5LoginModule required
//!   useKeyTab=true storeKey=true useTicketCache=false
//!   keyTab="/etc/zookeeper.keytab"
//!   principal="zookeeper/zk1.example.com@EXAMPLE.COM";
//! };
//! ```
//!
//! The id of a client in an ACL is then `sasl:app@EXAMPLE.COM`; with `kerberos.removeRealmFromPrincipal=true` and
//! `kerberos.removeHostFromPrincipal=true` on the server it is shorter.
//!
//! # Which server
//! The client demands mutual authentication: a server that does not have the key of the principal
//! that the client expects cannot complete a login. That principal is `zookeeper/HOST` of the realm that
//! `krb5.conf` assigns to HOST, where HOST is the host name in the connect string. By default the library
//! may replace that name by the one that the DNS gives for it (`dns_canonicalize_hostname` and `rdns` in
//! `krb5.conf`), as clients in Java do; [`Gssapi::exact_host_names`] takes the connect string's.
//! [`Gssapi::service`] is for another service than `zookeeper`, and [`Gssapi::server_principal`] replaces the
//! whole name.
//!
//! # Protection of the connection
//! Only the login is protected. A server that demands a layer for integrity or confidentiality (`auth-int`,
//! `auth-conf`) is refused with an error: no ZooKeeper has one. Use TLS.
//!
//! # Troubleshooting
//! An error names the principal of the server, repeats what the library says, and adds what to do:
//!
//! | the library says | look at |
//! |---|---|
//! | `No Kerberos credentials available` | `klist`: is `KRB5CCNAME` the cache that `kinit` has filled? With a keytab: is `KRB5_CLIENT_KTNAME` set for this process, and may its user read the file? |
//! | `Ticket expired`, `The referenced context has expired` | `klist`; `kinit -R` renews until the renewable life ends, then `kinit`. With a keytab: do the KDCs answer? |
//! | `Clock skew too great` | `date` here, on the KDC and on the server: they may differ by 5 minutes |
//! | `Server zookeeper/zk1@R not found in Kerberos database` | the name: is it the principal of the server's keytab? It comes from the connect string, and from the DNS unless `exact_host_names` is given |
//! | `Client 'app@R' not found in Kerberos database` | `principal`, and `klist -k` of the keytab |
//! | `Preauthentication failed`, `Decrypt integrity check failed` | the keytab is older than the last change of the key: export it again (`kadmin: ktadd`) |
//! | `Cannot contact any KDC for realm` | the KDC's host and port in `krb5.conf`, and the network |
//! | `KDC has no support for encryption type` | the encryption types of the keytab, and of `krb5.conf` |
//! | `the server closed the connection during the login`, or code -115, from a server | the server's log: its keytab does not have the key of the principal that its name stands for, or its clock differs |
//!
//! `KRB5_TRACE=/dev/stderr` in the environment of the client prints each step of MIT's library, and
//! `-Dsun.security.krb5.debug=true` each of the server's Java.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod diagnosis;
mod exchange;
mod library;
mod login;
mod plan;

pub use login::Gssapi;
