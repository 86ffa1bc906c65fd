//! Four-letter words: commands that a server answers with text, on a connection of their own.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use zk_proto::HostPort;
use zk_proto::admin::{AdminError, ServerStatus, ServerVersion};
#[cfg(feature = "tls-no-provider")]
use zk_transport::DialError;
use zk_transport::four_letter::{self, Answer, AskError};
use zk_transport::{Addresses, Dial};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::ops::operation::blocking;
use crate::ops::pending::Boxed;
use crate::shared::now;

/// The time for a server to answer if none is given.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// What one of the servers has answered to [`Command::all`].
#[derive(Debug)]
#[non_exhaustive]
pub struct ServerAnswer {
    /// The server's name in the list.
    pub server: HostPort,
    /// Its address, if the name has several.
    pub address: Option<SocketAddr>,
    /// The answer, or why there is none.
    pub answer: Result<Answer>,
}

/// Sends a four-letter word and returns the answer, as text.
///
/// The module [`admin`](zk_proto::admin) has readers for the answers, with a table of the words. The
/// word goes out on a connection of its own, opened as those of the session are, with TLS if the client
/// uses TLS; neither the session nor its requests are involved. `.await` sends it to the server that
/// serves the session, [`at`](Self::at) to a given one, and [`all`](Self::all) to every server of the
/// list at the same time.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use zk_client::admin::{self, ServerStatus};
///
/// let metrics = admin::mntr(&zk.command("mntr").await?)?;
/// println!("{:?} watches", metrics.get("zk_watch_count"));
/// for one in zk.command("srvr").all().await? {
///     match one.answer.map(|answer| answer.parse::<ServerStatus>()) {
///         Ok(Ok(status)) => println!("{}: {:?}", one.server, status.mode),
///         Ok(Err(refused)) => println!("{}: {refused}", one.server),
///         Err(error) => println!("{}: {error}", one.server),
///     }
/// }
/// # Ok(()) }
/// ```
///
/// Servers answer only the words of their `4lw.commands.whitelist`, `srvr` unless configured, and
/// say so in the text of the answer. ClickHouse Keeper answers a word that is not allowed with an empty
/// text. `crst` and `srst` reset statistics of the server. `stmk`, which has an argument, cannot be
/// sent. The HTTP commands of Apache's admin server (port 8080) return much the same as JSON, and need
/// no client of ZooKeeper: any HTTP client reads them.
///
/// # Errors
/// - [`ErrorKind::InvalidArgument`]: the word does not have four ASCII letters.
/// - [`ErrorKind::ConnectionLost`]: no connection could be opened, with [`Outcome::NotSent`]; it was
///   lost before a byte of the answer, with [`Outcome::Unknown`]; or there is no server to send the
///   word to, because the client is not connected.
/// - [`ErrorKind::Untrusted`]: the TLS handshake failed.
/// - [`ErrorKind::DeadlineExceeded`]: the server did not answer in time.
/// - [`ErrorKind::ReplyTooLarge`]: the answer is longer than 64 MiB.
///
/// # Cancel safety
/// Dropping the future closes the connection. The server may have executed the word.
#[derive(Debug, Clone)]
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Command<'a> {
    client: &'a Client,
    word: &'a str,
    at: Option<HostPort>,
    address: Option<SocketAddr>,
    deadline: Duration,
}

impl<'a> Command<'a> {
    pub(crate) fn new(client: &'a Client, word: &'a str) -> Self {
        Command {
            client,
            word,
            at: None,
            address: None,
            deadline: DEFAULT_DEADLINE,
        }
    }

    /// Sends the word to this server, of the list or not.
    pub fn at(mut self, server: HostPort) -> Self {
        self.at = Some(server);
        self
    }

    /// Of the addresses of the server that [`at`](Self::at) names, connects to this one only. TLS verifies the
    /// name.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// How long each server may take, connecting included: 5 s unless given.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Begins to connect to the server. The future borrows nothing.
    pub fn submit(self) -> Boxed<Answer> {
        let word = checked(self.word);
        let target = match self.at {
            Some(server) => Some((server, only(self.address))),
            None => self.client.served_at(),
        };
        let (client, limit) = (self.client.background(), self.deadline);
        Box::pin(async move {
            let word = word?;
            let Some((server, addresses)) = target else {
                return Err(
                    Error::new(ErrorKind::ConnectionLost, Outcome::NotSent).with_detail(format!(
                        "{word} was sent to no server: none serves the session now, and none was \
                         named"
                    )),
                );
            };
            ask(client.dial(), &server, addresses, &word, Limit::of(limit)).await
        })
    }

    /// Sends the word to every server of the list at the same time, whether the client is connected or
    /// not. The answers are in the order of the list; each server has the whole
    /// [`deadline`](Self::deadline) for itself. A name with several addresses is as many servers. Fails
    /// only for an invalid word.
    pub fn all(self) -> Boxed<Vec<ServerAnswer>> {
        let word = checked(self.word);
        let servers = self.client.shared().with(|core| core.listed_servers());
        let (client, limit) = (self.client.background(), self.deadline);
        Box::pin(async move {
            let word = word?;
            let ask = |server| ask_all_addresses(client.dial(), server, &word, limit);
            let answers = join(servers.into_iter().map(ask)).await;
            Ok(answers.into_iter().flatten().collect())
        })
    }
}

impl IntoFuture for Command<'_> {
    type Output = Result<Answer>;
    type IntoFuture = Boxed<Answer>;

    fn into_future(self) -> Boxed<Answer> {
        self.submit()
    }
}

blocking!([] Command<'_>, Answer, |op| op.client);

impl Client {
    /// Sends a [four-letter word](Command) to the server that serves the session.
    #[doc(alias = "four_letter_word")]
    pub fn command<'a>(&'a self, word: &'a str) -> Command<'a> {
        Command::new(self, word)
    }

    /// The release of the server that serves the session, from its answer to `srvr`. That of ClickHouse
    /// Keeper is ClickHouse's.
    ///
    /// # Errors
    /// Those of [`command`](Self::command), with its default deadline; and
    /// [`ErrorKind::MalformedReply`] if the server does not allow `srvr`, or its answer has no version.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection of the command.
    pub async fn server_version(&self) -> Result<ServerVersion> {
        let answer = self.command("srvr").await?;
        let unreadable = |error: AdminError| {
            Error::new(ErrorKind::MalformedReply, Outcome::Rejected)
                .with_detail("the answer to srvr has no version")
                .with_source(error)
        };
        let status: ServerStatus = answer.parse().map_err(unreadable)?;
        let missing = || {
            let first = answer.lines().next().unwrap_or_default().to_owned();
            unreadable(AdminError::Unexpected(first))
        };
        status.release().ok_or_else(missing)
    }

    /// The server of the connection, with the address of the connection, which the name may not have any more.
    fn served_at(&self) -> Option<(HostPort, Addresses)> {
        self.shared().with(|core| {
            let server = core.server().cloned()?;
            let addresses = Addresses::default();
            Some(match core.server_address() {
                Some(address) => (server, addresses.pinned(address)),
                None => (server, addresses),
            })
        })
    }
}

/// This address, or each that the name has.
fn only(address: Option<SocketAddr>) -> Addresses {
    match address {
        Some(address) => Addresses::default().only(address),
        None => Addresses::default(),
    }
}

fn checked(word: &str) -> Result<String> {
    if word.len() == 4 && word.bytes().all(|c| c.is_ascii_lowercase()) && word != "stmk" {
        return Ok(word.to_owned());
    }
    Err(Error::invalid_argument(format!(
        "{word:?} is no four-letter word without arguments, such as srvr or mntr"
    )))
}

/// How long a server may take, and how much of that is left.
#[derive(Debug, Clone, Copy)]
struct Limit {
    whole: Duration,
    left: Duration,
}

impl Limit {
    fn of(whole: Duration) -> Self {
        Limit { whole, left: whole }
    }
}

async fn ask(
    dial: &dyn Dial,
    server: &HostPort,
    mut addresses: Addresses,
    word: &str,
    limit: Limit,
) -> Result<Answer> {
    let asked = four_letter::ask_next(dial, server, &mut addresses, word);
    match tokio::time::timeout(limit.left, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failed(server, word, error)),
        Err(_elapsed) => {
            let millis = limit.whole.as_millis();
            Err(
                Error::new(ErrorKind::DeadlineExceeded, Outcome::Unknown).with_detail(format!(
                    "{server} has not answered {word} within {millis} ms"
                )),
            )
        }
    }
}

fn failed(server: &HostPort, word: &str, error: AskError) -> Error {
    let (kind, outcome) = match &error {
        #[cfg(feature = "tls-no-provider")]
        AskError::Dial(DialError::Tls(_)) => (ErrorKind::Untrusted, Outcome::NotSent),
        AskError::Dial(_) => (ErrorKind::ConnectionLost, Outcome::NotSent),
        AskError::TooLong => (ErrorKind::ReplyTooLarge, Outcome::Unknown),
        _ => (ErrorKind::ConnectionLost, Outcome::Unknown),
    };
    Error::new(kind, outcome).with_detail(format!("{server} did not answer {word}: {error}"))
}

/// Sends the word to each address of the server, at the same time.
async fn ask_all_addresses(
    dial: &dyn Dial,
    server: HostPort,
    word: &str,
    limit: Duration,
) -> Vec<ServerAnswer> {
    let begun = now();
    let found = match tokio::time::timeout(limit, dial.addresses(&server)).await {
        Ok(Ok(found)) => found,
        // The attempt to connect says what is wrong.
        Ok(Err(_)) => Vec::new(),
        Err(_elapsed) => {
            let millis = limit.as_millis();
            let error = Error::new(ErrorKind::DeadlineExceeded, Outcome::NotSent)
                .with_detail(format!("cannot look up {server} within {millis} ms"));
            return vec![ServerAnswer {
                server,
                address: None,
                answer: Err(error),
            }];
        }
    };
    let left = limit.saturating_sub(now().saturating_duration_since(begun));
    let limit = Limit { whole: limit, left };
    let several: Vec<_> = match found.len() {
        0 | 1 => vec![None],
        _ => found.into_iter().map(Some).collect(),
    };
    let server = &server;
    join(several.into_iter().map(|address| async move {
        ServerAnswer {
            server: server.clone(),
            address,
            answer: ask(dial, server, only(address), word, limit).await,
        }
    }))
    .await
}

/// The outputs of all futures, which run at the same time.
async fn join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|cx| {
        let mut pending = false;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    futures
        .into_iter()
        .filter_map(|(_, output)| output)
        .collect()
}
