//! `get`, `set`, `delete`, `stat`, `exists`: one znode at a time.

use std::process::ExitCode;

use serde_json::{Map, Value, json};
use zk_client::Client;

use crate::cli::znode::{Delete, Get, Node, Set};
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::node_text::{add_data, stat_json, stat_lines};
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;

pub(super) async fn get(
    args: &Get,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let (data, stat) = client.get(&args.path).await?;
    if output.is_json() {
        let mut object = Map::new();
        object.insert("path".to_owned(), args.path.as_str().into());
        add_data(&mut object, &data);
        object.insert("stat".to_owned(), stat_json(&stat));
        output.json(&Value::Object(object)).await?;
    } else {
        output.data(&data).await?;
        output.flush().await?;
        if args.stat {
            notices.print(format!("{}\n", stat_lines(&stat)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn set(
    args: &Set,
    data: &[u8],
    client: &Client,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let mut set = client.set(&args.path, data);
    if let Some(version) = args.version {
        set = set.version(version);
    }
    let stat = set.await?;
    if output.is_json() {
        let object = json!({ "path": args.path, "stat": stat_json(&stat) });
        output.json(&object).await?;
    } else {
        output
            .line(format_args!("version {}", stat.version))
            .await?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn delete(
    args: &Delete,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let mut failed = false;
    for path in &args.paths {
        let delete = client.delete(path);
        let deleted = match (args.recursive, args.version) {
            (true, _) => delete.recursive().await,
            (false, Some(version)) => delete.version(version).await,
            (false, None) => delete.await,
        };
        match deleted {
            Ok(()) if output.is_json() => {
                let written = output.json(&json!({ "deleted": path })).await;
                Failure::unless_reader_gone(written)?;
            }
            Ok(()) => {}
            Err(error) => {
                failed = true;
                notices.say(explain(&error));
            }
        }
    }
    if failed {
        return Err(Failure::Reported);
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn stat(
    args: &Node,
    client: &Client,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let Some(stat) = client.exists(&args.path).await? else {
        return Err(Failure::Failed(format!(
            "{}: the znode does not exist",
            visible_line(&args.path)
        )));
    };
    if output.is_json() {
        let object = json!({ "path": args.path, "stat": stat_json(&stat) });
        output.json(&object).await?;
    } else {
        output.line(stat_lines(&stat)).await?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn exists(
    args: &Node,
    client: &Client,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let stat = client.exists(&args.path).await?;
    let written = if output.is_json() {
        let object = json!({
            "path": args.path,
            "exists": stat.is_some(),
            "stat": stat.as_ref().map(stat_json),
        });
        output.json(&object).await
    } else {
        output.line(stat.is_some()).await
    };
    Failure::unless_reader_gone(written)?;
    Ok(match stat {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    })
}
