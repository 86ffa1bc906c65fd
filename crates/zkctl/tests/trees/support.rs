//! Trees, and files for them.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use zk_client::{Acl, Client, Permissions};
use zk_tests::watchdog;

use crate::common::Served;

/// A directory that is deleted with the value.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("zkctl-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path)
    }

    /// The path of a file in it, with this content, as `import` takes it.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // An error leaves a file behind.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file as `diff` takes it.
pub(crate) fn operand(file: &str) -> String {
    format!("file:{file}")
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

/// The paths of an export.
pub(crate) fn paths(export: &str) -> Vec<String> {
    let path = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap();
        Some(object.get("path")?.as_str()?.to_owned())
    };
    export.lines().filter_map(path).collect()
}

/// Waits until the script of faults is empty.
pub(crate) fn fired(zk: &Served, what: &str) {
    watchdog::poll(what, || (zk.faults.pending() == 0).then_some(()));
}

/// Creates a tree with all kinds, sorts of data, ACLs and odd names. Returns the client that keeps the ephemeral
/// znode.
pub(crate) async fn odd_tree(zk: &Served) -> Client {
    let client = Client::connect(zk.hosts()).await.unwrap();
    client.create("/app", "").await.unwrap();
    client.create("/app/null", "").null().await.unwrap();
    client.create("/app/binary", b"\xff\x00\x1b").await.unwrap();
    client.create("/app/text", "é\n\u{1b}\"\\").await.unwrap();
    for name in ["a", "a!", "a-b", "%2F", "grüße ✓", "日本", "...", "a b"] {
        let path = format!("/app/{name}");
        client.create(&path, name).await.unwrap();
        client.create(&format!("{path}/below"), "").await.unwrap();
    }
    client.create("/app/n-", "n").sequential().await.unwrap();
    client
        .create("/app/container", "")
        .container()
        .await
        .unwrap();
    let acl = [
        Acl::new(Permissions::ALL, "world", "anyone"),
        Acl::digest("user", "password", Permissions::READ | Permissions::WRITE),
        Acl::new(Permissions::READ, "ip", "10.0.0.0/8"),
    ];
    client.create("/app/acl", "").acl(acl).await.unwrap();
    client
        .create("/app/session", "s")
        .ephemeral()
        .await
        .unwrap();
    client
}
