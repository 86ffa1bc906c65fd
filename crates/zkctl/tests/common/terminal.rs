//! zkctl in a terminal: a pty, and the screen that a person would see.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use vt100::{Callbacks, MouseProtocolMode, Screen};
use zk_tests::watchdog;

/// Rows and columns.
pub(crate) type Size = (u16, u16);

pub(crate) const SMALL: Size = (24, 80);
pub(crate) const LARGE: Size = (50, 200);

/// A command that runs in a terminal of its own, which also is the one that `/dev/tty` opens.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    /// `None` after [`hang_up`](Self::hang_up).
    master: Option<File>,
    reader: Option<Reader>,
    /// The command's side, which stays open so that its modes can be looked at.
    slave: OwnedFd,
    modes: LocalModes,
    model: Arc<Mutex<vt100::Parser<Replies>>>,
}

/// The thread that reads what the command writes; closing the pipe ends it.
struct Reader {
    stop: PipeWriter,
    thread: JoinHandle<()>,
}

/// What the terminal does other than to show text.
#[derive(Default)]
struct Replies {
    /// To programs that ask for the position of the cursor.
    bytes: Vec<u8>,
    /// What programs have put into the clipboard, in base64.
    clipboard: Vec<String>,
}

impl Callbacks for Replies {
    fn copy_to_clipboard(&mut self, _: &mut Screen, _: &[u8], data: &[u8]) {
        self.clipboard
            .push(String::from_utf8_lossy(data).into_owned());
    }

    fn unhandled_csi(
        &mut self,
        screen: &mut Screen,
        i1: Option<u8>,
        _: Option<u8>,
        parameters: &[&[u16]],
        c: char,
    ) {
        match (i1, parameters, c) {
            (None, [[6]], 'n') => {
                let (row, column) = screen.cursor_position();
                let reply = format!("\x1b[{};{}R", row + 1, column + 1);
                self.bytes.extend(reply.as_bytes());
            }
            (None, _, 'c') => self.bytes.extend(b"\x1b[?62c"),
            _ => {}
        }
    }
}

impl Terminal {
    /// Starts the command, made by `zkctl` of this module's parent, with standard input, output and error on the
    /// terminal.
    pub(crate) fn start(command: &Command, size: Size) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        tcsetwinsize(&master, winsize(size)).unwrap();
        let modes = tcgetattr(&slave).unwrap().local_modes;
        // Without `unsafe`, only another program can make this the controlling terminal.
        let mut started = Command::new("setsid");
        started
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .env("TERM", "xterm-256color");
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                started.env(name, value);
            }
        }
        let stdio = || Stdio::from(slave.try_clone().unwrap());
        started.stdin(stdio()).stdout(stdio()).stderr(stdio());
        let child = started.spawn().unwrap();
        let (rows, columns) = cells(size);
        let replies = Replies::default();
        let model = vt100::Parser::new_with_callbacks(rows, columns, 0, replies);
        let model = Arc::new(Mutex::new(model));
        let master = File::from(master);
        let output = master.try_clone().unwrap();
        let shared = model.clone();
        let (stopped, stop) = io::pipe().unwrap();
        let thread = thread::spawn(move || read(output, &stopped, &shared));
        Terminal {
            child,
            master: Some(master),
            reader: Some(Reader { stop, thread }),
            slave,
            modes,
            model,
        }
    }

    fn model(&self) -> MutexGuard<'_, vt100::Parser<Replies>> {
        lock(&self.model)
    }

    /// Sends what a keyboard or a mouse would.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let master = self.master.as_mut().unwrap();
        master.write_all(bytes.as_ref()).unwrap();
    }

    /// Closes the terminal, as when its window is closed. Waits until the command ends.
    pub(crate) fn hang_up(&mut self) -> ExitStatus {
        let Reader { stop, thread } = self.reader.take().unwrap();
        drop(stop);
        thread.join().unwrap();
        self.master = None;
        let _wait = watchdog::Wait::begin("the command to end without its terminal");
        self.child.wait().unwrap()
    }

    /// Clicks on the first cell of this text.
    pub(crate) fn click(&mut self, text: &str) {
        let screen = self.shows(text);
        let (row, line) = screen
            .lines()
            .enumerate()
            .find(|(_, line)| line.contains(text))
            .unwrap();
        let before = line.split(text).next().unwrap_or_default();
        let (row, column) = (row + 1, before.chars().count() + 1);
        self.send(format!("\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m"));
    }

    pub(crate) fn resize(&mut self, size: Size) {
        let (rows, columns) = cells(size);
        self.model().set_size(rows, columns);
        tcsetwinsize(self.master.as_ref().unwrap(), winsize(size)).unwrap();
    }

    /// The screen's text, a line for each row.
    pub(crate) fn screen(&self) -> String {
        text(self.model().screen())
    }

    /// What has been put into the clipboard so far, in base64.
    pub(crate) fn clipboard(&self) -> Vec<String> {
        self.model().callbacks().clipboard.clone()
    }

    /// Waits until the terminal sends lines and signals, which it does while no program reads keys.
    pub(crate) fn until_lines(&self) {
        self.until("the terminal to send lines", |_| {
            let modes = tcgetattr(&self.slave).unwrap().local_modes;
            modes.contains(LocalModes::ICANON)
        });
    }

    /// A copy of the screen, with colours.
    pub(crate) fn cells(&self) -> Screen {
        self.model().screen().clone()
    }

    /// Waits until the screen contains `text`, and returns it.
    pub(crate) fn shows(&self, text: &str) -> String {
        self.until(&format!("the screen to show {text:?}"), |screen| {
            screen.contains(text)
        })
    }

    /// Waits until the screen is as wanted, and returns it.
    pub(crate) fn until(&self, what: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        let found = watchdog::try_poll(what, || {
            let screen = self.screen();
            wanted(&screen).then_some(screen)
        });
        found.unwrap_or_else(|verdict| panic!("{verdict}; the screen is\n{}", self.screen()))
    }

    /// Waits until the command ends, which must restore the terminal.
    pub(crate) fn ends(&mut self) -> ExitStatus {
        let status = {
            let _wait = watchdog::Wait::begin("the command to end");
            self.child.wait().unwrap()
        };
        self.until_restored();
        status
    }

    /// Waits until the terminal is as it was before the command.
    pub(crate) fn until_restored(&self) {
        let restored = watchdog::try_poll("the terminal to be restored", || {
            let model = self.model();
            let screen = model.screen();
            let is_plain = !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == MouseProtocolMode::None;
            let modes = tcgetattr(&self.slave).unwrap().local_modes;
            (is_plain && modes == self.modes).then_some(())
        });
        restored.unwrap_or_else(|verdict| panic!("{verdict}; the screen is\n{}", self.screen()));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An error means that the command has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(screen: &Screen) -> String {
    let (_, columns) = screen.size();
    let rows: Vec<String> = screen
        .rows(0, columns.get())
        .map(|row| row.trim_end().to_owned())
        .collect();
    rows.join("\n")
}

fn cells((rows, columns): Size) -> (NonZeroU16, NonZeroU16) {
    (
        NonZeroU16::new(rows).unwrap(),
        NonZeroU16::new(columns).unwrap(),
    )
}

fn winsize((rows, columns): Size) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// Feeds the model until the command's side is closed or the test stops this, and answers what it is asked.
fn read(mut output: File, stopped: &PipeReader, model: &Mutex<vt100::Parser<Replies>>) {
    let mut buffer = [0; 4096];
    loop {
        let mut files = [
            PollFd::new(&output, PollFlags::IN),
            PollFd::new(stopped, PollFlags::IN),
        ];
        // An error is a signal.
        let _ = poll(&mut files, None);
        let [ready, stopped] = files.map(|file| !file.revents().is_empty());
        if stopped {
            return;
        }
        if !ready {
            continue;
        }
        let count = match output.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let mut model = lock(model);
        model.process(&buffer[..count]);
        let replies = std::mem::take(&mut model.callbacks_mut().bytes);
        drop(model);
        // An error means that the test has ended.
        let _ = output.write_all(&replies);
    }
}
