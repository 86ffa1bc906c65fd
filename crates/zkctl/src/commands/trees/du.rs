//! `du`: the sizes of subtrees.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::process::ExitCode;

use serde_json::json;
use zk_client::Client;

use super::unread::Failures;
use crate::cli::trees::Du;
use crate::commands::walk::Walk;
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;
use crate::tree::sizes::{Size, Sizes};

pub(crate) async fn du(
    args: &Du,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let mut walk = Walk::begin(client, &args.path, None).await?;
    let mut sizes = Sizes::default();
    let mut failures = Failures::default();
    let mut shown = Shown {
        max_depth: args.depth.unwrap_or(usize::MAX),
        top: args.top.map(|top| (top as usize, BinaryHeap::new())),
        output,
    };
    while let Some(visit) = walk.next().await? {
        if let Some(error) = &visit.unread {
            failures.add(explain(error));
        }
        let ended = sizes.add(&visit.path, visit.depth, visit.stat.as_ref());
        shown.add(ended).await?;
    }
    shown.add(sizes.finish()).await?;
    shown.finish().await?;
    failures.report("could not be listed, and are not counted", notices)?;
    Ok(ExitCode::SUCCESS)
}

/// A subtree by its size, the smallest first.
type Entry = Reverse<(u64, Reverse<String>, u64, u64)>;

/// The subtrees that are shown: at once, or only the largest at the end.
struct Shown<'a> {
    max_depth: usize,
    top: Option<(usize, BinaryHeap<Entry>)>,
    output: &'a mut Output,
}

impl Shown<'_> {
    async fn add(&mut self, ended: Vec<Size>) -> Result<(), Failure> {
        for size in ended {
            if size.depth > self.max_depth {
                continue;
            }
            let Some((most, largest)) = &mut self.top else {
                let Size {
                    path,
                    bytes,
                    nodes,
                    ephemerals,
                    ..
                } = size;
                line(&path, bytes, nodes, ephemerals, self.output).await?;
                continue;
            };
            let entry = (size.bytes, Reverse(size.path), size.nodes, size.ephemerals);
            largest.push(Reverse(entry));
            if largest.len() > *most {
                largest.pop();
            }
        }
        Ok(())
    }

    async fn finish(self) -> Result<(), Failure> {
        if let Some((_, largest)) = self.top {
            for Reverse((bytes, Reverse(path), nodes, ephemerals)) in largest.into_sorted_vec() {
                line(&path, bytes, nodes, ephemerals, self.output).await?;
            }
        }
        Ok(())
    }
}

async fn line(
    path: &str,
    bytes: u64,
    nodes: u64,
    ephemerals: u64,
    output: &mut Output,
) -> Result<(), Failure> {
    if output.is_json() {
        let object = json!({
            "path": path,
            "bytes": bytes,
            "znodes": nodes,
            "ephemerals": ephemerals,
        });
        return output.json(&object).await;
    }
    output
        .line(format_args!(
            "{bytes:>12} bytes {nodes:>9} znodes  {}",
            visible_line(path)
        ))
        .await
}
