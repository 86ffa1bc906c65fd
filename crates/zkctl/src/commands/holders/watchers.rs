//! `watchers`: the sessions that watch a znode.

use std::collections::BTreeSet;
use std::process::ExitCode;

use serde_json::json;
use zk_client::Client;
use zk_client::admin::{self, PathSessions};

use super::clients;
use super::contenders::addresses;
use crate::cli::holders::Watchers;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;

/// A session that watches a znode, at a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Watching {
    /// As the server has it, chroot included.
    path: String,
    /// The session's id, unsigned.
    session: u64,
    server: String,
}

/// The watches on a path, and with `recursive` on those below it.
fn watching(
    answers: Vec<(String, Vec<PathSessions>)>,
    path: &str,
    recursive: bool,
) -> BTreeSet<Watching> {
    let prefix = format!("{}/", path.trim_end_matches('/'));
    let mut found = BTreeSet::new();
    for (server, watches) in answers {
        for watch in watches {
            if watch.path != path && !(recursive && watch.path.starts_with(&prefix)) {
                continue;
            }
            found.extend(watch.sessions.iter().map(|session| Watching {
                path: watch.path.clone(),
                session: session.0.cast_unsigned(),
                server: server.clone(),
            }));
        }
    }
    found
}

pub(crate) async fn watchers(
    args: &Watchers,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let answers = clients::send(client, "wchp", super::sessions::TIMEOUT, |text| {
        admin::wchp(text).map(admin::Entries::into_vec)
    })
    .await;
    let failed = answers.failed;
    if answers.read.is_empty() {
        return Err(super::sessions::none_answered("wchp", &failed));
    }
    clients::report(notices, "watches are missing", "wchp", &failed);
    let found = watching(
        answers.read,
        &client.root().join(&args.path),
        args.recursive,
    );
    let addresses = if found.is_empty() {
        Default::default()
    } else {
        addresses(client, notices).await?
    };
    if found.is_empty() && !output.is_json() {
        let path = visible_line(&args.path);
        output
            .line(format_args!("{path} has no watches that servers list"))
            .await?;
    }
    for watch in found {
        let session = zk_client::SessionId(watch.session.cast_signed());
        let address = addresses.get(session).map(|peer| &*peer.address);
        let path = client.root().strip(&watch.path).unwrap_or(&watch.path);
        if output.is_json() {
            let object = json!({
                "path": path,
                "session": session.to_string(),
                "address": address,
                "server": watch.server,
            });
            output.json(&object).await?;
        } else {
            let line = format!(
                "session {:<18}  {:<21}  {:<21}  {}",
                session.to_string(),
                visible_line(address.unwrap_or("-")),
                watch.server,
                visible_line(path)
            );
            output.line(line).await?;
        }
    }
    match failed.is_empty() {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Failure::Reported),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_are_those_of_whole_names() {
        let reply = "/a\n\t0x10\n\t0x11\n/ab\n\t0x10\n/a/b\n\t0xffffffffffffff00\n";
        let read = || vec![("s".to_owned(), admin::wchp(reply).unwrap().into_vec())];
        let found = |path, recursive| -> Vec<_> {
            let found = watching(read(), path, recursive).into_iter();
            found
                .map(|watch| format!("{} {:#x}", watch.path, watch.session))
                .collect()
        };
        assert_eq!(found("/a", false), ["/a 0x10", "/a 0x11"]);
        assert_eq!(
            found("/a", true),
            ["/a 0x10", "/a 0x11", "/a/b 0xffffffffffffff00"]
        );
        assert_eq!(found("/", true).len(), 4);
        assert!(found("/", false).is_empty());
    }
}
