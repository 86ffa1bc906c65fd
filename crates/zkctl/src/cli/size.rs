//! Sizes in bytes.

/// The protocol's lengths have 31 bits.
const MAX: usize = i32::MAX as usize;

/// Parses a number of bytes: `1048576`, `1024K`, `1M`, with factors of 1024.
pub(crate) fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(digits.len());
    let factor = match unit {
        "" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        _ => 0,
    };
    // `parse` would accept a sign.
    let is_unsigned = number.bytes().all(|byte| byte.is_ascii_digit());
    if !is_unsigned || number.is_empty() || factor == 0 {
        return Err("write a number of bytes, as in 8388608, 8192K or 8M".to_owned());
    }
    number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|size| (1..=MAX).contains(size))
        .ok_or_else(|| format!("the size must be between 1 and {MAX} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_a_limit() {
        for (text, bytes) in [
            ("1", 1),
            ("8K", 8192),
            ("8MiB", 8 << 20),
            ("2147483647", MAX),
        ] {
            assert_eq!(size(text), Ok(bytes));
        }
        for text in [
            "",
            "M",
            "0",
            "-1",
            "+1",
            "1.5M",
            "1 M",
            "8m",
            "2G",
            "99999999999999999999",
        ] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }
}
