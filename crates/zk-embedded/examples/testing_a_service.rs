//! A service and its tests: a lost reply, an expired session, an outage.
//!
//! ```console
//! $ cargo test -p zk-embedded --example testing_a_service
//! test tests::a_lost_reply_skips_no_number ... ok
//! test tests::it_is_registered_in_the_next_session ... ok
//! test tests::it_waits_through_an_outage ... ok
//! $ zkctl serve &
//! $ cargo run -p zk-embedded --example testing_a_service -- localhost:2181
//! invoice 1
//! ```
//!
//! The server runs in the process of the test, and the clock is paused: `start_paused` lets time pass at once
//! whenever all tasks wait. So seconds take a millisecond, and no test depends on the speed of the machine.
#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::error::Error;

use zk_client::{Client, ErrorKind, Guid, RetryPolicy, State};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let servers = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    let zk = Client::connect(servers.as_deref().unwrap_or("localhost:2181")).await?;
    println!("invoice {}", Invoices::open(&zk).await?.next().await?);
    zk.close().await?;
    Ok(())
}

/// The service: it numbers invoices, and is registered while it runs.
#[derive(Debug, Clone)]
pub struct Invoices {
    zk: Client,
}

impl Invoices {
    /// The service takes its client from outside: a test gives it one of an embedded server.
    ///
    /// # Errors
    /// The first request failed.
    pub async fn open(zk: &Client) -> zk_client::Result<Self> {
        zk.create("/invoices/last", "0")
            .parents()
            .or_exists()
            .await?;
        Ok(Invoices { zk: zk.clone() })
    }

    /// The next number. Numbers are unique, and none is left out unless a call fails: a lost reply is no
    /// failure.
    ///
    /// # Errors
    /// A request failed in a way that retries cannot repair.
    pub async fn next(&self) -> Result<u64, Box<dyn Error + Send + Sync>> {
        let policy = RetryPolicy::new();
        loop {
            let (data, stat) = self.zk.get("/invoices/last").await?;
            let last = str::from_utf8(&data)?.split(' ').next().unwrap_or_default();
            let number = last.parse::<u64>()? + 1;
            // After a lost reply the client recognises its write by the data, so they are unique.
            let data = format!("{number} {}", Guid::random());
            let write = self.zk.set("/invoices/last", data).version(stat.version);
            match write.retry(&policy).await {
                Ok(_) => return Ok(number),
                Err(error) if error.kind() == ErrorKind::BadVersion => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Registers the service in each session, until the client is closed. `PersistentNode` of zk-recipes does
    /// this, and more.
    ///
    /// # Errors
    /// The ensemble refuses the registration.
    pub async fn stay_registered(&self) -> zk_client::Result<()> {
        let mut states = self.zk.states();
        while let Some(state) = states.next().await {
            if let State::Connected { session, .. } = state {
                // The znode of another session, of an earlier run perhaps, has another name.
                let path = format!("/services/invoices/{session}");
                match self
                    .zk
                    .create(&path, "")
                    .ephemeral()
                    .parents()
                    .or_exists()
                    .await
                {
                    // The next state is another connection, or another session.
                    Err(error) if !error.is_retryable() => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use zk_embedded::Server;

    use super::*;

    /// A server without sockets: tokio must see all that a paused clock waits for.
    async fn start() -> (Server, Client) {
        let server = Server::builder().in_memory().start().await.unwrap();
        let builder = Client::builder(server.members_string()).dial(server.dial());
        let zk = builder.connect().await.unwrap();
        (server, zk)
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_reply_skips_no_number() {
        let (server, zk) = start().await;
        let invoices = Invoices::open(&zk).await.unwrap();
        assert_eq!(invoices.next().await.unwrap(), 1);
        // The next write takes effect, and its reply is lost with the connection.
        server.faults().lose_next_reply();
        assert_eq!(invoices.next().await.unwrap(), 2);
        assert_eq!(server.node("/invoices/last").unwrap().stat.version, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_registered_in_the_next_session() {
        let (server, zk) = start().await;
        zk.ensure_path("/services/invoices").await.unwrap();
        let invoices = Invoices::open(&zk).await.unwrap();
        tokio::spawn(async move { invoices.stay_registered().await });
        let mut states = zk.states();
        for epoch in 1..=2 {
            // Until there is a child: a watch, and no polling.
            let owner = loop {
                let (names, _, watch) = zk.children("/services/invoices").watch().await.unwrap();
                match names.iter().next() {
                    Some(name) => break name.to_owned(),
                    None => drop(watch.await),
                }
            };
            assert_eq!(owner, zk.session().id.to_string());
            assert_eq!(zk.session().epoch, epoch);
            server.expire_session(zk.session().id);
            let next = |state| matches!(state, State::Connected { epoch: new, .. } if new > epoch);
            while !next(states.next().await.unwrap()) {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_waits_through_an_outage() {
        let (server, zk) = start().await;
        let invoices = Invoices::open(&zk).await.unwrap();
        server.faults().stop();
        let number = tokio::spawn(async move { invoices.next().await.unwrap() });
        // Of the paused clock, and less than the timeout of the session.
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(!number.is_finished());
        server.faults().run();
        assert_eq!(number.await.unwrap(), 1);
    }
}
