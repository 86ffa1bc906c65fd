//! One invocation: connect, do it, close the session.

use std::process::ExitCode;
use std::time::Duration;

use zk_client::{Builder, Client, SessionPolicy, path};

use crate::args::{Cli, Command, Create, Global};
use crate::commands;
use crate::demo;
use crate::failure::{Failure, explain};
use crate::input;
use crate::output::{Notices, Output};
use crate::serve;
use crate::signals::Signals;

/// How long a command that holds nothing waits for its session to be closed.
const PARTING: Duration = Duration::from_secs(1);

/// A command line that has been understood, with the data it needs.
pub(crate) struct Prepared {
    global: Global,
    credentials: Vec<(String, String)>,
    command: Command,
    data: Vec<u8>,
    /// Whether the command line names the ensemble.
    server_given: bool,
}

/// Does all that needs no server.
pub(crate) fn prepare(mut cli: Cli, server_given: bool) -> Result<Prepared, Failure> {
    let credentials = std::mem::take(&mut cli.global.auth)
        .into_iter()
        .map(credential)
        .collect::<Result<_, _>>()?;
    let data = match &mut cli.command {
        Command::Set(set) => match set.data.take() {
            Some(given) => input::data(given)?,
            None => input::stdin()?,
        },
        Command::Create(create) => {
            check_path(create)?;
            create.data.take().map_or(Ok(Vec::new()), input::data)?
        }
        _ => Vec::new(),
    };
    Ok(Prepared {
        global: cli.global,
        credentials,
        command: cli.command,
        data,
        server_given,
    })
}

/// Not left to the argument parser, which would show the secret in its error.
fn credential(text: String) -> Result<(String, String), Failure> {
    match text.split_once(':') {
        Some((scheme, secret)) if !scheme.is_empty() => Ok((scheme.to_owned(), secret.to_owned())),
        _ => Err(Failure::Usage(
            "credentials (--auth, ZK_AUTH) are written scheme:credential, as in \
             digest:user:password"
                .to_owned(),
        )),
    }
}

fn check_path(create: &Create) -> Result<(), Failure> {
    let valid = if create.sequential {
        path::validate_sequential(&create.path)
    } else {
        path::validate(&create.path)
    };
    valid.map_err(|error| Failure::Usage(error.to_string()))
}

/// Does it.
pub(crate) async fn run(prepared: Prepared) -> Result<ExitCode, Failure> {
    let mut signals = Signals::catch().map_err(|error| Failure::io("listen to signals", error))?;
    let (notices, writer) = Notices::start();
    let outcome = match &prepared.command {
        Command::Serve(serve) => {
            let mut output = Output::new(prepared.global.output);
            serve::run(serve, &mut output, &mut signals).await
        }
        Command::Demo => {
            let hosts = prepared
                .server_given
                .then_some(prepared.global.server.as_str());
            tokio::select! {
                biased;
                signal = signals.next() => Err(Failure::Signalled(signal)),
                done = demo::run(hosts) => done.map(|()| ExitCode::SUCCESS),
            }
        }
        _ => with_session(prepared, &mut signals, &notices).await,
    };
    drop(notices);
    writer.finish().await;
    outcome
}

async fn with_session(
    prepared: Prepared,
    signals: &mut Signals,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let Prepared {
        global,
        credentials,
        command,
        data,
        server_given: _,
    } = prepared;
    // Whether somebody waits for the session to end.
    let mut holds = match &command {
        Command::Create(create) => create.ephemeral,
        Command::Bench(_) | Command::Lock(_) | Command::Elect(_) => true,
        _ => false,
    };
    let mut builder = Client::builder(&global.server)
        .session_timeout(global.session_timeout)
        .connect_timeout(global.connect_timeout)
        .close_timeout(global.connect_timeout)
        .deadline(global.timeout);
    for (scheme, secret) in credentials {
        builder = builder.auth(scheme, secret);
    }
    builder = global.security.apply(builder)?;
    // No other command has anything to gain from it.
    let reads = matches!(
        command,
        Command::Ls(_)
            | Command::Tree(_)
            | Command::Get(_)
            | Command::Stat(_)
            | Command::Exists(_)
            | Command::Config
    );
    builder = builder.read_only(global.read_only && reads);
    if matches!(command, Command::Create(_)) {
        builder = builder.session_policy(SessionPolicy::Close);
    }
    let keeper = commands::guarded::keeper_for(&command)?;
    let client = tokio::select! {
        biased;
        signal = signals.next() => return Err(Failure::Signalled(signal)),
        client = connect(builder.clone(), &global.server) => client?,
    };
    let mut output = Output::new(global.output);
    let done = if let Some(keeper) = keeper {
        let call = commands::guarded::Call {
            client: &client,
            notices,
            patience: global.timeout,
        };
        call.run(command, keeper, signals).await.map(|ended| {
            holds &= !ended.lost;
            ended.code
        })
    } else if let Command::Bench(args) = &command {
        commands::bench::bench(args, &client, builder, &mut output, notices, signals).await
    } else {
        tokio::select! {
            biased;
            signal = signals.next() => Err(Failure::Signalled(signal)),
            done = commands::run(command, data, &client, &mut output, notices) => done,
        }
    };
    let done = match done {
        // What was found before it failed is worth seeing.
        Ok(_) | Err(Failure::Failed(_) | Failure::Reported) => {
            tokio::select! {
                biased;
                signal = signals.next() => Err(Failure::Signalled(signal)),
                flushed = output.flush() => match (done, flushed) {
                    (Ok(_), Err(failure)) => Err(failure),
                    (done, _) => done,
                },
            }
        }
        other => other,
    };
    close(client, holds, signals, notices).await;
    done
}

async fn connect(builder: Builder, server: &str) -> Result<Client, Failure> {
    builder.connect().await.map_err(|error| {
        Failure::Failed(format!("cannot connect to {server}: {}", explain(&error)))
    })
}

/// Ends the session, so that what it holds does not outlive this process.
async fn close(client: Client, holds: bool, signals: &mut Signals, notices: &Notices) {
    let session = client.session();
    let connected = client.state().is_connected();
    if session.id.is_none() || (!connected && !holds) {
        return;
    }
    let patience = if holds { session.timeout } else { PARTING };
    let closed = tokio::select! {
        biased;
        _ = signals.next() => false,
        closed = tokio::time::timeout(patience, client.close()) => matches!(closed, Ok(Ok(()))),
    };
    if !closed && holds {
        notices.say(format_args!(
            "session {} could not be closed; what it holds goes when it expires, in {} s at most",
            session.id,
            session.timeout.as_secs_f32().ceil()
        ));
    }
}
