//! Keys that were pressed before the editor could handle them, as while a command ran.
//!
//! The editor handles all keys that have come at once, and drops those after the one that ends its line: a second line,
//! or what follows Ctrl-C. Here they wait for the next line.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use reedline::{EditMode, Emacs, PromptEditMode, ReedlineEvent, ReedlineRawEvent};
use rustix::process::{Signal, getpid, kill_process};

/// The keys that wait. Its clones are one.
#[derive(Clone, Default)]
pub(super) struct Ahead(Arc<Mutex<VecDeque<Event>>>);

impl Ahead {
    /// Has the editor handle the keys that wait: it only looks for them when the terminal has sent something, or has
    /// another size.
    pub(super) fn replay(&self) {
        if self.with(|keys| !keys.is_empty()) {
            // An error leaves the keys until the next one.
            let _ = kill_process(getpid(), Signal::WINCH);
        }
    }

    /// Takes the keys that came with the end of a line, and returns whether one of them cancels the command of that
    /// line. Signals do so only once the terminal sends them, which it does not while it has the modes of the editor.
    /// As with a signal, keys before Ctrl-C are discarded: what they command is not wanted any more.
    pub(super) fn cancels(&self) -> io::Result<bool> {
        while event::poll(Duration::ZERO)? {
            let event = event::read()?;
            self.with(|keys| keys.push_back(event));
        }
        Ok(self.with(|keys| {
            let ctrl_c = keys.iter().position(is_ctrl_c);
            ctrl_c.map(|index| keys.drain(..=index)).is_some()
        }))
    }

    fn with<T>(&self, see: impl FnOnce(&mut VecDeque<Event>) -> T) -> T {
        see(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn is_ctrl_c(event: &Event) -> bool {
    matches!(
        event,
        Event::Key(KeyEvent { code: KeyCode::Char('c'), modifiers, .. }) if *modifiers == KeyModifiers::CONTROL
    )
}

/// Gives the editor the keys of one line at a time.
pub(super) struct Keys {
    emacs: Emacs,
    ahead: Ahead,
    /// Whether Ctrl-C is a key, and no signal.
    reading: Arc<AtomicBool>,
    /// Whether one of these keys, which come at once, may have ended the line.
    ended: Cell<bool>,
}

impl Keys {
    pub(super) fn new(emacs: Emacs, ahead: Ahead, reading: Arc<AtomicBool>) -> Self {
        Keys {
            emacs,
            ahead,
            reading,
            ended: Cell::new(false),
        }
    }

    /// The next key that waits, unless the line may have ended.
    fn next(&self) -> Option<ReedlineRawEvent> {
        while !self.ended.get() {
            let event = self.ahead.with(VecDeque::pop_front)?;
            if let Ok(event) = event.try_into() {
                return Some(event);
            }
        }
        None
    }
}

impl EditMode for Keys {
    fn parse_event(&mut self, event: ReedlineRawEvent) -> ReedlineEvent {
        let mut events = Vec::new();
        match Event::from(event) {
            Event::Resize(columns, rows) => events.push(ReedlineEvent::Resize(columns, rows)),
            event => self.ahead.with(|keys| keys.push_back(event)),
        }
        while let Some(event) = self.next() {
            let event = self.emacs.parse_event(event);
            let ends = matches!(
                event,
                ReedlineEvent::Enter | ReedlineEvent::CtrlC | ReedlineEvent::CtrlD
            );
            self.ended.set(ends);
            // Before the terminal has the modes in which Ctrl-C is a signal again.
            self.reading.store(!ends, Ordering::Release);
            events.push(event);
        }
        match events.len() {
            0 => ReedlineEvent::None,
            1 => events.remove(0),
            _ => ReedlineEvent::Multiple(events),
        }
    }

    /// The editor calls this after the last of the keys that come at once, and handles them then.
    fn edit_mode(&self) -> PromptEditMode {
        self.ended.set(false);
        self.emacs.edit_mode()
    }
}

#[cfg(test)]
mod tests {
    use reedline::{EditCommand, default_emacs_keybindings};

    use super::*;

    fn key(c: char, modifiers: KeyModifiers) -> ReedlineRawEvent {
        let event = Event::Key(KeyEvent::new(KeyCode::Char(c), modifiers));
        event.try_into().unwrap()
    }

    fn plain(c: char) -> ReedlineRawEvent {
        key(c, KeyModifiers::NONE)
    }

    fn keys() -> Keys {
        let emacs = Emacs::new(default_emacs_keybindings());
        Keys::new(emacs, Ahead::default(), Arc::default())
    }

    fn insert(c: char) -> ReedlineEvent {
        ReedlineEvent::Edit(vec![EditCommand::InsertChar(c)])
    }

    #[test]
    fn keys_after_the_end_of_a_line_wait() {
        let mut keys = keys();
        assert_eq!(keys.parse_event(plain('a')), insert('a'));
        assert!(keys.reading.load(Ordering::Relaxed));
        let ctrl_c = key('c', KeyModifiers::CONTROL);
        assert_eq!(keys.parse_event(ctrl_c), ReedlineEvent::CtrlC);
        assert!(!keys.reading.load(Ordering::Relaxed));
        assert_eq!(keys.parse_event(plain('b')), ReedlineEvent::None);
        assert_eq!(keys.parse_event(plain('c')), ReedlineEvent::None);
        keys.edit_mode();
        let resize = Event::Resize(80, 24).try_into().unwrap();
        assert_eq!(
            keys.parse_event(resize),
            ReedlineEvent::Multiple(vec![
                ReedlineEvent::Resize(80, 24),
                insert('b'),
                insert('c')
            ])
        );
        keys.edit_mode();
        assert_eq!(keys.parse_event(plain('d')), insert('d'));
    }
}
