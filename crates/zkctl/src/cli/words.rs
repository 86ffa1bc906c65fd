//! Lines split into words as a shell splits them.

/// A word of a line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// Without its quotation marks and backslashes.
    pub(crate) text: String,
    /// Where it begins in the line, in bytes.
    pub(crate) start: usize,
    /// Whether its last character is neither in quotes nor after a backslash.
    pub(crate) bare_end: bool,
}

/// Splits a line at white space. Single quotes keep everything between them, double quotes all but `\"` and
/// `\\`; outside of quotes a backslash keeps the next character.
///
/// # Errors
/// A quotation mark or a backslash has no other end.
pub(crate) fn words(line: &str) -> Result<Vec<String>, &'static str> {
    let (words, open) = split(line);
    match open {
        Some(problem) => Err(problem),
        None => Ok(words.into_iter().map(|word| word.text).collect()),
    }
}

/// [`words`] of a line that need not be complete, with what is missing at its end.
pub(crate) fn split(line: &str) -> (Vec<Word>, Option<&'static str>) {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut letters = line.char_indices();
    let mut open = None;
    while let Some((start, c)) = letters.next() {
        if c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Word {
            start,
            ..Word::default()
        });
        word.bare_end = false;
        open = match c {
            '\'' => single_quoted(&mut letters, &mut word.text),
            '"' => double_quoted(&mut letters, &mut word.text),
            '\\' => match letters.next() {
                Some((_, c)) => {
                    word.text.push(c);
                    None
                }
                None => Some("nothing follows the last backslash"),
            },
            c => {
                word.text.push(c);
                word.bare_end = true;
                None
            }
        };
    }
    words.extend(word);
    (words, open)
}

/// Adds what a single quote encloses. Returns what is missing.
fn single_quoted(
    letters: &mut impl Iterator<Item = (usize, char)>,
    text: &mut String,
) -> Option<&'static str> {
    for (_, c) in letters {
        match c {
            '\'' => return None,
            c => text.push(c),
        }
    }
    Some("a single quote has no other")
}

/// Adds what a double quote encloses. Returns what is missing.
fn double_quoted(
    letters: &mut impl Iterator<Item = (usize, char)>,
    text: &mut String,
) -> Option<&'static str> {
    while let Some((_, c)) = letters.next() {
        match c {
            '"' => return None,
            '\\' => match letters.next() {
                Some((_, c @ ('"' | '\\'))) => text.push(c),
                Some((_, c)) => text.extend(['\\', c]),
                None => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    Some("a double quote has no other")
}

/// A word as it has to be written in a line.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain =
        |c: char| !c.is_whitespace() && !matches!(c, '\'' | '"' | '\\' | ';' | '&' | '#');
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_what_they_enclose() {
        for (line, expected) in [
            ("", &[][..]),
            ("  a \t b ", &["a", "b"]),
            (r#"set /a 'it''s' "a b""#, &["set", "/a", "its", "a b"]),
            (
                r#"'a\b' "a\b" "\"\\" a\ b"#,
                &["a\\b", "a\\b", "\"\\", "a b"],
            ),
            ("'' \"\"", &["", ""]),
            ("/a' 'b", &["/a b"]),
        ] {
            assert_eq!(words(line).unwrap(), expected, "{line}");
        }
        for line in ["'a", "\"a", "\"a\\\"", "a\\"] {
            assert!(words(line).is_err(), "{line}");
        }
    }

    #[test]
    fn an_open_line_has_words_too() {
        let (words, open) = split("get '/a b");
        let last = words.last().unwrap();
        assert_eq!((last.text.as_str(), last.start), ("/a b", 4));
        assert!(open.unwrap().contains("single quote"));
        let (words, open) = split("ls é /b;");
        let last = words.last().unwrap();
        assert_eq!((last.start, last.bare_end, open), (6, true, None));
        assert!(!split("ls /b';'").0[1].bare_end);
    }

    #[test]
    fn a_quoted_word_is_read_again() {
        for word in ["", "/a", "a b", "it's", "a\\b\"c\"", ";", "#", "é\n\t&"] {
            assert_eq!(words(&quoted(word)).unwrap(), [word]);
        }
        assert_eq!(quoted("/a-b:c"), "/a-b:c");
    }
}
