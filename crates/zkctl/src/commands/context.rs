//! `context`: the named servers of the configuration. Needs no server.

use serde_json::json;

use crate::cli::context::args::{ContextCommand, Set, Show};
use crate::cli::context::edit::{Edit, Missing};
use crate::cli::context::file;
use crate::cli::context::file::{CURRENT, File};
use crate::cli::environment::{CONTEXT, SERVER, variable};
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;

pub(crate) async fn context(
    command: ContextCommand,
    output: &mut Output,
    notices: &Notices,
) -> Result<(), Failure> {
    match command {
        ContextCommand::List => list(output, notices).await?,
        ContextCommand::Show(args) => show(&args, output).await?,
        ContextCommand::Use(args) => make_current(args.name.as_deref(), output, notices).await?,
        ContextCommand::Set(args) => set(&args, output, notices).await?,
        ContextCommand::Delete(args) => delete(&args.name, output, notices).await?,
    }
    output.flush().await
}

async fn list(output: &mut Output, notices: &Notices) -> Result<(), Failure> {
    let file = File::read()?;
    let names = file.as_ref().map(File::names).unwrap_or_default();
    let (Some(file), false) = (&file, names.is_empty()) else {
        notices.say("there are no contexts; `zkctl context set NAME server=HOSTS` creates one");
        return Ok(());
    };
    let current = match variable(CONTEXT)? {
        Some(name) => Some(name),
        None => file.current().map(|(name, _)| name.to_owned()),
    };
    let width = names
        .iter()
        .map(|name| name.len())
        .max()
        .unwrap_or_default();
    let mut failed = false;
    for name in names {
        let context = match file.context(name) {
            Ok(context) => context,
            Err(Failure::Usage(text) | Failure::Failed(text)) => {
                failed = true;
                notices.say(text);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let servers = context.as_ref().and_then(file::Context::servers);
        let is_protected = context.is_some_and(|context| context.is_protected());
        let is_current = current.as_deref() == Some(name);
        if output.is_json() {
            let object = json!({
                "name": name,
                "current": is_current,
                "server": servers,
                "protected": is_protected,
            });
            output.json(&object).await?;
        } else {
            let mark = if is_current { '*' } else { ' ' };
            let protected = if is_protected { "  protected" } else { "" };
            let servers = servers.unwrap_or_default();
            let line = format!("{mark} {name:width$}  {servers}{protected}");
            output.line(visible_line(line.trim_end())).await?;
        }
    }
    match failed {
        true => Err(Failure::Reported),
        false => Ok(()),
    }
}

async fn show(args: &Show, output: &mut Output) -> Result<(), Failure> {
    let width = |of: fn(&(&str, &str)) -> usize| {
        let cells = args.rows.iter().map(|row| (row.key, row.value.as_str()));
        cells.map(|cells| of(&cells)).max().unwrap_or_default()
    };
    let key_width = width(|(key, _)| key.len());
    let value_width = width(|(_, value)| value.chars().count()).min(48);
    for row in &args.rows {
        if output.is_json() {
            let object = json!({ "key": row.key, "value": row.value, "source": row.source });
            output.json(&object).await?;
        } else {
            let (key, value, source) = (row.key, &row.value, &row.source);
            let line = format!("{key:key_width$}  {value:value_width$}  {source}");
            output.line(visible_line(&line)).await?;
        }
    }
    Ok(())
}

async fn make_current(
    name: Option<&str>,
    output: &mut Output,
    notices: &Notices,
) -> Result<(), Failure> {
    let mut edit = Edit::begin(Missing::Keep)?;
    edit.make_current(name)?;
    edit.write(None)?;
    if output.is_json() {
        let written = output.json(&json!({ CURRENT: name })).await;
        Failure::unless_reader_gone(written)?;
    }
    for (is_set, what) in [
        (variable(SERVER)?.is_some(), SERVER),
        (variable(CONTEXT)?.is_some(), CONTEXT),
    ] {
        if is_set {
            notices.say(format_args!(
                "{what} is set, and replaces the current context"
            ));
        }
    }
    Ok(())
}

async fn set(args: &Set, output: &mut Output, notices: &Notices) -> Result<(), Failure> {
    let mut edit = Edit::begin(Missing::Create)?;
    let is_new = edit.set(args)?;
    let path = edit.write(Some(&args.name))?;
    if output.is_json() {
        let object = json!({ "name": args.name, "created": is_new });
        return Failure::unless_reader_gone(output.json(&object).await);
    }
    if is_new {
        let (name, path) = (&args.name, path.display());
        notices.say(format_args!(
            "{path} has a new context; `zkctl context use {name}` makes it the current one"
        ));
    }
    Ok(())
}

async fn delete(name: &str, output: &mut Output, notices: &Notices) -> Result<(), Failure> {
    let mut edit = Edit::begin(Missing::Keep)?;
    let was_current = edit.delete(name)?;
    edit.write(None)?;
    if output.is_json() {
        let written = output.json(&json!({ "deleted": name })).await;
        Failure::unless_reader_gone(written)?;
    }
    if was_current {
        notices.say(format_args!(
            "{name} was the current context; there is none now"
        ));
    }
    Ok(())
}
