//! What a command and its descendants write, until the command itself has ended.

use std::io::{self, PipeReader, Read, Write};
use std::process::{Child, Command, ExitStatus};
use std::thread::{self, JoinHandle};

/// Follows everything that the command wrote. No UTF-8 text contains its first byte.
const END: &[u8] = b"\xffxtask: the command has ended\xff";

/// Both streams of a command, through one pipe, in which they stay in order.
///
/// A descendant that outlives the command, such as the stopped child of a test binary that was killed,
/// keeps the pipe open. Reading ends nevertheless: the pipe delivers in order, and [`END`] is written
/// to it when the command has ended.
#[derive(Debug)]
pub(crate) struct Output {
    id: u32,
    input: PipeReader,
    unread: Vec<u8>,
    command: JoinHandle<io::Result<ExitStatus>>,
}

impl Output {
    /// Starts the command.
    pub(crate) fn of(mut command: Command) -> io::Result<Self> {
        let (input, writer) = io::pipe()?;
        let child = command
            .stdout(writer.try_clone()?)
            .stderr(writer.try_clone()?)
            .spawn()?;
        Ok(Output {
            id: child.id(),
            input,
            unread: Vec::new(),
            command: thread::spawn(move || wait(child, writer)),
        })
    }

    /// The process id of the command.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The next part of a line, with its newline if that has come; empty at the end.
    pub(crate) fn part(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let before_end = before(&self.unread, END);
            let newline = before_end.iter().position(|&byte| byte == b'\n');
            let length = newline.map_or(before_end.len(), |at| at + 1);
            if length > 0 || self.unread.starts_with(END) {
                return Ok(self.unread.drain(..length).collect());
            }
            let mut more = [0; 8192];
            let length = self.input.read(&mut more)?;
            if length == 0 {
                return Ok(std::mem::take(&mut self.unread));
            }
            self.unread.extend(more.iter().take(length));
        }
    }

    /// How the command has ended.
    pub(crate) fn status(self) -> io::Result<ExitStatus> {
        let status = self.command.join();
        status.unwrap_or_else(|_| Err(io::Error::other("the thread that waits has panicked")))
    }
}

fn wait(mut child: Child, mut writer: impl Write) -> io::Result<ExitStatus> {
    let status = child.wait();
    writer.write_all(END)?;
    status
}

/// What comes before the first mark, or before what may be the beginning of one.
fn before<'a>(bytes: &'a [u8], mark: &[u8]) -> &'a [u8] {
    let begins = |at: &usize| {
        let rest = bytes.get(*at..).unwrap_or_default();
        rest.starts_with(mark) || mark.starts_with(rest)
    };
    let end = (0..bytes.len()).find(begins);
    bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use zk_tests::signal::{self, Signal};

    use super::*;

    /// What a shell writes, line by line, and whether it succeeds.
    fn run(script: &str) -> (Vec<String>, bool) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut output = Output::of(command).unwrap();
        let mut text = Vec::new();
        loop {
            let part = output.part().unwrap();
            if part.is_empty() {
                break;
            }
            text.extend(part);
        }
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().map(str::to_owned).collect();
        (lines, output.status().unwrap().success())
    }

    #[test]
    fn all_output_of_a_command_is_read() {
        let script = "echo one; echo two >&2; printf '\\377\\nrest'; exit 3";
        let (lines, succeeded) = run(script);
        assert_eq!(lines, ["one", "two", "\u{fffd}", "rest"]);
        assert!(!succeeded);
    }

    #[test]
    fn mark_is_found_by_its_beginning() {
        for (bytes, rest) in [
            (&b"one\n<end>two"[..], &b"one\n"[..]),
            (b"one<e", b"one"),
            (b"<end", b""),
            (b"<e<en", b"<e"),
            (b"one<f", b"one<f"),
            (b"", b""),
        ] {
            assert_eq!(before(bytes, b"<end>"), rest);
        }
    }

    #[test]
    fn stopped_descendant_delays_no_end() {
        let (lines, succeeded) = run("sleep 1000 & kill -STOP $!; echo $!");
        let stopped = lines.first().unwrap().parse().unwrap();
        signal::send(stopped, Signal::Kill).unwrap();
        assert_eq!(lines.len(), 1);
        assert!(succeeded);
    }
}
