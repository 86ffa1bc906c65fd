//! The sections of PEM text.
//!
//! The reader accepts what editors, shells and concatenation do to PEM files: byte order marks, UTF-16,
//! indented lines, a missing line end between two files.

use std::borrow::Cow;

use super::der::{element, trusts_servers};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The lines from `-----BEGIN …` to its `-----END …`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) label: String,
    pub(super) text: String,
    /// Whether it has an end.
    pub(super) whole: bool,
}

/// All sections of a file.
pub(super) fn sections(bytes: &[u8]) -> Vec<Section> {
    let text = as_text(bytes).replace(BYTE_ORDER_MARK, "");
    // Two concatenated files, the first without a line end.
    let text = text.replace("----------BEGIN ", "-----\n-----BEGIN ");
    let mut found = Vec::new();
    let mut open: Option<Section> = None;
    let lines = text.split(['\n', '\r']).map(str::trim);
    for line in lines.filter(|line| !line.is_empty()) {
        let label = line
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(DASHES));
        if let Some(label) = label {
            found.extend(open.take());
            open = Some(Section {
                label: label.to_owned(),
                text: String::new(),
                whole: false,
            });
        }
        let Some(section) = &mut open else { continue };
        section.text.push_str(line);
        section.text.push('\n');
        if line.starts_with(END) && line.ends_with(DASHES) {
            section.whole = true;
            found.extend(open.take());
        }
    }
    found.extend(open);
    found
}

/// The text of a file. Other bytes are replaced, and lead to no section.
fn as_text(bytes: &[u8]) -> Cow<'_, str> {
    let decode = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = bytes
            .chunks_exact(2)
            .filter_map(|pair| pair.try_into().ok());
        let decoded = char::decode_utf16(units.map(unit));
        decoded
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect::<String>()
    };
    match bytes {
        [0xff, 0xfe, ..] => decode(bytes, u16::from_le_bytes).into(),
        [0xfe, 0xff, ..] => decode(bytes, u16::from_be_bytes).into(),
        _ => String::from_utf8_lossy(bytes),
    }
}

impl Section {
    /// Whether it is a certificate, under any of the names that OpenSSL has for it.
    pub(super) fn is_certificate(&self) -> bool {
        matches!(&*self.label, "CERTIFICATE" | "X509 CERTIFICATE") || self.is_trusted_certificate()
    }

    /// Whether OpenSSL's settings follow the certificate.
    fn is_trusted_certificate(&self) -> bool {
        self.label == "TRUSTED CERTIFICATE"
    }

    pub(super) fn is_key(&self) -> bool {
        matches!(
            &*self.label,
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY"
        )
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.is_pkcs8() || self.text.contains("Proc-Type: 4,ENCRYPTED")
    }

    /// Whether it is a key in PKCS#8 that is encrypted as that standard says.
    pub(super) fn is_pkcs8(&self) -> bool {
        self.label == "ENCRYPTED PRIVATE KEY"
    }

    /// Its text without the lines that say how it is encrypted.
    pub(super) fn without_settings(&self) -> String {
        let lines = self.text.lines().filter(|line| !line.contains(':'));
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// Its text under another label.
    pub(super) fn relabelled(&self, label: &str) -> String {
        self.text.replace(&self.label, label)
    }

    /// The certificate in a section's bytes, without OpenSSL's settings; `None` if it is a CA's and the
    /// settings do not let it authenticate servers.
    pub(super) fn certificate<'a>(&self, der: &'a [u8], is_ca: bool) -> Option<&'a [u8]> {
        match element(der).filter(|_| self.is_trusted_certificate()) {
            Some(certificate) if is_ca && !trusts_servers(certificate.rest) => None,
            Some(certificate) => Some(certificate.whole),
            None => Some(der),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str =
        "-----BEGIN A-----\nYQ==\n-----END A-----\n-----BEGIN B-----\nYg==\n-----END B-----\n";

    fn utf16(unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let marked = format!("{BYTE_ORDER_MARK}{PLAIN}");
        marked.encode_utf16().flat_map(unit).collect()
    }

    /// Guards: P46.
    #[test]
    fn changes_by_tools_are_accepted() {
        let lines: Vec<_> = PLAIN.lines().collect();
        let text = |text: &str| text.as_bytes().to_vec();
        let expected = sections(PLAIN.as_bytes());
        assert_eq!(expected.len(), 2);
        for changed in [
            text(&format!("{BYTE_ORDER_MARK}{PLAIN}")),
            // Two concatenated files with a mark each.
            text(&PLAIN.replace("-----BEGIN", &format!("{BYTE_ORDER_MARK}-----BEGIN"))),
            utf16(u16::to_le_bytes),
            utf16(u16::to_be_bytes),
            text(&lines.join("\r\n")),
            text(&lines.join("\r")),
            text(&lines.join("\n    ")),
            text(&lines.join("  \n")),
            text(&PLAIN.replace("-----\n-----BEGIN", "----------BEGIN")),
            text(&format!(
                "Bag Attributes\n  friendlyName: a\n{PLAIN}\nand more"
            )),
        ] {
            let found = sections(&changed);
            assert!(found == expected, "{:?}", String::from_utf8_lossy(&changed));
        }
    }

    #[test]
    fn a_truncated_section_harms_no_other() {
        let found =
            sections(format!("-----BEGIN C-----\nYw==\n{PLAIN}-----BEGIN D-----\n").as_bytes());
        let found: Vec<_> = found
            .iter()
            .map(|found| (&*found.label, found.whole))
            .collect();
        assert_eq!(
            found,
            [("C", false), ("A", true), ("B", true), ("D", false)]
        );
    }
}
