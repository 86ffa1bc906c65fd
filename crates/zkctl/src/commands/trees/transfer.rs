//! `import`, and the second half of `copy`: writes a tree to a server.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use zk_client::{Chroot, Client, ErrorKind, path};

use super::importer::{Event, Importer, Tally};
use super::source::Source;
use super::unread::Failures;
use crate::cli::trees::{Ephemerals, Import, Sequences, Writing};
use crate::commands::chroot::check_root;
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::progress::Progress;
use crate::output::terminal::visible_line;
use crate::tree::Record;
use crate::tree::plan::{Existing, LeftOut, Options};

pub(crate) async fn import(
    args: &Import,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let source = Source::of_file(&args.file).await?;
    let target = match &args.path {
        Some(path) => chroot(path)?,
        None => source.root().clone(),
    };
    let transfer = Transfer {
        name: "import",
        writing: &args.writing,
        client,
        target,
        total: None,
    };
    transfer.run(source, output, notices).await
}

pub(super) fn chroot(path: &str) -> Result<Chroot, Failure> {
    Chroot::new(path).map_err(|error| Failure::Usage(error.to_string()))
}

/// A tree on its way to a server.
pub(super) struct Transfer<'a> {
    /// Of the command.
    pub(super) name: &'a str,
    pub(super) writing: &'a Writing,
    pub(super) client: &'a Client,
    pub(super) target: Chroot,
    /// How many znodes there are, if that is known.
    pub(super) total: Option<u64>,
}

impl Transfer<'_> {
    pub(super) async fn run(
        self,
        mut source: Source,
        output: &mut Output,
        notices: &Notices,
    ) -> Result<ExitCode, Failure> {
        check_root(self.client).await?;
        self.check_parent().await?;
        let dry_run = self.writing.dry_run;
        let options = options(self.writing);
        let target = self.target.clone();
        let mut importer = Importer::new(self.client, self.target, options, dry_run);
        let shows = self.writing.verbose || dry_run;
        let progress = match shows && io::stdout().is_terminal() {
            true => Progress::hidden(),
            false => Progress::new(self.name, self.total, notices),
        };
        let mut results = Results {
            shows,
            dry_run,
            output,
            failures: Failures::default(),
            unread: Failures::default(),
        };
        let outcome = take(&mut source, &target, &mut importer, &mut results, &progress).await;
        progress.hide();
        notices.written().await;
        let tally = importer.tally;
        let Results {
            failures,
            unread,
            output,
            ..
        } = results;
        Failure::unless_reader_gone(summary(tally, dry_run, output).await)?;
        remarks(tally, dry_run, notices);
        let failures = failures.report("could not be written", notices);
        let unread = unread.report("could not be read when they were exported", notices);
        outcome?;
        failures.and(unread)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Fails if the znode to write to has no parent, or creates it.
    async fn check_parent(&self) -> Result<(), Failure> {
        let target = self.target.join("/");
        let Some(parent) = path::parent(&target) else {
            return Ok(());
        };
        match self.client.exists(parent).await {
            Ok(None) => {}
            // It exists, but it is not this client's to read.
            Err(error) if error.kind() != ErrorKind::NoAuth => return Err(error.into()),
            Ok(Some(_)) | Err(_) => return Ok(()),
        }
        match self.writing {
            Writing { parents: false, .. } => Err(Failure::Failed(format!(
                "{}: the znode does not exist (create it first, or use -p)",
                visible_line(parent)
            ))),
            Writing { dry_run: true, .. } => Ok(()),
            _ => Ok(self.client.ensure_path(parent).await.map(drop)?),
        }
    }
}

/// Writes the whole tree. After a failure, [`Importer::tally`] has what was done.
async fn take(
    source: &mut Source,
    target: &Chroot,
    importer: &mut Importer<'_>,
    results: &mut Results<'_>,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut taken = 0;
    loop {
        let next = match source.next().await {
            Ok(next) => next,
            // What was read before is written: after a cut, the rest is missing and nothing else.
            Err(failure) => {
                let written = importer.flush().await;
                results.show(importer.take_events()).await?;
                written.map_err(stopped)?;
                return Err(failure);
            }
        };
        let is_last = next.is_none();
        let written = match next {
            Some(Record::Node(node)) => importer.add(node).await,
            Some(Record::Unread { path, why }) => {
                let path = target.join(&path);
                let path = visible_line(&path);
                results.unread.add(format!("{path}: not written: {why}"));
                Ok(())
            }
            None => importer.flush().await,
        };
        results.show(importer.take_events()).await?;
        written.map_err(stopped)?;
        if is_last {
            return Ok(());
        }
        taken += 1;
        progress.set(taken);
    }
}

/// An error that ends the transfer.
fn stopped(error: zk_client::Error) -> Failure {
    Failure::Failed(format!(
        "{}; run the command again: what is written stays, and it writes the rest",
        explain(&error)
    ))
}

fn options(writing: &Writing) -> Options {
    Options {
        existing: if writing.overwrite {
            Existing::Overwrite
        } else if writing.skip {
            Existing::Skip
        } else {
            Existing::Fail
        },
        keep_ephemerals: writing.ephemerals == Ephemerals::Persistent,
        skip_sequences: writing.sequences == Sequences::Skip,
        ignore_acls: writing.no_acl,
    }
}

/// What has been done, as it is shown.
struct Results<'a> {
    /// Each znode is shown.
    shows: bool,
    /// A conflict does not end the import.
    dry_run: bool,
    output: &'a mut Output,
    failures: Failures,
    /// What the source could not read.
    unread: Failures,
}

impl Results<'_> {
    /// Shows events. One of them may end the import.
    async fn show(&mut self, events: Vec<(String, Event)>) -> Result<(), Failure> {
        let mut conflict = None;
        for (path, event) in events {
            if self.shows && !matches!(event, Event::Same) {
                let written = match self.output.is_json() {
                    true => self.output.json(&event_json(&path, &event)).await,
                    false => self.output.line(event_text(&path, &event)).await,
                };
                Failure::unless_reader_gone(written)?;
            }
            match event {
                Event::Failed(text) => self.failures.add(text),
                Event::Conflict(difference) => {
                    let text = format!(
                        "{} exists and differs: {} (give --overwrite or --skip)",
                        visible_line(&path),
                        difference.names().join(", ")
                    );
                    match self.dry_run {
                        true => self.failures.add(text),
                        false => conflict = conflict.or(Some(text)),
                    }
                }
                _ => {}
            }
        }
        conflict.map_or(Ok(()), |text| Err(Failure::Failed(text)))
    }
}

/// What an event is called, and what it is about.
fn parts(event: &Event) -> (&'static str, Vec<&'static str>) {
    match event {
        Event::Created => ("created", Vec::new()),
        Event::Replaced(difference) => ("replaced", difference.names()),
        Event::Same => ("same", Vec::new()),
        Event::Kept(difference) => ("kept", difference.names()),
        Event::LeftOut(LeftOut::Ephemeral) => ("left_out", vec!["ephemeral"]),
        Event::LeftOut(LeftOut::Sequence) => ("left_out", vec!["sequence"]),
        Event::Conflict(difference) => ("conflict", difference.names()),
        Event::Failed(_) => ("failed", Vec::new()),
    }
}

fn event_json(path: &str, event: &Event) -> Value {
    let (action, why) = parts(event);
    let mut object = Map::new();
    object.insert("type".to_owned(), "znode".into());
    object.insert("path".to_owned(), path.into());
    object.insert("action".to_owned(), action.into());
    object.insert("why".to_owned(), why.into());
    if let Event::Failed(text) = event {
        object.insert("error".to_owned(), text.as_str().into());
    }
    Value::Object(object)
}

fn event_text(path: &str, event: &Event) -> String {
    let (action, why) = parts(event);
    let action = action.replace('_', " ");
    let path = visible_line(path);
    match why.is_empty() {
        true => format!("{action} {path}"),
        false => format!("{action} {path} ({})", why.join(", ")),
    }
}

async fn summary(tally: Tally, dry_run: bool, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output
            .json(&json!({
                "type": "summary",
                "dry_run": dry_run,
                "created": tally.created,
                "replaced": tally.replaced,
                "same": tally.same,
                "kept": tally.kept,
                "left_out_ephemeral": tally.ephemerals,
                "left_out_sequence": tally.sequences,
                "failed": tally.failed,
            }))
            .await;
    }
    let parts = [
        (tally.created, "created"),
        (tally.replaced, "replaced"),
        (tally.same, "the same"),
        (tally.kept, "kept"),
        (tally.ephemerals + tally.sequences, "left out"),
        (tally.failed, "failed"),
    ];
    let counts: Vec<_> = parts
        .iter()
        .filter(|(count, name)| *count > 0 || *name == "created")
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let prefix = if dry_run { "would be done: " } else { "" };
    output
        .line(format_args!("{prefix}{}", counts.join(", ")))
        .await
}

fn remarks(tally: Tally, dry_run: bool, notices: &Notices) {
    if tally.ephemerals > 0 {
        notices.say(format_args!(
            "ephemeral znodes left out: {} (--ephemerals persistent creates them as persistent ones)",
            tally.ephemerals
        ));
    }
    if tally.numbered > 0 && !dry_run {
        notices.say(format_args!(
            "created with the name of a sequential znode: {} (servers number the next ones by the changes of \
             their new parent, and refuse a number that is taken; --sequences skip leaves them out)",
            tally.numbered
        ));
    }
}
