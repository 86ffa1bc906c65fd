//! The data of the znodes in which servers keep limits and usage.

use std::fmt;

use serde_json::{Value, json};

/// Limits, or usage, of which the hard limits are not a part.
///
/// `count=4,bytes=5=;byteHardLimit=10;countHardLimit=10`: servers before 3.7 read only the part before the
/// semicolon, and need the sign behind the bytes for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) count: Option<i64>,
    pub(super) bytes: Option<i64>,
    pub(super) hard_count: Option<i64>,
    pub(super) hard_bytes: Option<i64>,
}

impl Limits {
    /// Reads what servers and other tools write. A number that is negative or cannot be read is no limit.
    pub(super) fn parse(data: &[u8]) -> Self {
        let mut limits = Limits::default();
        let text = String::from_utf8_lossy(data);
        for pair in text.split([',', ';']) {
            let Some((key, value)) = pair.split_once('=') else {
                continue;
            };
            let value = value.trim_end_matches('=').trim().parse();
            let value = value.ok().filter(|value: &i64| *value >= 0);
            match key.trim() {
                "count" => limits.count = value,
                "bytes" => limits.bytes = value,
                "countHardLimit" => limits.hard_count = value,
                "byteHardLimit" => limits.hard_bytes = value,
                _ => {}
            }
        }
        limits
    }

    /// These limits where they are given, and otherwise those of `before`.
    pub(super) fn or(self, before: Limits) -> Limits {
        Limits {
            count: self.count.or(before.count),
            bytes: self.bytes.or(before.bytes),
            hard_count: self.hard_count.or(before.hard_count),
            hard_bytes: self.hard_bytes.or(before.hard_bytes),
        }
    }

    /// The limits that this usage exceeds.
    pub(super) fn exceeded_by(self, used: Limits) -> Vec<&'static str> {
        [
            ("count", self.count, used.count),
            ("bytes", self.bytes, used.bytes),
            ("hard_count", self.hard_count, used.count),
            ("hard_bytes", self.hard_bytes, used.bytes),
        ]
        .into_iter()
        .filter(|(_, limit, used)| limit.is_some_and(|limit| used.is_some_and(|used| used > limit)))
        .map(|(name, ..)| name)
        .collect()
    }

    pub(super) fn json(self) -> Value {
        json!({
            "count": self.count,
            "bytes": self.bytes,
            "hard_count": self.hard_count,
            "hard_bytes": self.hard_bytes,
        })
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = -1;
        write!(
            f,
            "count={},bytes={}",
            self.count.unwrap_or(none),
            self.bytes.unwrap_or(none)
        )?;
        if self.hard_count.is_none() && self.hard_bytes.is_none() {
            return Ok(());
        }
        f.write_str("=")?;
        if let Some(bytes) = self.hard_bytes {
            write!(f, ";byteHardLimit={bytes}")?;
        }
        if let Some(count) = self.hard_count {
            write!(f, ";countHardLimit={count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_written() {
        for text in [
            "count=4,bytes=-1",
            "count=-1,bytes=0",
            "count=4,bytes=5=;byteHardLimit=10;countHardLimit=11",
            "count=-1,bytes=-1=;countHardLimit=11",
        ] {
            assert_eq!(Limits::parse(text.as_bytes()).to_string(), text);
        }
        let java = "count=-1,bytes=7=;byteHardLimit=-1;countHardLimit=-1";
        let only_bytes = Limits {
            bytes: Some(7),
            ..Limits::default()
        };
        assert_eq!(Limits::parse(java.as_bytes()), only_bytes);
        assert_eq!(Limits::parse(b"\xff;x;count=;bytes=-"), Limits::default());
    }

    #[test]
    fn usage_up_to_the_limit_is_allowed() {
        let limits = Limits::parse(b"count=4,bytes=5=;byteHardLimit=6");
        let exceeded = |used: &str| limits.exceeded_by(Limits::parse(used.as_bytes()));
        assert_eq!(exceeded("count=4,bytes=5"), [""; 0]);
        assert_eq!(exceeded("count=5,bytes=6"), ["count", "bytes"]);
        assert_eq!(exceeded("count=1,bytes=7"), ["bytes", "hard_bytes"]);
    }
}
