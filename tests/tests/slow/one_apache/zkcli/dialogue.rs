//! zkCli as a process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc;
use std::thread;

use crate::mixed_fleets::foreigner::{FOREIGN, java_with_zookeeper};
use zk_tests::watchdog::receive;

pub(super) const END: &str = "-- end";

/// zkCli, connected once.
pub(super) struct ZkCli {
    child: Child,
    stdin: ChildStdin,
    lines: mpsc::Receiver<String>,
    pub(super) commands: Vec<String>,
}

impl ZkCli {
    pub(super) fn start(hosts: &str) -> Self {
        let mut child = java_with_zookeeper()
            .args(["-Duser.timezone=UTC", "-Duser.language=en"])
            .args([&format!("{FOREIGN}/ZkCli.java"), hosts])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // An error means that the `ZkCli` was dropped.
                let _ = send.send(line);
            }
        });
        let stdin = child.stdin.take().unwrap();
        let mut cli = ZkCli {
            child,
            stdin,
            lines,
            commands: Vec::new(),
        };
        let commands = loop {
            let line = cli.line();
            if let Some(commands) = line.strip_prefix("commands ") {
                break commands.split(' ').map(str::to_owned).collect();
            }
        };
        cli.commands = commands;
        cli
    }

    fn line(&self) -> String {
        receive("a line of zkCli", &self.lines).expect("zkCli has ended")
    }

    /// The lines that a command prints.
    pub(super) fn run(&mut self, command: &str) -> Vec<String> {
        writeln!(self.stdin, "{command}").unwrap();
        let lines = std::iter::from_fn(|| Some(self.line()).filter(|line| line != END));
        lines.filter(|line| !line.is_empty()).collect()
    }
}

impl Drop for ZkCli {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
