//! What an error of the library means, and what to do about it.

use std::fmt;

use zk_client::SaslError;

/// Routine errors of GSSAPI (RFC 2744), in the upper half of a major status.
const NO_CREDENTIALS: u32 = 7 << 16;
const CREDENTIALS_EXPIRED: u32 = 11 << 16;
const CONTEXT_EXPIRED: u32 = 12 << 16;
const BAD_NAME: u32 = 2 << 16;
const ROUTINE_ERRORS: u32 = 0xff << 16;

/// Where MIT's and Heimdal's codes of Kerberos begin; the first 128 are those of RFC 4120.
const KERBEROS: i32 = -1_765_328_384;

/// The numbers that an operating system may have for its errors: `EPERM` is 1.
const OF_THE_SYSTEM: std::ops::RangeInclusive<u32> = 1..=4095;

/// An error as the library returned it.
#[derive(Debug, Clone)]
pub(crate) struct LibraryError {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    /// Both codes in words, with details that the library knows only on the thread of the call.
    pub(crate) text: String,
}

/// What was being done.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    /// The principal whose tickets are used; the cache's default if there is none.
    pub(crate) client: Option<&'a str>,
    /// The principal of the server.
    pub(crate) server: &'a dyn fmt::Display,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    NoTicket,
    Expired,
    Clocks,
    NoKdc,
    /// The KDC answered that it cannot serve the request at present.
    KdcFailed,
    /// Of this machine: a cache in the middle of a change, no memory, no file descriptor.
    Machine,
    Permission,
    UnknownClient,
    ClientDisabled,
    WrongKey,
    UnknownServer,
    Configuration,
    Encryption,
    Name,
    Other,
}

impl Trouble {
    fn of(major: u32, minor: u32) -> Self {
        // The library keeps its negative codes in an unsigned integer.
        let code = minor.cast_signed().wrapping_sub(KERBEROS);
        match code {
            // Cannot find the cache, the keytab's key, the keytab or the cache's file.
            141 | 142 | 181 | 184 | 195 => Trouble::NoTicket,
            32 => Trouble::Expired,
            // Not yet valid; the ticket's clock, and the reply's.
            33 | 37 | 148 => Trouble::Clocks,
            // Unreachable, or its name cannot be resolved.
            156 | 220 => Trouble::NoKdc,
            // Unavailable, as during a change of its database; generic.
            29 | 60 => Trouble::KdcFailed,
            // The cache's input and output, internal error, writing and memory; a cache or keytab that is being
            // written has another format.
            193 | 196..=199 | 212 | 213 | 235 => Trouble::Machine,
            6 => Trouble::UnknownClient,
            // The entry or its key has expired; locked.
            1 | 18 | 23 => Trouble::ClientDisabled,
            24 | 31 | 210 => Trouble::WrongKey,
            7 | 155 => Trouble::UnknownServer,
            // Cannot be opened or read; unknown realm; no default realm.
            135 | 136 | 154 | 224 => Trouble::Configuration,
            14 => Trouble::Encryption,
            134 => Trouble::Name,
            _ => match major & ROUTINE_ERRORS {
                NO_CREDENTIALS => Trouble::NoTicket,
                CREDENTIALS_EXPIRED | CONTEXT_EXPIRED => Trouble::Expired,
                BAD_NAME => Trouble::Name,
                // The cache's; EPERM and EACCES.
                _ if code == 194 || matches!(minor, 1 | 13) => Trouble::Permission,
                _ if OF_THE_SYSTEM.contains(&minor) => Trouble::Machine,
                _ => Trouble::Other,
            },
        }
    }

    /// Whether the next login may succeed without a change to the client's configuration.
    ///
    /// An unknown server is not: nearly always its name is wrong. The DNS, by which the library completes host
    /// names, may also have failed for a moment; `exact_host_names()` does without it.
    fn is_temporary(self) -> bool {
        matches!(
            self,
            Trouble::NoTicket
                | Trouble::Expired
                | Trouble::Clocks
                | Trouble::NoKdc
                | Trouble::KdcFailed
                | Trouble::Machine
        )
    }

    fn advice(self) -> &'static str {
        match self {
            Trouble::NoTicket => {
                "run `kinit`, or start this program with KRB5_CLIENT_KTNAME naming a keytab that it may \
                 read; `klist` shows the cache, `klist -k` a keytab"
            }
            Trouble::Expired => {
                "run `kinit`, or start this program with KRB5_CLIENT_KTNAME naming a keytab, with which \
                 tickets are fetched when they are needed; if it was, no KDC has answered it"
            }
            Trouble::Clocks => {
                "set the clocks of this machine, of the KDC and of the server: they may differ by five \
                 minutes"
            }
            Trouble::NoKdc => {
                "check the KDCs of this realm in krb5.conf, and that one of them runs"
            }
            Trouble::KdcFailed => "the reason is in the KDC's log, or in the server's",
            Trouble::Machine => {
                "check the ticket cache, the keytab, and this machine's memory, disk and limit of open files; \
                 KRB5_TRACE=/dev/stderr shows each step of MIT's library"
            }
            Trouble::Permission => {
                "give this program permission to use its ticket cache, keytab and krb5.conf"
            }
            Trouble::UnknownClient => {
                "check the client's principal, and its realm; `klist` and `klist -k` show what there is"
            }
            Trouble::ClientDisabled => "have the KDC's administrator enable the principal",
            Trouble::WrongKey => {
                "the keytab does not have the present key of its principal; export it again with `ktadd`"
            }
            Trouble::UnknownServer => {
                "check the service and the host name: the name has to be the principal in the server's \
                 keytab. The host name is the connect string's, or the DNS's; exact_host_names() and \
                 server_principal() choose it"
            }
            Trouble::Configuration => "check krb5.conf: default_realm, [realms] and [domain_realm]",
            Trouble::Encryption => {
                "check the encryption types that krb5.conf permits, and those of the principals' keys"
            }
            Trouble::Name => "a principal is NAME@REALM or SERVICE/HOST@REALM",
            Trouble::Other => "KRB5_TRACE=/dev/stderr shows each step of MIT's library",
        }
    }
}

/// The error of a login that did not begin, because the library could not.
pub(crate) fn not_begun(error: &LibraryError, attempt: Attempt<'_>) -> SaslError {
    let trouble = Trouble::of(error.major, error.minor);
    let text = describe(error, trouble, attempt);
    match trouble.is_temporary() {
        true => SaslError::Unavailable(text),
        false => SaslError::Unusable(text),
    }
}

/// The error of a login whose token from the server the library refuses.
pub(crate) fn refused_token(error: &LibraryError, attempt: Attempt<'_>) -> SaslError {
    match Trouble::of(error.major, error.minor) {
        // `KdcFailed`: the server's answer has the codes of a KDC.
        trouble @ (Trouble::Clocks | Trouble::Expired | Trouble::KdcFailed | Trouble::Machine) => {
            SaslError::Unavailable(describe(error, trouble, attempt))
        }
        _ => SaslError::Challenge(format!(
            "it is no proof of {}: {}",
            attempt.server,
            error.said()
        )),
    }
}

fn describe(error: &LibraryError, trouble: Trouble, attempt: Attempt<'_>) -> String {
    let client = match attempt.client {
        Some(client) => format!(" as {client}"),
        None => String::new(),
    };
    format!(
        "no Kerberos login to {}{client}: {}; {}",
        attempt.server,
        error.said(),
        trouble.advice()
    )
}

impl LibraryError {
    /// The text of the minor code, or that of the major code if the other says nothing.
    fn said(&self) -> &str {
        let text = self.text.trim();
        match text.split_once(" (") {
            Some((major, rest)) => match rest.strip_suffix(')') {
                None | Some("" | "Success" | "Unknown error") => major,
                Some(minor) => minor,
            },
            None => text,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]
mod tests {
    use super::*;

    fn error(major: u32, minor: i32, text: &str) -> LibraryError {
        LibraryError {
            major,
            minor: minor.cast_unsigned(),
            text: text.to_owned(),
        }
    }

    const FAILURE: u32 = 13 << 16;
    const GENERAL: &str = "Unspecified GSS failure.  Minor code may provide more information";

    fn attempt() -> Attempt<'static> {
        Attempt {
            client: Some("app@R"),
            server: &"zookeeper/zk1",
        }
    }

    /// With the numbers of MIT's `krb5.h`.
    #[test]
    fn every_cause_says_what_to_do() {
        for (minor, temporary, word) in [
            (-1_765_328_243, true, "kinit"),
            (-1_765_328_189, true, "kinit"),
            (-1_765_328_203, true, "KRB5_CLIENT_KTNAME"),
            (-1_765_328_200, true, "KRB5_CLIENT_KTNAME"),
            (-1_765_328_352, true, "kinit"),
            (-1_765_328_347, true, "clocks"),
            (-1_765_328_236, true, "clocks"),
            (-1_765_328_228, true, "KDC"),
            (-1_765_328_164, true, "KDC"),
            (-1_765_328_378, false, "client's principal"),
            (-1_765_328_366, false, "administrator"),
            (-1_765_328_360, false, "ktadd"),
            (-1_765_328_353, false, "ktadd"),
            (-1_765_328_174, false, "ktadd"),
            (-1_765_328_377, false, "server's keytab"),
            (-1_765_328_160, false, "default_realm"),
            (-1_765_328_230, false, "[realms]"),
            (-1_765_328_249, false, "krb5.conf"),
            (-1_765_328_370, false, "encryption types"),
            (-1_765_328_250, false, "NAME@REALM"),
            (-1_765_328_343, false, "KRB5_TRACE"),
            // The KDC's database is locked; an error of the KDC's own.
            (-1_765_328_355, true, "KDC's log"),
            (-1_765_328_324, true, "KDC's log"),
            // Of the cache: input or output, no memory, and in the middle of a change.
            (-1_765_328_191, true, "ticket cache"),
            (-1_765_328_186, true, "ticket cache"),
            (-1_765_328_185, true, "ticket cache"),
            (-1_765_328_171, true, "keytab"),
            (-1_765_328_149, true, "keytab"),
            // ENOMEM, EINVAL, EMFILE, ECONNREFUSED.
            (12, true, "ticket cache"),
            (22, true, "ticket cache"),
            (24, true, "ticket cache"),
            (111, true, "ticket cache"),
            // EPERM, EACCES, and the cache's code for them.
            (1, false, "permission"),
            (13, false, "permission"),
            (-1_765_328_190, false, "permission"),
            (0, false, "KRB5_TRACE"),
            (100_001, false, "KRB5_TRACE"),
        ] {
            let text = format!("{GENERAL} (what it says (about R))");
            let error = not_begun(&error(FAILURE, minor, &text), attempt());
            assert_eq!(error.is_temporary(), temporary, "{minor}: {error}");
            let text = error.to_string();
            for part in [word, "app@R", "zookeeper/zk1", ": what it says (about R); "] {
                assert!(text.contains(part), "{minor}, {part}: {text}");
            }
            assert!(!text.contains("Minor code"), "{text}");
        }
    }

    #[test]
    fn a_major_code_says_what_no_minor_does() {
        let none = error(NO_CREDENTIALS, 0, "No credentials were supplied (Success)");
        let said = not_begun(&none, attempt());
        assert!(said.is_temporary());
        let unreadable = error(NO_CREDENTIALS, -1_765_328_190, "x (Permission denied)");
        assert!(not_begun(&unreadable, attempt()).is_temporary());
        let expected = ": No credentials were supplied; run `kinit`";
        assert!(said.to_string().contains(expected), "{said}");
        let expired = error(CREDENTIALS_EXPIRED | 1, 0, "Expired (Unknown error)");
        assert!(not_begun(&expired, attempt()).is_temporary());
        let name = error(BAD_NAME, 0, "An invalid name was supplied (Success)");
        let said = not_begun(&name, attempt());
        assert!(matches!(&said, SaslError::Unusable(text) if text.contains("NAME@REALM")));
    }

    #[test]
    fn a_token_without_proof_ends_the_client() {
        let mutual = error(FAILURE, -1_765_328_226, "x (Mutual authentication failed)");
        let said = refused_token(&mutual, attempt());
        let expected = "it is no proof of zookeeper/zk1: Mutual authentication failed";
        assert_eq!(said, SaslError::Challenge(expected.to_owned()));
        // The ticket expired after the first token: the next login has another.
        let expired = error(
            CONTEXT_EXPIRED,
            0,
            "The referenced context has expired (Success)",
        );
        assert!(refused_token(&expired, attempt()).is_temporary());
        let skew = error(FAILURE, -1_765_328_347, "x (Clock skew too great)");
        assert!(refused_token(&skew, attempt()).is_temporary());
        let memory = error(FAILURE, 12, "x (Cannot allocate memory)");
        assert!(refused_token(&memory, attempt()).is_temporary());
        // The server's own error, in a message of the kind that KDCs send.
        let generic = error(FAILURE, -1_765_328_324, "x (Generic error (see e-text))");
        assert!(refused_token(&generic, attempt()).is_temporary());
    }
}
