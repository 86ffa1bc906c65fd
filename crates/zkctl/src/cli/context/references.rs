//! Where the secrets of a context are. The file with the contexts does not contain them.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::cli::environment::variable;
use crate::cli::prompt;
use crate::output::failure::Failure;

/// The keys of secrets.
pub(crate) const DIGEST_PASSWORD: &str = "digest-password";
pub(crate) const CREDENTIALS: &str = "auth";
pub(crate) const SASL: &str = "sasl-password";
pub(crate) const TLS_CA: &str = "tls-ca-passphrase";
pub(crate) const TLS: &str = "tls-passphrase";
pub(crate) const TLS_KEY: &str = "tls-key-passphrase";

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    File(PathBuf),
    Variable(String),
    Prompt,
}

impl Place {
    /// Parses `file:PATH`, `env:NAME` or `prompt`. The error does not repeat the text, which may be the secret.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            let letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
            name.chars().all(letter) && name.starts_with(|c: char| !c.is_ascii_digit())
        };
        match text.split_once(':') {
            None if text == "prompt" => Ok(Place::Prompt),
            Some(("file", path)) if !path.is_empty() => Ok(Place::File(path.into())),
            Some(("env", name)) if is_name(name) => Ok(Place::Variable(name.to_owned())),
            Some(("file" | "env", _)) => Err("write file:PATH or env:VARIABLE".to_owned()),
            _ => Err(
                "a secret must not be in this file; write where it is: \"file:PATH\", \"env:VARIABLE\" or \
                 \"prompt\""
                    .to_owned(),
            ),
        }
    }
}

/// A secret of the context that is used.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) key: &'static str,
    pub(crate) place: Place,
    /// The file and the line that say so.
    pub(crate) source: String,
}

/// What the context that is used adds to the options: its secrets, without those that are given otherwise.
#[derive(Clone, Default)]
pub(crate) struct References {
    pub(crate) context: String,
    /// Commands that write need `--write`.
    pub(crate) is_protected: bool,
    pub(crate) secrets: Vec<Reference>,
    pub(crate) digest_user: Option<String>,
    /// What was typed: keys and secrets.
    pub(crate) typed: Vec<(&'static str, String)>,
}

impl References {
    /// Whether the context has credentials of its own, in place of those of `--auth` and its variables.
    pub(crate) fn has_credentials(&self) -> bool {
        let is_credential =
            |secret: &Reference| [CREDENTIALS, DIGEST_PASSWORD].contains(&secret.key);
        self.secrets.iter().any(is_credential)
    }

    /// The variables that the context reads secrets from.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.secrets
            .iter()
            .filter_map(|secret| match &secret.place {
                Place::Variable(name) => Some(name.as_str()),
                Place::File(_) | Place::Prompt => None,
            })
    }

    /// Reads the secrets that are typed. Blocks, so before there is a session.
    pub(crate) fn ask(&mut self) -> Result<(), Failure> {
        for secret in &self.secrets {
            if secret.place == Place::Prompt {
                let question = format!("{} of the context {}", secret.key, self.context);
                self.typed.push((secret.key, prompt::secret(&question)?));
            }
        }
        Ok(())
    }

    /// A secret, and where it is from; `None` unless the context has it.
    pub(crate) fn get(&self, key: &str) -> Result<Option<(String, &str)>, Failure> {
        let Some(secret) = self.secrets.iter().find(|secret| secret.key == key) else {
            return Ok(None);
        };
        let source = secret.source.as_str();
        let text = match &secret.place {
            Place::File(file) => read(file, source)?,
            Place::Variable(name) => variable(name)?.ok_or_else(|| {
                // The name may be the secret, by mistake.
                Failure::Usage(format!("{source}: the variable of this name is not set"))
            })?,
            Place::Prompt => {
                let typed = self.typed.iter().find(|(typed, _)| *typed == key);
                typed.map(|(_, text)| text.clone()).unwrap_or_default()
            }
        };
        Ok(Some((text, source)))
    }

    /// The credentials, one a line, and where they are from; `None` unless the context has any.
    pub(crate) fn credentials(&self) -> Result<Option<(String, &str)>, Failure> {
        let mut list = self.get(CREDENTIALS)?;
        if let Some(user) = &self.digest_user
            && let Some((password, source)) = self.get(DIGEST_PASSWORD)?
        {
            let line = format!("digest:{user}:{}", first_line(&password));
            list = Some(match list {
                Some((others, source)) => (format!("{line}\n{others}"), source),
                None => (line, source),
            });
        }
        Ok(list)
    }
}

/// The first line of a text, without the end of the line.
pub(crate) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Reads a file with a secret, and warns if other users can.
fn read(file: &Path, source: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| {
        Failure::Failed(format!(
            "{source}: cannot read the file of this name: {error}"
        ))
    };
    let text = std::fs::read_to_string(file).map_err(failed)?;
    let mode = std::fs::metadata(file)
        .map_err(failed)?
        .permissions()
        .mode();
    if mode & 0o004 != 0 {
        // If standard error is closed, nothing can show it.
        let _ = writeln!(
            io::stderr(),
            "zkctl: {source}: all users of this machine can read the file with the secret; chmod 600 it"
        );
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_clear_is_refused() {
        let file = Place::File("/etc/zk/password".into());
        assert_eq!(Place::parse("file:/etc/zk/password"), Ok(file));
        let name = Place::Variable("PASSWORD_1".to_owned());
        assert_eq!(Place::parse("env:PASSWORD_1"), Ok(name));
        assert_eq!(Place::parse("prompt"), Ok(Place::Prompt));
        for text in [
            "hunter2",
            "",
            "file:",
            "env:",
            "env:1hunter2",
            "env:hunter2!",
            "prompt:hunter2",
            "digest:user:hunter2",
        ] {
            let problem = Place::parse(text).unwrap_err();
            assert!(problem.contains("env:VARIABLE"), "{text:?}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
