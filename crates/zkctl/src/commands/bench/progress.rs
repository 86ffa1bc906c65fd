//! The progress bar of a benchmark.

use std::convert::Infallible;
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};
use rustix::termios::tcgetwinsize;
use tokio::time::MissedTickBehavior;

use super::tally::Tally;
use crate::output::notices::Notices;

const INTERVAL: Duration = Duration::from_millis(100);
const DEFAULT_WIDTH: u16 = 80;
const TEMPLATE: &str = "{prefix} {bar:30} {percent:>3} %, {rate} a second";

/// Draws the progress on standard error if that is a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(name: &str, total: u64, notices: &Notices) -> Self {
        if !io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let notices = notices.clone();
        let screen = Screen::new(move |text| notices.print(text));
        Progress(bar(name, total, screen))
    }

    /// Draws the progress again and again while the future is polled.
    pub(super) async fn show(&self, tally: &Tally) -> Infallible {
        if self.0.is_hidden() {
            return std::future::pending().await;
        }
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.0.set_position(tally.done());
        }
    }

    /// Clears the line.
    pub(super) fn hide(&self) {
        self.0.finish_and_clear();
    }
}

fn bar(name: &str, total: u64, screen: impl TermLike + 'static) -> ProgressBar {
    let rate = |state: &ProgressState, text: &mut dyn Write| {
        // Writing to the line that is drawn does not fail.
        let _ = write!(text, "{:.0}", state.per_sec());
    };
    let style = ProgressStyle::with_template(TEMPLATE)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", rate)
        .progress_chars("█░");
    let target = ProgressDrawTarget::term_like(Box::new(screen));
    let bar = ProgressBar::with_draw_target(Some(total), target);
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
        let bar = bar("get", 100, screen);
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
