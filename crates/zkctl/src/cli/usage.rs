//! Usage errors on one line.

/// The text of clap's error as a sentence: without the usage, which `--help` shows, and with the command's
/// name in its place.
pub(crate) fn one_line(error: &str, command: Option<&str>) -> String {
    let mut message = String::new();
    for paragraph in error.split("\n\n") {
        let words: Vec<_> = paragraph.split_whitespace().collect();
        let words = words.join(" ");
        if words.is_empty() || words.starts_with("Usage: ") || words.starts_with("For more ") {
            continue;
        }
        if !message.is_empty() {
            message.push_str("; ");
        }
        let words = words.strip_prefix("error: ").unwrap_or(&words);
        message.push_str(words.strip_prefix("tip: ").unwrap_or(words));
    }
    let command = command.map(|command| format!(" {command}"));
    format!(
        "{message} (see `zkctl{} --help`)",
        command.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn line(arguments: &[&str]) -> String {
        let arguments = [&["zkctl"], arguments].concat();
        let error = Cli::try_parse_from(&arguments).err().unwrap();
        one_line(&error.to_string(), arguments.get(1).copied())
    }

    #[test]
    fn a_usage_error_is_one_line() {
        let missing =
            "the following required arguments were not provided: <PATH> (see `zkctl get --help`)";
        assert_eq!(line(&["get"]), missing);
        let unknown = line(&["ls", "--lonk"]);
        assert!(
            unknown.starts_with("unexpected argument '--lonk' found; "),
            "{unknown}"
        );
        assert!(unknown.contains("'--long'"), "{unknown}");
        let value = line(&["ls", "-o", "xml"]);
        assert!(
            value.contains("[possible values: plain, json] (see"),
            "{value}"
        );
        assert!(!line(&["ls", "a\n\n\nb"]).contains('\n'));
    }
}
