//! Where the elements of a tree come from.

use zk_client::{Chroot, Client};

use super::file::TreeFile;
use super::reader::{Reader, Reading};
use crate::output::failure::Failure;
use crate::tree::Record;

/// A tree, element by element, in order.
pub(super) enum Source {
    Server(Box<Reader>),
    File(TreeFile),
}

impl Source {
    /// The tree at and below a znode.
    pub(super) async fn of_server(client: &Client, root: &str) -> Result<Self, Failure> {
        let reader = Reader::begin(client, root, Reading::all()).await?;
        Ok(Source::Server(Box::new(reader)))
    }

    /// The tree of an export; `-` is standard input.
    pub(super) async fn of_file(name: &str) -> Result<Self, Failure> {
        Ok(Source::File(TreeFile::open(name).await?))
    }

    /// The root of the tree.
    pub(super) fn root(&self) -> &Chroot {
        match self {
            Source::Server(reader) => reader.root(),
            Source::File(file) => file.root(),
        }
    }

    /// The next element; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Record>, Failure> {
        match self {
            Source::Server(reader) => Ok(reader.next().await?),
            Source::File(file) => file.next().await,
        }
    }
}
