//! The contents of a lease's znode.

use std::time::SystemTime;

use serde_json::Value;

use super::clock;

/// The version of the format that kazoo writes.
const VERSION: u64 = 1;

/// A lease, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) holder: String,
    /// To the second.
    pub(super) end: SystemTime,
}

/// What a znode contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stored {
    Lease(Record),
    /// A lease of a version that this program does not know: another program has it.
    LaterVersion,
}

/// The contents of a znode are not a lease.
#[derive(Debug, thiserror::Error)]
pub(super) enum Invalid {
    #[error("not JSON")]
    Syntax(#[from] serde_json::Error),
    #[error("not an object with a version, a holder and an end in UTC")]
    Fields,
}

impl Record {
    /// The same bytes as kazoo's: Python's `json.dumps`. `None` if the end cannot be written.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let end = clock::format(self.end)?;
        let holder = quoted(&self.holder);
        let text = format!("{{\"version\": {VERSION}, \"holder\": {holder}, \"end\": \"{end}\"}}");
        Some(text.into_bytes())
    }

    pub(super) fn decode(data: &[u8]) -> Result<Stored, Invalid> {
        let value: Value = serde_json::from_slice(data)?;
        let version = value.get("version").ok_or(Invalid::Fields)?;
        if version.as_f64() != Some(1.0) {
            return Ok(Stored::LaterVersion);
        }
        let text = |name| value.get(name).and_then(Value::as_str);
        let (Some(holder), Some(end)) = (text("holder"), text("end").and_then(clock::parse)) else {
            return Err(Invalid::Fields);
        };
        let holder = holder.to_owned();
        Ok(Stored::Lease(Record { holder, end }))
    }
}

/// A string in JSON as Python writes it: in ASCII.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            ' '..='~' => quoted.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    quoted.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn lease(holder: &str) -> Record {
        Record {
            holder: holder.to_owned(),
            end: UNIX_EPOCH + Duration::from_secs(1_796_017_670),
        }
    }

    /// The bytes are kazoo's.
    #[test]
    fn a_record_has_the_bytes_of_python() {
        let golden = br#"{"version": 1, "holder": "host-1", "end": "2026-11-30T05:47:50"}"#;
        assert_eq!(lease("host-1").encode().unwrap(), golden);
        let golden = br#"{"version": 1, "holder": "\u00e4\"\\\n\ud83d\ude00\u007f", "end": "2026-11-30T05:47:50"}"#;
        assert_eq!(lease("ä\"\\\n😀\u{7f}").encode().unwrap(), golden);
    }

    #[test]
    fn other_contents_are_distinguished() {
        let later = br#"{"version": 2, "lease": {"of": ["anything"]}}"#;
        assert_eq!(Record::decode(later).unwrap(), Stored::LaterVersion);
        let more = br#"{"end":"2026-11-30T05:47:50","more":1,"version":1.0,"holder":"a"}"#;
        assert_eq!(Record::decode(more).unwrap(), Stored::Lease(lease("a")));
        for other in [
            "",
            "1",
            "{}",
            r#"{"version": 1}"#,
            r#"{"version": 1, "holder": 7, "end": "2026-11-30T05:47:50"}"#,
            r#"{"version": 1, "holder": "a", "end": "tomorrow"}"#,
        ] {
            assert!(Record::decode(other.as_bytes()).is_err(), "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(holder in "\\PC{0,12}|[\\x00-\\x7f]{0,6}") {
            let encoded = lease(&holder).encode().unwrap();
            prop_assert!(encoded.is_ascii());
            prop_assert_eq!(Record::decode(&encoded).unwrap(), Stored::Lease(lease(&holder)));
        }

        #[test]
        fn no_contents_panic(data in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Record::decode(&data);
        }
    }
}
