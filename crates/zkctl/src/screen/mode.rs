//! The terminal's modes.

use std::io::{self, stdin, stdout};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Duration;

use ratatui::layout::Size;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, write};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The alternate screen, bracketed paste, no cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?2004h\x1b[?25l";
/// Presses and the wheel, but no movements, with coordinates in decimal digits.
const MOUSE: &[u8] = b"\x1b[?1000h\x1b[?1006h";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?1006l\x1b[?1000l\x1b[?2004l\x1b[?25h\x1b[?1049l";
/// For a terminal that does not tell its size, or is too small to show anything.
const DEFAULT_SIZE: Size = Size {
    width: 80,
    height: 24,
};
/// How often [`leave`] looks whether the terminal takes more bytes, and how long it waits each time.
const ATTEMPTS: u32 = 100;
const ATTEMPT: Duration = Duration::from_millis(10);
/// How often a write looks whether the screen was left.
const PERIOD: Duration = Duration::from_secs(1);

/// The modes from before [`enter`], while the screen is filled.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
/// Whether frames are to be written; locked during each write.
static FILLED: Mutex<bool> = Mutex::new(false);
/// Ends a write to a terminal that takes no bytes.
static LEFT: AtomicBool = AtomicBool::new(true);

/// Changes to the alternate screen, and from lines to keys.
pub(super) fn enter(mouse: bool) -> io::Result<()> {
    restore_on_panic();
    let mut before = lock(&BEFORE);
    if before.is_none() {
        let modes = tcgetattr(stdin())?;
        let mut raw = modes.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Drain, &raw)?;
        *before = Some(modes);
    }
    let mut filled = lock(&FILLED);
    write_all(ENTER)?;
    if mouse {
        write_all(MOUSE)?;
    }
    *filled = true;
    LEFT.store(false, Ordering::Relaxed);
    Ok(())
}

/// Undoes [`enter`], if that is not done. A terminal that takes no bytes for a second gets its modes only.
pub(super) fn leave() {
    let Some(modes) = lock(&BEFORE).take() else {
        return;
    };
    LEFT.store(true, Ordering::Relaxed);
    // An error of these means that the terminal is gone.
    for _ in 0..ATTEMPTS {
        // Locked while a thread writes.
        if let Ok(mut filled) = FILLED.try_lock()
            && takes_bytes(ATTEMPT)
        {
            *filled = false;
            let _ = write_all(LEAVE);
            break;
        }
        thread::sleep(ATTEMPT);
    }
    let _ = tcsetattr(stdin(), OptionalActions::Now, &modes);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes a part of a frame, and returns whether the screen is still filled.
pub(super) fn write_part(part: &[u8]) -> io::Result<bool> {
    while !takes_bytes(PERIOD) {
        if LEFT.load(Ordering::Relaxed) {
            return Ok(false);
        }
    }
    let filled = lock(&FILLED);
    if !*filled {
        return Ok(false);
    }
    write_all(part).map(|()| true)
}

/// Whether the terminal takes bytes, or is gone, within this time.
fn takes_bytes(time: Duration) -> bool {
    let stdout = stdout();
    let mut files = [PollFd::new(&stdout, PollFlags::OUT)];
    let time = Timespec::try_from(time).ok();
    // An error means that the caller should not wait any longer.
    poll(&mut files, time.as_ref()) != Ok(0)
}

fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(stdout(), bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => while !takes_bytes(PERIOD) {},
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The terminal's size.
pub(super) fn size() -> Size {
    match tcgetwinsize(stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size {
            width: size.ws_col,
            height: size.ws_row,
        },
        _ => DEFAULT_SIZE,
    }
}

/// Makes a panic leave the screen before its message is written.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            leave();
            report(panic);
        }));
    });
}
