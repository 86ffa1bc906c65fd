//! Patterns for names, as in a shell: `*` is any text, `?` is any character.

/// Whether `name` matches `pattern` as a whole.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // Where to go on if what follows the last star does not match: behind the star, one character later.
    let mut retry = None;
    loop {
        match (pattern.next(), name.clone().next()) {
            (None, None) => return true,
            (Some('*'), _) => retry = Some((pattern.clone(), name.clone())),
            (Some(one), Some(other)) if one == '?' || one == other => drop(name.next()),
            _ => {
                let Some((after_star, rest)) = &mut retry else {
                    return false;
                };
                if rest.next().is_none() {
                    return false;
                }
                (pattern, name) = (after_star.clone(), rest.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, which takes exponential time.
    fn by_definition(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => {
                (0..=name.len()).any(|skipped| by_definition(rest, &name[skipped..]))
            }
            ([one, rest @ ..], [other, others @ ..]) => {
                (*one == '?' || one == other) && by_definition(rest, others)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_match_is_that_of_the_definition(pattern in "[ab*?]{0,7}", name in "[abé]{0,7}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let expected = by_definition(&chars(&pattern), &chars(&name));
            prop_assert_eq!(matches(&pattern, &name), expected);
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        assert!(matches("lock-*", "lock-0000000001") && matches("?é", "aé"));
        assert!(!matches("lock", "lock-1") && !matches("", "a"));
        let stars = "*a".repeat(40);
        assert!(!matches(&stars, &"a".repeat(39)));
    }
}
