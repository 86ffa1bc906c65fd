//! A znode's data as lines of a pane.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use unicode_width::UnicodeWidthChar;

use crate::output::data_text::{decompressed, hex_dump_row, json_pretty};
use crate::output::failure::Failure;
use crate::output::terminal::visible_data;

/// Columns between tabulator stops.
const TAB: usize = 8;
/// How many bytes a row of hexadecimal digits has, and how many columns that takes.
const HEX_ROWS: [(usize, usize); 3] = [(16, 78), (8, 45), (4, 29)];

/// How data are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// JSON and text as such, the rest as bytes; what is compressed is decompressed.
    #[default]
    Auto,
    /// Text, as it is.
    Text,
    /// Bytes, as they are.
    Hex,
}

impl Format {
    pub(super) fn next(self) -> Self {
        match self {
            Format::Auto => Format::Text,
            Format::Text => Format::Hex,
            Format::Hex => Format::Auto,
        }
    }
}

/// Data, ready to be drawn: only the visible rows cost anything.
#[derive(Debug)]
pub(super) struct Document {
    label: String,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Text(Text),
    /// With the number of bytes in a row.
    Hex(Bytes, usize),
}

#[derive(Debug)]
struct Text {
    /// Without anything that moves the cursor of a terminal, except line breaks.
    text: String,
    /// The width that `rows` fit into.
    width: usize,
    /// Where each row begins and ends in `text`.
    rows: Vec<(usize, usize)>,
}

impl Document {
    pub(super) fn new(data: &Bytes, format: Format) -> Self {
        let (data, compressed) = match (format, decompressed(data)) {
            (Format::Auto, Ok(plain)) if plain != *data => (plain, true),
            (Format::Auto, Err(Failure::Failed(why))) => {
                return Document {
                    label: why,
                    body: hex(data.clone()),
                };
            }
            _ => (data.clone(), false),
        };
        let (what, body) = match format {
            Format::Text => ("text", Body::Text(Text::new(&visible_data(&data)))),
            Format::Hex => ("hex", hex(data)),
            Format::Auto => automatic(data),
        };
        let label = match compressed {
            true => format!("{what}, gzip unpacked"),
            false => what.to_owned(),
        };
        Document { label, body }
    }

    /// What it shows, for a title.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Breaks lines at this many columns.
    pub(super) fn fit(&mut self, width: usize) {
        match &mut self.body {
            Body::Text(text) => text.fit(width),
            Body::Hex(_, bytes) => {
                let fits = HEX_ROWS.into_iter().find(|(_, columns)| *columns <= width);
                *bytes = fits.map_or(4, |(bytes, _)| bytes);
            }
        }
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.rows.len(),
            Body::Hex(data, bytes) => data.len().div_ceil(*bytes),
        }
    }

    /// A row; empty after the last.
    pub(super) fn row(&self, index: usize) -> Cow<'_, str> {
        match &self.body {
            Body::Text(text) => {
                let row = text.rows.get(index);
                let row = row.and_then(|&(begin, end)| text.text.get(begin..end));
                Cow::Borrowed(row.unwrap_or_default())
            }
            Body::Hex(data, bytes) => {
                let offset = index * bytes;
                let row = data.get(offset..).unwrap_or_default();
                if row.is_empty() {
                    return Cow::Borrowed("");
                }
                let row = row.get(..*bytes).unwrap_or(row);
                Cow::Owned(hex_dump_row(offset, row, *bytes))
            }
        }
    }
}

fn hex(data: Bytes) -> Body {
    Body::Hex(data, 16)
}

fn automatic(data: Bytes) -> (&'static str, Body) {
    if data.is_empty() {
        return ("empty", hex(data));
    }
    let is_text = str::from_utf8(&data).is_ok() && !data.contains(&0);
    if !is_text {
        return ("hex", hex(data));
    }
    let begin = data.iter().find(|byte| !byte.is_ascii_whitespace());
    if matches!(begin, Some(b'{' | b'['))
        && let Ok(json) = json_pretty(&data)
    {
        return ("JSON", Body::Text(Text::new(&json)));
    }
    ("text", Body::Text(Text::new(&visible_data(&data))))
}

impl Text {
    /// Of text without control characters.
    fn new(text: &str) -> Self {
        let text = text.strip_suffix('\n').unwrap_or(text);
        Text {
            text: plain(text).into_owned(),
            width: 0,
            rows: Vec::new(),
        }
    }

    fn fit(&mut self, width: usize) {
        let width = width.max(2);
        if self.width == width {
            return;
        }
        self.width = width;
        self.rows.clear();
        let (mut begin, mut column) = (0, 0);
        for (at, c) in self.text.char_indices() {
            if c == '\n' {
                self.rows.push((begin, at));
                (begin, column) = (at + 1, 0);
                continue;
            }
            let columns = c.width().unwrap_or(0);
            if column + columns > width {
                self.rows.push((begin, at));
                (begin, column) = (at, 0);
            }
            column += columns;
        }
        self.rows.push((begin, self.text.len()));
    }
}

/// A name or a line: one row, whatever it contains.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.width().is_some_and(|width| width > 0);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_plain(c) {
            true => line.push(c),
            false => line.extend(c.escape_default()),
        }
    }
    Cow::Owned(line)
}

/// Text whose characters each take columns: tabulators become spaces, and characters without a width, which terminals
/// draw differently, are escaped.
fn plain(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c == '\n' || c.width().is_some_and(|width| width > 0);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 64);
    let mut column = 0;
    for c in text.chars() {
        match c {
            '\t' => {
                let spaces = TAB - column % TAB;
                plain.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
            }
            '\n' => {
                plain.push(c);
                column = 0;
            }
            c if is_plain(c) => {
                plain.push(c);
                column += c.width().unwrap_or(0);
            }
            c => {
                let before = plain.len();
                // Writing to a String does not fail.
                let _ = write!(plain, "{}", c.escape_default());
                column += plain.len() - before;
            }
        }
    }
    Cow::Owned(plain)
}

/// The number of columns of a line.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The end of a line that is too long, after an ellipsis; the whole line if it fits.
pub(super) fn end_of(text: &str, width: usize) -> Cow<'_, str> {
    let mut left = columns(text);
    if left <= width {
        return Cow::Borrowed(text);
    }
    let mut rest = text.chars();
    while left + 1 > width {
        match rest.next() {
            Some(c) => left -= c.width().unwrap_or(0),
            None => break,
        }
    }
    Cow::Owned(format!("…{}", rest.as_str()))
}

#[cfg(test)]
mod tests {
    use zk_recipes::{Codec, Gzip, Raw};

    use super::*;

    fn shown(data: &[u8], format: Format, width: usize) -> (String, Vec<String>) {
        let mut document = Document::new(&Bytes::copy_from_slice(data), format);
        document.fit(width);
        let rows = (0..document.len()).map(|row| document.row(row).into_owned());
        let rows = rows.collect();
        (document.label, rows)
    }

    #[test]
    fn data_are_shown_as_what_they_are() {
        let (label, rows) = shown(b" {\"a\":[1]}", Format::Auto, 80);
        assert_eq!(label, "JSON");
        assert_eq!(rows, ["{", "  \"a\": [", "    1", "  ]", "}"]);
        assert_eq!(
            shown(b"{no json\n", Format::Auto, 80),
            ("text".to_owned(), vec!["{no json".to_owned()])
        );
        let (label, rows) = shown(b"\xff\x00a", Format::Auto, 80);
        assert_eq!(label, "hex");
        assert!(rows[0].starts_with("00000000  ff 00 61"), "{rows:?}");
        assert_eq!(
            shown(b"", Format::Auto, 80),
            ("empty".to_owned(), Vec::new())
        );
    }

    #[test]
    fn compressed_data_are_unpacked() {
        let packed = Gzip::new(Raw).encode(&Bytes::from_static(b"[]")).unwrap();
        let (label, rows) = shown(&packed, Format::Auto, 80);
        assert_eq!(
            (&*label, &rows[..]),
            ("JSON, gzip unpacked", &["[]".to_owned()][..])
        );
        let (label, rows) = shown(&packed, Format::Hex, 80);
        assert_eq!(label, "hex");
        assert!(rows[0].contains("1f 8b"), "{rows:?}");
        let (label, rows) = shown(&packed[..8], Format::Auto, 80);
        assert!(
            label.contains("decompress") && rows[0].contains("1f 8b"),
            "{label}"
        );
    }

    /// Guards: P63.
    #[test]
    fn no_data_can_move_the_cursor() {
        let (_, rows) = shown(
            "a\tb\u{1b}[2J\u{200b}\u{202e}\r\n\u{301}世界".as_bytes(),
            Format::Text,
            80,
        );
        assert_eq!(
            rows,
            ["a       b\\u{1b}[2J\\u{200b}\\u{202e}\\r", "\\u{301}世界"]
        );
        assert_eq!(one_line("a\n\u{feff}b"), "a\\n\\u{feff}b");
    }

    #[test]
    fn long_lines_break_at_the_width() {
        let (_, rows) = shown("abcdef\n\n世界x".as_bytes(), Format::Text, 3);
        assert_eq!(rows, ["abc", "def", "", "世", "界x"]);
        let long = "x".repeat(3_000_000);
        let (_, rows) = shown(long.as_bytes(), Format::Auto, 100);
        assert_eq!(rows.len(), 30_000);
    }

    #[test]
    fn the_end_of_a_path_is_what_counts() {
        assert_eq!(end_of("/a/b", 4), "/a/b");
        assert_eq!(end_of("/a/bc", 4), "…/bc");
        assert_eq!(end_of("世界", 3), "…界");
    }
}
