//! `config`, `reconfig`: what servers there are.

use std::process::ExitCode;

use serde_json::{Value, json};
use zk_client::{Client, EnsembleConfig};
use zk_proto::config::Server;

use crate::args::Reconfig;
use crate::failure::Failure;
use crate::output::{Output, shown};

pub(super) async fn config(client: &Client, output: &mut Output) -> Result<ExitCode, Failure> {
    let (config, _) = client.config().await?;
    show(&config, output).await
}

pub(super) async fn reconfig(
    args: Reconfig,
    client: &Client,
    output: &mut Output,
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
    show(&config, output).await
}

async fn show(config: &EnsembleConfig, output: &mut Output) -> Result<ExitCode, Failure> {
    if output.is_json() {
        let object = json!({
            "servers": config.servers.iter().map(server).collect::<Vec<_>>(),
            "version": config.version.map(|version| format!("{version:x}")),
            "connect": config.connect_string().to_string(),
        });
        output.json(&object).await?;
    } else {
        let text = config.to_string();
        if !text.is_empty() {
            output.line(shown(&text)).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn server(server: &Server) -> Value {
    json!({
        "id": server.id,
        "server": server.to_string(),
        "role": server.role.to_string(),
        "client": server.client_address().map(|address| address.to_string()),
    })
}
