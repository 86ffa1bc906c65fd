//! What one of the tasks does, over and over.

use zk_client::{Client, ClientBuilder, Watch};
use zk_recipes::Lock;

use crate::args::{Bench, Workload};
use crate::failure::explain;

/// One operation at a time.
pub(super) enum Work {
    Get(Client, String),
    Set(Client, String, Vec<u8>),
    Create(Client, String, Vec<u8>),
    /// A watch is set and set off, and tells.
    Watch(Client, String, Vec<u8>),
    Lock(Lock),
    Connect(Box<ClientBuilder>),
}

impl Work {
    /// That of the task with this number.
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
            Workload::Get => Work::Get(client, path),
            Workload::Set => Work::Set(client, path, data),
            Workload::Create => Work::Create(client, format!("{path}-"), data),
            Workload::Watch => Work::Watch(client, path, data),
            // All want the same.
            Workload::Lock => Work::Lock(Lock::new(&client, &format!("{root}/lock"))),
            Workload::Connect => Work::Connect(Box::new(sessions.clone())),
        })
    }

    /// Does it once, or says what went wrong.
    pub(super) async fn once(&mut self) -> Result<(), String> {
        match self {
            Work::Get(client, path) => client.get(path).await.map(drop).map_err(told),
            Work::Set(client, path, data) => {
                let data = data.as_slice();
                client.set(path, data).await.map(drop).map_err(told)
            }
            Work::Create(client, path, data) => {
                let create = client.create(path, data.as_slice());
                let created = create.ephemeral().sequential().await;
                created.map(drop).map_err(told)
            }
            Work::Watch(client, path, data) => {
                let get = client.get(path).watch().submit();
                let set = client.set(path, data.as_slice()).submit();
                let (_, _, watch): (_, _, Watch) = get.await.map_err(told)?;
                set.await.map_err(told)?;
                match watch.await.node() {
                    Some(_) => Ok(()),
                    None => Err("the session has ended".to_owned()),
                }
            }
            Work::Lock(lock) => {
                let guard = lock.acquire().await.map_err(|error| error.to_string())?;
                guard.release().await.map_err(|error| error.to_string())
            }
            Work::Connect(sessions) => {
                let client = ClientBuilder::clone(sessions)
                    .connect()
                    .await
                    .map_err(told)?;
                client.close().await.map_err(told)
            }
        }
    }
}

fn told(error: zk_client::Error) -> String {
    explain(&error)
}
