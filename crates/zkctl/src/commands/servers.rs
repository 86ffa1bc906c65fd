//! The servers of the client's list, each of them once, and four-letter words to them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use zk_client::{Answer, Client, HostPort};

/// How long the addresses of a name may take to show which of its families the servers use.
const FAMILY_LIMIT: Duration = Duration::from_secs(1);

/// A server of the list, and one address of it if its name has several servers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    pub(crate) server: HostPort,
    /// Without one, the address is the first of the name that accepts a connection.
    pub(crate) address: Option<SocketAddr>,
}

impl Target {
    /// What servers are sorted by.
    pub(crate) fn order(&self) -> (&str, u16, Option<SocketAddr>) {
        (&self.server.host, self.server.port, self.address)
    }

    /// Sends a four-letter word to the server.
    pub(crate) async fn ask(
        &self,
        client: &Client,
        word: &str,
        limit: Duration,
    ) -> zk_client::Result<Answer> {
        let command = client.command(word).at(self.server.clone()).deadline(limit);
        match self.address {
            Some(address) => command.address(address).await,
            None => command.await,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{} ({address})", self.server),
            None => write!(f, "{}", self.server),
        }
    }
}

/// What a server has answered to a four-letter word.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) target: Target,
    pub(crate) answer: zk_client::Result<Answer>,
}

/// Sends the word to every server of the client's list at the same time. The answers are in the order of the
/// names.
pub(crate) async fn ask_all(client: &Client, word: &str, limit: Duration) -> Vec<Asked> {
    each(client, limit, |client, target| {
        let word = word.to_owned();
        async move {
            let answer = target.ask(&client, &word, limit).await;
            Asked { target, answer }
        }
    })
    .await
}

/// What `ask` returns for each server of the client's list, all at the same time. The outputs are in the order of the
/// names. `limit` is how long a name may take to be resolved.
pub(crate) async fn each<T, F>(
    client: &Client,
    limit: Duration,
    ask: impl Fn(Client, Target) -> F,
) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let targets = targets(client, &[], limit).await;
    all(targets
        .into_iter()
        .map(|target| ask(client.clone(), target)))
    .await
}

/// The servers of the client's list, in the order of their names. A name that cannot be resolved stays as it was in
/// `before`.
pub(crate) async fn targets(client: &Client, before: &[Target], limit: Duration) -> Vec<Target> {
    let found = client.hosts().into_iter().map(|info| {
        let (client, server) = (client.clone(), info.host);
        let mut known: Vec<_> = before
            .iter()
            .filter(|target| target.server == server)
            .cloned()
            .collect();
        async move {
            let Ok(found) = resolve(&client, &server, limit).await else {
                if known.is_empty() {
                    // The attempt to connect says what is wrong.
                    known.push(Target {
                        server,
                        address: None,
                    });
                }
                return known;
            };
            found
        }
    });
    let mut targets: Vec<_> = all(found).await.into_iter().flatten().collect();
    // The list of the client has a random order.
    targets.sort_by(|a, b| a.order().cmp(&b.order()));
    targets.dedup();
    targets
}

/// The servers that a name stands for.
///
/// # Errors
/// The name cannot be resolved.
async fn resolve(client: &Client, server: &HostPort, limit: Duration) -> io::Result<Vec<Target>> {
    let found = tokio::net::lookup_host((&*server.host, server.port));
    let found = tokio::time::timeout(limit, found).await??.collect();
    Ok(with_addresses(client, server, found, limit).await)
}

async fn with_addresses(
    client: &Client,
    server: &HostPort,
    found: Vec<SocketAddr>,
    limit: Duration,
) -> Vec<Target> {
    let of = |address| Target {
        server: server.clone(),
        address,
    };
    let addresses = match Addresses::of(found) {
        Addresses::OneServer => return vec![of(None)],
        Addresses::OfServers(addresses) => addresses,
        Addresses::OfEither { ipv4, ipv6 } => {
            let limit = limit.min(FAMILY_LIMIT);
            match !answers(client, &ipv4, limit, of).await
                && answers(client, &ipv6, limit, of).await
            {
                true => ipv6,
                false => ipv4,
            }
        }
    };
    addresses.into_iter().map(|it| of(Some(it))).collect()
}

/// What the addresses of a name stand for.
#[derive(Debug, PartialEq, Eq)]
enum Addresses {
    /// One server, whatever addresses it has: it is reached as clients reach it.
    OneServer,
    /// As many servers.
    OfServers(Vec<SocketAddr>),
    /// As many servers as one of the families has: each of them may have addresses of both.
    OfEither {
        ipv4: Vec<SocketAddr>,
        ipv6: Vec<SocketAddr>,
    },
}

impl Addresses {
    /// A host has at most one IPv4 address of a name, and may have several of IPv6.
    fn of(mut found: Vec<SocketAddr>) -> Self {
        found.sort_unstable();
        found.dedup();
        let (ipv4, ipv6): (Vec<_>, Vec<_>) = found.into_iter().partition(SocketAddr::is_ipv4);
        match (ipv4.len(), ipv6.len()) {
            (1, _) | (0, 0 | 1) => Addresses::OneServer,
            (0, _) => Addresses::OfServers(ipv6),
            (_, 0) => Addresses::OfServers(ipv4),
            _ => Addresses::OfEither { ipv4, ipv6 },
        }
    }
}

/// Whether a server answers at one of these addresses.
async fn answers(
    client: &Client,
    addresses: &[SocketAddr],
    limit: Duration,
    of: impl Fn(Option<SocketAddr>) -> Target,
) -> bool {
    let asked = addresses.iter().map(|&address| {
        let (client, target) = (client.clone(), of(Some(address)));
        async move { target.ask(&client, "srvr", limit).await.is_ok() }
    });
    all(asked).await.contains(&true)
}

/// The outputs of all futures, which run at the same time, in their order.
async fn all<T: Send + 'static>(
    futures: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut tasks = JoinSet::new();
    for (place, future) in (0_usize..).zip(futures) {
        tasks.spawn(async move { (place, future.await) });
    }
    let mut outputs = tasks.join_all().await;
    outputs.sort_by_key(|(place, _)| *place);
    outputs.into_iter().map(|(_, output)| output).collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use zk_client::{Resolve, Resolving, TcpDial};

    use super::*;

    fn addresses(all: &[&str], port: u16) -> Vec<SocketAddr> {
        let parse = |text: &&str| format!("{text}:{port}").parse();
        all.iter().map(parse).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn both_families_are_one_server() {
        for one in [
            &["[::1]", "127.0.0.1"][..],
            &["127.0.0.1"],
            &["[2001:db8::1]"],
            // A host with several IPv6 addresses.
            &["192.0.2.1", "[2001:db8::1]", "[fd00::1]"],
            &[],
        ] {
            assert_eq!(
                Addresses::of(addresses(one, 2181)),
                Addresses::OneServer,
                "{one:?}"
            );
        }
    }

    #[derive(Debug)]
    struct Fixed(Vec<SocketAddr>);

    impl Resolve for Fixed {
        fn resolve<'a>(&'a self, _host: &'a HostPort) -> Resolving<'a> {
            Box::pin(async { Ok(self.0.clone()) })
        }
    }

    #[tokio::test]
    async fn the_family_that_answers_is_asked() {
        // Without IPv6 there is nothing to choose.
        let Ok(listener) = tokio::net::TcpListener::bind("[::1]:0").await else {
            return;
        };
        let six = listener.local_addr().unwrap();
        let port = six.port();
        let serve = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut word = [0; 4];
                stream.read_exact(&mut word).await.unwrap();
                stream.write_all(b"Mode: standalone\n").await.unwrap();
            }
        });
        // No server listens on the first two.
        let four = addresses(&["127.0.0.2", "127.0.0.3"], port);
        let found = [&four[..], &[six]].concat();
        let client = Client::builder("zk").dial(TcpDial::default().resolver(Fixed(found.clone())));
        let client = client.start().unwrap();
        let server = HostPort {
            host: "zk".to_owned(),
            port,
        };
        let limit = Duration::from_secs(60);
        let targets = with_addresses(&client, &server, found, limit).await;
        let asked: Vec<_> = targets.iter().map(|target| target.address).collect();
        assert_eq!(asked, [Some(six)]);
        serve.abort();
    }

    #[test]
    fn a_name_may_stand_for_several_servers() {
        let four = ["192.0.2.1", "192.0.2.2"];
        let six = ["[2001:db8::1]", "[2001:db8::2]"];
        for family in [four, six] {
            // Some resolvers repeat an address for each kind of socket.
            let twice = addresses(&[family, family].concat(), 2181);
            let once = Addresses::OfServers(addresses(&family, 2181));
            assert_eq!(Addresses::of(twice), once);
        }
        let either = Addresses::OfEither {
            ipv4: addresses(&four, 2181),
            ipv6: addresses(&six, 2181),
        };
        assert_eq!(
            Addresses::of(addresses(&[six, four].concat(), 2181)),
            either
        );
    }
}
