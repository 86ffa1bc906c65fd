//! `delete -r` with its progress, and what it would delete.

use std::process::ExitCode;

use serde_json::json;
use zk_client::Client;

use super::total::total;
use super::unread::Failures;
use crate::cli::znode::Delete;
use crate::commands::walk::Walk;
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::partial::partly;
use crate::output::progress::Progress;
use crate::output::terminal::visible_line;

/// Deletes a znode and everything below it. The error is a text.
pub(crate) async fn recursive(
    path: &str,
    client: &Client,
    notices: &Notices,
) -> Result<(), String> {
    let progress = Progress::new("delete", total(client, path).await, notices);
    // The session makes no other writes. A refused deletion, of a znode with children, is not among them.
    let deleted = || client.statistics().writes.answered;
    let before = deleted();
    let done = tokio::select! {
        done = client.delete(path).recursive() => done,
        never = progress.show(|| deleted().saturating_sub(before)) => match never {},
    };
    progress.hide();
    done.map_err(|error| {
        let deleted = deleted().saturating_sub(before);
        partly(&explain(&error), "znodes deleted", deleted)
    })
}

/// Prints what would be deleted, with the number of znodes at the end.
pub(crate) async fn preview(
    args: &Delete,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let mut failures = Failures::default();
    let (mut count, mut ephemerals) = (0_u64, 0_u64);
    for path in &args.paths {
        let depth = (!args.recursive).then_some(0);
        let mut walk = match Walk::begin(client, path, depth).await {
            Ok(walk) => walk,
            Err(error) => {
                failures.add(explain(&error));
                continue;
            }
        };
        while let Some(visit) = walk.next().await? {
            if let Some(error) = &visit.unread {
                failures.add(explain(error));
            }
            let stat = visit.stat.unwrap_or_default();
            if !args.recursive && stat.num_children > 0 {
                let path = visible_line(path);
                failures.add(format!("{path}: the znode has children (use -r)"));
                continue;
            }
            count += 1;
            ephemerals += u64::from(stat.is_ephemeral());
            if output.is_json() {
                output.json(&json!({ "would_delete": visit.path })).await?;
            } else {
                output.line(visible_line(&visit.path)).await?;
            }
        }
    }
    if !output.is_json() {
        output
            .line(format_args!(
                "{count} would be deleted, {ephemerals} of them ephemeral"
            ))
            .await?;
    }
    failures.report("could not be read", notices)?;
    Ok(ExitCode::SUCCESS)
}
