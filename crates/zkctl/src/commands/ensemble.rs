//! `config`, `reconfig`: the servers of the ensemble.

use std::process::ExitCode;

use serde_json::{Value, json};
use zk_client::{Client, EnsembleConfig, ErrorKind};
use zk_proto::config::Server;

use crate::cli::ensemble::Reconfig;
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible;

pub(super) async fn config(
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let (config, _) = client.config().await.map_err(|error| match error.kind() {
        ErrorKind::NoNode => Failure::Failed(format!(
            "{}; servers that cannot be reconfigured, such as Apache ZooKeeper before 3.5, do not \
             have it",
            explain(&error)
        )),
        _ => error.into(),
    })?;
    show(&config, output, notices).await
}

pub(super) async fn reconfig(
    args: Reconfig,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let mut reconfig = client.reconfig().new_members(args.member);
    for server in args.join {
        reconfig = reconfig.joining(server);
    }
    for id in args.leave {
        reconfig = reconfig.leaving(id);
    }
    if let Some(version) = args.from_version {
        reconfig = reconfig.from_version(version);
    }
    let (config, _) = reconfig.await?;
    show(&config, output, notices).await
}

async fn show(
    config: &EnsembleConfig,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    if output.is_json() {
        let object = json!({
            "servers": config.servers.iter().map(server).collect::<Vec<_>>(),
            "version": config.version.map(|version| format!("{version:x}")),
            "connect": config.connect_string().to_string(),
            "secure_connect": config.secure_connect_string().to_string(),
            "unreadable": config.unreadable.iter().map(|line| &line.text).collect::<Vec<_>>(),
        });
        output.json(&object).await?;
    } else {
        let text = config.to_string();
        if text.is_empty() {
            notices.say("the server has no configuration of an ensemble: it is standalone");
        } else {
            output.line(visible(&text)).await?;
        }
    }
    for line in &config.unreadable {
        notices.say(format_args!("the configuration, {line}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn server(server: &Server) -> Value {
    json!({
        "id": server.id,
        "server": server.to_string(),
        "role": server.role.to_string(),
        "client": server.client_address().map(|address| address.to_string()),
        "secure_client": server.secure_client_address().map(|address| address.to_string()),
    })
}
