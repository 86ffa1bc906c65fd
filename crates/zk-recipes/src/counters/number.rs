//! The contents of a znode that is a number, in the formats of kazoo and Curator.

use std::error::Error as StdError;

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// kazoo's: the text of Python's `repr`.
    Text,
    /// Four bytes, the most significant first: Curator's `SharedCount` and `DistributedAtomicInteger`.
    FourBytes,
    /// Eight bytes, the most significant first: Curator's `DistributedAtomicLong`.
    EightBytes,
}

/// Why contents are not a number.
pub(super) type NotANumber = Box<dyn StdError + Send + Sync>;

/// A number with a format.
pub(super) trait Number: Copy + PartialEq + Send + Sync + 'static {
    const ZERO: Self;
    const ONE: Self;

    /// Decodes contents that are not empty.
    fn decode(format: Format, data: &[u8]) -> Result<Self, NotANumber>;

    /// `None` if the number is out of the format's range.
    fn encode(self, format: Format) -> Option<Vec<u8>>;

    /// `None` if the sum is out of the type's range.
    fn plus(self, other: Self) -> Option<Self>;

    /// `None` if the negation is out of the type's range.
    fn negated(self) -> Option<Self>;
}

impl Number for i64 {
    const ZERO: Self = 0;
    const ONE: Self = 1;

    fn decode(format: Format, data: &[u8]) -> Result<Self, NotANumber> {
        match format {
            Format::Text => Ok(std::str::from_utf8(data)?.trim().parse()?),
            Format::FourBytes => Ok(i32::from_be_bytes(bytes(data)?).into()),
            Format::EightBytes => Ok(i64::from_be_bytes(bytes(data)?)),
        }
    }

    fn encode(self, format: Format) -> Option<Vec<u8>> {
        Some(match format {
            Format::Text => self.to_string().into_bytes(),
            Format::FourBytes => i32::try_from(self).ok()?.to_be_bytes().to_vec(),
            Format::EightBytes => self.to_be_bytes().to_vec(),
        })
    }

    fn plus(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }

    fn negated(self) -> Option<Self> {
        self.checked_neg()
    }
}

impl Number for i32 {
    const ZERO: Self = 0;
    const ONE: Self = 1;

    fn decode(format: Format, data: &[u8]) -> Result<Self, NotANumber> {
        Ok(i32::try_from(i64::decode(format, data)?)?)
    }

    fn encode(self, format: Format) -> Option<Vec<u8>> {
        i64::from(self).encode(format)
    }

    fn plus(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }

    fn negated(self) -> Option<Self> {
        self.checked_neg()
    }
}

impl Number for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    fn decode(_: Format, data: &[u8]) -> Result<Self, NotANumber> {
        Ok(std::str::from_utf8(data)?.trim().parse()?)
    }

    fn encode(self, _: Format) -> Option<Vec<u8>> {
        Some(python_float(self).into_bytes())
    }

    fn plus(self, other: Self) -> Option<Self> {
        Some(self + other)
    }

    fn negated(self) -> Option<Self> {
        Some(-self)
    }
}

/// The data as this number of bytes.
fn bytes<const N: usize>(data: &[u8]) -> Result<[u8; N], NotANumber> {
    data.try_into()
        .map_err(|_| format!("a number of {N} bytes has {} bytes", data.len()).into())
}

/// The text of Python's `repr` of a float: the shortest digits that are the same float, with an
/// exponent of at least two digits below 1e-4 and from 1e16 on.
fn python_float(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if value == 0.0 || (1e-4..1e16).contains(&value.abs()) {
        // With ".0" behind an integer.
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As `repr` of Python 3.11 prints them.
    #[test]
    fn floats_are_written_as_python_does() {
        let written = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (-2.5, "-2.5"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (1.25e100, "1.25e+100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, text) in written {
            assert_eq!(python_float(value), text);
        }
    }

    #[test]
    fn numbers_have_the_formats_of_the_peers() {
        assert_eq!(42_i64.encode(Format::Text).unwrap(), b"42");
        assert_eq!((-7_i64).encode(Format::Text).unwrap(), b"-7");
        assert_eq!(258_i64.encode(Format::FourBytes).unwrap(), [0, 0, 1, 2]);
        assert_eq!((-1_i32).encode(Format::FourBytes).unwrap(), [255; 4]);
        assert_eq!(
            258_i64.encode(Format::EightBytes).unwrap(),
            [0, 0, 0, 0, 0, 0, 1, 2]
        );
        assert_eq!((1_i64 << 31).encode(Format::FourBytes), None);
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for data in [&b"1.5"[..], b"x", b"\xff", b"9223372036854775808"] {
            assert!(i64::decode(Format::Text, data).is_err(), "{data:?}");
        }
        assert!(i32::decode(Format::Text, b"2147483648").is_err());
        let short = i64::decode(Format::EightBytes, b"1234").unwrap_err();
        assert_eq!(short.to_string(), "a number of 8 bytes has 4 bytes");
        assert!(i64::decode(Format::FourBytes, b"12345").is_err());
        assert!(f64::decode(Format::Text, b"1,5").is_err());
    }

    #[test]
    fn sums_out_of_range_are_refused() {
        assert_eq!(i64::MAX.plus(1), None);
        assert_eq!(i64::MIN.negated(), None);
        assert_eq!(i32::MAX.plus(1), None);
        assert_eq!(i32::MIN.negated(), None);
        assert_eq!(2_i32.plus(-3), Some(-1));
        assert_eq!(1.5.plus(1.0), Some(2.5));
    }

    proptest! {
        #[test]
        fn a_number_is_read_as_written(long in any::<i64>(), int in any::<i32>(), float in any::<f64>()) {
            for format in [Format::Text, Format::EightBytes] {
                let data = long.encode(format).unwrap();
                prop_assert_eq!(i64::decode(format, &data).unwrap(), long);
            }
            for format in [Format::Text, Format::FourBytes] {
                let data = int.encode(format).unwrap();
                prop_assert_eq!(i32::decode(format, &data).unwrap(), int);
            }
            let data = float.encode(Format::Text).unwrap();
            let read = f64::decode(Format::Text, &data).unwrap();
            prop_assert!(read == float || (read.is_nan() && float.is_nan()));
        }

        #[test]
        fn no_contents_panic(data in prop::collection::vec(any::<u8>(), 0..12)) {
            for format in [Format::Text, Format::FourBytes, Format::EightBytes] {
                let _ = i64::decode(format, &data);
                let _ = i32::decode(format, &data);
                let _ = f64::decode(format, &data);
            }
        }
    }
}
