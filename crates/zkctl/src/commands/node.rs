//! `get`, `set`, `delete`, `stat`, `exists`: one znode at a time.

use std::process::ExitCode;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use zk_client::{Client, NodeEventKind};

use super::next_change::{next_change, next_change_unread};
use super::trees::removal;
use crate::cli::data::Shown;
use crate::cli::znode::{Delete, Exists, Get, Set, Stat};
use crate::output::Output;
use crate::output::data_text::{base64, decompressed, hex, hex_dump, json_pretty, json_value};
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
    let get = client.get(&args.path).nullable();
    let (data, stat, watch) = if args.watch {
        let (data, stat, watch) = get.watch().await?;
        (data, stat, Some(watch))
    } else {
        let (data, stat) = get.await?;
        (data, stat, None)
    };
    let is_null = data.is_none();
    let data = match args.shown.gzip {
        true => decompressed(&data.unwrap_or_default())?,
        false => data.unwrap_or_default(),
    };
    if output.is_json() {
        let mut object = Map::new();
        object.insert("path".to_owned(), args.path.as_str().into());
        if is_null {
            object.insert("data".to_owned(), Value::Null);
        } else {
            add_shown(&mut object, args.shown, &data)?;
        }
        object.insert("stat".to_owned(), stat_json(&stat));
        output.json(&Value::Object(object)).await?;
    } else {
        show(args.shown, &data, output).await?;
        output.flush().await?;
        if args.stat {
            notices.print(format!("{}\n", stat_lines(&stat)));
        }
    }
    if let Some(watch) = watch {
        next_change(&args.path, watch, output, notices).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(shown: Shown, data: &Bytes, output: &mut Output) -> Result<(), Failure> {
    if shown.hex {
        output.raw(hex_dump(data).as_bytes()).await
    } else if shown.base64 {
        output.line(base64(data)).await
    } else if shown.json_pretty {
        output.raw(json_pretty(data)?.as_bytes()).await
    } else {
        output.data(data).await
    }
}

fn add_shown(object: &mut Map<String, Value>, shown: Shown, data: &Bytes) -> Result<(), Failure> {
    let (key, value) = if shown.hex {
        ("data_hex", hex(data).into())
    } else if shown.base64 {
        ("data_base64", base64(data).into())
    } else if shown.json_pretty {
        ("data_json", json_value(data)?)
    } else {
        add_data(object, data);
        return Ok(());
    };
    object.insert(key.to_owned(), value);
    Ok(())
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
    if args.given.null {
        set = set.null();
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
    if args.dry_run {
        return removal::preview(args, client, output, notices).await;
    }
    let mut failed = false;
    for path in &args.paths {
        let delete = client.delete(path);
        let deleted = match (args.recursive, args.version) {
            (true, _) => removal::recursive(path, client, notices).await,
            (false, Some(version)) => delete.version(version).await.map_err(|e| explain(&e)),
            (false, None) => delete.await.map_err(|e| explain(&e)),
        };
        match deleted {
            Ok(()) if output.is_json() => {
                let written = output.json(&json!({ "deleted": path })).await;
                Failure::unless_reader_gone(written)?;
            }
            Ok(()) => {}
            Err(text) => {
                failed = true;
                notices.say(text);
            }
        }
    }
    if failed {
        return Err(Failure::Reported);
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn stat(
    args: &Stat,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let exists = client.exists(&args.path);
    let (stat, watch) = if args.watch {
        let (stat, watch) = exists.watch().await?;
        (stat, Some(watch))
    } else {
        (exists.await?, None)
    };
    let Some(stat) = stat else {
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
    if let Some(watch) = watch {
        next_change(&args.path, watch, output, notices).await?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn exists(
    args: &Exists,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let exists = client.exists(&args.path);
    let (stat, watch) = if args.watch {
        let (stat, watch) = exists.watch().await?;
        (stat, Some(watch))
    } else {
        (exists.await?, None)
    };
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
    let exists = match watch {
        Some(watch) => match next_change_unread(&args.path, watch, output, notices).await? {
            Some(kind) => kind != NodeEventKind::Deleted,
            None => stat.is_some(),
        },
        None => stat.is_some(),
    };
    Ok(match exists {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
