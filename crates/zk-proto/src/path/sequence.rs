//! The number a server adds to the name of a sequential node.

use std::cmp::Ordering;

/// The number at the end of a sequential node's name (or path); `None` for a name without one.
///
/// The server writes an `i32` as `%010d`: ten digits, or after 2³¹ children a minus sign and nine
/// or ten. A minus sign in front of exactly ten digits is therefore read as the end of the prefix
/// (`lock-0000000001` is 1) unless the number only fits as a negative one or a second minus shows
/// that the prefix has its own (`lock--000000001` is −1).
pub fn sequence(name: &str) -> Option<i32> {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (prefix, run) = name.split_at_checked(name.len() - digits)?;
    let negative = prefix.ends_with('-');
    if negative && digits == 9 {
        return format!("-{run}").parse().ok();
    }
    let number = run.get(digits.checked_sub(10)?..)?;
    // Ten digits that start with 0 are never negative: `%010d` pads negative numbers to nine digits.
    if negative && digits == 10 && prefix.ends_with("--") && !number.starts_with('0') {
        return format!("-{number}").parse().ok();
    }
    if let Ok(positive) = number.parse() {
        return Some(positive);
    }
    (negative && digits == 10)
        .then(|| format!("-{number}").parse().ok())
        .flatten()
}

/// The number after `prefix` in a sequential node's name; `None` for a name that is not `prefix` and a
/// number as the server writes it. With a known prefix no name is ambiguous.
pub fn sequence_after(name: &str, prefix: &str) -> Option<i32> {
    let digits = name.strip_prefix(prefix)?;
    let number: i32 = digits.parse().ok()?;
    // `%010d` writes neither a plus sign nor fewer digits, which `parse` accepts.
    (format!("{number:010}") == digits).then_some(number)
}

/// Compares two names, or paths, by their [`sequence`] numbers, and those with the same number by the
/// text. A name without a number comes before all that have one.
///
/// ```
/// use zk_proto::path;
///
/// let mut names = vec!["b-0000000007", "a-0000000012", "lease"];
/// names.sort_by(|one, other| path::cmp_sequence(one, other));
/// assert_eq!(names, ["lease", "b-0000000007", "a-0000000012"]);
/// ```
#[doc(alias = "getSortedChildren")]
pub fn cmp_sequence(one: &str, other: &str) -> Ordering {
    let numbers = sequence(one).cmp(&sequence(other));
    numbers.then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_by_their_numbers() {
        let sorted = [
            "a",
            "b",
            "z--000000002",
            "z-0000000000",
            "a-0000000001",
            "b-0000000001",
            "a-1000000000",
        ];
        let mut names = sorted;
        names.reverse();
        names.sort_by(|one, other| cmp_sequence(one, other));
        assert_eq!(names, sorted);
    }

    #[test]
    fn numbers_as_the_server_writes_them() {
        for (name, expected) in [
            ("lock-0000000000", Some(0)),
            ("lock-0000000001", Some(1)),
            ("lock0000000042", Some(42)),
            ("0000000007", Some(7)),
            ("/locks/x-0999999999", Some(999_999_999)),
            ("x-1000000000", Some(1_000_000_000)),
            ("x-2147483647", Some(i32::MAX)),
            ("lock--2147483648", Some(i32::MIN)),
            ("lock-2147483648", Some(-2_147_483_648)),
            ("lock--000000001", Some(-1)),
            ("lock-000000001", Some(-1)),
            ("lock--1000000000", Some(-1_000_000_000)),
            ("-2147483648", Some(i32::MIN)),
            ("a1230000000005", Some(5)),
            ("lock", None),
            ("", None),
            ("lock-1", None),
            ("lock-00000001", None),
            ("x9999999999", None),
            ("x-9999999999", None),
            // Only a number after a minus sign, of ten digits, can be negative.
            ("x2147483648", None),
            ("x-12147483648", None),
            ("é0000000003", Some(3)),
        ] {
            assert_eq!(sequence(name), expected, "{name}");
        }
    }

    #[test]
    fn every_i32_after_a_letter_is_read_back() {
        for n in [
            0,
            1,
            999_999_999,
            1_000_000_000,
            i32::MAX,
            i32::MIN,
            -1,
            -999_999_999,
        ] {
            assert_eq!(sequence(&format!("n{n:010}")), Some(n), "{n:010}");
        }
    }

    #[test]
    fn a_known_prefix_leaves_no_ambiguity() {
        for n in [
            0,
            1,
            999_999_999,
            1_000_000_000,
            i32::MAX,
            i32::MIN,
            -1,
            -1_000_000_000,
        ] {
            for prefix in ["", "lock-", "lock--", "n", "/a/"] {
                assert_eq!(sequence_after(&format!("{prefix}{n:010}"), prefix), Some(n));
            }
        }
        for foreign in [
            "lock-",
            "lock-1",
            "lock-+000000001",
            "lock-00000000001",
            "other-0000000001",
        ] {
            assert_eq!(sequence_after(foreign, "lock-"), None, "{foreign}");
        }
    }
}
