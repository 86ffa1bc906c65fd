//! The text form of an ACL, as ZooKeeper's own shell reads and shows it:
//! `world:anyone:cdrwa,digest:bob:hash=:r`.

use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::char;
use nom::combinator::{all_consuming, eof, peek};
use nom::multi::separated_list1;
use nom::{IResult, Parser};

use super::{Acl, Permissions};

/// Why a text is not an ACL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an ACL at byte {offset}; write scheme:id:permissions, separated by commas, with \
     permissions out of cdrwa, as in world:anyone:cdrwa"
)]
#[non_exhaustive]
pub struct AclTextError {
    /// Where the entry that cannot be read begins.
    pub offset: usize,
}

/// Reads `scheme:id:permissions` entries, separated by commas.
///
/// An id may contain colons and commas (IPv6 addresses, distinguished names): it ends at the first
/// `:permissions` that is followed by a comma or the end.
///
/// # Errors
/// [`AclTextError`] if the text is anything else.
pub fn parse(text: &str) -> Result<Vec<Acl>, AclTextError> {
    let result: IResult<&str, Vec<Acl>> =
        all_consuming(separated_list1(char(','), entry)).parse(text);
    match result {
        Ok((_, acl)) => Ok(acl),
        Err(nom::Err::Error(e) | nom::Err::Failure(e)) => Err(AclTextError {
            offset: text.len() - e.input.len(),
        }),
        Err(nom::Err::Incomplete(_)) => Err(AclTextError { offset: text.len() }),
    }
}

/// Writes what [`parse`] reads.
pub fn display(acl: &[Acl]) -> String {
    let entries: Vec<_> = acl
        .iter()
        .map(|a| format!("{}:{}:{}", a.id.scheme, a.id.id, a.perms))
        .collect();
    entries.join(",")
}

fn entry(input: &str) -> IResult<&str, Acl> {
    let (rest, scheme) = take_while1(|c| c != ':' && c != ',').parse(input)?;
    let (body, _) = char(':').parse(rest)?;
    for (at, _) in body.match_indices(':') {
        let (id, end) = body.split_at(at);
        if let Ok((rest, perms)) = permissions(end) {
            return Ok((rest, Acl::new(perms, scheme, id)));
        }
    }
    Err(nom::Err::Error(nom::error::Error::new(
        input,
        nom::error::ErrorKind::Verify,
    )))
}

/// `:cdrwa` up to a comma or the end.
fn permissions(input: &str) -> IResult<&str, Permissions> {
    let (input, _) = char(':').parse(input)?;
    let is_letter = |c| Permissions::LETTERS.iter().any(|&(letter, _)| letter == c);
    let (input, letters) = take_while1(is_letter).parse(input)?;
    let (input, _) = peek(eof.or(tag(","))).parse(input)?;
    let perms = Permissions::LETTERS
        .into_iter()
        .filter(|&(letter, _)| letters.contains(letter))
        .fold(Permissions::NONE, |set, (_, permission)| set | permission);
    Ok((input, perms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_with_colons_and_commas_in_their_ids() {
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
        for (text, offset) in [
            ("", 0),
            ("world", 5),
            ("world:anyone", 0),
            ("world:anyone:", 0),
            ("world:anyone:x", 0),
            ("world:anyone:r,", 14),
            ("world:anyone:r,digest:x", 14),
            (":anyone:r", 0),
        ] {
            assert_eq!(parse(text), Err(AclTextError { offset }), "{text}");
        }
    }
}
