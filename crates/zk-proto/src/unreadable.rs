use std::fmt;

/// A line of a server's text that could not be read. It does not affect the other lines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreadableLine {
    /// Its number, counted from 1.
    pub line: usize,
    /// The line, without white space at its ends.
    pub text: String,
    /// The expected form of the line.
    pub expected: &'static str,
}

impl UnreadableLine {
    /// The line with the index `index`, counted from 0.
    pub(crate) fn new(index: usize, text: &str, expected: &'static str) -> Self {
        UnreadableLine {
            line: index + 1,
            text: text.trim().to_owned(),
            expected,
        }
    }
}

impl fmt::Display for UnreadableLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            text,
            expected,
        } = self;
        write!(f, "line {line}: {text:?} is not {expected}")
    }
}
