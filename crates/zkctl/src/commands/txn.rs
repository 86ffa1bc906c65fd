//! `txn`: several operations that take effect together or not at all.

use std::process::ExitCode;

use serde_json::json;
use zk_client::{Client, Multi, OpResult};

use crate::cli::txn::{Operation, Txn};
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::node_text::stat_json;
use crate::output::terminal::visible_line;

/// The version that fits every znode.
const ANY: i32 = -1;

pub(super) async fn txn(
    args: &Txn,
    client: &Client,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let mut multi = client.multi();
    for operation in &args.operations {
        multi = add(multi, operation, client);
    }
    let committed = multi.commit().await;
    let results = committed.map_err(|error| failure(&error, &args.operations))?;
    let written = show(&args.operations, &results, output).await;
    Failure::unless_reader_gone(written)?;
    Ok(ExitCode::SUCCESS)
}

/// The error, with the number and the text of the operation that has failed.
fn failure(error: &zk_client::Error, operations: &[Operation]) -> Failure {
    let text = explain(error);
    let Some((index, operation)) = error
        .failed_op()
        .and_then(|index| Some((index, operations.get(index)?)))
    else {
        return Failure::Failed(text);
    };
    // The library counts from zero.
    let library = format!("operation {index} of the transaction: ");
    let why = text.split_once(&library).map_or(&*text, |(_, why)| why);
    let why = why.replace("it had no effect", "no operation had an effect");
    Failure::Failed(format!(
        "operation {} of {}, {} {}: {why}",
        index + 1,
        operations.len(),
        operation.name(),
        operation.path(),
    ))
}

fn add<'a>(multi: Multi<'a>, operation: &Operation, client: &Client) -> Multi<'a> {
    match operation {
        Operation::Check { path, version } => multi.check(path, version.unwrap_or(ANY)),
        Operation::Set {
            path,
            data,
            version,
        } => multi.set_version(path, data, version.unwrap_or(ANY)),
        Operation::Delete { path, version } => multi.delete_version(path, version.unwrap_or(ANY)),
        Operation::Create(args) => {
            let mut create = client.create(&args.path, &args.data);
            if args.sequential {
                create = create.sequential();
            }
            if args.container {
                create = create.container();
            }
            if let Some(ttl) = args.ttl {
                create = create.ttl(ttl);
            }
            if let Some(acl) = &args.acl {
                create = create.acl(acl.clone());
            }
            multi.create_as(create)
        }
    }
}

async fn show(
    operations: &[Operation],
    results: &[OpResult],
    output: &mut Output,
) -> Result<(), Failure> {
    for (operation, result) in operations.iter().zip(results) {
        let (path, stat) = match result {
            OpResult::Created { path, stat } => (&**path, stat.as_ref()),
            OpResult::Set(stat) => (operation.path(), Some(stat)),
            _ => (operation.path(), None),
        };
        if output.is_json() {
            let object = json!({
                "op": operation.name(),
                "path": path,
                "stat": stat.map(stat_json),
            });
            output.json(&object).await?;
            continue;
        }
        let version = match result {
            OpResult::Set(stat) => format!("  version {}", stat.version),
            _ => String::new(),
        };
        let text = format!("{}  {path}{version}", operation.name());
        output.line(visible_line(&text)).await?;
    }
    Ok(())
}
