//! The settings of an invocation, and where each of them is from.

use clap::parser::ValueSource;
use zk_client::ClientConfig;

use super::choice::{Choice, Given, in_a_url, variable_of};
use super::keys::{CHROOT, KEYS, Key, Kind, SERVER};
use super::references::CREDENTIALS;
use crate::cli::environment::{AUTH, AUTH_FILE, variable};
use crate::cli::servers;
use crate::output::failure::Failure;

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    pub(crate) source: String,
}

/// In place of a secret.
const HIDDEN: &str = "(not shown)";
const BUILT_IN: &str = "built-in";

/// What applies unless something else is given.
const DEFAULTS: [(&str, &str); 6] = [
    ("session-timeout", "10s"),
    ("connect-timeout", "5s"),
    ("timeout", "10s"),
    ("max-reply-bytes", "8M"),
    ("max-request-bytes", "1048575"),
    ("output", "plain"),
];

/// All settings that have a value. `given` is what the command line says without the context.
pub(crate) fn rows(
    command: &clap::Command,
    given: Given<'_>,
    choice: Option<&Choice>,
) -> Result<Vec<Row>, Failure> {
    let mut rows = Vec::new();
    if let Some(choice) = choice {
        rows.push(Row {
            key: "context",
            value: choice.context.name.clone(),
            source: choice.source.clone(),
        });
    }
    let of_context = choice.and_then(|choice| choice.context.servers());
    let server = of_context.or_else(|| given.texts(command, SERVER).into_iter().next());
    let url = server.filter(|server| servers::is_url(server));
    let url = url.and_then(|url| ClientConfig::from_url(&url).ok());
    for key in KEYS {
        rows.extend(row(key, command, given, choice, url.as_ref())?);
    }
    Ok(rows)
}

fn row(
    key: &'static Key,
    command: &clap::Command,
    given: Given<'_>,
    choice: Option<&Choice>,
    url: Option<&ClientConfig>,
) -> Result<Option<Row>, Failure> {
    let row = |value: String, source: String| {
        Ok(Some(Row {
            key: key.name,
            value,
            source,
        }))
    };
    // What is left of a context is not given otherwise.
    if let Some(choice) = choice
        && let Some(value) = choice.context.get(key.name)
    {
        return row(value.texts.join(","), choice.at(value));
    }
    let option = match key.kind {
        Kind::Secret(others) => others.option,
        Kind::Chroot => None,
        _ => Some(key.name),
    };
    let from_option = option.and_then(|option| Some((option, given.source(command, option)?)));
    match from_option {
        Some((option, ValueSource::CommandLine)) => {
            let value = shown(key, given.texts(command, option));
            return row(value, format!("--{option}"));
        }
        Some((option, ValueSource::EnvVariable)) => {
            let value = shown(key, given.texts(command, option));
            return row(value, variable_of(command, option).unwrap_or_default());
        }
        _ => {}
    }
    if let Kind::Secret(others) = key.kind
        && let Some(name) = others.variable
        && variable(name)?.is_some()
    {
        return row(HIDDEN.to_owned(), name.to_owned());
    }
    if key.name == CREDENTIALS {
        for (option, name) in [("auth", AUTH), ("auth-file", AUTH_FILE)] {
            if given.source(command, option) == Some(ValueSource::CommandLine) {
                return row(HIDDEN.to_owned(), format!("--{option}"));
            }
            if variable(name)?.is_some() {
                return row(HIDDEN.to_owned(), name.to_owned());
            }
        }
    }
    if let Some(value) = url.and_then(|url| url.get(&in_a_url(option.unwrap_or(key.name)))) {
        return row(value.to_owned(), "the URL in server".to_owned());
    }
    if key.name == SERVER {
        return row(given.texts(command, SERVER).join(","), BUILT_IN.to_owned());
    }
    if key.name == CHROOT {
        return Ok(None);
    }
    let default = DEFAULTS.iter().find(|(name, _)| *name == key.name);
    match default {
        Some((_, value)) => row((*value).to_owned(), BUILT_IN.to_owned()),
        None => Ok(None),
    }
}

/// The value of an option. That of a password's is the name of its file, unless the file is the password by mistake.
fn shown(key: &Key, texts: Vec<String>) -> String {
    match key.kind {
        Kind::Secret(_) => HIDDEN.to_owned(),
        Kind::Switch if texts.is_empty() => "true".to_owned(),
        _ if key.name == SERVER && texts.iter().any(|text| servers::check(text).is_err()) => {
            HIDDEN.to_owned()
        }
        _ => texts.join(","),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn the_defaults_are_those_in_use() {
        let default = |key: &str| DEFAULTS.iter().find(|(name, _)| *name == key).unwrap().1;
        let cli = Cli::try_parse_from(["zkctl", "ls"]).unwrap_or_else(|error| panic!("{error}"));
        let seconds = |time: std::time::Duration| format!("{}s", time.as_secs());
        assert_eq!(
            seconds(cli.global.session_timeout()),
            default("session-timeout")
        );
        assert_eq!(seconds(cli.global.timeout()), default("timeout"));
        assert_eq!(format!("{:?}", cli.global.output), "Plain");
    }
}
