//! `diff`: compares two trees.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value, json};
use similar::{ChangeTag, TextDiff};

use super::source::Source;
use super::unread::Failures;
use crate::cli::trees::{Diff, Ignored};
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::node_text::add_data;
use crate::output::notices::Notices;
use crate::output::progress::Progress;
use crate::output::terminal::visible_line;
use crate::tree::difference::{Comparison, Difference, Finding, Taken};
use crate::tree::format::acl_json;
use crate::tree::{Kind, Node, Record};

const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const PLAIN: &str = "\u{1b}[0m";

/// How long to look for the smallest difference of two texts; a larger one is shown then.
const LONGEST: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Tally {
    same: u64,
    changed: u64,
    only_left: u64,
    only_right: u64,
    unknown: u64,
}

pub(super) async fn diff(
    args: &Diff,
    left: Source,
    right: Source,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let ignores = |what| args.ignore.contains(&what);
    let mut comparison = Comparison::ignoring(Difference {
        data: ignores(Ignored::Data),
        acl: ignores(Ignored::Acl),
        kind: ignores(Ignored::Kind),
    });
    let skips_ephemerals = ignores(Ignored::Ephemerals);
    let mut left = Tree::new(left, skips_ephemerals);
    let mut right = Tree::new(right, skips_ephemerals);
    let coloured = output.has_colours();
    let progress = match io::stdout().is_terminal() {
        true => None,
        false => Some(Progress::new("diff", None, notices)),
    };
    let (mut tally, mut done) = (Tally::default(), 0);
    let (mut failures, mut masked) = (Failures::default(), 0_u64);
    loop {
        let (left_done, right_done) = tokio::join!(left.fill(), right.fill());
        left_done?;
        right_done?;
        let Some((taken, finding)) = comparison.step(left.next.as_ref(), right.next.as_ref())
        else {
            break;
        };
        let before = left.next.take_if(|_| taken != Taken::Right);
        let after = right.next.take_if(|_| taken != Taken::Left);
        done += 1;
        if let Some(progress) = &progress {
            progress.set(done);
        }
        let counter = match finding {
            Finding::Same => &mut tally.same,
            Finding::Changed(_) => &mut tally.changed,
            Finding::OnlyLeft => &mut tally.only_left,
            Finding::OnlyRight => &mut tally.only_right,
            Finding::Unknown => &mut tally.unknown,
        };
        *counter += 1;
        for record in [&before, &after].into_iter().flatten() {
            if let Record::Unread { why, .. } = record {
                failures.add(why.clone());
            }
        }
        let pair = (before.as_ref(), after.as_ref());
        masked += u64::from(!ignores(Ignored::Acl) && has_masked_acls(finding, pair));
        if args.quiet || finding == Finding::Same {
            continue;
        }
        if output.is_json() {
            output.json(&finding_json(finding, pair, args.data)).await?;
            continue;
        }
        output.line(finding_text(finding, pair, coloured)).await?;
        if args.data
            && let (Finding::Changed(Difference { data: true, .. }), Some(left), Some(right)) =
                (finding, node(pair.0), node(pair.1))
        {
            output.text(&lines(left, right, coloured)).await?;
        }
    }
    if let Some(progress) = &progress {
        progress.hide();
    }
    let differs = tally.changed + tally.only_left + tally.only_right > 0;
    if !args.quiet {
        summary(&tally, output).await?;
    }
    if masked > 0 {
        notices.say(format_args!(
            "ACLs that were compared without the hashes of their passwords: {masked}; servers show those to \
             clients that may administer the znode (give credentials with ZK_AUTH or --auth)"
        ));
    }
    // Without all of both trees, it is not known that they are the same.
    failures.report("could not be read", notices)?;
    Ok(match differs || tally.unknown > 0 {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// A tree, and its next element.
struct Tree {
    source: Source,
    skips_ephemerals: bool,
    next: Option<Record>,
    ended: bool,
}

impl Tree {
    fn new(source: Source, skips_ephemerals: bool) -> Self {
        Tree {
            source,
            skips_ephemerals,
            next: None,
            ended: false,
        }
    }

    /// Reads the next element, unless it is there.
    async fn fill(&mut self) -> Result<(), Failure> {
        while self.next.is_none() && !self.ended {
            self.next = self.source.next().await?;
            self.ended = self.next.is_none();
            let is_ephemeral = matches!(
                &self.next,
                Some(Record::Node(node)) if node.kind == Kind::Ephemeral
            );
            if is_ephemeral && self.skips_ephemerals {
                self.next = None;
            }
        }
        Ok(())
    }
}

type Pair<'a> = (Option<&'a Record>, Option<&'a Record>);

fn path_of(pair: Pair<'_>) -> &str {
    pair.0.or(pair.1).map_or("", Record::path)
}

fn node(record: Option<&Record>) -> Option<&Node> {
    match record {
        Some(Record::Node(node)) => Some(node),
        _ => None,
    }
}

/// Whether the ACLs count as the same because the servers hide where they may differ.
fn has_masked_acls(finding: Finding, pair: Pair<'_>) -> bool {
    let is_same = match finding {
        Finding::Same => true,
        Finding::Changed(difference) => !difference.acl,
        Finding::OnlyLeft | Finding::OnlyRight | Finding::Unknown => false,
    };
    is_same
        && [pair.0, pair.1]
            .into_iter()
            .any(|side| node(side).is_some_and(Node::has_masked_acl))
}

fn name(finding: Finding) -> &'static str {
    match finding {
        Finding::Same => "same",
        Finding::OnlyLeft => "only_left",
        Finding::OnlyRight => "only_right",
        Finding::Changed(_) => "changed",
        Finding::Unknown => "unknown",
    }
}

fn finding_json(finding: Finding, pair: Pair<'_>, with_data: bool) -> Value {
    let side = |record| {
        node(record).map(|node| {
            let mut side = Map::new();
            let length = node.data.as_ref().map(|data| data.len());
            side.insert("data_length".to_owned(), length.into());
            side.insert("acl".to_owned(), acl_json(&node.acl));
            side.insert("kind".to_owned(), node.kind.name().into());
            if let (Some(data), true) = (&node.data, with_data) {
                add_data(&mut side, data);
            }
            Value::Object(side)
        })
    };
    let mut object = Map::new();
    object.insert("type".to_owned(), "difference".into());
    object.insert("path".to_owned(), path_of(pair).into());
    object.insert("change".to_owned(), name(finding).into());
    if let Finding::Changed(difference) = finding {
        object.insert("differs".to_owned(), difference.names().into());
    }
    object.insert("left".to_owned(), side(pair.0).into());
    object.insert("right".to_owned(), side(pair.1).into());
    Value::Object(object)
}

fn finding_text(finding: Finding, pair: Pair<'_>, coloured: bool) -> String {
    let (sign, colour) = match finding {
        Finding::Same => (' ', PLAIN),
        Finding::OnlyLeft => ('-', RED),
        Finding::OnlyRight => ('+', GREEN),
        Finding::Changed(_) => ('~', YELLOW),
        Finding::Unknown => ('?', YELLOW),
    };
    let mut text = format!("{sign} {}", visible_line(path_of(pair)));
    if let (Finding::Changed(difference), Some(left), Some(right)) =
        (finding, node(pair.0), node(pair.1))
    {
        let mut what: Vec<String> = Vec::new();
        if difference.data {
            what.push(format!("data: {} and {}", length(left), length(right)));
        }
        if difference.acl {
            what.push("acl".to_owned());
        }
        if difference.kind {
            let kind = |node: &Node| node.kind.name().unwrap_or("persistent");
            what.push(format!("kind: {} and {}", kind(left), kind(right)));
        }
        text.push_str(&format!("  {}", what.join("; ")));
    }
    match coloured {
        true => format!("{colour}{text}{PLAIN}"),
        false => text,
    }
}

/// The lines of the data that differ, if both are text, with one line around each.
fn lines(left: &Node, right: &Node, coloured: bool) -> String {
    let text = |node: &'_ Node| -> Option<String> {
        let data = node.data.as_deref().unwrap_or_default();
        std::str::from_utf8(data).ok().map(str::to_owned)
    };
    let (Some(left), Some(right)) = (text(left), text(right)) else {
        return String::new();
    };
    let diff = TextDiff::configure()
        .timeout(LONGEST)
        .diff_lines(&left, &right);
    let mut lines = String::new();
    for group in diff.grouped_ops(1) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (sign, colour) = match change.tag() {
                ChangeTag::Delete => ('-', RED),
                ChangeTag::Insert => ('+', GREEN),
                ChangeTag::Equal => (' ', PLAIN),
            };
            let line = visible_line(change.value().trim_end_matches('\n'));
            lines.push_str(&match coloured {
                true => format!("    {colour}{sign} {line}{PLAIN}\n"),
                false => format!("    {sign} {line}\n"),
            });
        }
    }
    lines
}

fn length(node: &Node) -> String {
    match &node.data {
        Some(data) => format!("{} bytes", data.len()),
        None => "null".to_owned(),
    }
}

async fn summary(tally: &Tally, output: &mut Output) -> Result<(), Failure> {
    let Tally {
        same,
        changed,
        only_left,
        only_right,
        unknown,
    } = tally;
    if output.is_json() {
        return output
            .json(&json!({
                "type": "summary",
                "same": same,
                "changed": changed,
                "only_left": only_left,
                "only_right": only_right,
                "unknown": unknown,
            }))
            .await;
    }
    let unknown = match unknown {
        0 => String::new(),
        unknown => format!(", {unknown} not compared"),
    };
    output
        .line(format_args!(
            "{same} the same, {changed} changed, {only_left} only in the first, {only_right} only in the \
             second{unknown}"
        ))
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::samples::node;

    #[test]
    fn lines_that_differ_are_shown_escaped() {
        let left = node("/a", "same\n1\n2\nold\u{1b}[2J\n");
        let right = node("/a", "same\n1\n2\nnew\nmore");
        let shown = "      2\n    - old\\u{1b}[2J\n    + new\n    + more\n";
        assert_eq!(lines(&left, &right, false), shown);
        let coloured = lines(&left, &right, true);
        assert!(
            coloured.contains("\u{1b}[32m+ new\u{1b}[0m\n"),
            "{coloured:?}"
        );
        let mut binary = right.clone();
        binary.data = Some(b"\xff"[..].into());
        assert_eq!(lines(&left, &binary, false), "");
    }
}
