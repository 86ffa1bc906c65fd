//! A znode's data in the forms of `get`: decompressed, hexadecimal, base64, JSON with indentation.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use serde_json::Value;
use zk_recipes::{Codec, Gzip, Raw};

use super::failure::Failure;

/// How data in the format gzip begin.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The data without compression. Others than those in the format gzip are returned as they are.
pub(crate) fn decompressed(data: &Bytes) -> Result<Bytes, Failure> {
    if !data.starts_with(&GZIP) {
        return Ok(data.clone());
    }
    Gzip::new(Raw)
        .decode(data)
        .map_err(|error| Failure::Failed(format!("cannot decompress the data: {error}")))
}

/// Lines of 16 bytes: the offset, the bytes, the characters of ASCII among them.
pub(crate) fn hex_dump(data: &[u8]) -> String {
    let mut text = String::with_capacity(data.len() * 5);
    for (index, row) in data.chunks(16).enumerate() {
        text.push_str(&hex_dump_row(index * 16, row, 16));
        text.push('\n');
    }
    text
}

/// A line of [`hex_dump`], without its line break. `full` is how many bytes the other lines have.
pub(crate) fn hex_dump_row(offset: usize, row: &[u8], full: usize) -> String {
    let mut text = format!("{offset:08x} ");
    for (index, byte) in row.iter().enumerate() {
        let gap = if index == 8 { "  " } else { " " };
        // Writing to a String does not fail.
        let _ = write!(text, "{gap}{byte:02x}");
    }
    let width = |bytes: usize| 3 * bytes + usize::from(bytes > 8);
    let missing = width(full).saturating_sub(width(row.len()));
    let _ = write!(text, "{:missing$}  |", "");
    for &byte in row {
        let is_shown = byte.is_ascii_graphic() || byte == b' ';
        text.push(if is_shown { char::from(byte) } else { '.' });
    }
    text.push('|');
    text
}

/// The bytes as hexadecimal digits, without space.
pub(crate) fn hex(data: &[u8]) -> String {
    data.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes as base64.
pub(crate) fn base64(data: &[u8]) -> String {
    Base64::encode_string(data)
}

/// The data as a value of JSON.
pub(crate) fn json_value(data: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(data)
        .map_err(|error| Failure::Failed(format!("the data are not JSON: {error}")))
}

/// JSON with two spaces of indentation for each level. Only white space changes: the order of keys and the
/// digits of numbers stay as they are.
pub(crate) fn json_pretty(data: &[u8]) -> Result<String, Failure> {
    json_value(data)?;
    // JSON is UTF-8.
    let text = String::from_utf8_lossy(data);
    Ok(indented(&text))
}

fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut level = 0_usize;
    let mut tokens = Tokens { rest: json }.peekable();
    while let Some(token) = tokens.next() {
        match &*token {
            "{" | "[" => {
                text.push_str(&token);
                let closes = |next: &Cow<'_, str>| **next == *"}" || **next == *"]";
                if tokens.peek().is_some_and(closes) {
                    text.extend(tokens.next().as_deref());
                } else {
                    level += 1;
                    new_line(&mut text, level);
                }
            }
            "}" | "]" => {
                level = level.saturating_sub(1);
                new_line(&mut text, level);
                text.push_str(&token);
            }
            "," => {
                text.push(',');
                new_line(&mut text, level);
            }
            ":" => text.push_str(": "),
            other => text.push_str(other),
        }
    }
    text.push('\n');
    text
}

fn new_line(text: &mut String, level: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", level));
}

/// The tokens of valid JSON.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Cow<'a, str>;

    fn next(&mut self) -> Option<Cow<'a, str>> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next()?;
        let length = match first {
            '"' => string(self.rest),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            _ => {
                let ends = |c: char| c.is_ascii_whitespace() || ",]}:".contains(c);
                self.rest.find(ends).unwrap_or(self.rest.len())
            }
        };
        let (token, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(super::terminal::escape_json(token))
    }
}

/// The length of the string at the beginning, with its quotation marks.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_has_offset_bytes_and_text() {
        let data: Vec<u8> = (0x3b..0x4d).collect();
        assert_eq!(
            hex_dump(&data),
            "00000000  3b 3c 3d 3e 3f 40 41 42  43 44 45 46 47 48 49 4a  |;<=>?@ABCDEFGHIJ|\n\
             00000010  4b 4c                                             |KL|\n"
        );
        let nine = hex_dump(b"\x1b\xff1234567");
        assert_eq!(
            nine,
            "00000000  1b ff 31 32 33 34 35 36  37                       |..1234567|\n"
        );
        assert_eq!(hex_dump(b""), "");
    }

    #[test]
    fn indentation_changes_white_space_only() {
        let json =
            r#"{"b":[1.0e400,{"a":"x, {\"y\\"}],"a" : {},"e":[ ],"n":12345678901234567890123}"#;
        let pretty = indented(json);
        assert_eq!(
            pretty,
            "{\n  \"b\": [\n    1.0e400,\n    {\n      \"a\": \"x, {\\\"y\\\\\"\n    }\n  ],\n  \
             \"a\": {},\n  \"e\": [],\n  \"n\": 12345678901234567890123\n}\n"
        );
        assert_eq!(indented("true"), "true\n");
        // U+009B, as the letters of an escape sequence.
        assert_eq!(indented("\"a\u{9b}b\""), "\"a\\u009bb\"\n");
    }

    #[test]
    fn only_gzip_is_decompressed() {
        let plain = Bytes::from_static(b"plain");
        let compressed = Gzip::new(Raw).encode(&plain).unwrap();
        let read = |data: &Bytes| decompressed(data).ok();
        assert_eq!(read(&compressed), Some(plain.clone()));
        assert_eq!(read(&plain), Some(plain));
        assert_eq!(read(&compressed.slice(..12)), None);
    }
}
