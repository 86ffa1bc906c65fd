//! The order of the znodes in a tree: parents first, siblings by the bytes of their names. A walk in this
//! order, which visits what is below a znode before its next sibling, needs little memory.

use std::cmp::Ordering;

use zk_client::path;

/// Compares two paths. As in a walk, and unlike for text, `/a/b` comes before `/a!`.
pub(crate) fn compare(one: &str, other: &str) -> Ordering {
    path::names(one).cmp(path::names(other))
}

/// Whether `path` is below `above`, or is `above`.
pub(crate) fn is_at_or_below(path: &str, above: &str) -> bool {
    match path.strip_prefix(above) {
        Some(rest) => rest.is_empty() || rest.starts_with('/') || above == "/",
        None => false,
    }
}

/// The names of siblings, in order. In one piece of memory: a list may have a million names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    text: String,
    /// Beginning and end in `text`.
    spans: Vec<(u32, u32)>,
    next: usize,
}

impl Names {
    /// Sorts names.
    pub(crate) fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut sorted = Names::default();
        for name in names {
            // A reply, and with it all names of a znode's children, is shorter than 2 GiB.
            let start = u32::try_from(sorted.text.len()).unwrap_or(u32::MAX);
            sorted.text.push_str(name);
            let end = u32::try_from(sorted.text.len()).unwrap_or(u32::MAX);
            sorted.spans.push((start, end));
        }
        let (text, spans) = (&sorted.text, &mut sorted.spans);
        spans.sort_unstable_by_key(|span| slice(text, *span));
        sorted
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no next name.
    pub(crate) fn is_empty(&self) -> bool {
        self.next >= self.spans.len()
    }

    /// The next name.
    pub(crate) fn next(&mut self) -> Option<&str> {
        let span = *self.spans.get(self.next)?;
        self.next += 1;
        Some(slice(&self.text, span))
    }
}

fn slice(text: &str, (start, end): (u32, u32)) -> &str {
    text.get(start as usize..end as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_child_comes_before_the_next_sibling() {
        let sorted = ["/", "/a", "/a/b", "/a/b/c", "/a/c", "/a!", "/a-b", "/b"];
        for (one, path) in sorted.iter().enumerate() {
            for (two, other) in sorted.iter().enumerate() {
                assert_eq!(compare(path, other), one.cmp(&two), "{path} {other}");
            }
        }
    }

    #[test]
    fn below_is_by_whole_names() {
        for (path, above, below) in [
            ("/a/b", "/a", true),
            ("/a", "/a", true),
            ("/a", "/", true),
            ("/ab", "/a", false),
            ("/a", "/a/b", false),
        ] {
            assert_eq!(is_at_or_below(path, above), below, "{path} {above}");
        }
    }

    proptest! {
        #[test]
        fn names_are_sorted_by_their_bytes(names in vec("[ -~é\u{10000}]{1,4}", 0..20)) {
            let mut sorted = Names::sorted(names.iter().map(String::as_str));
            prop_assert_eq!(sorted.len(), names.len());
            let mut read = Vec::new();
            while let Some(name) = sorted.next() {
                read.push(name.to_owned());
            }
            let mut expected = names;
            expected.sort();
            prop_assert_eq!(read, expected);
        }
    }
}
