//! One invocation: connects, runs the command, closes the session.

use std::process::ExitCode;
use std::time::Duration;

use zk_client::{Client, ClientBuilder, path};
use zk_proto::ConnectTarget;
use zk_proto::connect_string::ConnectStringProblem;

use crate::cli::credentials::{self, Credential};
use crate::cli::global::Global;
use crate::cli::znode::Create;
use crate::cli::{Cli, Command, environment, input};
use crate::commands::guarded::wait::Wait;
use crate::commands::guarded::{self, Guarding};
use crate::commands::{self, bench};
use crate::demo;
use crate::output::Output;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::serve;
use crate::signals::Signals;

/// How long to wait for the end of a session that no other client waits for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to try to open a session unless --connect-timeout is given.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A valid command line, with the data it needs.
pub(crate) struct Prepared {
    global: Global,
    credentials: Vec<Credential>,
    command: Command,
    data: Vec<u8>,
    /// Whether the command line names the server.
    server_given: bool,
}

/// Does everything that needs no server.
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
            None => input::implicit_data(limit)?,
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

/// Checks the connect string here and not in clap, whose error would show a password that a user put
/// there by mistake, for example in the place of the port.
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

/// Runs the command.
pub(crate) async fn run(prepared: Prepared) -> Result<ExitCode, Failure> {
    let mut signals = Signals::catch().map_err(|error| Failure::io("catch signals", error))?;
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
        _ => run_in_session(prepared, &mut signals, &notices).await,
    };
    drop(notices);
    writer.finish().await;
    outcome
}

async fn run_in_session(
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
    let mut others_wait = others_wait_for(&command);
    let wait = Wait::of(&command);
    let builder = builder(&global, credentials, &command, wait)?;
    let watchdog = guarded::start_watchdog(&command)?;
    let client = tokio::select! {
        biased;
        signal = signals.next() => return Err(Failure::Signalled(signal)),
        client = builder.clone().connect() => match client {
            Ok(client) => client,
            Err(error) => {
                let text = format!("cannot connect to {}: {}", global.server, explain(&error));
                if let Some(code) = wait.code_without_session(&command, &error) {
                    notices.say(text);
                    return Ok(code);
                }
                return Err(Failure::Failed(text));
            }
        },
    };
    let mut output = Output::new(global.output);
    let done = if let Some(watchdog) = watchdog {
        let guarding = Guarding {
            client: &client,
            notices,
            timeout: global.timeout,
        };
        let ended = guarding.run(command, wait, watchdog, signals).await;
        ended.map(|ended| {
            others_wait &= !ended.lost;
            ended.code
        })
    } else if let Command::Bench(args) = &command {
        bench::bench(args, &client, builder, &mut output, notices, signals).await
    } else {
        tokio::select! {
            biased;
            signal = signals.next() => Err(Failure::Signalled(signal)),
            done = commands::run(command, data, &client, &mut output, notices) => done,
        }
    };
    let done = match done {
        // Also after a failure: the output may hold results from before it.
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
    close(client, others_wait, signals, notices).await;
    done
}

/// Whether other clients may wait for the end of the command's session, which owns ephemeral znodes.
fn others_wait_for(command: &Command) -> bool {
    match command {
        Command::Create(create) => create.ephemeral,
        Command::Bench(_) | Command::Lock(_) | Command::Elect(_) => true,
        _ => false,
    }
}

/// The configuration of the command's client.
fn builder(
    global: &Global,
    credentials: Vec<Credential>,
    command: &Command,
    wait: Wait,
) -> Result<ClientBuilder, Failure> {
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
    let builder = global.security.apply(builder, &global.server)?;
    // The other commands write, or need events, which a read-only server cannot provide.
    let reads = matches!(
        command,
        Command::Ls(_)
            | Command::Tree(_)
            | Command::Get(_)
            | Command::Stat(_)
            | Command::Exists(_)
            | Command::Config
    );
    Ok(builder.read_only(global.read_only && reads))
}

/// Ends the session, so that its ephemeral znodes do not outlive this process.
async fn close(client: Client, others_wait: bool, signals: &mut Signals, notices: &Notices) {
    let session = client.session();
    let connected = client.state().is_connected();
    if session.id.is_none() || (!connected && !others_wait) {
        return;
    }
    let timeout = if others_wait {
        session.timeout
    } else {
        CLOSE_TIMEOUT
    };
    let closed = tokio::select! {
        biased;
        _ = signals.next() => false,
        closed = tokio::time::timeout(timeout, client.close()) => matches!(closed, Ok(Ok(()))),
    };
    if !closed && others_wait {
        notices.say(format_args!(
            "session {} could not be closed; its ephemeral znodes stay until it expires, in {} s at \
             most",
            session.id,
            session.timeout.as_secs_f32().ceil()
        ));
    }
}
