//! `create`, which for an ephemeral znode lasts as long as that.

use std::process::ExitCode;

use serde_json::json;
use zk_client::{Acl, Client, Created, Outcome, SessionInfo, State, Zxid, path};

use crate::args::Create;
use crate::changes::Changes;
use crate::credentials::read_acl;
use crate::failure::Failure;
use crate::node_text::stat_json;
use crate::output::{Notices, Output, name};

pub(super) async fn create(
    args: Create,
    data: &[u8],
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let (ephemeral, container) = (args.ephemeral, args.container);
    let acl = args.acl.as_deref().map(read_acl).transpose()?;
    let created = send(&args, acl.as_ref(), data, client).await?;
    if output.is_json() {
        let object = json!({ "path": created.path, "stat": stat_json(&created.stat) });
        output.json(&object).await?;
    } else {
        output.line(name(&created.path)).await?;
    }
    if container && client.lacks_containers() {
        notices.say(format_args!(
            "{} is persistent, and stays: the server has no containers, which came with version 3.5.1",
            name(&created.path)
        ));
    }
    if !ephemeral {
        return Ok(ExitCode::SUCCESS);
    }
    // The znode is there for others than the reader.
    Failure::unless_reader_gone(output.flush().await)?;
    let session = client.session();
    if created.stat.owner() == Some(session.id) {
        notices.say(format_args!(
            "{} lives as long as session {}, until this is interrupted (Ctrl-C)",
            name(&created.path),
            session.id
        ));
        outlast(&session, client, notices).await;
    }
    Err(Failure::Failed(format!(
        "the session is lost, and {} with it",
        name(&created.path)
    )))
}

/// Waits for the end of a session.
async fn outlast(session: &SessionInfo, client: &Client, notices: &Notices) {
    let mut changes = Changes::default();
    let mut states = client.states();
    while let Some(state) = states.next().await {
        match state {
            State::Expired { .. } => return,
            State::Connected { epoch, .. } if epoch != session.epoch => return,
            _ => {}
        }
        if let Some(change) = changes.next(state) {
            notices.say(change.text());
        }
    }
}

/// How often an operation that the server does not know can make it close the connection, until the
/// client does without: twice for each of two operations.
const MAX_ATTEMPTS: usize = 5;

/// Creates the znode, also where the server closes the connection on operations it does not know. The
/// client learns from that, and the next attempt is another request; but this process has no other time
/// to learn it. The connection may have been lost for another reason: only if nothing has been created
/// where the znode was to be, it was not created either. Of a numbered znode not even that can be seen.
async fn send(
    args: &Create,
    acl: Option<&Vec<Acl>>,
    data: &[u8],
    client: &Client,
) -> zk_client::Result<Created> {
    if args.sequential {
        return attempt(args, acl, data, client).await;
    }
    // Not on its way together with the request: a lost connection has the client read again.
    // If it cannot be read, there is one attempt.
    let before = Ground::below(&args.path, client).await.ok();
    let mut tried = attempt(args, acl, data, client).await;
    for _ in 1..MAX_ATTEMPTS {
        let error = match tried {
            Err(error) if error.lacks_operation() && error.outcome() == Outcome::Unknown => error,
            done => return done,
        };
        if client.sync(&args.path).await.is_err() {
            return Err(error);
        }
        match (&before, Ground::below(&args.path, client).await) {
            (Some(before), Ok(now)) if *before == now => {}
            _ => return Err(error),
        }
        tried = attempt(args, acl, data, client).await;
    }
    tried
}

/// The nearest ancestor of a znode that exists. Nothing is created between the two without a change
/// here.
#[derive(PartialEq, Eq)]
struct Ground {
    path: String,
    created: Zxid,
    child_changes: i32,
}

impl Ground {
    /// `None` if there is not even a root, as in a chroot that does not exist.
    async fn below(path: &str, client: &Client) -> zk_client::Result<Option<Self>> {
        let ancestors = std::iter::successors(path::parent(path), |path| path::parent(path));
        let looks: Vec<_> = ancestors
            .map(|path| (path, client.exists(path).submit()))
            .collect();
        for (path, look) in looks {
            if let Some(stat) = look.await? {
                return Ok(Some(Ground {
                    path: path.to_owned(),
                    created: stat.czxid,
                    child_changes: stat.cversion,
                }));
            }
        }
        Ok(None)
    }
}

async fn attempt(
    args: &Create,
    acl: Option<&Vec<Acl>>,
    data: &[u8],
    client: &Client,
) -> zk_client::Result<Created> {
    let mut create = client.create(&args.path, data);
    if args.ephemeral {
        create = create.ephemeral();
    }
    if args.sequential {
        create = create.sequential();
    }
    if args.container {
        create = create.container();
    }
    if let Some(ttl) = args.ttl {
        create = create.ttl(ttl);
    }
    if let Some(acl) = acl {
        create = create.acl(acl.clone());
    }
    if args.parents {
        create.parents().await
    } else {
        create.await
    }
}
