//! The grammar of DIGEST-MD5's messages (RFC 2831, section 7.1).

use super::mechanism::SaslError;

/// Reads a list of `name=value` or `name="quoted"`, separated by commas.
pub(super) fn directives(text: &[u8]) -> Result<Vec<(String, Vec<u8>)>, SaslError> {
    let bad = |why: &str| SaslError::Challenge(why.to_owned());
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        let Some((&first, after)) = rest.split_first() else {
            return Ok(found);
        };
        if first == b',' {
            rest = after;
            continue;
        }
        let equals = rest
            .iter()
            .position(|&byte| byte == b'=')
            .ok_or_else(|| bad("it is not a list of name=value"))?;
        let (name, value) = rest.split_at(equals);
        let name = std::str::from_utf8(name.trim_ascii_end())
            .ok()
            .filter(|name| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b',')
            })
            .ok_or_else(|| bad("it is not a list of name=value"))?
            .to_ascii_lowercase();
        let value = value.get(1..).unwrap_or_default().trim_ascii_start();
        let (value, after) = match value.split_first() {
            Some((b'"', quoted)) => unquoted(quoted).ok_or_else(|| bad("a quote is not closed"))?,
            _ => {
                let end = value.iter().position(|&byte| byte == b',');
                let (token, after) = value.split_at(end.unwrap_or(value.len()));
                (token.trim_ascii().to_vec(), after)
            }
        };
        rest = after.trim_ascii_start();
        if !rest.is_empty() && rest.first() != Some(&b',') {
            return Err(bad("there is no comma after a value"));
        }
        found.push((name, value));
    }
}

/// The text up to the closing quote, and what follows it.
fn unquoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut rest = text;
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        match byte {
            b'"' => return Some((value, rest)),
            b'\\' => {
                let (&escaped, after) = rest.split_first()?;
                value.push(escaped);
                rest = after;
            }
            _ => value.push(byte),
        }
    }
}

/// Appends `name="value",`.
pub(super) fn quoted(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    for &byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.extend_from_slice(b"\",");
}
