//! `create`. For an ephemeral znode, the command runs until the session ends or a signal ends it.

use std::process::ExitCode;

use serde_json::json;
use zk_client::{Acl, Client, Created, Outcome, SessionInfo, State, Zxid, path};

use crate::cli::credentials::read_acl;
use crate::cli::znode::Create;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::node_text::stat_json;
use crate::output::notices::Notices;
use crate::output::session_changes::Changes;
use crate::output::terminal::visible_line;

pub(super) async fn create(
    args: Create,
    data: &[u8],
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let (ephemeral, container) = (args.ephemeral, args.container);
    let acl = (args.acl.as_deref())
        .map(|acl| read_acl("--acl", acl))
        .transpose()?;
    let created = send(&args, acl.as_ref(), data, client).await?;
    if output.is_json() {
        let object = json!({ "path": created.path, "stat": stat_json(&created.stat) });
        output.json(&object).await?;
    } else {
        output.line(visible_line(&created.path)).await?;
    }
    if container && client.lacks_containers() {
        notices.say(format_args!(
            "{} is persistent, and is not deleted with its last child: the server has no containers, \
             which version 3.5.1 added",
            visible_line(&created.path)
        ));
    }
    // The session of a shell outlives the command.
    if !ephemeral || output.between().is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    // Other clients need the znode even if the output is not read.
    Failure::unless_reader_gone(output.flush().await)?;
    let session = client.session();
    if created.stat.owner() == Some(session.id) {
        notices.say(format_args!(
            "{} lives as long as session {}, until this is interrupted (Ctrl-C)",
            visible_line(&created.path),
            session.id
        ));
        wait_for_end(&session, client, notices).await;
    }
    Err(Failure::Failed(format!(
        "the session is lost, and {} with it",
        visible_line(&created.path)
    )))
}

/// Waits for the end of a session, and reports its changes meanwhile.
async fn wait_for_end(session: &SessionInfo, client: &Client, notices: &Notices) {
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

/// The number of attempts that it may take on a server which closes the connection on operations it does
/// not know. The client stops using such an operation after two closed connections, and a create may use
/// two such operations.
const MAX_ATTEMPTS: usize = 5;

/// Creates the znode, also on a server that closes the connection on operations it does not know.
///
/// After a closed connection the client avoids the operation, so that sending the create again may
/// succeed. But the connection may have been lost for another reason, after the create took effect: the
/// create is sent again only if the nearest existing ancestor shows that nothing was created below it.
/// The name of a sequential znode is not known, so its create is sent once.
async fn send(
    args: &Create,
    acl: Option<&Vec<Acl>>,
    data: &[u8],
    client: &Client,
) -> zk_client::Result<Created> {
    if args.sequential {
        return attempt(args, acl, data, client).await;
    }
    // Completed before the create is sent: if both were in flight when the connection is lost, the
    // client would send this read again, after the create. If the read fails, there is one attempt.
    let before = Ancestor::nearest(&args.path, client).await.ok();
    let mut created = attempt(args, acl, data, client).await;
    for _ in 1..MAX_ATTEMPTS {
        let error = match created {
            Err(error) if error.lacks_operation() && error.outcome() == Outcome::Unknown => error,
            done => return done,
        };
        if client.sync(&args.path).await.is_err() {
            return Err(error);
        }
        match (&before, Ancestor::nearest(&args.path, client).await) {
            (Some(before), Ok(now)) if *before == now => {}
            _ => return Err(error),
        }
        created = attempt(args, acl, data, client).await;
    }
    created
}

/// The nearest existing ancestor of a znode. Creating the znode, or one between the two, changes it.
#[derive(PartialEq, Eq)]
struct Ancestor {
    path: String,
    created: Zxid,
    child_changes: i32,
}

impl Ancestor {
    /// `None` if there is none, because the chroot does not exist.
    async fn nearest(path: &str, client: &Client) -> zk_client::Result<Option<Self>> {
        let ancestors = std::iter::successors(path::parent(path), |path| path::parent(path));
        let replies: Vec<_> = ancestors
            .map(|path| (path, client.exists(path).submit()))
            .collect();
        for (path, reply) in replies {
            if let Some(stat) = reply.await? {
                return Ok(Some(Ancestor {
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
    if args.given.null {
        create = create.null();
    }
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
