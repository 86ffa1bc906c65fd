//! Processes that run other clients.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use zk_tests::{Curator, Installation, Kazoo};

use crate::common::{blocking, soon};

pub(crate) const FOREIGN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/foreign");

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
    let sections = sections.to_string();
    let mut arguments = vec![hosts, kind, name, &sections];
    arguments.extend(patterns);
    kazoo_script("kazoo_contender.py", &arguments)
}

/// A script that uses kazoo, with these arguments.
pub(crate) fn kazoo_script(script: &str, arguments: &[impl AsRef<OsStr>]) -> Foreigner {
    let mut command = blocking(python_with_kazoo);
    command.arg(format!("{FOREIGN}/{script}"));
    Foreigner::start(command.args(arguments))
}

/// Python with kazoo. Blocks while kazoo is installed.
pub(crate) fn python_with_kazoo() -> Command {
    let kazoo = Kazoo::find_or_install(&directory().join("kazoo")).unwrap();
    Command::new(kazoo.python())
}

pub(crate) fn curator(hosts: &str, kind: &str, name: &str, sections: usize) -> Foreigner {
    let sections = sections.to_string();
    curator_program("CuratorContender.java", &[hosts, kind, name, &sections])
}

/// A program that uses Curator, with these arguments.
pub(crate) fn curator_program(program: &str, arguments: &[impl AsRef<OsStr>]) -> Foreigner {
    let mut command = blocking(|| {
        let curator = find_curator();
        java_program(&curator, curator.classpath(), program)
    });
    Foreigner::start(command.args(arguments))
}

/// The same with Curator's service discovery.
pub(crate) fn discovery_program(program: &str, arguments: &[impl AsRef<OsStr>]) -> Foreigner {
    let mut command = blocking(|| {
        let curator = find_curator();
        java_program(&curator, &with_discovery(&curator), program)
    });
    Foreigner::start(command.args(arguments))
}

/// A contender with ZooKeeper's own recipes.
pub(crate) fn zookeeper(hosts: &str, kind: &str, name: &str, sections: usize) -> Foreigner {
    let mut command = blocking(|| {
        let curator = find_curator();
        let classpath = curator.zookeepers_recipes(&directory()).unwrap();
        java_program(&curator, &classpath, "ZooKeeperContender.java")
    });
    Foreigner::start(command.args([hosts, kind, name, &sections.to_string()]))
}

fn find_curator() -> Curator {
    let installation = Installation::find_or_install().unwrap();
    Curator::find_or_download(&installation, &directory().join("curator")).unwrap()
}

fn with_discovery(curator: &Curator) -> OsString {
    curator.discovery_classpath(&directory()).unwrap()
}

/// Java with a program of [`FOREIGN`], which is compiled once.
fn java_program(curator: &Curator, classpath: &OsStr, program: &str) -> Command {
    let source = Path::new(FOREIGN).join(program);
    let classes = curator.compile(&source, classpath, &directory()).unwrap();
    let mut command = java_with(curator.java(), &classes);
    command.arg(source.file_stem().unwrap());
    command
}

fn java_with(java: &Path, classpath: &OsStr) -> Command {
    let mut command = Command::new(java);
    command.args([
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        &format!("-Dlog4j2.configurationFile={FOREIGN}/log4j2.xml"),
        // Several of them run at a time, none for long.
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        "-Xshare:auto",
        "-cp",
    ]);
    command.arg(classpath);
    command
}

/// Java with ZooKeeper, its compiler included.
pub(crate) fn java_with_zookeeper() -> Command {
    let curator = find_curator();
    java_with(curator.java(), curator.classpath())
}

/// Java with Curator, its discovery and ZooKeeper. Blocks while these are downloaded.
pub(crate) fn java_with_curator() -> Command {
    let curator = find_curator();
    java_with(curator.java(), &with_discovery(&curator))
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

    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> String {
        let received = soon("a line", self.lines.next_line()).await.unwrap();
        received.unwrap_or_default()
    }

    /// Writes a line to it, and keeps its input open.
    pub(crate) async fn send(&mut self, line: &str) {
        let input = self.process.stdin.as_mut().unwrap();
        input
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
        input.flush().await.unwrap();
    }

    /// Ends its input.
    pub(crate) fn end_input(&mut self) {
        drop(self.process.stdin.take());
    }

    /// Kills it, so that it cleans up nothing.
    pub(crate) async fn kill(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Lets it begin.
    pub(crate) fn go(&mut self) {
        let input = self.process.stdin.take().unwrap();
        let mut input = std::fs::File::from(input.into_owned_fd().unwrap());
        input.write_all(b"\n").unwrap();
    }
}
