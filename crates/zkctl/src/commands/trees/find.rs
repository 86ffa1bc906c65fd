//! `find`: the znodes that have all the properties asked for.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use zk_client::{Client, path};

use super::reader::{Reader, Reading, Selects};
use super::unread::Failures;
use crate::cli::trees::Find;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::node_text::{stat_columns, stat_json};
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;
use crate::tree::{Record, pattern};

pub(crate) async fn find(
    args: Find,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let value = args.value.clone().map(String::into_bytes);
    let (root, long) = (args.path.clone(), args.long);
    let reading = Reading {
        data: value.is_some(),
        acls: false,
        max_depth: args.depth,
        system: true,
        after: None,
        selects: Some(selection(args)),
    };
    let mut reader = Reader::begin(client, &root, reading).await?;
    let mut failures = Failures::default();
    while let Some(record) = reader.next().await? {
        let full = reader.root().join(record.path());
        let node = match record {
            Record::Node(node) => node,
            Record::Unread { why, .. } => {
                failures.add(why);
                continue;
            }
        };
        let data = node.data.as_deref().unwrap_or_default();
        if value.as_ref().is_some_and(|value| !contains(data, value)) {
            continue;
        }
        if output.is_json() {
            let object = json!({ "path": full, "stat": node.stat.as_ref().map(stat_json) });
            output.json(&object).await?;
        } else if long {
            let columns = stat_columns(node.stat.as_ref());
            output
                .line(format_args!("{columns}  {}", visible_line(&full)))
                .await?;
        } else {
            output.line(visible_line(&full)).await?;
        }
    }
    failures.report("could not be read", notices)?;
    Ok(ExitCode::SUCCESS)
}

/// The properties that need no data.
fn selection(args: Find) -> Selects {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let before = |age: Option<Duration>| {
        age.map(|age| now.saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)))
    };
    let (older, newer) = (before(args.older), before(args.newer));
    let larger = args.larger.and_then(|bytes| i32::try_from(bytes).ok());
    Box::new(move |full, stat| {
        let name = args.name.as_ref();
        name.is_none_or(|pattern| pattern::matches(pattern, path::name(full)))
            && args
                .owner
                .is_none_or(|owner| stat.owner().is_some_and(|it| it == owner))
            && (!args.ephemeral || stat.is_ephemeral())
            && older.is_none_or(|limit| stat.mtime < limit)
            && newer.is_none_or(|limit| stat.mtime >= limit)
            && larger.is_none_or(|bytes| stat.data_length >= bytes)
    })
}

/// Whether `text` occurs in the data.
fn contains(data: &[u8], text: &[u8]) -> bool {
    text.is_empty() || data.windows(text.len()).any(|part| part == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_anywhere_in_the_data() {
        for text in ["", "a", "bc", "abc"] {
            assert!(contains(b"abc", text.as_bytes()), "{text}");
        }
        assert!(!contains(b"abc", b"ac") && !contains(b"", b"a"));
    }
}
