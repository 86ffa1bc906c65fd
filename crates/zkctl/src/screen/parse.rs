//! Keys, clicks and pasted text in the bytes that a terminal sends.

use super::event::{Button, Event, Key, Mouse, MouseAct};

const PASTE_BEGIN: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";
/// The longest sequence that is understood; a longer one is garbage.
const LONGEST: usize = 64;

/// Takes events from bytes.
#[derive(Debug, Default)]
pub(super) struct Parser {
    bytes: Vec<u8>,
    /// How many of `bytes` are taken.
    taken: usize,
    /// Whether no more bytes are coming for what `bytes` begin with.
    given_up: bool,
}

/// What bytes begin with.
enum Begin {
    /// An event of so many bytes.
    Event(Event, usize),
    /// So many bytes that mean nothing here.
    Nothing(usize),
    /// The rest of the bytes is missing.
    Incomplete,
}

impl Parser {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether more bytes are to come.
    pub(super) fn is_incomplete(&self) -> bool {
        // The text of a paste ends with its last bytes, however late.
        !self.bytes.is_empty() && !self.bytes.starts_with(PASTE_BEGIN)
    }

    /// No more bytes are coming: an Escape that begins a sequence is a key.
    pub(super) fn give_up(&mut self) {
        self.given_up = true;
    }

    pub(super) fn next(&mut self) -> Option<Event> {
        loop {
            let rest = self.bytes.get(self.taken..).unwrap_or_default();
            match begin(rest) {
                Some(Begin::Event(event, length)) => {
                    self.taken += length;
                    return Some(event);
                }
                Some(Begin::Nothing(length)) => self.taken += length,
                Some(Begin::Incomplete) if self.given_up && !rest.starts_with(PASTE_BEGIN) => {
                    let escape = rest.first() == Some(&0x1b);
                    self.taken += 1;
                    if escape {
                        return Some(Event::Key(Key::Escape));
                    }
                }
                Some(Begin::Incomplete) | None => {
                    self.bytes.drain(..self.taken);
                    self.taken = 0;
                    self.given_up = false;
                    return None;
                }
            }
        }
    }
}

/// What the bytes begin with; `None` if there are none.
fn begin(bytes: &[u8]) -> Option<Begin> {
    let (&first, rest) = bytes.split_first()?;
    Some(match first {
        0x1b => escape(rest),
        0..0x20 | 0x7f => Begin::Event(Event::Key(control(first)), 1),
        _ => character(bytes, Key::Char),
    })
}

fn control(byte: u8) -> Key {
    match byte {
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        0x08 | 0x7f => Key::Backspace,
        0 => Key::Ctrl(' '),
        1..=26 => Key::Ctrl(char::from(byte + 0x60)),
        _ => Key::Ctrl(char::from(byte + 0x40)),
    }
}

/// The character that the bytes begin with.
fn character(bytes: &[u8], key: impl Fn(char) -> Key) -> Begin {
    let longest = bytes.get(..4).unwrap_or(bytes);
    let valid = match str::from_utf8(longest) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() == 0 => {
            return match error.error_len() {
                Some(length) => Begin::Nothing(length),
                None => Begin::Incomplete,
            };
        }
        Err(error) => {
            let valid = longest.get(..error.valid_up_to()).unwrap_or_default();
            str::from_utf8(valid).unwrap_or_default()
        }
    };
    match valid.chars().next() {
        Some(c) if c.is_control() => Begin::Nothing(c.len_utf8()),
        Some(c) => Begin::Event(Event::Key(key(c)), c.len_utf8()),
        None => Begin::Incomplete,
    }
}

/// What Escape and these bytes are.
fn escape(rest: &[u8]) -> Begin {
    let longer = |begin| match begin {
        Begin::Event(event, length) => Begin::Event(event, length + 1),
        Begin::Nothing(length) => Begin::Nothing(length + 1),
        Begin::Incomplete => Begin::Incomplete,
    };
    match rest.split_first() {
        None => Begin::Incomplete,
        Some((b'[', sequence)) => longer(longer(control_sequence(sequence))),
        Some((b'O', sequence)) => match sequence.first() {
            None => Begin::Incomplete,
            Some(&last) => match named(last) {
                Some(key) => Begin::Event(Event::Key(key), 3),
                None => Begin::Nothing(3),
            },
        },
        Some((0x1b, _)) => Begin::Event(Event::Key(Key::Escape), 1),
        // Alt with another key than a character is that key.
        Some((&first @ (0..0x20 | 0x7f), _)) => Begin::Event(Event::Key(control(first)), 2),
        Some(_) => longer(character(rest, Key::Alt)),
    }
}

/// What a control sequence is, without the two bytes before it.
fn control_sequence(bytes: &[u8]) -> Begin {
    // The Linux console sends F1 to F5 as `[[A` to `[[E`.
    if let Some((b'[', rest)) = bytes.split_first() {
        return match rest.first() {
            None => Begin::Incomplete,
            Some(&last @ b'A'..=b'E') => Begin::Event(Event::Key(Key::F(last - b'A' + 1)), 2),
            Some(_) => Begin::Nothing(2),
        };
    }
    let Some(end) = bytes.iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
        return match bytes.len() {
            ..LONGEST => Begin::Incomplete,
            length => Begin::Nothing(length),
        };
    };
    let (parameters, last) = bytes.split_at_checked(end).unwrap_or_default();
    let last = last.first().copied().unwrap_or_default();
    let length = end + 1;
    if parameters == b"200" && last == b'~' {
        return paste(bytes.get(length..).unwrap_or_default(), length);
    }
    let numbers = |text: &[u8]| -> Vec<u16> {
        let text = String::from_utf8_lossy(text);
        let numbers = text.split(';');
        numbers.map(|number| number.parse().unwrap_or(0)).collect()
    };
    let event = match (parameters.split_first(), last) {
        (Some((b'<', rest)), b'M' | b'm') => mouse(&numbers(rest), last == b'M').map(Event::Mouse),
        (_, b'~') => numbers(parameters)
            .first()
            .and_then(|&number| numbered(number))
            .map(Event::Key),
        (_, b'Z') => Some(Event::Key(Key::BackTab)),
        _ => named(last).map(Event::Key),
    };
    match event {
        Some(event) => Begin::Event(event, length),
        None => Begin::Nothing(length),
    }
}

fn paste(text: &[u8], before: usize) -> Begin {
    let Some(end) = text
        .windows(PASTE_END.len())
        .position(|window| window == PASTE_END)
    else {
        return Begin::Incomplete;
    };
    let pasted = String::from_utf8_lossy(text.get(..end).unwrap_or_default());
    // Terminals send the line breaks as Enter.
    let pasted = pasted.replace("\r\n", "\n").replace('\r', "\n");
    Begin::Event(Event::Paste(pasted), before + end + PASTE_END.len())
}

fn mouse(numbers: &[u16], pressed: bool) -> Option<Mouse> {
    let &[code, column, row] = numbers else {
        return None;
    };
    // Without Shift, Alt and Ctrl.
    let act = match (code & !0b1_1100, pressed) {
        (64, _) => MouseAct::WheelUp,
        (65, _) => MouseAct::WheelDown,
        (0..=2, false) => MouseAct::Release,
        (0, true) => MouseAct::Press(Button::Left),
        (1, true) => MouseAct::Press(Button::Middle),
        (2, true) => MouseAct::Press(Button::Right),
        _ => return None,
    };
    Some(Mouse {
        act,
        column: column.saturating_sub(1),
        row: row.saturating_sub(1),
    })
}

fn named(last: u8) -> Option<Key> {
    Some(match last {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'M' => Key::Enter,
        b'P'..=b'S' => Key::F(last - b'P' + 1),
        _ => return None,
    })
}

fn numbered(number: u16) -> Option<Key> {
    let function = |first: u16, key: u8| {
        u8::try_from(number - first)
            .ok()
            .map(|more| Key::F(key + more))
    };
    Some(match number {
        1 | 7 => Key::Home,
        2 => Key::Insert,
        3 => Key::Delete,
        4 | 8 => Key::End,
        5 => Key::PageUp,
        6 => Key::PageDown,
        11..=15 => return function(11, 1),
        17..=21 => return function(17, 6),
        23..=24 => return function(23, 11),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(parser: &mut Parser) -> Vec<Event> {
        std::iter::from_fn(|| parser.next()).collect()
    }

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut parser = Parser::default();
        parser.add(bytes);
        let keys = events(&mut parser);
        assert!(!parser.is_incomplete(), "{parser:?}");
        keys.into_iter()
            .map(|event| match event {
                Event::Key(key) => key,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn keys_of_terminals_are_known() {
        assert_eq!(
            keys(b"a\xc3\xa9\x1b[A\x1bOB\x1b[1;5C\x1b[D\x1b[H\x1b[4~"),
            [
                Key::Char('a'),
                Key::Char('é'),
                Key::Up,
                Key::Down,
                Key::Right,
                Key::Left,
                Key::Home,
                Key::End
            ]
        );
        assert_eq!(
            keys(b"\r\t\x7f\x03\x1c\x1b[Z\x1bx\x1b\x1b[A\x1b[5~\x1b[3;2~"),
            [
                Key::Enter,
                Key::Tab,
                Key::Backspace,
                Key::Ctrl('c'),
                Key::Ctrl('\\'),
                Key::BackTab,
                Key::Alt('x'),
                Key::Escape,
                Key::Up,
                Key::PageUp,
                Key::Delete
            ]
        );
        assert_eq!(
            keys(b"\x1bOP\x1b[15~\x1b[17~\x1b[24~\x1b[[B"),
            [Key::F(1), Key::F(5), Key::F(6), Key::F(12), Key::F(2)]
        );
    }

    #[test]
    fn garbage_is_left_out() {
        assert_eq!(
            keys(b"\xffa\x1b[?1;2cb\x1b[99~c\x1bO9d\xc2\x9be"),
            "abcde".chars().map(Key::Char).collect::<Vec<_>>()
        );
        let mut long = vec![b'1'; 2 * LONGEST];
        long.splice(..0, *b"\x1b[");
        assert_eq!(keys(&long), []);
    }

    #[test]
    fn a_key_may_come_in_pieces() {
        let bytes = b"\x1b[1;5Ax\xe2\x82\xac\x1b[<0;10;2M\x1b[200~a\rb\x1b[2\x1b[201~";
        let mut parser = Parser::default();
        let mut seen = Vec::new();
        for byte in bytes {
            parser.add(&[*byte]);
            seen.extend(events(&mut parser));
        }
        let click = Mouse {
            act: MouseAct::Press(Button::Left),
            column: 9,
            row: 1,
        };
        assert_eq!(
            seen,
            [
                Event::Key(Key::Up),
                Event::Key(Key::Char('x')),
                Event::Key(Key::Char('€')),
                Event::Mouse(click),
                Event::Paste("a\nb\u{1b}[2".to_owned())
            ]
        );
    }

    #[test]
    fn a_lone_escape_is_a_key() {
        let mut parser = Parser::default();
        parser.add(b"\x1b");
        assert_eq!(events(&mut parser), []);
        assert!(parser.is_incomplete());
        parser.give_up();
        assert_eq!(events(&mut parser), [Event::Key(Key::Escape)]);
        assert!(!parser.is_incomplete());
        // The text of a paste may take longer than a key.
        parser.add(PASTE_BEGIN);
        assert_eq!(events(&mut parser), []);
        parser.give_up();
        assert_eq!(events(&mut parser), []);
        parser.add(b"x\x1b[201~");
        assert_eq!(events(&mut parser), [Event::Paste("x".to_owned())]);
    }

    #[test]
    fn the_wheel_turns_with_any_modifier() {
        let mut parser = Parser::default();
        parser.add(b"\x1b[<64;1;1M\x1b[<81;3;4M\x1b[<0;1;1m\x1b[<35;5;5M");
        let acts: Vec<_> = events(&mut parser)
            .into_iter()
            .map(|event| match event {
                Event::Mouse(mouse) => mouse.act,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            acts,
            [MouseAct::WheelUp, MouseAct::WheelDown, MouseAct::Release]
        );
    }
}
