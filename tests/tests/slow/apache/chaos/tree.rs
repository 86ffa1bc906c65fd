//! What one server has, read from that server only.

use std::collections::BTreeMap;

use zk_client::{Client, ErrorKind};
use zk_tests::Server;

use crate::apache::chaos::ROOT;

/// Replies that are waited for at a time.
const AT_A_TIME: usize = 500;

/// The znodes by their paths, without [`ROOT`], with what of them is to be compared.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// Names say it all.
    pub names: std::collections::BTreeSet<String>,
    /// Where the data matter.
    pub data: BTreeMap<String, String>,
    /// Of the registers.
    pub versions: BTreeMap<String, i32>,
}

impl Tree {
    /// Reads what a server has, once it has caught up with its leader, of so many workers.
    pub async fn read(server: &Server, workers: usize) -> Self {
        let hosts = format!("{}{ROOT}", server.connect_string());
        let builder = crate::common::builder(hosts);
        let zk = builder.connect().await.unwrap();
        zk.sync("/").await.unwrap();
        let mut tree = Tree::default();
        for n in 0..workers {
            for parent in ["p", "m"] {
                tree.names(&zk, &format!("/{parent}/{n}")).await;
            }
            tree.numbered(&zk, &format!("/q/{n}")).await;
            for register in ["s", "t"] {
                let path = format!("/{register}/{n}");
                let (data, stat) = zk.get(&path).await.unwrap();
                tree.versions.insert(path.clone(), stat.version);
                tree.data
                    .insert(path, String::from_utf8(data.to_vec()).unwrap());
            }
        }
        tree.names(&zk, "/e").await;
        zk.close().await.unwrap();
        tree
    }

    async fn names(&mut self, zk: &Client, parent: &str) {
        for name in zk.children(parent).await.unwrap().iter() {
            self.names.insert(format!("{parent}/{name}"));
        }
    }

    async fn numbered(&mut self, zk: &Client, parent: &str) {
        let children = zk.children(parent).await.unwrap().to_vec();
        for some in children.chunks(AT_A_TIME) {
            let paths: Vec<_> = some.iter().map(|name| format!("{parent}/{name}")).collect();
            let pending: Vec<_> = paths.iter().map(|path| zk.get(path).submit()).collect();
            for (path, pending) in paths.iter().zip(pending) {
                match pending.await {
                    Ok((data, _)) => {
                        let data = String::from_utf8(data.to_vec()).unwrap();
                        self.data.insert(path.clone(), data);
                    }
                    // Deleted in the background, because it was unknown whether it existed.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::NoNode, "{error}"),
                }
            }
        }
    }
}
