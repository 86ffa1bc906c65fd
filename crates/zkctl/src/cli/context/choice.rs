//! The context of one invocation, and what it adds to the command line.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches};
use zk_client::ClientConfig;

use super::file::{CURRENT, Context, File, Value};
use super::keys::{DIGEST_USER, Group, KEYS, Key, Kind, PROTECTED, SERVER};
use super::references::{Place, Reference, References};
use crate::cli::current;
use crate::cli::environment::{AUTH, AUTH_FILE, CONTEXT, variable};
use crate::cli::servers;
use crate::output::failure::Failure;

/// The context that is used.
pub(crate) struct Choice {
    file: File,
    pub(crate) context: Context,
    /// What names it.
    pub(crate) source: String,
    /// `--context` does, so that the context replaces variables.
    pub(crate) is_given: bool,
}

/// What the command line says.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a>(&'a ArgMatches);

impl<'a> Given<'a> {
    pub(crate) fn of(mut matches: &'a ArgMatches) -> Self {
        while let Some((_, of_command)) = matches.subcommand() {
            matches = of_command;
        }
        Given(matches)
    }

    /// Whether an option is in the command line, or in a variable.
    pub(crate) fn source(self, command: &clap::Command, option: &str) -> Option<ValueSource> {
        self.0.value_source(id(command, option)?)
    }

    /// The values of an option.
    pub(crate) fn texts(self, command: &clap::Command, option: &str) -> Vec<String> {
        let raw = id(command, option).and_then(|id| self.0.try_get_raw(id).ok().flatten());
        raw.into_iter()
            .flatten()
            .map(|text| text.to_string_lossy().into_owned())
            .collect()
    }
}

fn argument<'a>(command: &'a clap::Command, option: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|argument| argument.get_long() == Some(option))
}

fn id<'a>(command: &'a clap::Command, option: &str) -> Option<&'a str> {
    argument(command, option).map(|argument| argument.get_id().as_str())
}

/// The variable of an option.
pub(crate) fn variable_of(command: &clap::Command, option: &str) -> Option<String> {
    let name = argument(command, option)?.get_env()?;
    Some(name.to_string_lossy().into_owned())
}

impl Choice {
    /// The context to use. `shown` is the name in `zkctl context show NAME`.
    pub(crate) fn of(
        command: &clap::Command,
        given: Given<'_>,
        shown: Option<&str>,
    ) -> Result<Option<Self>, Failure> {
        let named = given.texts(command, "context").into_iter().next();
        let by_option = given.source(command, "context") == Some(ValueSource::CommandLine);
        let is_given = shown.is_some() || by_option;
        if !is_given && names_servers(command, given) {
            return Ok(None);
        }
        let file = File::read()?;
        let (name, source) = match (shown, named, &file) {
            (Some(shown), _, _) => (shown.to_owned(), "the command line".to_owned()),
            (None, Some(named), _) if by_option => (named, "--context".to_owned()),
            (None, Some(named), _) => (named, CONTEXT.to_owned()),
            (None, None, Some(file)) => match file.current() {
                Some((name, line)) => (name.to_owned(), file.at(line)),
                None => return Ok(None),
            },
            (None, None, None) => return Ok(None),
        };
        let Some(file) = file else {
            return Err(Failure::Usage(format!(
                "{source}: there are no contexts; `zkctl context set NAME server=HOSTS` creates one"
            )));
        };
        let Some(context) = file.context(&name)? else {
            return Err(Failure::Usage(unknown(&file, &name, &source)));
        };
        Ok(Some(Choice {
            file,
            context,
            source,
            is_given,
        }))
    }

    /// The file and the line of a value.
    pub(crate) fn at(&self, value: &Value) -> String {
        self.file.at(value.line)
    }

    /// Leaves out what is given otherwise.
    pub(crate) fn complete(
        &mut self,
        command: &clap::Command,
        given: Given<'_>,
    ) -> Result<(), Failure> {
        let url = self.other_url(command, given);
        let is_given = self.is_given;
        let from = |option: &str| match given.source(command, option) {
            Some(ValueSource::CommandLine) => true,
            Some(ValueSource::EnvVariable) => !is_given,
            _ => false,
        };
        let in_url = |name: &str| url.as_ref().is_some_and(|url| url.get(name).is_some());
        let is_replaced = |key: &Key| from(key.name) || in_url(&in_a_url(key.name));
        let set = |name| variable(name).map(|value| value.is_some() && !is_given);
        let credentials =
            from("auth-file") || set(AUTH)? || set(AUTH_FILE)? || current::replaces_credentials();
        let replaces = |group: Group| {
            let leaders = KEYS.iter().filter(|key| key.group == Some(group));
            leaders.filter(|key| key.leads).any(is_replaced)
                || (group == Group::Credentials && (from("auth") || credentials))
        };
        let mut kept = Vec::new();
        for value in std::mem::take(&mut self.context.values) {
            let key = value.key;
            let replaced = match key.kind {
                // The whole text names the servers and the chroot.
                Kind::Servers | Kind::Chroot => from(SERVER),
                Kind::Secret(others) => {
                    let by_variable = match others.variable {
                        Some(name) => set(name)?,
                        None => false,
                    };
                    by_variable
                        || others
                            .option
                            .is_some_and(|option| from(option) || in_url(&in_a_url(option)))
                }
                _ => is_replaced(key),
            };
            if !replaced && !key.group.is_some_and(replaces) {
                kept.push(value);
            }
        }
        self.context.values = kept;
        Ok(())
    }

    /// The options of the URL that `--server` gives in place of the context's servers.
    fn other_url(&self, command: &clap::Command, given: Given<'_>) -> Option<ClientConfig> {
        if given.source(command, SERVER) != Some(ValueSource::CommandLine) {
            return None;
        }
        let server = given.texts(command, SERVER).into_iter().next()?;
        // A mistake in it is reported later.
        servers::is_url(&server)
            .then(|| ClientConfig::from_url(&server).ok())
            .flatten()
    }

    /// The command line with the context's values as defaults.
    pub(crate) fn apply(&self, mut command: clap::Command) -> Result<clap::Command, Failure> {
        for value in &self.context.values {
            let option = match value.key.kind {
                Kind::Secret(others) => others.option,
                Kind::Chroot => None,
                _ if [PROTECTED, DIGEST_USER].contains(&value.key.name) => None,
                _ => Some(value.key.name),
            };
            if option.is_some_and(|option| argument(&command, option).is_none()) {
                let (at, name) = (self.at(value), value.key.name);
                return Err(Failure::Usage(format!(
                    "{at}: {name}: this zkctl was built without the options for it"
                )));
            }
        }
        let groups: Vec<_> = self.groups().collect();
        command = command.mut_args(|argument| {
            let Some(option) = argument.get_long().map(str::to_owned) else {
                return argument;
            };
            let own = |key: &&Key| match key.kind {
                Kind::Secret(others) => others.option == Some(&option),
                _ => key.name == option,
            };
            let Some(key) = KEYS.iter().find(own) else {
                return argument;
            };
            let value = self.context.get(key.name);
            let replaces = value.is_some() || key.group.is_some_and(|it| groups.contains(&it));
            // The variables of a replaced group would be mixed with the context's values.
            let argument = match self.is_given && replaces {
                true => argument.env(None::<&'static str>),
                false => argument,
            };
            match (key.kind, value) {
                (Kind::Secret(_), _) | (_, None) => argument,
                (Kind::Servers, Some(_)) => {
                    argument.default_value(self.context.servers().unwrap_or_default())
                }
                (_, Some(value)) => argument.default_values(value.texts.clone()),
            }
        });
        Ok(command)
    }

    fn groups(&self) -> impl Iterator<Item = Group> {
        self.context
            .values
            .iter()
            .filter_map(|value| value.key.group)
    }

    /// The secrets, which are no defaults of options.
    pub(crate) fn references(&self) -> References {
        let secrets = self.context.values.iter().filter_map(|value| {
            let Kind::Secret(_) = value.key.kind else {
                return None;
            };
            Some(Reference {
                key: value.key.name,
                place: Place::parse(value.text()).ok()?,
                source: format!("{}: {}", self.at(value), value.key.name),
            })
        });
        References {
            context: self.context.name.clone(),
            secrets: secrets.collect(),
            is_protected: self.context.is_protected(),
            digest_user: self.text(DIGEST_USER),
            typed: Vec::new(),
        }
    }

    fn text(&self, key: &str) -> Option<String> {
        Some(self.context.get(key)?.text().to_owned())
    }
}

/// Whether the command line or a variable names the servers.
pub(crate) fn names_servers(command: &clap::Command, given: Given<'_>) -> bool {
    matches!(
        given.source(command, SERVER),
        Some(ValueSource::CommandLine | ValueSource::EnvVariable)
    )
}

/// The name of an option in a URL.
pub(crate) fn in_a_url(option: &str) -> String {
    match option {
        "timeout" => "deadline".to_owned(),
        _ => option.replace('-', "_"),
    }
}

/// The error for a name that no context has.
pub(crate) fn unknown(file: &File, name: &str, source: &str) -> String {
    let names = file.names();
    let known = match names.is_empty() {
        true => "it has none".to_owned(),
        false => format!("it has {}", names.join(", ")),
    };
    let path = file.path.display();
    match source.starts_with(&*path.to_string()) {
        true => format!("{source}: {CURRENT}: there is no context {name}; {known}"),
        false => format!("{path} has no context {name} ({source}); {known}"),
    }
}
