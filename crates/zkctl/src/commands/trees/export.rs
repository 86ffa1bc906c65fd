//! `export`: writes a tree as lines of JSON.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use serde_json::Value;
use zk_client::{Chroot, Client};

use super::cut::{CutExport, Lines};
use super::reader::{Reader, Reading};
use super::total::total;
use super::unread::Failures;
use crate::cli::trees::Export;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::progress::Progress;
use crate::output::timestamp::now;
use crate::tree::Record;
use crate::tree::format::{self, Counts};

pub(crate) async fn export(
    args: &Export,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let mut seen = Seen::default();
    let Some(file) = &args.resume else {
        let path = args.path.as_deref().unwrap_or("/");
        let reader = Reader::begin(client, path, Reading::all()).await?;
        // The lines would overwrite the bar.
        let has_bar = !io::stdout().is_terminal();
        let mut target = Target::Output(output);
        target.add(&header(reader.root())).await?;
        write(reader, target, &mut seen, client, has_bar, notices).await?;
        return seen.report(notices);
    };
    let name = file.clone();
    // A thread, because a long file delays the pings of the session.
    let opened = tokio::task::spawn_blocking(move || {
        let cut = CutExport::open(&name, |record| seen.add(record));
        cut.map(|cut| (cut, seen))
    });
    let opened = opened
        .await
        .map_err(|error| Failure::Failed(error.to_string()))?;
    let (cut, mut seen) = opened?;
    let shown = file.display();
    let before = &cut.before;
    let root = root(args, before.root.as_ref())
        .map_err(|problem| Failure::Failed(format!("{shown}: {problem}")))?;
    if before.is_complete {
        notices.say(format_args!("{shown}: the export is complete"));
        return seen.report(notices);
    }
    let mut reading = Reading::all();
    reading.after = before.after.clone();
    let reader = Reader::begin(client, &root, reading).await?;
    let mut lines = cut.lines()?;
    if before.root.is_none() {
        lines.add(&header(reader.root()))?;
    }
    let done = write(
        reader,
        Target::File(lines),
        &mut seen,
        client,
        true,
        notices,
    )
    .await;
    if done.is_err() {
        notices.say(format_args!(
            "{shown}: {} znodes are there; the same command continues behind them",
            seen.counts.total()
        ));
    }
    done?;
    seen.report(notices)
}

/// The znode that an export in a file begins with, or shall begin with.
fn root(args: &Export, before: Option<&Chroot>) -> Result<String, String> {
    let before = before.map(|root| root.join("/"));
    match (&args.path, before) {
        (Some(path), Some(before)) if *path != before => {
            Err(format!("it is an export of {before}, not of {path}"))
        }
        (Some(path), _) => Ok(path.clone()),
        (None, Some(before)) => Ok(before),
        (None, None) => Ok("/".to_owned()),
    }
}

fn header(root: &Chroot) -> Value {
    format::header(root, &now())
}

/// Where the lines are written.
enum Target<'a> {
    Output(&'a mut Output),
    File(Lines),
}

impl Target<'_> {
    async fn add(&mut self, line: &Value) -> Result<(), Failure> {
        match self {
            Target::Output(output) => output.json(line).await,
            Target::File(lines) => lines.add(line),
        }
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        match self {
            Target::Output(output) => output.flush().await,
            Target::File(lines) => lines.finish(),
        }
    }
}

/// Writes the znodes, and the last line.
async fn write(
    mut reader: Reader,
    mut target: Target<'_>,
    seen: &mut Seen,
    client: &Client,
    has_bar: bool,
    notices: &Notices,
) -> Result<(), Failure> {
    let root = reader.root().clone();
    let progress = match has_bar {
        true => Some(Progress::new(
            "export",
            total(client, &root.join("/")).await,
            notices,
        )),
        false => None,
    };
    while let Some(record) = reader.next().await? {
        target.add(&format::record(&root, &record)).await?;
        seen.add(&record);
        if let Some(progress) = &progress {
            progress.set(seen.counts.total());
        }
    }
    target.add(&format::end(seen.counts)).await?;
    target.finish().await?;
    if let Some(progress) = &progress {
        progress.hide();
    }
    Ok(())
}

/// What was written, in an earlier part of the export as well.
#[derive(Default)]
struct Seen {
    counts: Counts,
    failures: Failures,
    masked: u64,
}

impl Seen {
    fn add(&mut self, record: &Record) {
        self.counts.add(record);
        match record {
            Record::Unread { why, .. } => self.failures.add(why.clone()),
            Record::Node(node) => self.masked += u64::from(node.has_masked_acl()),
        }
    }

    fn report(self, notices: &Notices) -> Result<ExitCode, Failure> {
        if self.masked > 0 {
            notices.say(format_args!(
                "ACLs without the hashes of their passwords: {}; servers show those to clients that may \
                 administer the znode, and import refuses the others (give credentials with ZK_AUTH or --auth)",
                self.masked
            ));
        }
        self.failures.report("could not be read", notices)?;
        Ok(ExitCode::SUCCESS)
    }
}
