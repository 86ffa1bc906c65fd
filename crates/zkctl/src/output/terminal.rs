//! Escaping of control characters: names and data come from other clients, and a terminal would execute
//! the escape sequences in them.

use std::borrow::Cow;
use std::fmt::Write as _;

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
    let is_harmless = |c: char| !c.is_control() || c == '\n';
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_harmless(c) {
            visible.push(c);
        } else {
            // Writing to a String does not fail.
            let _ = write!(visible, "{}", c.escape_default());
        }
    }
    Cow::Owned(visible)
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
    fn a_hostile_name_is_shown_not_obeyed() {
        assert_eq!(visible_line("/a\u{1b}[2J\r\n/b"), "/a\\u{1b}[2J\\r\\n/b");
        assert_eq!(visible_line("/grüße"), "/grüße");
        assert_eq!(visible("two\nlines"), "two\nlines");
    }
}
