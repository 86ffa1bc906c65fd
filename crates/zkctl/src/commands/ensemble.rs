//! `config`, `reconfig`: the servers of the ensemble.

use std::pin::pin;
use std::process::ExitCode;

use serde_json::{Value, json};
use zk_client::{Client, EnsembleConfig, ErrorKind, Stat};
use zk_proto::config::Server;

use crate::cli::ensemble::{Config, Reconfig};
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::node_text::{stat_json, stat_lines};
use crate::output::notices::Notices;
use crate::output::terminal::visible;
use crate::output::{Output, reader_gone};

pub(super) async fn config(
    args: &Config,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let shown = Shown {
        connect: args.connect,
        stat: args.stat,
    };
    if !args.watch {
        let (config, stat) = client.config().await.map_err(explained)?;
        return show(&config, &stat, shown, output, notices).await;
    }
    let mut reader = pin!(reader_gone());
    let mut before = None;
    loop {
        let (config, stat, watch) = client.config().watch().await.map_err(explained)?;
        // A new session, or a write that has changed nothing.
        if before.as_ref() != Some(&config) {
            show(&config, &stat, shown, output, notices).await?;
            output.flush().await?;
            before = Some(config);
        }
        tokio::select! {
            biased;
            _ = watch => {}
            failure = &mut reader => return Err(failure),
        }
    }
}

fn explained(error: zk_client::Error) -> Failure {
    match error.kind() {
        ErrorKind::NoNode => Failure::Failed(format!(
            "{}; servers that cannot be reconfigured, such as Apache ZooKeeper before 3.5, do not \
             have it",
            explain(&error)
        )),
        _ => error.into(),
    }
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
    let (config, stat) = reconfig.await?;
    let shown = Shown {
        connect: false,
        stat: args.stat,
    };
    show(&config, &stat, shown, output, notices).await
}

/// What is shown of a configuration.
#[derive(Clone, Copy)]
struct Shown {
    /// Only the servers for clients.
    connect: bool,
    stat: bool,
}

async fn show(
    config: &EnsembleConfig,
    stat: &Stat,
    shown: Shown,
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
            "stat": stat_json(stat),
        });
        output.json(&object).await?;
    } else {
        let text = match shown.connect {
            true => config.connect_string().to_string(),
            false => config.to_string(),
        };
        if text.is_empty() {
            notices.say("the server has no configuration of an ensemble: it is standalone");
        } else {
            output.line(visible(&text)).await?;
        }
        if shown.stat {
            output.flush().await?;
            notices.print(format!("{}\n", stat_lines(stat)));
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
