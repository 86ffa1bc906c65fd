//! Lines that are kept in no history.

use crate::cli::credentials::read_acl;

/// Words after which a secret may follow, in lower case.
const SIGNS: [&str; 8] = [
    "addauth",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "zk_auth=",
    "super:",
    "credential",
];

/// Whether a line may hold a secret: credentials, or a password in its place. Rather too often than not, because a
/// history is a file.
pub(crate) fn may_hold_secret(line: &str) -> bool {
    let lower = line.to_lowercase();
    if SIGNS.iter().any(|sign| lower.contains(sign)) {
        return true;
    }
    let gives_credentials = |rest: &str| rest.starts_with(['=', ' ', '\t']) || rest.is_empty();
    if lower.split("--auth").skip(1).any(gives_credentials) {
        return true;
    }
    // In an ACL, `digest:` is followed by the hash of a password; anywhere else by the password.
    lower.contains("digest:")
        && !line
            .split(char::is_whitespace)
            .filter(|word| word.contains("digest:"))
            .all(is_acl)
}

fn is_acl(word: &str) -> bool {
    read_acl("", word.trim_matches(['\'', '"'])).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_passwords_are_recognized() {
        for line in [
            "addauth digest bob:hunter2",
            "AddAuth digest 'bob:hunter2",
            "ls; addauth digest bob:hunter2",
            "ls --auth digest:bob:hunter2",
            "ls --auth=digest:bob:hunter2 /",
            "ls --auth\tx",
            "ls --auth",
            "create /a x --acl digest:bob:hunter2:cdrwa",
            "setAcl /a 'digest:bob:hunter2:cdrwa'",
            "set /db/password hunter2",
            "create /app/secret hunter2",
            "connect zk://zk1?tls_passphrase=hunter2",
            "set /env ZK_AUTH=hunter2",
        ] {
            assert!(may_hold_secret(line), "{line}");
        }
    }

    #[test]
    fn other_lines_are_kept() {
        for line in [
            "ls /",
            "ls --auth-file /etc/zk/auth",
            "setAcl /a 'digest:bob:6DY5WhzOfGsWQ1XFuIyzxkpwdPo=:cdrwa,world:anyone:r'",
            "create /author x",
            "digest bob",
        ] {
            assert!(!may_hold_secret(line), "{line}");
        }
    }
}
