//! The text form of an ACL: `world:anyone:cdrwa,digest:bob:hash=:r`, and as ZooKeeper's own shell
//! shows it: `'world,'anyone : cdrwa`.

use std::fmt::Write as _;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_until, take_while, take_while1};
use nom::character::complete::{char, hex_digit1, none_of, one_of};
use nom::combinator::{eof, map_opt, opt, peek};
use nom::multi::fold_many0;
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Offset, Parser};

use super::entry::Acl;
use super::permissions::Permissions;

/// The schemes that servers have.
const SCHEMES: [&str; 8] = [
    "world", "auth", "digest", "ip", "host", "sasl", "x509", "super",
];

/// Why a text is not an ACL. It does not repeat the text, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an ACL at byte {offset}: {problem}; write scheme:id:permissions, several separated by \
     commas, as in world:anyone:cdrwa,ip:10.0.0.0/8:r"
)]
#[non_exhaustive]
pub struct AclTextError {
    /// Where the entry that cannot be read begins.
    pub offset: usize,
    /// What is wrong with the entry.
    pub problem: AclTextProblem,
}

/// What is wrong with an entry of an ACL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AclTextProblem {
    /// There is none.
    #[error("no entry")]
    Empty,
    /// It does not begin with a scheme.
    #[error("no scheme with a colon after it")]
    NoScheme,
    /// Its id has no end.
    #[error("a quotation mark without another")]
    OpenQuote,
    /// It does not end with permissions.
    #[error("it does not end with a colon and permissions, which are letters out of cdrwa or none")]
    NoPermissions,
}

/// Reads `scheme:id:permissions` entries, separated by commas, with white space around them or
/// without. What ZooKeeper's own shell prints, `'scheme,'id` and `: permissions`, is read too.
///
/// An id may contain colons and commas (IPv6 addresses, distinguished names): it ends at the first
/// `:permissions` that is followed by a comma or the end. An id or a scheme for which that is not
/// enough stands in double quotes, with `\"` and `\\` for those two characters. Bits that have no
/// letter follow the letters as a number: `r+0x20`.
///
/// # Errors
/// [`AclTextError`] if the text is anything else.
pub fn parse(text: &str) -> Result<Vec<Acl>, AclTextError> {
    let mut acl = Vec::new();
    let mut rest = text.trim_start();
    loop {
        match entry(rest) {
            Ok((rest_after, entry)) => {
                acl.push(entry);
                rest = rest_after.trim_start();
            }
            Err(_) => {
                return Err(AclTextError {
                    offset: text.offset(rest),
                    problem: problem(rest),
                });
            }
        }
        if rest.is_empty() {
            return Ok(acl);
        }
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

/// Writes what [`parse`] reads.
pub fn display(acl: &[Acl]) -> String {
    let entries: Vec<_> = acl.iter().map(display_entry).collect();
    entries.join(",")
}

/// In quotes only if it would be read as something else without.
fn display_entry(acl: &Acl) -> String {
    let (scheme, id) = (acl.id.scheme.as_str(), acl.id.id.as_str());
    let mut perms = acl.perms.to_string();
    let others = acl.perms.0 & !Permissions::ALL.0;
    if others != 0 {
        // Writing to a String does not fail.
        let _ = write!(perms, "+{others:#x}");
    }
    let is_read_back = |text: &String| {
        let text = format!("{text},");
        entry(&text).is_ok_and(|(rest, read)| rest == "," && read == *acl)
    };
    let plain = format!("{scheme}:{id}:{perms}");
    let with_quoted_id = || format!("{scheme}:{}:{perms}", in_quotes(id));
    let quoted = || format!("{}:{}:{perms}", in_quotes(scheme), in_quotes(id));
    Some(plain)
        .filter(is_read_back)
        .or_else(|| Some(with_quoted_id()).filter(is_read_back))
        .unwrap_or_else(quoted)
}

fn in_quotes(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// Why [`entry`] does not read it.
fn problem(text: &str) -> AclTextProblem {
    if text.is_empty() {
        return AclTextProblem::Empty;
    }
    let open = |text: &str| text.starts_with('"') && quoted(text).is_err();
    match scheme(text) {
        Ok((id, _)) if open(id) => AclTextProblem::OpenQuote,
        Ok(_) => AclTextProblem::NoPermissions,
        Err(_) if open(text) => AclTextProblem::OpenQuote,
        Err(_) if shell_scheme(text).is_ok() => AclTextProblem::NoPermissions,
        Err(_) => AclTextProblem::NoScheme,
    }
}

fn entry(input: &str) -> IResult<&str, Acl> {
    alt((quoted_entry, plain_entry, shell_entry)).parse(input)
}

fn quoted_entry(input: &str) -> IResult<&str, Acl> {
    let (rest, (scheme, id, perms)) = (scheme, quoted, permissions).parse(input)?;
    Ok((rest, Acl::new(perms, scheme, id)))
}

fn plain_entry(input: &str) -> IResult<&str, Acl> {
    let (body, scheme) = scheme(input)?;
    let (rest, (id, perms)) = up_to_permissions(body)?;
    if id.starts_with('"') || swallows_another_entry(id) {
        return fail(input);
    }
    Ok((rest, Acl::new(perms, scheme, id)))
}

/// As `getAcl` prints it.
fn shell_entry(input: &str) -> IResult<&str, Acl> {
    let (body, scheme) = shell_scheme(input)?;
    let (rest, (id, perms)) = up_to_permissions(body)?;
    Ok((rest, Acl::new(perms, scheme, id)))
}

fn shell_scheme(input: &str) -> IResult<&str, &str> {
    delimited(char('\''), take_until(",'"), tag(",'")).parse(input)
}

/// With the colon after it.
fn scheme(input: &str) -> IResult<&str, String> {
    let is_plain = |c: char| !c.is_whitespace() && !":,'\"".contains(c);
    let plain = take_while1(is_plain).map(str::to_owned);
    terminated(alt((quoted, plain)), (space, char(':'), space)).parse(input)
}

fn quoted(input: &str) -> IResult<&str, String> {
    let character = alt((none_of("\\\""), preceded(char('\\'), one_of("\\\""))));
    let text = fold_many0(character, String::new, |mut text, c| {
        text.push(c);
        text
    });
    delimited(char('"'), text, char('"')).parse(input)
}

/// The first `id:permissions` that an entry can end with.
fn up_to_permissions(input: &str) -> IResult<&str, (&str, Permissions)> {
    for (at, _) in input.match_indices(':') {
        let (id, end) = input.split_at(at);
        if let Ok((rest, perms)) = permissions(end) {
            return Ok((rest, (id.trim(), perms)));
        }
    }
    fail(input)
}

/// Whether the permissions of an entry are missing, so that its id extends into the next one.
fn swallows_another_entry(id: &str) -> bool {
    let mut parts = id.split(',').skip(1);
    parts.any(|part| {
        let scheme = part.split_once(':').map(|(scheme, _)| scheme.trim());
        scheme.is_some_and(|scheme| SCHEMES.contains(&scheme))
    })
}

/// `:cdrwa` up to a comma, the end, or an entry of the shell's.
fn permissions(input: &str) -> IResult<&str, Permissions> {
    let is_letter = |c| Permissions::LETTERS.iter().any(|&(letter, _)| letter == c);
    let number = map_opt(hex_digit1, |digits| u32::from_str_radix(digits, 16).ok());
    let others = opt(preceded(tag("+0x"), number));
    let (rest, (_, letters, others)) =
        ((space, char(':'), space), take_while(is_letter), others).parse(input)?;
    let (rest, _) = terminated(space, peek(eof.or(tag(",")).or(tag("'")))).parse(rest)?;
    let perms = Permissions::LETTERS
        .into_iter()
        .filter(|&(letter, _)| letters.contains(letter))
        .fold(Permissions::NONE, |set, (_, permission)| set | permission);
    let others = Permissions(others.unwrap_or(0).cast_signed());
    Ok((rest, perms | others))
}

fn space(input: &str) -> IResult<&str, &str> {
    take_while(char::is_whitespace).parse(input)
}

fn fail<T>(input: &str) -> IResult<&str, T> {
    let kind = nom::error::ErrorKind::Verify;
    Err(nom::Err::Error(nom::error::Error::new(input, kind)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_may_have_colons_and_commas() {
        let text = "world:anyone:cdrwa,digest:bob:ha/sh=:r,ip:2001:db8::1:rw,\
                    x509:CN=a,O=b:ca,auth::cdrwa";
        let acl = parse(text).unwrap();
        let parts: Vec<_> = acl
            .iter()
            .map(|a| (a.id.scheme.as_str(), a.id.id.as_str(), a.perms.0))
            .collect();
        assert_eq!(
            parts,
            [
                ("world", "anyone", 31),
                ("digest", "bob:ha/sh=", 1),
                ("ip", "2001:db8::1", 3),
                ("x509", "CN=a,O=b", 20),
                ("auth", "", 31),
            ]
        );
        assert_eq!(display(&acl), text);
    }

    #[test]
    fn letters_in_any_order_and_repeated() {
        assert_eq!(
            display(&parse("world:anyone:awwr").unwrap()),
            "world:anyone:rwa"
        );
    }

    #[test]
    fn errors_point_at_the_entry() {
        use AclTextProblem::*;
        for (text, offset, problem) in [
            ("", 0, Empty),
            ("  ", 2, Empty),
            ("world", 0, NoScheme),
            (":anyone:r", 0, NoScheme),
            ("'world", 0, NoScheme),
            ("world:anyone", 0, NoPermissions),
            ("world:anyone:x", 0, NoPermissions),
            ("'world,'anyone", 0, NoPermissions),
            ("world:anyone:r,", 15, Empty),
            ("world:anyone:r,digest:x", 15, NoPermissions),
            ("world:anyone, digest:bob:h=:r", 0, NoPermissions),
            ("x:\"a:r", 0, OpenQuote),
            ("\"x:a:r", 0, OpenQuote),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error, AclTextError { offset, problem }, "{text}");
        }
    }

    /// Guards: P35, P36.
    #[test]
    fn texts_that_people_write() {
        for (text, written) in [
            ("world:anyone:", "world:anyone:"),
            (
                "world:anyone:,world:anyone:r",
                "world:anyone:,world:anyone:r",
            ),
            (
                "world:anyone:cdrwa, digest:user1:h=:r",
                "world:anyone:cdrwa,digest:user1:h=:r",
            ),
            (" world : anyone : cr \n", "world:anyone:cr"),
            ("'world,'anyone : cdrwa", "world:anyone:cdrwa"),
            (
                "'world,'anyone\n: r\n'digest,'bob:h=\n: cdrwa\n",
                "world:anyone:r,digest:bob:h=:cdrwa",
            ),
            ("auth::cdrwa", "auth::cdrwa"),
            ("ip:10.0.0.0/8:cr", "ip:10.0.0.0/8:cr"),
            ("ip:2001:db8::/32:r", "ip:2001:db8::/32:r"),
            ("ip:::1:r", "ip:::1:r"),
            (
                "x509:CN=app,OU=dev\\, ops,O=Example,C=DE:cdrwa",
                "x509:CN=app,OU=dev\\, ops,O=Example,C=DE:cdrwa",
            ),
            (
                "sasl:app/host.example@EXAMPLE.COM:cdrwa",
                "sasl:app/host.example@EXAMPLE.COM:cdrwa",
            ),
        ] {
            assert_eq!(display(&parse(text).unwrap()), written, "{text}");
        }
    }

    #[test]
    fn ids_are_quoted_only_if_they_must() {
        for (id, written) in [
            ("a b", "x:a b:r"),
            ("a:r", "x:a:r:r"),
            ("a:r,b", "x:\"a:r,b\":r"),
            (" a", "x:\" a\":r"),
            ("say \"hi\"", "x:say \"hi\":r"),
            ("\"hi\" \\", "x:\"\\\"hi\\\" \\\\\":r"),
        ] {
            let acl = [Acl::new(Permissions::READ, "x", id)];
            assert_eq!(display(&acl), written);
            assert_eq!(parse(written).unwrap(), acl);
        }
    }

    proptest! {
        /// Guards: P35.
        #[test]
        fn what_is_written_is_read_again(
            entries in prop::collection::vec(
                (
                    "[a-z\" ,:']{0,6}|\\PC{0,4}|digest|world",
                    "([a-z=]|[,:'\" \\\\\n]|:r,|world:|\\+0x){0,8}|\\PC{0,8}",
                    prop_oneof![0..32_i32, any::<i32>()],
                ),
                1..4,
            ),
        ) {
            let entry = |(scheme, id, perms)| Acl::new(Permissions(perms), scheme, id);
            let acl: Vec<_> = entries.into_iter().map(entry).collect();
            let written = display(&acl);
            prop_assert_eq!(parse(&written), Ok(acl), "{}", written);
        }
    }
}
