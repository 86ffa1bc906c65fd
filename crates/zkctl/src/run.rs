//! One invocation: connects, runs the command, closes the session.

use std::process::ExitCode;
use std::time::Duration;

use tokio::task::LocalSet;
use zk_client::{Client, ClientBuilder};

use crate::cli::class::Session;
use crate::cli::context::args::ContextCommand;
use crate::cli::credentials::{self, Credential};
use crate::cli::global::Global;
use crate::cli::guarded::{Elect, Lock, lacks_command};
use crate::cli::servers::Servers;
use crate::cli::trees::Operand;
use crate::cli::{Cli, Command, protect};
use crate::commands::guarded::place::Place;
use crate::commands::guarded::wait::{Wait, conflict_code};
use crate::commands::guarded::{self, Guarding};
use crate::commands::trees::between::{self, Sessions, Side};
use crate::commands::{self, bench, context, digest, four_letter, health, top};
use crate::demo;
use crate::output::explain::explain;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::partial::Writes;
use crate::output::{Format, Output};
use crate::screen::Screen;
use crate::session::{CLOSE_TIMEOUT, CONNECT_TIMEOUT, builder, close, flushed, in_time};
use crate::signals::Signals;
use crate::{reading, serve, shell, ui};

/// A valid command line, with the data it needs.
pub(crate) struct Prepared {
    global: Global,
    /// The options of the command line and the environment, without those of the servers' URL.
    given: Global,
    servers: Servers,
    credentials: Vec<Credential>,
    command: Command,
    data: Vec<u8>,
    /// Whether the command line names the server.
    server_given: bool,
    /// The trees of a command on two of them.
    sides: Option<[Side; 2]>,
}

/// Does everything that needs no server.
///
/// `plain` are the options without those of the context, for other servers than the context's.
pub(crate) fn prepare(
    mut cli: Cli,
    server_given: bool,
    plain: Option<Global>,
) -> Result<Prepared, Failure> {
    protect::check(&cli)?;
    let servers = Servers::read(&cli.global.server, server_given)?;
    cli.global.references.ask()?;
    let given = cli.global.clone();
    servers.complete(&mut cli.global)?;
    let credentials = credentials::collect(
        std::mem::take(&mut cli.global.auth),
        std::mem::take(&mut cli.global.auth_file),
        &cli.global.references,
    )?;
    if let Command::Ui(_) = &cli.command {
        Screen::check()?;
    }
    let secrets = || cli.global.secret_variables();
    match &mut cli.command {
        Command::Lock(Lock { guarded, .. }) | Command::Elect(Elect { guarded, .. })
            if !guarded.keep_credentials =>
        {
            guarded.secret_variables = secrets();
        }
        Command::Watch(watch) if !watch.keep_credentials => watch.secret_variables = secrets(),
        _ => {}
    }
    if matches!(
        cli.command,
        Command::Lock(_) | Command::Elect(_) | Command::Watch(_)
    ) && lacks_command()
    {
        return Err(Failure::Usage(
            "no COMMAND follows --; to go without a command, leave -- out".to_owned(),
        ));
    }
    let limit = cli.global.max_request_bytes;
    let data = reading::data(&mut cli.command, limit)?;
    let sides = match &cli.command {
        Command::Copy(copy) => Some([&copy.from, &copy.to]),
        Command::Diff(diff) => Some([&diff.left, &diff.right]),
        _ => None,
    };
    let sides = match sides {
        None => None,
        Some([one, other]) => {
            let elsewhere = match plain {
                None => None,
                Some(plain) => {
                    let (auth, files) = (plain.auth.clone(), plain.auth_file.clone());
                    let credentials = credentials::collect(auth, files, &plain.references)?;
                    Some((plain, credentials))
                }
            };
            let side = |text| {
                let operand = Operand::parse(text).map_err(Failure::Usage)?;
                // Other servers do not receive the context's login.
                let (global, credentials) = match (&operand, &elsewhere) {
                    (Operand::Servers { .. }, Some((plain, credentials))) => (plain, credentials),
                    _ => (&given, &credentials),
                };
                side(operand, global, server_given, credentials, &cli.command)
            };
            Some([side(one)?, side(other)?])
        }
    };
    Ok(Prepared {
        global: cli.global,
        given,
        servers,
        credentials,
        command: cli.command,
        data,
        server_given,
        sides,
    })
}

/// The tree that an argument names. `given` are the options of the command line and the environment: those of the
/// URL of other servers complete them as well.
fn side(
    operand: Operand,
    given: &Global,
    server_given: bool,
    credentials: &[Credential],
    command: &Command,
) -> Result<Side, Failure> {
    let (hosts, given_hosts) = match &operand {
        Operand::File(_) => return Ok(Side::of_file(operand)),
        Operand::Servers { hosts, .. } => (hosts.clone(), true),
        Operand::Znode(_) => (given.server.clone(), server_given),
    };
    let servers = Servers::read(&hosts, given_hosts)?;
    let mut global = given.clone();
    global.server.clone_from(&hosts);
    servers.complete(&mut global)?;
    let wait = Wait::of(command);
    let builder = builder(&servers, &global, credentials.to_vec(), command, wait)?;
    let limit = global.close_timeout;
    Ok(Side::of_servers(operand, builder, hosts, limit))
}

/// Runs the command.
pub(crate) async fn run(prepared: Prepared) -> Result<ExitCode, Failure> {
    let mut signals = Signals::catch().map_err(|error| Failure::io("catch signals", error))?;
    let (notices, writer) = Notices::start();
    let outcome = match &prepared.command {
        Command::Serve(serve) => {
            let mut output = Output::new(prepared.global.output).with_colour(prepared.global.color);
            serve::run(serve, &mut output, &mut signals).await
        }
        Command::Digest(args) => {
            let mut output = Output::new(prepared.global.output).with_colour(prepared.global.color);
            digest::digest(args, &mut output).await
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
        Command::Shell(_) => run_shell(prepared, &mut signals, &notices).await,
        command => match command.class().session {
            Session::OfEachTree => run_between(prepared, &mut signals, &notices).await,
            Session::OfNone => run_without_session(prepared, &mut signals, &notices).await,
            Session::Shared | Session::Own => {
                run_in_session(prepared, &mut signals, &notices).await
            }
            Session::WithoutServers => {
                Err(Failure::Usage("this command is not run here".to_owned()))
            }
        },
    };
    drop(notices);
    writer.finish().await;
    outcome
}

/// Runs a command on two trees, which has a session for each that is on a server.
async fn run_between(
    prepared: Prepared,
    signals: &mut Signals,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let Some(sides) = prepared.sides else {
        return Err(Failure::Usage("there are no trees".to_owned()));
    };
    let mut output = Output::new(prepared.global.output).with_colour(prepared.global.color);
    let mut sessions = Sessions::default();
    let run = async {
        match &prepared.command {
            Command::Copy(copy) => {
                between::copy(copy, &sides, &mut sessions, &mut output, notices).await
            }
            Command::Diff(diff) => {
                between::diff(diff, &sides, &mut sessions, &mut output, notices).await
            }
            _ => Err(Failure::Usage("this command has no two trees".to_owned())),
        }
    };
    let done = tokio::select! {
        biased;
        signal = signals.next() => {
            for client in sessions.clients() {
                Writes::all(client).report(signal, notices);
            }
            Err(Failure::Signalled(signal))
        }
        done = run => done,
    };
    let done = flushed(done, &mut output, signals).await;
    for (client, limit) in sessions.into_clients() {
        close(client, limit, false, signals, notices).await;
    }
    done
}

/// Runs `context`, which needs neither a server nor the options for one.
pub(crate) async fn without_server(
    command: ContextCommand,
    format: Format,
) -> Result<ExitCode, Failure> {
    let (notices, writer) = Notices::start();
    let done = context::context(command, &mut Output::new(format), &notices).await;
    drop(notices);
    writer.finish().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn run_in_session(
    prepared: Prepared,
    signals: &mut Signals,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let Prepared {
        global,
        servers,
        credentials,
        command,
        data,
        ..
    } = prepared;
    let mut others_wait = others_wait_for(&command);
    let wait = Wait::of(&command);
    let mut builder = builder(&servers, &global, credentials, &command, wait)?;
    let mut place = Place::open(&command)?;
    if let Some(place) = &mut place {
        let entered = tokio::select! {
            biased;
            signal = signals.next() => return Err(Failure::Signalled(signal)),
            entered = in_time(wait.left(), place.enter(notices)) => entered,
        };
        let Some(entered) = entered else {
            notices.say("the command of an earlier zkctl has not ended");
            return Ok(conflict_code(&command).unwrap_or(ExitCode::FAILURE));
        };
        entered?;
        let left = wait.connect_timeout_left(global.connect_timeout, CONNECT_TIMEOUT);
        builder = builder.connect_timeout(left);
    }
    let watchdog = guarded::start_watchdog(&command, place.as_ref())?;
    let client = tokio::select! {
        biased;
        signal = signals.next() => return Err(Failure::Signalled(signal)),
        client = open_session(builder.clone(), place.as_mut(), notices) => match client {
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
    let mut output = Output::new(global.output).with_colour(global.color);
    let done = if guarded::contends(&command) {
        let guarding = Guarding {
            client: &client,
            notices,
            timeout: global.timeout(),
            id: place.as_ref().map(Place::id),
        };
        let ended = guarding
            .run(command, wait, watchdog, &mut output, signals)
            .await;
        ended.map(|ended| {
            others_wait &= !ended.lost;
            ended.code
        })
    } else if let Command::Bench(args) = &command {
        bench::bench(args, &client, builder, &mut output, notices, signals).await
    } else if let Command::Ui(args) = &command {
        ui::ui(args, &client, &global, notices, signals).await
    } else {
        let writes = Writes::from_now(&client);
        tokio::select! {
            biased;
            signal = signals.next() => {
                writes.report(signal, notices);
                Err(Failure::Signalled(signal))
            }
            done = commands::run(command, data, &client, &mut output, notices) => done,
        }
    };
    let done = flushed(done, &mut output, signals).await;
    let limit = global.close_timeout;
    close(client, limit, others_wait, signals, notices).await;
    done
}

async fn run_shell(
    prepared: Prepared,
    signals: &mut Signals,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let settings = shell::Settings {
        global: prepared.global,
        given: prepared.given,
        servers: prepared.servers,
        credentials: prepared.credentials,
    };
    let shell = shell::run(prepared.command, settings, signals, notices);
    // Commands in the background are local tasks.
    LocalSet::new().run_until(shell).await
}

/// Runs a command that asks servers, each for itself, and needs no session.
async fn run_without_session(
    prepared: Prepared,
    signals: &mut Signals,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let Prepared {
        global,
        servers,
        credentials,
        command,
        ..
    } = prepared;
    let wait = Wait::of(&command);
    let builder = builder(&servers, &global, credentials, &command, wait)?;
    let limit = global.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
    let mut output = Output::new(global.output).with_colour(global.color);
    let client = builder.start()?;
    let listed = async {
        // A service of the DNS: its servers are known once it has been looked up.
        if client.hosts().is_empty()
            && let Some(Err(error)) = in_time(Some(limit), client.connected()).await
            && client.hosts().is_empty()
        {
            return Err(Failure::from(error));
        }
        // Otherwise each invocation, and so each check of a monitoring system, would open a session.
        let _ = in_time(Some(CLOSE_TIMEOUT), client.clone().close()).await;
        Ok(())
    };
    let listed = tokio::select! {
        biased;
        signal = signals.next() => Err(Failure::Signalled(signal)),
        listed = listed => listed,
    };
    let done = match (listed, &command) {
        (Err(failure), _) => Err(failure),
        (Ok(()), Command::Top(args)) => {
            let colours = global.color.is_wanted();
            top::top(args, &client, limit, colours, &mut output, signals).await
        }
        (Ok(()), command) => tokio::select! {
            biased;
            signal = signals.next() => Err(Failure::Signalled(signal)),
            done = ask_servers(command, &client, limit, &mut output, notices) => done,
        },
    };
    let done = flushed(done, &mut output, signals).await;
    close(client, global.close_timeout, false, signals, notices).await;
    done
}

async fn ask_servers(
    command: &Command,
    client: &Client,
    limit: Duration,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Health(args) => health::health(args, client, limit, output).await,
        Command::Version(args) => four_letter::version(args, client, limit, output, notices).await,
        Command::FourLetter(args) => {
            four_letter::four_letter(args, client, limit, output, notices).await
        }
        _ => Ok(ExitCode::FAILURE),
    }
}

/// Connects, or continues the session of an earlier process.
async fn open_session(
    builder: ClientBuilder,
    place: Option<&mut Place>,
    notices: &Notices,
) -> zk_client::Result<Client> {
    let Some((place, store)) = place.and_then(|place| {
        let store = place.take_store()?;
        Some((place, store))
    }) else {
        return builder.connect().await;
    };
    let (client, restored) = builder.restore(store).await?;
    let file = place.session_file().display();
    notices.say(format_args!("{file}: {restored}"));
    Ok(client)
}

/// Whether other clients may wait for the end of the command's session, which owns ephemeral znodes.
fn others_wait_for(command: &Command) -> bool {
    match command {
        Command::Create(create) => create.ephemeral,
        Command::Bench(_) => true,
        command => guarded::contends(command),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// The configuration of the client of `zkctl ls`, as text.
    fn configured(url: &str, options: &[&str]) -> String {
        let arguments = [&["zkctl", "ls", "--server", url], options].concat();
        let cli = Cli::try_parse_from(arguments).unwrap_or_else(|error| panic!("{error}"));
        let prepared = prepare(cli, true, None).ok().unwrap();
        let Prepared {
            global,
            servers,
            command,
            ..
        } = prepared;
        let wait = Wait::of(&command);
        let builder = builder(&servers, &global, Vec::new(), &command, wait).ok();
        format!("{:?}", builder.unwrap())
    }

    #[test]
    fn the_url_limits_the_close() {
        let builder = configured("zk://zk1?close_timeout=7s", &["--connect-timeout", "3s"]);
        assert!(builder.contains("close_timeout: 7s"), "{builder}");
        assert!(builder.contains("connect_timeout: 3s"), "{builder}");
        let builder = configured("zk1", &["--connect-timeout", "3s"]);
        assert!(builder.contains("close_timeout: 3s"), "{builder}");
    }
}
