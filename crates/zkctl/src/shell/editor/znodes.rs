//! The names of znodes for the completion of paths.

use std::time::Duration;

use tokio::sync::mpsc;

use super::PathsRequest;
use super::status::Status;
use crate::cli::current::resolve;

/// How long a request for names may take. The line cannot be edited meanwhile.
const TIMEOUT: Duration = Duration::from_millis(500);
/// How many names are offered.
const LIMIT: usize = 500;

/// Answers the editor, until it has ended.
pub(crate) async fn answer(mut requests: mpsc::UnboundedReceiver<PathsRequest>, status: Status) {
    while let Some(request) = requests.recv().await {
        let paths = tokio::time::timeout(TIMEOUT, beginning_with(&request.beginning, &status));
        // Errors and a timeout mean that nothing is offered; the editor may have given up.
        let paths = paths.await.ok().flatten().unwrap_or_default();
        let _ = request.reply.send(paths);
    }
}

async fn beginning_with(text: &str, status: &Status) -> Option<Vec<String>> {
    let client = status.client()?;
    if !client.state().is_connected() {
        return None;
    }
    let (parent, prefix) = match text.rfind('/') {
        Some(slash) => text.split_at(slash + 1),
        None => ("", text),
    };
    let start = match parent {
        "" => ".",
        parent => parent,
    };
    let children = client
        .children(&resolve(&status.path(), start))
        .await
        .ok()?;
    let mut names: Vec<&str> = children
        .iter()
        .filter(|name| name.starts_with(prefix))
        .collect();
    names.sort_unstable();
    names.truncate(LIMIT);
    Some(
        names
            .into_iter()
            .map(|name| format!("{parent}{name}"))
            .collect(),
    )
}
