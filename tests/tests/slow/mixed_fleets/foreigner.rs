//! Processes that run other clients.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use zk_tests::{Curator, Installation, Kazoo};

use crate::common::{blocking, soon};

const FOREIGN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign");

/// A contender in another language. It ends with this value.
#[derive(Debug)]
pub(crate) struct Foreigner {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// Beside the other things that are built.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).to_owned()
}

pub(crate) fn kazoo(
    hosts: &str,
    kind: &str,
    name: &str,
    sections: usize,
    patterns: &[&str],
) -> Foreigner {
    let kazoo = blocking(|| Kazoo::find_or_install(&directory().join("kazoo")).unwrap());
    let mut command = Command::new(kazoo.python());
    command.arg(format!("{FOREIGN}/kazoo_contender.py"));
    command.args([hosts, kind, name, &sections.to_string()]);
    Foreigner::start(command.args(patterns))
}

pub(crate) fn curator(hosts: &str, kind: &str, name: &str, sections: usize) -> Foreigner {
    let curator = blocking(|| {
        let installation = Installation::find_or_install().unwrap();
        Curator::find_or_download(&installation, &directory().join("curator")).unwrap()
    });
    let mut command = Command::new(curator.java());
    command.args([
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        &format!("-Dlog4j2.configurationFile={FOREIGN}/log4j2.xml"),
        "-Xshare:auto",
        "-cp",
    ]);
    command.arg(curator.classpath());
    // Compiled as it is started, for which Java must be more than a JRE.
    command.arg(format!("{FOREIGN}/CuratorContender.java"));
    Foreigner::start(command.args([hosts, kind, name, &sections.to_string()]))
}

impl Foreigner {
    fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process =
            tokio::process::Command::from(std::mem::replace(command, Command::new("")))
                .kill_on_drop(true)
                .spawn()
                .unwrap();
        let stdout = process.stdout.take().unwrap();
        Foreigner {
            process,
            lines: BufReader::new(stdout).lines(),
        }
    }

    /// Waits until it says this.
    pub(crate) async fn receive(&mut self, wanted: &str) {
        let received = soon(wanted, self.lines.next_line()).await.unwrap();
        assert_eq!(
            received.as_deref(),
            Some(wanted),
            "{:?}",
            self.process.try_wait()
        );
    }

    /// Lets it begin.
    pub(crate) fn go(&mut self) {
        let input = self.process.stdin.take().unwrap();
        let mut input = std::fs::File::from(input.into_owned_fd().unwrap());
        input.write_all(b"\n").unwrap();
    }
}
