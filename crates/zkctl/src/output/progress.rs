//! Progress on standard error, if that is a terminal.

use std::convert::Infallible;
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};
use rustix::termios::tcgetwinsize;
use tokio::time::MissedTickBehavior;

use super::notices::Notices;

const INTERVAL: Duration = Duration::from_millis(100);
const DEFAULT_WIDTH: u16 = 80;
const BAR: &str = "{prefix} {bar:30} {percent:>3} %, {rate} a second";
const COUNTER: &str = "{prefix} {pos}, {rate} a second";

/// Draws the progress on standard error if that is a terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Of an operation whose results do not appear on the terminal. Without a total, there is a count and no bar.
    pub(crate) fn new(name: &str, total: Option<u64>, notices: &Notices) -> Self {
        if !Self::is_shown() {
            return Self::hidden();
        }
        let notices = notices.clone();
        let screen = Screen::new(move |text| notices.print(text));
        Progress(bar(name, total, screen))
    }

    /// Of an operation whose results appear where the progress would.
    pub(crate) fn hidden() -> Self {
        Progress(ProgressBar::hidden())
    }

    /// Whether there is a terminal to draw on. A total that costs requests is needed only then.
    pub(crate) fn is_shown() -> bool {
        io::stderr().is_terminal()
    }

    /// Sets how many are done. Draws a few times a second, however often it is called.
    pub(crate) fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// Draws the progress again and again while the future is polled.
    pub(crate) async fn show(&self, done: impl Fn() -> u64) -> Infallible {
        if self.0.is_hidden() {
            return std::future::pending().await;
        }
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.set(done());
        }
    }

    /// Clears the line.
    pub(crate) fn hide(&self) {
        self.0.finish_and_clear();
    }
}

/// Clears the line also after a failure or a signal: the next message begins there.
impl Drop for Progress {
    fn drop(&mut self) {
        self.hide();
    }
}

fn bar(name: &str, total: Option<u64>, screen: impl TermLike + 'static) -> ProgressBar {
    let rate = |state: &ProgressState, text: &mut dyn Write| {
        // Writing to the line that is drawn does not fail.
        let _ = write!(text, "{:.0}", state.per_sec());
    };
    let template = match total {
        Some(_) => BAR,
        None => COUNTER,
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", rate)
        .progress_chars("█░");
    let target = ProgressDrawTarget::term_like(Box::new(screen));
    let bar = ProgressBar::with_draw_target(total, target);
    bar.with_style(style).with_prefix(name.to_owned())
}

/// A terminal that passes each frame on as one text. indicatif's own would write to standard error
/// itself, and block the runtime if the terminal does not accept output.
struct Screen<F> {
    frame: Mutex<String>,
    print: F,
}

impl<F> Screen<F> {
    fn new(print: F) -> Self {
        Screen {
            frame: Mutex::new(String::new()),
            print,
        }
    }

    fn add(&self, text: &str) -> io::Result<()> {
        let mut frame = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        frame.push_str(text);
        Ok(())
    }
}

impl<F> std::fmt::Debug for Screen<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").finish_non_exhaustive()
    }
}

impl<F: Fn(String) + Send + Sync> TermLike for Screen<F> {
    fn width(&self) -> u16 {
        let size = tcgetwinsize(io::stderr());
        size.map_or(DEFAULT_WIDTH, |size| match size.ws_col {
            0 => DEFAULT_WIDTH,
            columns => columns,
        })
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text)?;
        self.add("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        let mut frame = self.frame.lock().unwrap_or_else(PoisonError::into_inner);
        if !frame.is_empty() {
            (self.print)(std::mem::take(&mut *frame));
        }
        Ok(())
    }
}

impl<F> Screen<F> {
    fn move_cursor(&self, n: usize, direction: char) -> io::Result<()> {
        match n {
            0 => Ok(()),
            _ => self.add(&format!("\x1b[{n}{direction}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn half_of_the_bar_is_full_at_half() {
        let (sender, frames) = mpsc::channel();
        let sender = Mutex::new(sender);
        let screen = Screen::new(move |frame| sender.lock().unwrap().send(frame).unwrap());
        let bar = bar("get", Some(100), screen);
        bar.set_position(50);
        bar.force_draw();
        let frame = frames.try_iter().last().unwrap();
        assert_eq!(frame.matches('█').count(), 15, "{frame:?}");
        assert_eq!(frame.matches('░').count(), 15, "{frame:?}");
        assert!(
            frame.contains("get ") && frame.contains(" 50 %, "),
            "{frame:?}"
        );
        bar.finish_and_clear();
        let cleared = frames.try_iter().last().unwrap();
        assert!(!cleared.contains('█'), "{cleared:?}");
    }
}
