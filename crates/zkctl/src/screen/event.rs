//! What happens to a terminal that a command fills.

use crate::signals::Signal;

/// What happened to the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Key(Key),
    Mouse(Mouse),
    /// Text that the terminal inserts for its user.
    Paste(String),
    /// A frame has to be drawn: the size is another, the process was suspended, or the terminal has taken the frame
    /// before the one that `Screen::draw` refused.
    Draw,
    /// The process has to end: a signal, Ctrl-C, or a terminal that is gone.
    End(Signal),
}

/// A key. Shift is part of a character, and of no other key; with arrows, Ctrl and Alt make no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Char(char),
    /// With a lower-case letter, or one of `\]^_`.
    Ctrl(char),
    Alt(char),
    Enter,
    Escape,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Insert,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

/// A click or a turn of the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mouse {
    pub(crate) act: MouseAct,
    /// The cell, counted from 0 at the left and at the top.
    pub(crate) column: u16,
    pub(crate) row: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MouseAct {
    Press(Button),
    Release,
    WheelUp,
    WheelDown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Button {
    Left,
    Middle,
    Right,
}
