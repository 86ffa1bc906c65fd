//! Passwords: from the terminal without an echo, or the first line of standard input.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::output::failure::Failure;
use crate::signals::Signal;

/// What Ctrl-C, Ctrl-D and Ctrl-U send, and the two keys that delete.
const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const KILL_LINE: u8 = 0x15;
const BACKSPACE: [u8; 2] = [0x08, 0x7f];

/// Reads a new password: twice from a terminal, or the first line of standard input.
pub(crate) fn new_password(of: &str) -> Result<String, Failure> {
    let stdin = io::stdin();
    let password = if stdin.is_terminal() {
        let ask = |question: &str| ask(&stdin, stdin.lock(), &mut io::stderr(), question);
        let first = ask(&format!("Password of {of}: "))?;
        if ask("The same again: ")? != first {
            return Err(Failure::Failed("the two passwords differ".to_owned()));
        }
        first
    } else {
        let mut line = String::new();
        stdin
            .lock()
            .read_line(&mut line)
            .map_err(|error| Failure::io("read the password from standard input", error))?;
        let line = line.strip_suffix('\n').unwrap_or(&line);
        line.strip_suffix('\r').unwrap_or(line).to_owned()
    };
    if password.is_empty() {
        return Err(Failure::Failed(
            "the password is empty; write it in the first line of standard input, or call this in a terminal"
                .to_owned(),
        ));
    }
    Ok(password)
}

/// Reads a secret from the terminal of this process, because standard input may have the data of a command.
pub(crate) fn secret(what: &str) -> Result<String, Failure> {
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let terminal = terminal.map_err(|error| {
        Failure::Failed(format!("there is no terminal to ask for {what}: {error}"))
    })?;
    let keys = BufReader::new(&terminal);
    let secret = ask(&terminal, keys, &mut &terminal, &format!("{what}: "))?;
    match secret.is_empty() {
        true => Err(Failure::Failed(format!("{what}: it is empty"))),
        false => Ok(secret),
    }
}

/// Asks on a terminal, with the question on `screen`.
fn ask(
    terminal: impl AsFd,
    keys: impl BufRead,
    screen: &mut impl Write,
    question: &str,
) -> Result<String, Failure> {
    let _mode =
        Quiet::begin(terminal).map_err(|error| Failure::io("switch off the echo", error))?;
    // If the screen is closed, the terminal's cursor still shows that input is expected.
    let _ = write!(screen, "{question}");
    let _ = screen.flush();
    let line = line(keys);
    let _ = writeln!(screen);
    match line {
        Ok(Some(line)) => String::from_utf8(line)
            .map_err(|_| Failure::Failed("the password is not UTF-8".to_owned())),
        // The terminal sends no signal now, so that its mode is restored before this process ends.
        Ok(None) => Err(Failure::Signalled(Signal::Interrupt)),
        Err(error) => Err(Failure::io("read the password", error)),
    }
}

/// A line of keys, as a terminal without line editing sends them; `None` for Ctrl-C.
fn line(keys: impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    for key in keys.bytes() {
        match key? {
            INTERRUPT => return Ok(None),
            b'\n' | b'\r' | END => break,
            KILL_LINE => line.clear(),
            key if BACKSPACE.contains(&key) => {
                // The bytes after the first of a character begin with the bits 10.
                while let Some(byte) = line.pop()
                    && byte & 0xc0 == 0x80
                {}
            }
            key => line.push(key),
        }
    }
    Ok(Some(line))
}

/// A terminal and its mode from before, which is set again when this is dropped.
struct Quiet<T: AsFd>(T, Termios);

impl<T: AsFd> Quiet<T> {
    fn begin(terminal: T) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        let off = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        quiet.local_modes.remove(off);
        tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
        Ok(Quiet(terminal, before))
    }
}

impl<T: AsFd> Drop for Quiet<T> {
    fn drop(&mut self) {
        // An error means that the terminal is gone.
        let _ = tcsetattr(&self.0, OptionalActions::Now, &self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_edit_the_password() {
        let typed = |keys: &[u8]| line(keys).unwrap();
        let text = |text: &str| Some(text.as_bytes().to_vec());
        assert_eq!(typed(b"hunter2\nrest"), text("hunter2"));
        assert_eq!(typed(b"hunter22\x7f\r"), text("hunter2"));
        assert_eq!(typed("hé\u{8}\u{8}\u{8}x\n".as_bytes()), text("x"));
        assert_eq!(typed(b"other\x15own\x04"), text("own"));
        assert_eq!(typed(b"hunter2\x03\n"), None);
    }
}
