//! `sessions`: the sessions of the ensemble and their clients.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value, json};
use zk_client::admin::{self, AdminError, SessionDump};
use zk_client::{Client, SessionId};

use super::clients::{self, Described, Failed, reasons};
use crate::cli::holders::Sessions;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;
use crate::output::timestamp::iso_8601;

/// The time for a server to answer a word that the command cannot do without.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) async fn sessions(
    args: &Sessions,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let dump = |text: &str| text.parse::<SessionDump>();
    let cons = |text: &str| -> Result<_, AdminError> { Ok(admin::connections(text)?.into_vec()) };
    let (dumps, connections) = tokio::join!(
        clients::send(client, "dump", TIMEOUT, dump),
        clients::send(client, "cons", TIMEOUT, cons),
    );
    let (no_dump, no_cons) = (&dumps.failed, &connections.failed);
    if dumps.read.is_empty() && connections.read.is_empty() {
        return Err(none_answered("dump or cons", no_dump));
    }
    clients::report(
        notices,
        "sessions and ephemeral znodes may be missing",
        "dump",
        no_dump,
    );
    clients::report(notices, "addresses may be missing", "cons", no_cons);
    let own = client.session().id;
    let mut found = clients::sessions(&dumps.read, &connections.read);
    if let Some(wanted) = args.session {
        found.retain(|(id, _)| *id == wanted);
        if found.is_empty() {
            return Err(Failure::Failed(format!(
                "no server lists session {wanted}: it has ended, or is of a server that has not answered"
            )));
        }
    }
    for (id, mut session) in found {
        let root = client.root();
        let ephemerals = std::mem::take(&mut session.ephemerals);
        let ephemerals = ephemerals.iter().filter_map(|path| root.strip(path));
        let ephemerals: Vec<_> = ephemerals.collect();
        if output.is_json() {
            let object = as_json(id, &session, &ephemerals, args.ephemerals, id == own);
            output.json(&object).await?;
            continue;
        }
        output
            .line(as_text(id, &session, ephemerals.len(), id == own))
            .await?;
        if args.ephemerals {
            for path in ephemerals {
                output
                    .line(format_args!("  {}", visible_line(path)))
                    .await?;
            }
        }
    }
    match no_dump.is_empty() && no_cons.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Failure::Reported),
    }
}

/// The failure if no server has answered.
pub(super) fn none_answered(word: &str, failed: &[Failed]) -> Failure {
    Failure::Failed(format!("no server answers {word} {}", reasons(failed)))
}

fn as_text(id: SessionId, session: &Described, ephemerals: usize, own: bool) -> String {
    let peer = session.peer.as_ref();
    let timeout = match session.timeout_ms {
        Some(timeout) => format!("timeout {timeout} ms"),
        None => "timeout ?".to_owned(),
    };
    let own = if own { "  this zkctl" } else { "" };
    format!(
        "session {:<18}  {:<21}  {:<21}  {timeout:<18}  {ephemerals:>6} ephemerals{own}",
        id.to_string(),
        visible_line(peer.map_or("-", |peer| &*peer.address)),
        peer.map_or("-", |peer| &*peer.server),
    )
}

fn as_json(
    id: SessionId,
    session: &Described,
    ephemerals: &[&str],
    list: bool,
    own: bool,
) -> Value {
    let peer = session.peer.as_ref();
    let connected = session.connected_ms.and_then(|at| i64::try_from(at).ok());
    let mut object = Map::new();
    let mut set = |key: &str, value: Value| object.insert(key.to_owned(), value);
    set("session", id.to_string().into());
    set("own", own.into());
    set("address", peer.map(|peer| &*peer.address).into());
    set("server", peer.map(|peer| &*peer.server).into());
    set("timeout_ms", session.timeout_ms.into());
    set("expires", session.expires.clone().into());
    set("connected", connected.map(iso_8601).into());
    set("last_operation", session.last_operation.clone().into());
    set("received", session.received.into());
    set("sent", session.sent.into());
    set("queued", session.queued.into());
    set("ephemeral_count", ephemerals.len().into());
    if list {
        set("ephemerals", json!(ephemerals));
    }
    Value::Object(object)
}
