//! The file with the contexts. Errors name the file and the line, and repeat no value, which may be a secret.

use std::env;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use toml_edit::{Document, Item, TableLike};

use super::keys::{CHROOT, DIGEST_USER, Key, Kind, PROTECTED, SERVER};
use super::references::{DIGEST_PASSWORD, SASL};
use crate::output::failure::Failure;

/// The variable with the name of the file.
pub(crate) const CONFIG: &str = "ZKCTL_CONFIG";
pub(crate) const CURRENT: &str = "current";
pub(crate) const CONTEXTS: &str = "contexts";

/// The file, as it was read.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    document: Document<String>,
}

/// One context.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) name: String,
    pub(crate) values: Vec<Value>,
}

/// The value of a key.
#[derive(Debug)]
pub(crate) struct Value {
    pub(crate) key: &'static Key,
    /// As the option is written; several for an option that may be given several times.
    pub(crate) texts: Vec<String>,
    pub(crate) line: usize,
}

impl Context {
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|value| value.key.name == name)
    }

    /// Whether commands that write need `--write`.
    pub(crate) fn is_protected(&self) -> bool {
        self.get(PROTECTED)
            .is_some_and(|value| value.text() == "true")
    }

    /// The servers, with the chroot in its place.
    pub(crate) fn servers(&self) -> Option<String> {
        let server = self.get(SERVER)?.text();
        Some(match self.get(CHROOT) {
            Some(chroot) => with_chroot(server, chroot.text()),
            None => server.to_owned(),
        })
    }
}

impl Value {
    /// The value, or the first of several.
    pub(crate) fn text(&self) -> &str {
        self.texts.first().map(String::as_str).unwrap_or_default()
    }
}

/// Where the file is, and whether `ZKCTL_CONFIG` says so. `None` without a home directory.
pub(crate) fn location() -> Option<(PathBuf, bool)> {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = variable(CONFIG) {
        return Some((path.into(), true));
    }
    // The specification of these directories ignores relative ones.
    let directory = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|directory| directory.is_absolute())
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")))?;
    Some((directory.join("zkctl/config.toml"), false))
}

impl File {
    /// Reads the file; `None` if there is none and `ZKCTL_CONFIG` does not name one.
    pub(crate) fn read() -> Result<Option<Self>, Failure> {
        let Some((path, is_named)) = location() else {
            return Ok(None);
        };
        match fs::read_to_string(&path) {
            Ok(text) => File::parse(path, text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => Ok(None),
            Err(error) => Err(Failure::Failed(format!(
                "cannot read {}{}: {error}",
                path.display(),
                if is_named { " (ZKCTL_CONFIG)" } else { "" }
            ))),
        }
    }

    pub(crate) fn parse(path: PathBuf, text: String) -> Result<Self, Failure> {
        // Any user could name other servers and other files with secrets.
        let metadata = fs::metadata(&path);
        if metadata.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o002 != 0) {
            return Err(Failure::Failed(format!(
                "{}: all users of this machine can change this file; chmod o-w it",
                path.display()
            )));
        }
        let document = Document::parse(text.clone()).map_err(|error| {
            let line = line_of(&text, error.span());
            // The error as a whole would show the line, which may hold a secret.
            let problem = error.message().replace('\n', " ");
            Failure::Usage(format!("{}:{line}: {problem}", path.display()))
        })?;
        let file = File { path, document };
        for (name, item) in file.document.iter() {
            match name {
                CURRENT if item.is_str() => {}
                CURRENT => return Err(file.problem(name, item, "write the name of a context")),
                CONTEXTS if item.is_table_like() => {}
                _ => {
                    let text = "write current = \"NAME\", or keys below [contexts.NAME]";
                    return Err(file.problem(name, item, text));
                }
            }
        }
        Ok(file)
    }

    /// The name of the current context, and its line.
    pub(crate) fn current(&self) -> Option<(&str, usize)> {
        let item = self.document.get(CURRENT)?;
        Some((item.as_str()?, self.line(item.span())))
    }

    /// The names of all contexts, in the order of the file.
    pub(crate) fn names(&self) -> Vec<&str> {
        let contexts = self.contexts().into_iter();
        contexts
            .flat_map(|contexts| contexts.iter().map(|(name, _)| name))
            .collect()
    }

    fn contexts(&self) -> Option<&dyn TableLike> {
        self.document.get(CONTEXTS)?.as_table_like()
    }

    /// Reads a context; `None` unless the file has it.
    pub(crate) fn context(&self, name: &str) -> Result<Option<Context>, Failure> {
        let Some(item) = self.contexts().and_then(|contexts| contexts.get(name)) else {
            return Ok(None);
        };
        let Some(table) = item.as_table_like() else {
            return Err(self.problem(name, item, "a context has keys"));
        };
        let mut values = Vec::new();
        for (name, item) in table.iter() {
            let key = Key::named(name).map_err(|hint| {
                self.problem(name, item, &format!("there is no such key; {hint}"))
            })?;
            let texts = texts(key, item).and_then(|texts| {
                texts.iter().try_for_each(|text| key.check(text))?;
                Ok(texts)
            });
            let mut texts = texts.map_err(|problem| self.problem(name, item, &problem))?;
            if key.kind == Kind::File {
                texts = texts.iter().map(|text| self.resolved(text)).collect();
            }
            if let Kind::Secret(_) = key.kind {
                texts = texts
                    .iter()
                    .map(|text| self.resolved_secret(text))
                    .collect();
            }
            values.push(Value {
                key,
                texts,
                line: self.line(item.span()),
            });
        }
        let context = Context {
            name: name.to_owned(),
            values,
        };
        self.check(&context)?;
        Ok(Some(context))
    }

    /// Checks what the keys say together.
    fn check(&self, context: &Context) -> Result<(), Failure> {
        let problem = |value: &Value, text: &str| {
            let name = value.key.name;
            Err(Failure::Usage(format!(
                "{}: {name}: {text}",
                self.at(value.line)
            )))
        };
        for (name, needed) in [
            (CHROOT, SERVER),
            (DIGEST_USER, DIGEST_PASSWORD),
            (DIGEST_PASSWORD, DIGEST_USER),
            (SASL, "sasl-user"),
            ("sasl-realm", "sasl-user"),
        ] {
            if let Some(value) = context.get(name)
                && context.get(needed).is_none()
            {
                return problem(value, &format!("needs {needed}"));
            }
        }
        if let (Some(user), Some(_)) = (context.get("sasl-user"), context.get("kerberos")) {
            return problem(user, "excludes kerberos");
        }
        if let (Some(server), Some(chroot)) = (context.get(SERVER), context.get(CHROOT))
            && has_chroot(server.text())
        {
            return problem(chroot, "server has a chroot already");
        }
        Ok(())
    }

    /// An error about the value of a key.
    fn problem(&self, name: &str, item: &Item, text: &str) -> Failure {
        Failure::Usage(format!(
            "{}: {name}: {text}",
            self.at(self.line(item.span()))
        ))
    }

    /// The file and a line of it.
    pub(crate) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    fn line(&self, span: Option<Range<usize>>) -> usize {
        line_of(self.document.raw(), span)
    }

    /// A file that the configuration names.
    fn resolved(&self, text: &str) -> String {
        resolve(text, self.path.parent())
    }

    fn resolved_secret(&self, text: &str) -> String {
        match text.strip_prefix("file:") {
            Some(path) => format!("file:{}", self.resolved(path)),
            None => text.to_owned(),
        }
    }
}

/// A path below the home directory or a directory.
fn resolve(text: &str, directory: Option<&Path>) -> String {
    let home = env::var_os("HOME").map(PathBuf::from);
    let path = match (text.strip_prefix("~/"), home, directory) {
        (Some(rest), Some(home), _) => home.join(rest),
        (None, _, Some(directory)) => directory.join(text),
        _ => PathBuf::from(text),
    };
    // Both parts have been text, or the file is not found.
    path.to_string_lossy().into_owned()
}

/// The texts of a value. The error does not repeat the value.
fn texts(key: &Key, item: &Item) -> Result<Vec<String>, String> {
    let text = |item: &toml_edit::Value| item.as_str().map(str::to_owned);
    let number = |value: &toml_edit::Value| value.as_integer().map(|number| number.to_string());
    let value = item.as_value();
    let one = match (key.kind, value) {
        (Kind::Switch, Some(value)) => value.as_bool().map(|is_on| is_on.to_string()),
        (Kind::Duration | Kind::SessionTimeout | Kind::Size, Some(value)) => {
            text(value).or_else(|| number(value))
        }
        (Kind::Texts, Some(value)) if value.is_array() => {
            let list = value.as_array().into_iter().flatten();
            return list
                .map(text)
                .collect::<Option<_>>()
                .ok_or_else(|| "write a list of texts in quotation marks".to_owned());
        }
        (_, Some(value)) => text(value),
        (_, None) => None,
    };
    one.map(|one| vec![one]).ok_or_else(|| {
        match key.kind {
            Kind::Switch => "write true or false, without quotation marks",
            Kind::Secret(_) => "write \"file:PATH\", \"env:VARIABLE\" or \"prompt\"",
            _ => "write a text in quotation marks",
        }
        .to_owned()
    })
}

fn line_of(text: &str, span: Option<Range<usize>>) -> usize {
    let before = span.and_then(|span| text.get(..span.start));
    1 + before.unwrap_or_default().matches('\n').count()
}

/// Servers without the scheme and the options of a URL: where they begin and end.
fn hosts(server: &str) -> Range<usize> {
    let begin = server.find("://").map_or(0, |scheme| scheme + "://".len());
    begin..server.find('?').unwrap_or(server.len())
}

fn has_chroot(server: &str) -> bool {
    let hosts = server.get(hosts(server)).unwrap_or_default();
    hosts
        .split_once('/')
        .is_some_and(|(_, path)| !path.is_empty())
}

fn with_chroot(server: &str, chroot: &str) -> String {
    let server = server.trim();
    let (place, options) = server
        .split_at_checked(hosts(server).end)
        .unwrap_or((server, ""));
    format!("{}{chroot}{options}", place.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<File, Failure> {
        File::parse(PathBuf::from("/no/config.toml"), text.to_owned())
    }

    fn read(text: &str) -> Result<Context, String> {
        let read = file(text).and_then(|file| file.context("c"));
        match read {
            Ok(context) => Ok(context.unwrap()),
            Err(Failure::Usage(text) | Failure::Failed(text)) => Err(text),
            Err(_) => Err(String::new()),
        }
    }

    #[test]
    fn a_chroot_goes_before_the_options() {
        for (server, whole) in [
            ("zk1,zk2:2181", "zk1,zk2:2181/a"),
            (
                "zks://zk1,zk2?order=nearest",
                "zks://zk1,zk2/a?order=nearest",
            ),
            ("zk://zk1/", "zk://zk1/a"),
            ("dns-srv://_zk._tcp.x", "dns-srv://_zk._tcp.x/a"),
        ] {
            let text = format!("[contexts.c]\nserver = \"{server}\"\nchroot = \"/a\"");
            assert_eq!(read(&text).unwrap().servers().as_deref(), Some(whole));
        }
    }

    #[test]
    fn files_are_relative_to_the_configuration() {
        let text = "[contexts.c]\ntls-ca = \"ca.pem\"\nauth = \"file:login\"\ntls-crl = \"/x\"";
        let context = read(text).unwrap();
        for (key, path) in [
            ("tls-ca", "/no/ca.pem"),
            ("auth", "file:/no/login"),
            ("tls-crl", "/x"),
        ] {
            assert_eq!(context.get(key).unwrap().text(), path);
        }
    }

    /// The whole text of each error, which does not repeat a value.
    #[test]
    fn errors_name_the_line() {
        for (text, problem) in [
            ("hunter2", "1: key with no value, expected `=`"),
            (
                "[contexts.c]\nsasl-password = hunter2",
                "2: string values must be quoted, expected literal string",
            ),
            (
                "password = \"hunter2\"",
                "1: password: write current = \"NAME\", or keys below [contexts.NAME]",
            ),
            ("current = 7", "1: current: write the name of a context"),
            ("[contexts]\nc = \"hunter2\"", "2: c: a context has keys"),
            (
                "[contexts.c]\n\ntls_ca = \"x\"",
                "3: tls_ca: there is no such key; write tls-ca",
            ),
            (
                "[contexts.c]\nserver = \"zk1\"\nsasl-user = \"u\"\nsasl-password = \"hunter2\"",
                "4: sasl-password: a secret must not be in this file; write where it is: \"file:PATH\", \
                 \"env:VARIABLE\" or \"prompt\"",
            ),
            (
                "[contexts.c]\nauth = { file = \"hunter2\" }",
                "2: auth: write \"file:PATH\", \"env:VARIABLE\" or \"prompt\"",
            ),
            (
                "[contexts.c]\nsasl-password-file = \"hunter2\"",
                "2: sasl-password-file: there is no such key; write sasl-password = \"file:PATH\"",
            ),
            (
                "[contexts.c]\nserver = \"u:hunter2@zk1\"",
                "2: server: credentials do not belong here; give them with ZK_AUTH or --auth",
            ),
            (
                "[contexts.c]\nprotected = \"yes\"",
                "2: protected: write true or false, without quotation marks",
            ),
            (
                "[contexts.c]\ntimeout = \"soon\"",
                "2: timeout: write a number and ms, s, m or h, as in 500ms, 10s or 1h30m",
            ),
            (
                "[contexts.c]\noutput = \"xml\"",
                "2: output: write \"plain\" or \"json\"",
            ),
            (
                "[contexts.c]\ntls-pin = [1]",
                "2: tls-pin: write a list of texts in quotation marks",
            ),
            ("[contexts.c]\nchroot = \"/a\"", "2: chroot: needs server"),
            (
                "[contexts.c]\nserver = \"zk1/a\"\nchroot = \"/a\"",
                "3: chroot: server has a chroot already",
            ),
            (
                "[contexts.c]\nchroot = \"a\"",
                "2: chroot: it must start with '/'",
            ),
            (
                "[contexts.c]\nsasl-user = \"u\"\nkerberos = true",
                "2: sasl-user: excludes kerberos",
            ),
            (
                "[contexts.c]\ndigest-user = \"u\"",
                "2: digest-user: needs digest-password",
            ),
        ] {
            let shown = read(text).unwrap_err();
            assert_eq!(shown, format!("/no/config.toml:{problem}"), "{text}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
