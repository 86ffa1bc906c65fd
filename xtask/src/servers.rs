//! `cargo xtask servers`: real servers to try things against by hand.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use zk_tests::{Ensemble, Installation, SUPER_CREDENTIALS, Server, ServerOptions, Standalone};

use crate::workspace::Outcome;

const ENSEMBLE_SIZE: usize = 3;

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    ensemble: bool,
    keep: bool,
    until_signal: bool,
}

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let options = parse(arguments)?;
    if options.keep && !zk_tests::run_directory::keep_requested() {
        return run_again_keeping(arguments);
    }
    let installation = Installation::find_or_install()?;
    println!(
        "ZooKeeper {} from {}",
        installation.version()?,
        installation.origin()
    );
    if options.ensemble {
        let ensemble =
            Ensemble::start_from(&installation, ENSEMBLE_SIZE, ServerOptions::default())?;
        let leader = ensemble.leader()?.id();
        announce(&ensemble.connect_string(), ensemble.servers(), Some(leader))?;
        wait(&options)?;
    } else {
        let server = Standalone::start_from(&installation, ServerOptions::default())?;
        announce(
            &server.connect_string(),
            std::slice::from_ref(&*server),
            None,
        )?;
        wait(&options)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    for argument in arguments {
        match argument.as_str() {
            "--ensemble" => options.ensemble = true,
            "--keep" => options.keep = true,
            "--until-signal" => options.until_signal = true,
            other => {
                return Err(format!(
                    "`servers` does not know {other}; see cargo xtask help"
                ));
            }
        }
    }
    Ok(options)
}

/// The environment decides about keeping, and changing one's own is unsafe.
fn run_again_keeping(arguments: &[String]) -> Outcome {
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new(std::env::current_exe()?)
        .arg("servers")
        .args(arguments)
        .env("ZK_TESTS_KEEP", "1")
        .exec();
    Err(error.into())
}

fn announce(connect_string: &str, servers: &[Server], leader: Option<usize>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "connect string: {connect_string}")?;
    for server in servers {
        let role = if leader == Some(server.id()) {
            ", leads"
        } else {
            ""
        };
        let pid = server
            .pid()
            .map_or_else(|| "none".to_owned(), |pid| pid.to_string());
        writeln!(
            out,
            "server-{}: port {}, pid {pid}, log {}{role}",
            server.id(),
            server.client_port(),
            server.log_path().display()
        )?;
    }
    writeln!(out, "superuser: addauth digest {SUPER_CREDENTIALS}")?;
    out.flush()
}

/// Returns when standard input ends. A signal ends the program here, as is its default; the
/// janitor of the run directory then ends the servers.
fn wait(options: &Options) -> io::Result<()> {
    if options.until_signal {
        println!("running until interrupted (Ctrl-C)");
        loop {
            std::thread::park();
        }
    }
    println!("running until standard input ends (Ctrl-D) or interrupted (Ctrl-C)");
    let mut ignored = [0; 1024];
    let mut input = io::stdin().lock();
    while input.read(&mut ignored)? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_known_or_refused() {
        let options = parse(&["--ensemble".to_owned(), "--keep".to_owned()]).unwrap();
        assert_eq!(
            options,
            Options {
                ensemble: true,
                keep: true,
                until_signal: false
            }
        );
        assert!(
            parse(&["--ensembel".to_owned()])
                .unwrap_err()
                .contains("--ensembel")
        );
    }
}
