//! One invocation: connect, do it, close the session.

use std::process::ExitCode;
use std::time::Duration;

use zk_client::{Client, path};
use zk_proto::ConnectTarget;
use zk_proto::connect_string::ConnectStringProblem;

use crate::args::{Cli, Command, Create, Global};
use crate::commands;
use crate::commands::guarded::Wait;
use crate::credentials::{self, Credential};
use crate::demo;
use crate::environment;
use crate::failure::{Failure, explain};
use crate::input;
use crate::output::{Notices, Output};
use crate::serve;
use crate::signals::Signals;

/// How long a command that holds nothing waits for its session to be closed.
const PARTING: Duration = Duration::from_secs(1);
/// How long to try to get a session unless --connect-timeout is given.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A command line that has been understood, with the data it needs.
pub(crate) struct Prepared {
    global: Global,
    credentials: Vec<Credential>,
    command: Command,
    data: Vec<u8>,
    /// Whether the command line names the ensemble.
    server_given: bool,
}

/// Does all that needs no server.
pub(crate) fn prepare(mut cli: Cli, server_given: bool) -> Result<Prepared, Failure> {
    check_server(&cli.global.server, server_given)?;
    let credentials = credentials::collect(
        std::mem::take(&mut cli.global.auth),
        std::mem::take(&mut cli.global.auth_file),
    )?;
    let limit = cli.global.max_request_bytes;
    let data = match &mut cli.command {
        Command::Set(set) => match set.data.take() {
            Some(given) => input::data(given, limit)?,
            None => input::unasked(limit)?,
        },
        Command::Create(create) => {
            check_path(create)?;
            if let Some(acl) = &create.acl {
                credentials::read_acl(acl)?;
            }
            match create.data.take() {
                Some(given) => input::data(given, limit)?,
                None => Vec::new(),
            }
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

/// Not left to the argument parser, which would show a password that was put there by mistake, as one
/// may be in the place of a port.
fn check_server(text: &str, given: bool) -> Result<(), Failure> {
    let Err(error) = text.parse::<ConnectTarget>() else {
        return Ok(());
    };
    let source = match given {
        true => "--server",
        false => environment::SERVER,
    };
    let problem = match error.problem {
        ConnectStringProblem::Credentials => {
            "credentials do not belong here; give them with ZK_AUTH or --auth".to_owned()
        }
        _ => error.to_string(),
    };
    Err(Failure::Usage(format!("{source}: {problem}")))
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
    // Whether others wait for the session to end.
    let mut holds = match &command {
        Command::Create(create) => create.ephemeral,
        Command::Bench(_) | Command::Lock(_) | Command::Elect(_) => true,
        _ => false,
    };
    let wait = Wait::of(&command);
    let connect_timeout = wait.connect_timeout(global.connect_timeout, CONNECT_TIMEOUT);
    let mut builder = Client::builder(&global.server)
        .session_timeout(global.session_timeout)
        .connect_timeout(connect_timeout)
        .close_timeout(connect_timeout)
        .deadline(global.timeout);
    if let Some(bytes) = global.max_reply_bytes {
        builder = builder.max_reply_bytes(bytes);
    }
    if let Some(bytes) = global.max_request_bytes {
        builder = builder.max_request_bytes(bytes);
    }
    for (scheme, secret) in credentials {
        builder = builder.auth(scheme, secret);
    }
    builder = global.security.apply(builder, &global.server)?;
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
    let keeper = commands::guarded::keeper_for(&command)?;
    let client = tokio::select! {
        biased;
        signal = signals.next() => return Err(Failure::Signalled(signal)),
        client = builder.clone().connect() => match client {
            Ok(client) => client,
            Err(error) => {
                let text = format!("cannot connect to {}: {}", global.server, explain(&error));
                if let Some(code) = wait.missed(&command, &error) {
                    notices.say(text);
                    return Ok(code);
                }
                return Err(Failure::Failed(text));
            }
        },
    };
    let mut output = Output::new(global.output);
    let done = if let Some(keeper) = keeper {
        let call = commands::guarded::Call {
            client: &client,
            notices,
            patience: global.timeout,
        };
        call.run(command, wait, keeper, signals).await.map(|ended| {
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
                flushed = output.flush() => match (done, Failure::unless_reader_gone(flushed)) {
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
