//! The part of DER that is needed to tell kinds of files apart.

/// The tag of an object identifier.
const OID: u8 = 0x06;
/// 1.3.6.1.5.5.7.3.1, the purpose of authenticating servers.
const SERVER_AUTH: [u8; 8] = [0x2b, 6, 1, 5, 5, 7, 3, 1];
/// 2.5.29.37, the extension with the purposes of a certificate's key.
const EXTENDED_KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x25];
/// 2.5.29.37.0, any purpose.
const ANY_PURPOSE: [u8; 4] = [0x55, 0x1d, 0x25, 0];

/// The first element of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With its tag and length.
    pub(super) whole: &'a [u8],
    /// The bytes after it.
    pub(super) rest: &'a [u8],
}

impl Element<'_> {
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const OCTET_STRING: u8 = 0x04;
    /// Context-specific, constructed, number 0.
    const REJECTED: u8 = 0xa0;
    /// Context-specific, constructed, number 3.
    const EXTENSIONS: u8 = 0xa3;
}

/// The element at the start of `input`; `None` if there is no whole one.
pub(super) fn element(input: &[u8]) -> Option<Element<'_>> {
    let (&tag, after_tag) = input.split_first()?;
    let (&first, after_first) = after_tag.split_first()?;
    let (length, body) = match first {
        0..=0x7f => (usize::from(first), after_first),
        0x81..=0x84 => {
            let (digits, body) = after_first.split_at_checked(usize::from(first & 0x0f))?;
            let value = digits
                .iter()
                .fold(0, |value, digit| value << 8 | usize::from(*digit));
            (value, body)
        }
        _ => return None,
    };
    let (content, rest) = body.split_at_checked(length)?;
    let whole = input.get(..input.len() - rest.len())?;
    Some(Element {
        tag,
        content,
        whole,
        rest,
    })
}

/// The elements of `input`, up to the first incomplete one.
pub(super) fn elements(mut input: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let next = element(input)?;
        input = next.rest;
        Some(next)
    })
}

/// A number that is not negative; `None` if it is, or too large.
#[cfg(feature = "tls-stores")]
pub(super) fn number(element: Element<'_>) -> Option<u32> {
    let (&first, _) = element.content.split_first()?;
    if element.tag != Element::INTEGER || first & 0x80 != 0 {
        return None;
    }
    element.content.iter().try_fold(0_u32, |value, digit| {
        Some(value.checked_mul(256)? | u32::from(*digit))
    })
}

/// Whether the settings that OpenSSL appends to a certificate (`openssl x509 -trustout`) let it
/// authenticate servers. Without settings a certificate may serve every purpose.
pub(super) fn trusts_servers(settings: &[u8]) -> bool {
    let Some(settings) = element(settings).filter(|all| all.tag == Element::SEQUENCE) else {
        return settings.is_empty();
    };
    let names = |list: Element<'_>| {
        elements(list.content).any(|purpose| {
            let id = purpose.content;
            purpose.tag == OID && (id == SERVER_AUTH || id == ANY_PURPOSE)
        })
    };
    elements(settings.content).all(|setting| match setting.tag {
        Element::SEQUENCE => names(setting),
        Element::REJECTED => !names(setting),
        _ => true,
    })
}

/// Whether the extended key usage of a certificate, if it has one, lets it authenticate servers.
/// As for webpki, `anyExtendedKeyUsage` does not count.
pub(super) fn is_for_servers(certificate: &[u8]) -> bool {
    let inside = |bytes| element(bytes).map(|all| all.content);
    let of_certificate = inside(certificate).and_then(inside).unwrap_or_default();
    let extensions = elements(of_certificate)
        .find(|part| part.tag == Element::EXTENSIONS)
        .and_then(|part| inside(part.content))
        .unwrap_or_default();
    elements(extensions)
        .filter(|extension| {
            let id = element(extension.content);
            id.is_some_and(|id| id.tag == OID && id.content == EXTENDED_KEY_USAGE)
        })
        .all(|extension| {
            let value = elements(extension.content).find(|part| part.tag == Element::OCTET_STRING);
            let purposes = value.and_then(|value| inside(value.content));
            elements(purposes.unwrap_or_default())
                .any(|purpose| purpose.tag == OID && purpose.content == SERVER_AUTH)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_ends_at_its_length() {
        let short = element(b"\x30\x03abcd").unwrap();
        assert_eq!((short.content, short.rest), (&b"abc"[..], &b"d"[..]));
        assert_eq!(short.whole, b"\x30\x03abc");
        let long = [&[0x30, 0x82, 1, 0][..], &[7; 256], &[9]].concat();
        assert_eq!(element(&long).unwrap().rest, [9]);
        for end in 0..long.len() - 1 {
            assert_eq!(element(&long[..end]), None, "{end}");
        }
        for bad in [
            &[0x30, 0x80, 0, 0][..],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 0x84, 255, 255, 255, 255],
        ] {
            assert_eq!(element(bad), None);
        }
    }

    #[cfg(feature = "tls-stores")]
    #[test]
    fn numbers_are_neither_negative_nor_large() {
        let of = |bytes| number(element(bytes).unwrap());
        assert_eq!(of(b"\x02\x02\x08\x00"), Some(2048));
        assert_eq!(of(b"\x02\x05\x00\xff\xff\xff\xff"), Some(u32::MAX));
        assert_eq!(of(b"\x02\x05\x01\x00\x00\x00\x00"), None);
        assert_eq!(of(b"\x02\x01\xff"), None);
        assert_eq!(of(b"\x02\x00"), None);
        assert_eq!(of(b"\x04\x01\x01"), None);
    }

    #[test]
    fn settings_decide_on_servers() {
        // 1.3.6.1.5.5.7.3.2, the purpose of authenticating clients.
        let clients: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02";
        let servers: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01";
        let list = |tag, content: &[u8]| {
            [&[tag, u8::try_from(content.len()).unwrap()][..], content].concat()
        };
        let settings = |content: &[u8]| trusts_servers(&list(0x30, content));
        assert!(trusts_servers(b""));
        assert!(settings(b""));
        assert!(settings(&list(0x0c, b"an alias")));
        assert!(settings(&list(0x30, servers)));
        assert!(!settings(&list(0x30, clients)));
        assert!(settings(&list(0xa0, clients)));
        assert!(!settings(&list(0xa0, &[clients, servers].concat())));
        assert!(!trusts_servers(b"\x30\x05"));
    }
}
