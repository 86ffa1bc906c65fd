//! A line of text that is being typed.

use crate::screen::Key;

/// The text, and where the next character goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    text: String,
    /// A boundary of characters.
    cursor: usize,
}

impl Line {
    pub(super) fn new(text: &str) -> Self {
        Line {
            text: text.to_owned(),
            cursor: text.len(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The text before and after the cursor.
    pub(super) fn parts(&self) -> (&str, &str) {
        self.text.split_at_checked(self.cursor).unwrap_or_default()
    }

    /// Inserts pasted text, without line breaks and other control characters.
    pub(super) fn insert(&mut self, text: &str) {
        for c in text.chars().filter(|c| !c.is_control()) {
            self.text.insert(self.cursor, c);
            self.cursor += c.len_utf8();
        }
    }

    /// Edits the text, and returns whether the key means that.
    pub(super) fn key(&mut self, key: Key) -> bool {
        let (before, after) = self.parts();
        let back = before.chars().next_back().map_or(0, char::len_utf8);
        let forth = after.chars().next().map_or(0, char::len_utf8);
        match key {
            Key::Char(c) => {
                self.text.insert(self.cursor, c);
                self.cursor += c.len_utf8();
            }
            Key::Left => self.cursor -= back,
            Key::Right => self.cursor += forth,
            Key::Home | Key::Ctrl('a') => self.cursor = 0,
            Key::End | Key::Ctrl('e') => self.cursor = self.text.len(),
            Key::Backspace => {
                self.text.drain(self.cursor - back..self.cursor);
                self.cursor -= back;
            }
            Key::Delete => drop(self.text.drain(self.cursor..self.cursor + forth)),
            Key::Ctrl('u') => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            Key::Ctrl('k') => self.text.truncate(self.cursor),
            Key::Ctrl('w') => {
                let kept = before.trim_end_matches(|c: char| !c.is_alphanumeric());
                let kept = kept.trim_end_matches(char::is_alphanumeric).len();
                self.text.drain(kept..self.cursor);
                self.cursor = kept;
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_edit_at_the_cursor() {
        let mut line = Line::new("grüße");
        for key in [
            Key::Left,
            Key::Left,
            Key::Backspace,
            Key::Char('s'),
            Key::Char('s'),
        ] {
            assert!(line.key(key));
        }
        assert_eq!(line.parts(), ("grss", "ße"));
        assert!(line.key(Key::Delete));
        line.insert("x\r\ny");
        assert_eq!(line.text(), "grssxye");
        assert!(line.key(Key::Ctrl('u')));
        assert_eq!(line.parts(), ("", "e"));
        assert!(!line.key(Key::Enter));
    }

    #[test]
    fn ctrl_w_deletes_a_word() {
        let mut line = Line::new("app/config-a ");
        line.key(Key::Ctrl('w'));
        assert_eq!(line.text(), "app/config-");
        line.key(Key::Ctrl('w'));
        assert_eq!(line.text(), "app/");
    }
}
