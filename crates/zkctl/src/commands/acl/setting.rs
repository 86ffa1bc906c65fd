//! `acl set -R`: the same ACL for all znodes of a tree.

use std::collections::VecDeque;

use serde_json::json;
use zk_client::{Acl, Client, Error, ErrorKind, Pending, Repetition, Result, Stat};

use crate::commands::walk::{Walk, of_one_znode};
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::node_text::stat_json;
use crate::output::notices::Notices;
use crate::output::partial::partly;
use crate::tree::order::is_at_or_below;

/// How many requests are under way at a time.
pub(super) const WINDOW: usize = 256;
/// The servers' own znodes.
const RESERVED: &str = "/zookeeper";

/// Sets an ACL at many znodes.
pub(super) struct Setting<'a> {
    entries: Vec<Acl>,
    client: &'a Client,
    output: &'a mut Output,
    notices: &'a Notices,
    /// The requests that are under way.
    pending: VecDeque<(String, Pending<Stat>)>,
    /// How many znodes have the ACL.
    set: u64,
    /// Whether one could not be read, or not be set.
    pub(super) failed: bool,
}

impl<'a> Setting<'a> {
    pub(super) fn new(
        entries: Vec<Acl>,
        client: &'a Client,
        output: &'a mut Output,
        notices: &'a Notices,
    ) -> Self {
        Setting {
            entries,
            client,
            output,
            notices,
            pending: VecDeque::new(),
            set: 0,
            failed: false,
        }
    }

    /// Sets the ACL of everything below a znode, and of the znode.
    pub(super) async fn set_all(&mut self, start: &str) -> Result<(), Failure> {
        let walked = self.walk(start).await;
        // What was submitted takes effect, also if the walk has failed.
        while !self.pending.is_empty() {
            self.receive().await?;
        }
        if walked? {
            self.notices.say(format_args!(
                "{RESERVED} and everything below it has been left out; name it to set its ACL"
            ));
        }
        Ok(())
    }

    /// The text of an error that has ended this.
    pub(super) fn partly(&self, text: &str) -> String {
        partly(text, "znodes with the new ACL", self.set)
    }

    /// Returns whether the servers' own znodes were left out. The children of a znode are listed before its ACL is
    /// replaced, because the new one may not let this client list them.
    async fn walk(&mut self, start: &str) -> Result<bool, Failure> {
        let mut walk = Walk::begin(self.client, start, None).await?;
        // The ancestors of the next znode, the start first.
        let mut ancestors: Vec<String> = Vec::new();
        let mut left_out = false;
        while let Some(visit) = walk.next().await? {
            if let Some(error) = &visit.unread {
                self.failed = true;
                self.notices.say(explain(error));
            }
            if start == "/" && is_at_or_below(&visit.path, RESERVED) {
                left_out = true;
                continue;
            }
            while ancestors.len() > visit.depth
                && let Some(complete) = ancestors.pop()
            {
                self.send(complete).await?;
            }
            ancestors.push(visit.path);
        }
        while let Some(complete) = ancestors.pop() {
            self.send(complete).await?;
        }
        Ok(left_out)
    }

    async fn send(&mut self, path: String) -> Result<(), Failure> {
        if self.pending.len() >= WINDOW {
            self.receive().await?;
        }
        let reply = self.request(&path);
        self.pending.push_back((path, reply));
        Ok(())
    }

    fn request(&self, path: &str) -> Pending<Stat> {
        self.client.set_acl(path, self.entries.clone()).submit()
    }

    /// Waits for the oldest reply; if it is lost, for all of them, and makes the lost requests again.
    async fn receive(&mut self) -> Result<(), Failure> {
        let Some((path, reply)) = self.pending.pop_front() else {
            return Ok(());
        };
        let mut lost: Vec<_> = self.settle(path, reply.await).await?.into_iter().collect();
        if lost.is_empty() {
            return Ok(());
        }
        while let Some((path, reply)) = self.pending.pop_front() {
            lost.extend(self.settle(path, reply.await).await?);
        }
        self.repeat(lost).await
    }

    /// Takes the reply of a request, and returns the path with the error if the reply is lost.
    async fn settle(
        &mut self,
        path: String,
        reply: Result<Stat>,
    ) -> Result<Option<(String, Error)>, Failure> {
        match reply {
            Ok(stat) => {
                self.set += 1;
                if self.output.is_json() {
                    let written = show_set(&path, &stat, self.output).await;
                    Failure::unless_reader_gone(written)?;
                }
            }
            // Deleted meanwhile.
            Err(error) if error.kind() == ErrorKind::NoNode => {}
            Err(error) if is_lost(&error) => return Ok(Some((path, error))),
            Err(error) => {
                self.failed = true;
                self.notices.say(explain(&of_one_znode(error)?));
            }
        }
        Ok(None)
    }

    /// Sets the ACL of the znodes whose replies were lost, unless they have it.
    async fn repeat(&mut self, mut lost: Vec<(String, Error)>) -> Result<(), Failure> {
        let mut repetition = Repetition::default();
        while let Some((_, error)) = lost.first() {
            if !repetition.may_go_on(error) {
                let (_, error) = lost.swap_remove(0);
                return Err(error.into());
            }
            tokio::time::sleep(repetition.next_delay()).await;
            let tried = lost.len();
            let reads: Vec<_> = lost
                .drain(..)
                .map(|(path, _)| {
                    let acl = self.client.acl(&path).submit();
                    (path, acl)
                })
                .collect();
            let mut writes = Vec::new();
            for (path, acl) in reads {
                match acl.await {
                    Ok((entries, stat)) if entries == self.entries => {
                        self.settle(path, Ok(stat)).await?;
                    }
                    Err(error) if is_lost(&error) => lost.push((path, error)),
                    // The permission to set an ACL does not include the one to read it.
                    Ok(_) | Err(_) => {
                        let reply = self.request(&path);
                        writes.push((path, reply));
                    }
                }
            }
            for (path, reply) in writes {
                match reply.await {
                    Err(error) if error.kind() == ErrorKind::NoAuth => {
                        self.failed = true;
                        self.notices.say(format_args!(
                            "{}; an earlier request, whose reply was lost, may have set the ACL",
                            explain(&error)
                        ));
                    }
                    reply => lost.extend(self.settle(path, reply).await?),
                }
            }
            if lost.len() < tried {
                repetition.reset();
            }
        }
        Ok(())
    }
}

/// Whether the reply to a request is lost that may be executed twice, or the server had too many requests.
fn is_lost(error: &Error) -> bool {
    error.is_transient() || error.kind() == ErrorKind::SessionExpired
}

/// Shows an ACL that was set.
pub(super) async fn show_set(path: &str, stat: &Stat, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        let object = json!({ "path": path, "stat": stat_json(stat) });
        output.json(&object).await
    } else {
        output
            .line(format_args!("acl version {}", stat.aversion))
            .await
    }
}
