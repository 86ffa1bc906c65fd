//! A command that fills the terminal: the alternate screen, keys, mouse, colours.
//!
//! A terminal that is slow, stopped or gone never blocks the runtime, which would cost the session: one thread reads
//! keys, another writes frames, and a frame is drawn only when the one before it is written.
//!
//! - [`mode`]: the terminal's modes, restored when the screen is left, after a panic too.
//! - [`event`], [`keys`], [`parse`]: what the terminal sends.
//! - [`backend`], [`writer`]: what it is sent.

mod backend;
mod event;
mod keys;
mod mode;
mod parse;
#[cfg(all(test, feature = "testkit"))]
pub(crate) mod tests;
mod writer;

use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::pin;

use ratatui::layout::Rect;
use ratatui::{Frame, Terminal, TerminalOptions, Viewport};
use rustix::io::Errno;
use rustix::process::{
    Signal as Raw, getpgrp, getpid, getsid, kill_current_process_group, kill_process,
};
use tokio::signal::unix::{self, SignalKind};

use crate::output::data_text::base64;
use crate::output::failure::Failure;
use crate::signals::{Signal, Signals};
use backend::Bytes;
use keys::Keys;
use writer::Writer;

pub(crate) use event::{Button, Event, Key, Mouse, MouseAct};

/// The terminal while a command fills it. When this is dropped, the terminal is as it was.
pub(crate) struct Screen<'a> {
    signals: &'a mut Signals,
    resized: unix::Signal,
    keys: Option<Keys>,
    terminal: Terminal<Bytes>,
    writer: Writer,
    mouse: bool,
    /// Whether [`draw`](Self::draw) refused a frame since the last one.
    refused: bool,
}

impl<'a> Screen<'a> {
    /// Fails where no screen can be entered, before anything else is done.
    ///
    /// # Errors
    /// Standard input or output is no terminal, or one that has no screen.
    pub(crate) fn check() -> Result<(), Failure> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Failure::Failed(
                "this command needs a terminal as standard input and output".to_owned(),
            ));
        }
        let name = std::env::var_os("TERM").unwrap_or_default();
        if name.is_empty() || name == "dumb" {
            return Err(Failure::Failed(
                "this command needs a terminal with a screen, and TERM names none".to_owned(),
            ));
        }
        Ok(())
    }

    /// Fills the terminal. Without `colours` there are none, whatever a frame contains; `mouse` is whether clicks come
    /// as events, which takes the selection of text from the terminal.
    ///
    /// # Errors
    /// Those of [`check`](Self::check), and of the terminal.
    pub(crate) fn enter(
        signals: &'a mut Signals,
        colours: bool,
        mouse: bool,
    ) -> Result<Self, Failure> {
        Self::check()?;
        let failed = |error| Failure::io("use the terminal", error);
        signals.catch_suspend().map_err(failed)?;
        let resized = unix::signal(SignalKind::window_change()).map_err(failed)?;
        let area = Rect::from(mode::size());
        let options = TerminalOptions {
            viewport: Viewport::Fixed(area),
        };
        let terminal = Terminal::with_options(Bytes::new(colours), options).map_err(failed)?;
        let writer = Writer::start().map_err(failed)?;
        mode::enter(mouse).map_err(failed)?;
        let mut screen = Screen {
            signals,
            resized,
            keys: None,
            terminal,
            writer,
            mouse,
            refused: false,
        };
        screen.keys = Some(Keys::start().map_err(failed)?);
        Ok(screen)
    }

    /// Draws a frame, and returns whether it did: not while the frame before it is being written. Then
    /// [`next`](Self::next) returns [`Event::Draw`] once it is.
    pub(crate) fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> Result<bool, Failure> {
        if self.writer.is_busy() {
            self.refused = true;
            return Ok(false);
        }
        self.refused = false;
        let drawn = self.terminal.draw(render);
        drawn.map_err(|error| Failure::io("draw", error))?;
        self.writer.write(self.terminal.backend_mut().take());
        Ok(true)
    }

    /// The size of the next frame.
    pub(crate) fn area(&mut self) -> Rect {
        self.terminal.get_frame().area()
    }

    /// Puts text into the clipboard of the terminal's user, with the next frame. Some terminals refuse that.
    pub(crate) fn copy(&mut self, text: &str) {
        let sequence = format!("\x1b]52;c;{}\x07", base64(text.as_bytes()));
        self.terminal.backend_mut().add(sequence.as_bytes());
    }

    /// The next event. Suspends this process when Ctrl-Z demands it.
    ///
    /// # Cancel safety
    /// Dropping the future loses no event.
    pub(crate) async fn next(&mut self) -> Result<Event, Failure> {
        loop {
            let keys = async {
                match &mut self.keys {
                    Some(keys) => keys.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                signal = self.signals.next() => match signal {
                    Signal::Suspend => return self.suspend().map(|()| Event::Draw),
                    signal => return Ok(Event::End(signal)),
                },
                written = self.writer.written() => {
                    match written {
                        Ok(()) => {}
                        // The terminal is gone.
                        Err(error) if error.raw_os_error() == Some(Errno::IO.raw_os_error()) => {
                            return Ok(Event::End(Signal::Hangup));
                        }
                        Err(error) => return Err(Failure::io("write to the terminal", error)),
                    }
                    if self.refused {
                        return Ok(Event::Draw);
                    }
                }
                _ = self.resized.recv() => return self.redraw().map(|()| Event::Draw),
                event = keys => match event {
                    None => return Ok(Event::End(Signal::Hangup)),
                    Some(Event::Key(Key::Ctrl('c'))) => return Ok(Event::End(Signal::Interrupt)),
                    Some(Event::Key(Key::Ctrl('\\'))) => return Ok(Event::End(Signal::Quit)),
                    Some(Event::Key(Key::Ctrl('z'))) => {
                        // The other processes of a pipeline are suspended as well. An error leaves this one running.
                        let _ = kill_current_process_group(Raw::TSTP);
                    }
                    Some(event) => return Ok(event),
                },
            }
        }
    }

    /// Gives the terminal to `other`, such as an editor, and takes it back. As with any program that a shell runs,
    /// Ctrl-C and Ctrl-\ are for it alone.
    pub(crate) async fn lend<T>(&mut self, other: impl Future<Output = T>) -> Result<T, Failure> {
        if let Some(keys) = self.keys.take() {
            keys.stop().await;
        }
        mode::leave();
        let mut other = pin!(other);
        let done = loop {
            tokio::select! {
                biased;
                done = &mut other => break done,
                signal = self.signals.next() => match signal {
                    Signal::Interrupt | Signal::Quit => {}
                    Signal::Suspend => stop()?,
                    Signal::Hangup | Signal::Terminate => return Err(Failure::Signalled(signal)),
                },
            }
        };
        self.take_back()?;
        Ok(done)
    }

    fn suspend(&mut self) -> Result<(), Failure> {
        mode::leave();
        stop()?;
        self.take_back()
    }

    fn take_back(&mut self) -> Result<(), Failure> {
        let failed = |error| Failure::io("use the terminal", error);
        mode::enter(self.mouse).map_err(failed)?;
        if self.keys.is_none() {
            self.keys = Some(Keys::start().map_err(failed)?);
        }
        self.redraw()
    }

    /// Makes the next frame a whole one, of the terminal's present size.
    fn redraw(&mut self) -> Result<(), Failure> {
        let area = Rect::from(mode::size());
        let resized = self.terminal.resize(area);
        resized.map_err(|error| Failure::io("draw", error))
    }
}

/// Suspends this process until a shell continues it. Without a shell that could, does nothing.
fn stop() -> Result<(), Failure> {
    let group = getpgrp();
    if getsid(None).is_ok_and(|session| session == group) {
        return Ok(());
    }
    // Returns after SIGCONT.
    let stopped = kill_process(getpid(), Raw::STOP);
    stopped.map_err(|error| Failure::io("suspend", error.into()))
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        mode::leave();
    }
}
