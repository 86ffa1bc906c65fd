//! The thread that writes frames.

use std::io;
use std::sync::mpsc;
use std::thread;

use tokio::sync::mpsc as tokio_mpsc;

use super::mode;

/// How many bytes are written while the terminal's modes stay as they are.
const PART: usize = 1024;

/// Writes one frame at a time.
pub(super) struct Writer {
    frames: mpsc::Sender<Vec<u8>>,
    written: tokio_mpsc::UnboundedReceiver<io::Result<()>>,
    busy: bool,
}

impl Writer {
    pub(super) fn start() -> io::Result<Self> {
        let (frames, queue) = mpsc::channel::<Vec<u8>>();
        let (done, written) = tokio_mpsc::unbounded_channel();
        thread::Builder::new()
            .name("terminal output".to_owned())
            .spawn(move || {
                for frame in queue {
                    if done.send(write(&frame)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Writer {
            frames,
            written,
            busy: false,
        })
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    pub(super) fn write(&mut self, frame: Vec<u8>) {
        self.busy = !frame.is_empty() && self.frames.send(frame).is_ok();
    }

    /// Completes when the frame is written; never if none is.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn written(&mut self) -> io::Result<()> {
        if !self.busy {
            return std::future::pending().await;
        }
        let written = self.written.recv().await;
        self.busy = false;
        written.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
    }
}

fn write(frame: &[u8]) -> io::Result<()> {
    for part in frame.chunks(PART) {
        // After the screen was left and filled again, the next frame is a whole one.
        if !mode::write_part(part)? {
            break;
        }
    }
    Ok(())
}
