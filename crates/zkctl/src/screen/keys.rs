//! The thread that reads keys.

use std::io::{self, PipeReader, PipeWriter, stdin};
use std::thread;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use tokio::sync::mpsc;

use super::event::Event;
use super::parse::Parser;

/// How many events wait until the command takes them.
const QUEUE: usize = 256;
/// How long the rest of a key's bytes may take; then what has come is keys of its own. Only Escape ends like that.
const REST: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Reads the terminal's input until it is dropped.
pub(super) struct Keys {
    events: mpsc::Receiver<Event>,
    /// Closing it ends the thread.
    stop: PipeWriter,
}

impl Keys {
    pub(super) fn start() -> io::Result<Self> {
        let (stopped, stop) = io::pipe()?;
        let (queue, events) = mpsc::channel(QUEUE);
        thread::Builder::new()
            .name("terminal input".to_owned())
            .spawn(move || read_all(&stopped, &queue))?;
        Ok(Keys { events, stop })
    }

    /// The next event; `None` when the terminal is gone.
    pub(super) async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Ends the thread, so that another program can read.
    pub(super) async fn stop(self) {
        let Keys { mut events, stop } = self;
        drop(stop);
        while events.recv().await.is_some() {}
    }
}

fn read_all(stopped: &PipeReader, queue: &mpsc::Sender<Event>) {
    let stdin = stdin();
    let mut parser = Parser::default();
    let mut buffer = [0; 4096];
    loop {
        let mut files = [
            PollFd::new(&stdin, PollFlags::IN),
            PollFd::new(stopped, PollFlags::IN),
        ];
        let limit = parser.is_incomplete().then_some(&REST);
        let ready = match poll(&mut files, limit) {
            Err(Errno::INTR) => continue,
            Err(_) => return,
            Ok(ready) => ready,
        };
        let [input, stopped] = &files;
        if !stopped.revents().is_empty() {
            return;
        }
        if ready == 0 {
            parser.give_up();
        } else {
            match read(&stdin, &mut buffer) {
                Err(Errno::INTR | Errno::AGAIN) => continue,
                // The terminal is gone.
                Ok(0) | Err(_) => return,
                Ok(count) => parser.add(buffer.get(..count).unwrap_or_default()),
            }
        }
        // Not while the terminal hangs up: these would be half of a key.
        if input.revents().contains(PollFlags::HUP) {
            return;
        }
        while let Some(event) = parser.next() {
            // An error means that no command takes events any more.
            if queue.blocking_send(event).is_err() {
                return;
            }
        }
    }
}
