//! The commands of a line: `ls /; get /a`.

use crate::cli::words::{Word, split};

/// A command with its arguments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) words: Vec<String>,
    /// Whether the command continues while the next line is read: it ends with `&`.
    pub(super) background: bool,
}

/// The commands of a line. A semicolon ends a command if white space or the end of the line follows it, so that
/// those within `server.4=zk4:2888:3888;2181` do not. A line that begins with `#` is a comment.
///
/// # Errors
/// A quotation mark or a backslash has no other end.
pub(super) fn statements(line: &str) -> Result<Vec<Statement>, String> {
    if line.trim_start().starts_with('#') {
        return Ok(Vec::new());
    }
    let (words, open) = split(line);
    if let Some(problem) = open {
        return Err(format!(
            "{problem}; outside of quotes, \\ before a character keeps it"
        ));
    }
    let mut statements = Vec::new();
    let mut current = Statement::default();
    for Word {
        mut text, bare_end, ..
    } in words
    {
        let ends = bare_end && text.ends_with(';');
        if ends {
            text.pop();
        }
        if bare_end && text == "&" {
            current.background = true;
        } else if !(ends && text.is_empty()) {
            current.words.push(text);
        }
        if ends || current.background {
            statements.push(std::mem::take(&mut current));
        }
    }
    statements.push(current);
    statements.retain(|statement| !statement.words.is_empty());
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<String>> {
        let statements = statements(line).unwrap();
        statements
            .into_iter()
            .map(|statement| statement.words)
            .collect()
    }

    #[test]
    fn a_line_may_have_several_commands() {
        assert_eq!(words("ls /; get /a"), [vec!["ls", "/"], vec!["get", "/a"]]);
        assert_eq!(
            words("ls ; ; get '/a;' ;"),
            [vec!["ls"], vec!["get", "/a;"]]
        );
        assert_eq!(words("set /a 'x; y' \\;"), [["set", "/a", "x; y", ";"]]);
        let server = "server.4=zk4:2888:3888:participant;2181";
        assert_eq!(
            words(&format!("reconfig -add {server}")),
            [["reconfig", "-add", server]]
        );
        for line in ["", "  ", ";", "# ls 'x", "  #"] {
            assert!(words(line).is_empty(), "{line}");
        }
    }

    #[test]
    fn an_ampersand_is_the_background() {
        let line = statements("watch -r /a & ls; watch /b '&' /c&d").unwrap();
        let background: Vec<_> = line.iter().map(|statement| statement.background).collect();
        assert_eq!(background, [true, false, false]);
        assert_eq!(line[2].words, ["watch", "/b", "&", "/c&d"]);
    }

    #[test]
    fn an_open_quote_is_named() {
        let problem = statements("set /a 'x").unwrap_err();
        assert!(problem.contains("single quote has no other"), "{problem}");
        let problem = statements("set /a \"x").unwrap_err();
        assert!(problem.contains("double quote has no other"), "{problem}");
        assert!(statements("get /a\\").is_err());
    }
}
