//! Escaping of control characters, and of characters that are not seen: names and data come from other clients, and a
//! terminal would execute the escape sequences in them, and show other names than there are.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};

/// JSON with the control characters that JSON allows in a string written as JSON escapes.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(char::is_control) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if c.is_control() {
            // Writing to a String does not fail.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    Cow::Owned(text)
}

/// Data for a terminal: control characters except line breaks and tabs, and bytes that are not UTF-8,
/// are escaped. The result ends with a line break.
pub(crate) fn visible_data(data: &[u8]) -> String {
    let mut text = String::with_capacity(data.len() + 1);
    for chunk in data.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' | '\t' => text.push(c),
                c if c.is_control() => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a String does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Text with its control characters escaped, except line breaks.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c.is_control() && c != '\n')
}

/// Text with the characters escaped that a terminal does not show: those that change the direction or the shape of
/// others, and those without a width. JSON and files keep them.
pub(crate) fn unhidden(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

/// A message for standard error: [`visible`], and on a terminal [`unhidden`].
pub(crate) fn message(text: &str) -> Cow<'_, str> {
    match io::stderr().is_terminal() {
        true => escaped(text, |c| c.is_control() && c != '\n' || is_hidden(c)),
        false => visible(text),
    }
}

/// The format characters that are not seen, and what else Unicode lists as ignorable by default.
fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// A path or name for a single line: control characters and line breaks are escaped.
pub(crate) fn visible_line(text: &str) -> Cow<'_, str> {
    match visible(text) {
        text if text.contains('\n') => Cow::Owned(text.replace('\n', "\\n")),
        text => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// Guards: P63.
    #[test]
    fn data_cannot_command_a_terminal() {
        let data = b"a\x1b]0;owned\x07\r\xc2\x9b2J\xff\tb\n";
        let shown = "a\\u{1b}]0;owned\\u{7}\\r\\u{9b}2J\\xff\tb\n";
        assert_eq!(visible_data(data), shown);
        assert_eq!(visible_data("grüße".as_bytes()), "grüße\n");
    }

    /// Guards: P63.
    #[test]
    fn json_has_no_control_characters() {
        let value = serde_json::json!({ "data": "\u{1b}\u{7f}\u{9b}é" });
        let text = value.to_string();
        let text = escape_json(&text);
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn characters_that_are_not_seen_are_escaped() {
        let name = "/a\u{202e}b\u{200b}\u{2066}c\u{feff}\u{e0001}";
        let shown = "/a\\u{202e}b\\u{200b}\\u{2066}c\\u{feff}\\u{e0001}";
        assert_eq!(unhidden(name), shown);
        let plain = "/grüße/世界/e\u{301}\t\n";
        assert_eq!(unhidden(plain), plain);
    }

    #[test]
    fn a_hostile_name_is_shown_not_obeyed() {
        assert_eq!(visible_line("/a\u{1b}[2J\r\n/b"), "/a\\u{1b}[2J\\r\\n/b");
        assert_eq!(visible_line("/grüße"), "/grüße");
        assert_eq!(visible("two\nlines"), "two\nlines");
    }
}
