//! Places at which connections are cut.

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Replies and events.
    ToClient,
}

/// A place at which a connection is cut, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    pub(super) direction: Direction,
    pub(super) frame: u64,
    pub(super) byte: usize,
    reset: bool,
}

impl Cut {
    /// After `byte` bytes of the `frame`-th frame that a connection sends in this direction. Frames
    /// are counted from 0, which is the handshake; bytes include the four of the length.
    pub fn new(direction: Direction, frame: u64, byte: usize) -> Self {
        Self {
            direction,
            frame,
            byte,
            reset: false,
        }
    }

    /// With a reset instead of an orderly close, on sockets.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.reset = true;
        self
    }

    pub(crate) fn byte(self) -> usize {
        self.byte
    }

    pub(crate) fn is_reset(self) -> bool {
        self.reset
    }
}
