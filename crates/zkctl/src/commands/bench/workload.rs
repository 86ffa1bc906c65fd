//! The operation that a task repeats.

use zk_client::{Client, ClientBuilder, Watch};
use zk_recipes::Lock;

use crate::cli::bench::{Bench, Workload};
use crate::output::explain::{explain, explain_recipe};

/// The operation of one task, with its client and znode.
pub(super) enum Operation {
    Get(Client, String),
    Set(Client, String, Vec<u8>),
    Create(Client, String, Vec<u8>),
    /// Arms a watch, sets the data, and waits for the event.
    Watch(Client, String, Vec<u8>),
    Lock(Lock),
    Connect(Box<ClientBuilder>),
}

impl Operation {
    /// Prepares the operation of the task with this number.
    pub(super) async fn prepare(
        args: &Bench,
        client: &Client,
        sessions: &ClientBuilder,
        root: &str,
        number: u64,
    ) -> zk_client::Result<Self> {
        let data = vec![b'x'; args.size];
        let client = client.clone();
        let path = format!("{root}/{}-{number}", args.workload.name());
        if matches!(
            args.workload,
            Workload::Get | Workload::Set | Workload::Watch
        ) {
            client.create(&path, &data).ephemeral().await?;
        }
        Ok(match args.workload {
            Workload::Get => Operation::Get(client, path),
            Workload::Set => Operation::Set(client, path, data),
            Workload::Create => Operation::Create(client, format!("{path}-"), data),
            Workload::Watch => Operation::Watch(client, path, data),
            // All tasks contend for one lock.
            Workload::Lock => Operation::Lock(Lock::new(&client, &format!("{root}/lock"))),
            Workload::Connect => Operation::Connect(Box::new(sessions.clone())),
        })
    }

    /// Performs the operation once. The error says what went wrong.
    pub(super) async fn perform(&mut self) -> Result<(), String> {
        match self {
            Operation::Get(client, path) => client.get(path).await.map(drop).map_err(text),
            Operation::Set(client, path, data) => {
                let data = data.as_slice();
                client.set(path, data).await.map(drop).map_err(text)
            }
            Operation::Create(client, path, data) => {
                let create = client.create(path, data.as_slice());
                let created = create.ephemeral().sequential().await;
                created.map(drop).map_err(text)
            }
            Operation::Watch(client, path, data) => {
                let get = client.get(path).watch().submit();
                let set = client.set(path, data.as_slice()).submit();
                let (_, _, watch): (_, _, Watch) = get.await.map_err(text)?;
                set.await.map_err(text)?;
                match watch.await.node() {
                    Some(_) => Ok(()),
                    None => Err("the session has ended".to_owned()),
                }
            }
            Operation::Lock(lock) => {
                let guard = lock
                    .acquire()
                    .await
                    .map_err(|error| explain_recipe(&error))?;
                guard
                    .release()
                    .await
                    .map_err(|error| explain_recipe(&error))
            }
            Operation::Connect(sessions) => {
                let client = ClientBuilder::clone(sessions)
                    .connect()
                    .await
                    .map_err(text)?;
                client.close().await.map_err(text)
            }
        }
    }
}

fn text(error: zk_client::Error) -> String {
    explain(&error)
}
