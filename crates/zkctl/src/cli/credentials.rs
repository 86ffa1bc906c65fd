//! Secrets from the command line, the environment and files. They are not parsed by clap, which repeats
//! values in its errors.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use zk_client::Acl;
use zk_proto::acl;

#[cfg(feature = "sasl")]
use super::context::references::SASL;
use super::context::references::{References, first_line};
#[cfg(feature = "sasl")]
use super::environment::SASL_PASSWORD;
use super::environment::{AUTH, AUTH_FILE, SUPER, variable};
use crate::output::failure::Failure;

/// A scheme, and the credential for it.
pub(crate) type Credential = (String, String);

/// The credentials of all sources. No source replaces another.
pub(crate) fn collect(
    options: Vec<String>,
    files: Vec<PathBuf>,
    references: &References,
) -> Result<Vec<Credential>, Failure> {
    // Those that are given otherwise replace the context's.
    if let Some((list, source)) = references.credentials()? {
        return read_list(source, &list);
    }
    let mut all = Vec::new();
    if let Some(list) = variable(AUTH)? {
        all.extend(read_list(AUTH, &list)?);
    }
    let named = variable(AUTH_FILE)?.map(|file| (AUTH_FILE, PathBuf::from(file)));
    let given = files.into_iter().map(|file| ("--auth-file", file));
    for (source, file) in named.into_iter().chain(given) {
        let list = read("credentials", &file, source)?;
        all.extend(read_list(&file.display(), &list)?);
    }
    for option in options {
        all.push(credential("--auth", &option)?);
    }
    Ok(all)
}

/// The password for SASL: the first line of the file, or the variable.
#[cfg(feature = "sasl")]
pub(crate) fn sasl_password(
    file: Option<&Path>,
    references: &References,
) -> Result<String, Failure> {
    if let Some((text, source)) = references.get(SASL)? {
        return password(source, first_line(&text));
    }
    let Some(file) = file else {
        // Not an argument, because other users of the machine can see arguments.
        return match variable(SASL_PASSWORD)? {
            Some(text) => password(SASL_PASSWORD, &text),
            None => Err(Failure::Usage(
                "--sasl-user needs a password: in ZK_SASL_PASSWORD, or in the file that \
                 --sasl-password-file names"
                    .to_owned(),
            )),
        };
    };
    let source = "--sasl-password-file (ZK_SASL_PASSWORD_FILE)";
    let text = read("the password", file, source)?;
    password(file.display(), first_line(&text))
}

/// The passphrase of a key or key store: the first line of the file, or the variable.
#[cfg(feature = "tls")]
pub(crate) fn passphrase(
    file: Option<&Path>,
    option: &str,
    name: &str,
    of_context: Option<(String, &str)>,
) -> Result<Option<String>, Failure> {
    if let Some((text, _)) = of_context {
        return Ok(Some(first_line(&text).to_owned()));
    }
    let Some(file) = file else {
        return variable(name);
    };
    let text = read("the passphrase", file, option)?;
    Ok(Some(first_line(&text).to_owned()))
}

/// The superuser of `serve`: the first line of the file, or the variable.
pub(crate) fn superuser(file: Option<&Path>) -> Result<Option<(String, String)>, Failure> {
    if let Some(file) = file {
        let source = "--super-file";
        let text = read("the superuser's credentials", file, source)?;
        return user(source, first_line(&text)).map(Some);
    }
    match variable(SUPER)? {
        Some(text) => user(SUPER, &text).map(Some),
        None => Ok(None),
    }
}

/// The SASL users of `serve`, one a line.
pub(crate) fn users(file: &Path, source: &str) -> Result<Vec<(String, String)>, Failure> {
    let text = read("users", file, source)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| user(source, line)).collect()
}

fn user(source: &str, text: &str) -> Result<(String, String), Failure> {
    let is_part = |part: &str| !part.is_empty() && part.trim() == part;
    match text.split_once(':') {
        Some((user, password)) if is_part(user) && is_part(password) => {
            Ok((user.to_owned(), password.to_owned()))
        }
        _ => Err(Failure::Usage(format!(
            "{source}: write user:password, without white space around either"
        ))),
    }
}

/// Parses an ACL, which `source` names in errors. A password in the place of a digest is refused: every client that may read the ACL
/// could read the password, and no credentials would match the entry.
pub(crate) fn read_acl(source: &str, text: &str) -> Result<Vec<Acl>, Failure> {
    let entries = acl::parse(text).map_err(|error| Failure::Usage(format!("{source}: {error}")))?;
    if entries.iter().all(|entry| has_digest(&entry.id)) {
        return Ok(entries);
    }
    Err(Failure::Usage(format!(
        "{source}: an entry of the scheme digest needs digest:USER:HASH:permissions, with the SHA-1 of \
         \"USER:PASSWORD\" in base64 for HASH, as `zkctl digest USER` prints it, and not the password \
         itself; auth::permissions stands for the credentials given with ZK_AUTH or --auth"
    )))
}

fn has_digest(id: &zk_proto::Id) -> bool {
    id.scheme.trim() != "digest"
        || id
            .id
            .split_once(':')
            .is_some_and(|(user, hash)| !user.is_empty() && is_sha1(hash))
}

/// Whether the text has the form of 20 bytes in base64.
fn is_sha1(hash: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    hash.len() == 28
        && hash
            .strip_suffix('=')
            .is_some_and(|digits| digits.bytes().all(letter))
}

/// Reads a file. An error does not repeat the file's name, which may be the secret itself, given by
/// mistake.
fn read(what: &str, file: &Path, source: &str) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::io(&format!("read {what} from the file of {source}"), error))
}

/// Parses one credential a line.
fn read_list(source: impl Display + Copy, list: &str) -> Result<Vec<Credential>, Failure> {
    list.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| credential(source, line))
        .collect()
}

fn credential(source: impl Display + Copy, text: &str) -> Result<Credential, Failure> {
    let usage = |problem: &str| {
        Err(Failure::Usage(format!(
            "{source}: {problem}; credentials are written scheme:credential, as in \
             digest:user:password (--auth, ZK_AUTH, or lines of a file: ZK_AUTH_FILE, --auth-file)"
        )))
    };
    let Some((scheme, secret)) = text
        .split_once(':')
        .filter(|(scheme, _)| !scheme.is_empty())
    else {
        return usage("there is no scheme");
    };
    let parts = match (scheme.trim(), secret.split_once(':')) {
        ("digest", Some((user, password))) => [scheme, user, password],
        ("digest", None) => return usage("there is no password"),
        _ => [scheme, secret, secret],
    };
    if parts.iter().any(|part| part.is_empty()) {
        return usage("the user or the password is empty");
    }
    // The server would take white space as a part of the password, and so as another identity.
    if parts.iter().any(|part| part.trim() != *part) {
        return usage("there is white space at the beginning or end of a part");
    }
    Ok((scheme.to_owned(), secret.to_owned()))
}

#[cfg(feature = "sasl")]
fn password(source: impl Display, text: &str) -> Result<String, Failure> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::Usage(format!("{source}: the password is empty")));
    }
    if text.trim() != text {
        return Err(Failure::Usage(format!(
            "{source}: there is white space at the beginning or end of the password"
        )));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem<T>(result: Result<T, Failure>) -> String {
        match result {
            Err(Failure::Usage(text)) => text,
            _ => String::new(),
        }
    }

    /// Guards: P54.
    #[test]
    fn incomplete_credentials_are_refused() {
        for (text, word) in [
            ("", "no scheme"),
            ("hunter2", "no scheme"),
            (":hunter2", "no scheme"),
            ("digest:", "no password"),
            ("digest:hunter2", "no password"),
            ("digest:user:", "empty"),
            ("digest::hunter2", "empty"),
            ("ensemble:", "empty"),
            ("digest:user:hunter2 ", "white space"),
            ("digest:user:hunter2\n", "white space"),
            ("digest:user:\thunter2", "white space"),
            ("digest:user :hunter2", "white space"),
            ("digest: user:hunter2", "white space"),
            (" digest:user:hunter2", "white space"),
            ("digest :user:hunter2", "white space"),
            ("ensemble: hunter2", "white space"),
        ] {
            let said = problem(credential("ZK_AUTH", text));
            assert!(said.contains(word), "{text:?}: {said}");
            assert!(
                said.starts_with("ZK_AUTH: ") && !said.contains("hunter2"),
                "{said}"
            );
        }
    }

    /// Guards: P54, P55.
    #[test]
    fn a_list_has_one_credential_a_line() {
        let list = "digest:user1:p w:x\r\n\n  \nensemble:a b\n";
        let Ok(read) = read_list("ZK_AUTH", list) else {
            panic!("refused")
        };
        let pair = |scheme: &str, secret: &str| (scheme.to_owned(), secret.to_owned());
        assert_eq!(
            read,
            [pair("digest", "user1:p w:x"), pair("ensemble", "a b")]
        );
    }

    /// Guards: P54.
    #[cfg(feature = "sasl")]
    #[test]
    fn a_password_has_no_space_around_it() {
        assert_eq!(password("X", "p w\r\n").ok().as_deref(), Some("p w"));
        for text in ["", "\n", " pw", "pw ", "pw\n\n"] {
            assert!(problem(password("X", text)).starts_with("X: "), "{text:?}");
        }
    }

    /// Guards: P27.
    #[test]
    fn users_of_a_server_need_a_password() {
        let pair = user("ZK_SUPER", "super:a:b");
        assert_eq!(pair.ok(), Some(("super".to_owned(), "a:b".to_owned())));
        for text in [
            "hunter2",
            ":hunter2",
            "super:",
            "super: hunter2",
            " super:hunter2",
        ] {
            let said = problem(user("ZK_SUPER", text));
            assert!(
                said.starts_with("ZK_SUPER: ") && !said.contains("hunter2"),
                "{said}"
            );
        }
    }

    /// Guards: P37.
    #[test]
    fn a_password_is_not_taken_for_a_digest() {
        for text in [
            "digest:user:hunter2:cdrwa",
            "digest:hunter2:cdrwa",
            "world:anyone:r,digest:user:hunter2:cdrwa",
            "digest::6DY5WhzOfGsWQ1XFuIyzxkpwdPo=:r",
            "digest:user:6DY5WhzOfGsWQ1XFuIyzxkpwdP==:r",
        ] {
            let said = problem(read_acl("--acl", text));
            assert!(
                said.contains("SHA-1") && !said.contains("hunter2"),
                "{text}: {said}"
            );
        }
        for text in [
            "digest:user:6DY5WhzOfGsWQ1XFuIyzxkpwdPo=:cdrwa",
            "auth::cdrwa,ip:10.0.0.0/8:r",
        ] {
            assert!(read_acl("--acl", text).is_ok(), "{text}");
        }
        let said = problem(read_acl("--acl", "digest:hunter2"));
        assert!(
            said.contains("not an ACL") && !said.contains("hunter2"),
            "{said}"
        );
    }
}
