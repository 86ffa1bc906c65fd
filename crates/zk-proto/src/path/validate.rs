//! What the server accepts, and the parts of a path.

/// Why a path is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid path {path:?}: {problem}")]
#[non_exhaustive]
pub struct PathError {
    /// The path as it was given.
    pub path: String,
    /// The problem.
    pub problem: PathProblem,
}

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathProblem {
    /// The path is empty.
    #[error("it is empty; the root is \"/\"")]
    Empty,
    /// It is not absolute.
    #[error("it must start with '/'")]
    NotAbsolute,
    /// It ends with a slash.
    #[error("it must not end with '/'")]
    TrailingSlash,
    /// Two slashes in a row.
    #[error("empty name at byte {0}")]
    EmptyName(usize),
    /// A name that is `.` or `..`.
    #[error("relative name at byte {0}")]
    RelativeName(usize),
    /// A character that ZooKeeper does not allow: control characters, private use, specials, and
    /// everything outside the Basic Multilingual Plane.
    #[error("character {1:?} at byte {0} is not allowed")]
    Character(usize, char),
}

/// Checks a path by the server's rules.
///
/// # Errors
/// [`PathError`] says what is wrong and where.
pub fn validate(path: &str) -> Result<(), PathError> {
    check(path, false)
}

/// Checks the path of a sequential node to be created. It may end with `/`; the number is the whole name
/// then.
///
/// # Errors
/// [`PathError`] says what is wrong and where.
pub fn validate_sequential(path: &str) -> Result<(), PathError> {
    check(path, true)
}

fn check(path: &str, sequential: bool) -> Result<(), PathError> {
    if is_plain(path.as_bytes()) {
        return Ok(());
    }
    find_problem(path, sequential).map_or(Ok(()), |problem| {
        Err(PathError {
            path: path.to_owned(),
            problem,
        })
    })
}

/// A fast check that most paths pass: no name begins with a dot, and all characters are ASCII. Every
/// request runs it.
fn is_plain(path: &[u8]) -> bool {
    let Some((b'/', names)) = path.split_first() else {
        return false;
    };
    let mut begins = !names.is_empty();
    for byte in names {
        match byte {
            b'/' | b'.' if begins => return false,
            b' '..=b'~' => begins = *byte == b'/',
            _ => return false,
        }
    }
    !begins
}

fn find_problem(path: &str, sequential: bool) -> Option<PathProblem> {
    if path.is_empty() {
        return Some(PathProblem::Empty);
    }
    let Some(names) = path.strip_prefix('/') else {
        return Some(PathProblem::NotAbsolute);
    };
    if let Some((at, found)) = path.char_indices().find(|&(_, c)| is_forbidden(c)) {
        return Some(PathProblem::Character(at, found));
    }
    if names.is_empty() {
        return None;
    }
    let mut at = 1;
    for name in names.split('/') {
        let last = at + name.len() == path.len();
        match name {
            "" if last && sequential => {}
            "" if last => return Some(PathProblem::TrailingSlash),
            "" => return Some(PathProblem::EmptyName(at)),
            // With a number appended, neither is relative.
            "." | ".." if !(last && sequential) => return Some(PathProblem::RelativeName(at)),
            _ => {}
        }
        at += name.len() + 1;
    }
    None
}

/// The server checks UTF-16 units and forbids surrogates, and so all characters that need two.
fn is_forbidden(c: char) -> bool {
    matches!(
        c,
        '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{e000}'..='\u{f8ff}'
            | '\u{fff0}'..='\u{10ffff}'
    )
}

/// The parent of a node; `None` for the root and for a path that is not absolute.
pub fn parent(path: &str) -> Option<&str> {
    if path == "/" {
        return None;
    }
    match path.rsplit_once('/')? {
        ("", _) => Some("/"),
        (parent, _) => Some(parent),
    }
}

/// The last name of a path; empty for the root.
pub fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The names in a path, from the top: none for the root.
///
/// ```
/// use zk_proto::path;
///
/// assert!(path::names("/app/jobs/high").eq(["app", "jobs", "high"]));
/// ```
#[doc(alias = "split")]
pub fn names(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

/// The path of the child `name` of `parent`.
pub fn join(parent: &str, name: &str) -> String {
    let parent = parent.strip_suffix('/').unwrap_or(parent);
    format!("{parent}/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(path: &str) -> Option<PathProblem> {
        validate(path).err().map(|error| error.problem)
    }

    #[test]
    fn a_path_is_split_into_its_names() {
        for (path, names_of) in [
            ("/", &[][..]),
            ("/a", &["a"]),
            ("/a/b-0000000001", &["a", "b-0000000001"]),
            // To which a number is appended.
            ("/a/", &["a"]),
        ] {
            assert!(names(path).eq(names_of.iter().copied()), "{path}");
            let (last, above) = (names(path).next_back(), parent(path));
            assert_eq!(last.is_none(), path == "/");
            assert_eq!(above.is_none(), path == "/");
        }
    }

    #[test]
    fn what_the_server_accepts() {
        for path in [
            "/",
            "/a",
            "/a/b",
            "/.a",
            "/a..",
            "/...",
            "/a b",
            "/é",
            "/\u{fdd0}",
            "/日本",
        ] {
            assert_eq!(problem(path), None, "{path}");
        }
    }

    #[test]
    fn what_the_server_refuses_and_why() {
        use PathProblem::*;
        let table = [
            ("", Empty),
            ("a", NotAbsolute),
            ("a/b", NotAbsolute),
            ("/a/", TrailingSlash),
            ("//", EmptyName(1)),
            ("//a", EmptyName(1)),
            ("/a//b", EmptyName(3)),
            ("/.", RelativeName(1)),
            ("/a/../b", RelativeName(3)),
            ("/a/..", RelativeName(3)),
            ("/a\0", Character(2, '\0')),
            ("/\u{1f}", Character(1, '\u{1f}')),
            ("/\u{7f}", Character(1, '\u{7f}')),
            ("/\u{9f}", Character(1, '\u{9f}')),
            ("/\u{e000}", Character(1, '\u{e000}')),
            ("/\u{f8ff}", Character(1, '\u{f8ff}')),
            ("/\u{fff0}", Character(1, '\u{fff0}')),
            ("/\u{ffff}", Character(1, '\u{ffff}')),
            ("/😀", Character(1, '😀')),
        ];
        for (path, expected) in table {
            assert_eq!(problem(path), Some(expected), "{path:?}");
        }
        for path in [
            "/\u{20}",
            "/\u{7e}",
            "/\u{a0}",
            "/\u{d7ff}",
            "/\u{f900}",
            "/\u{ffef}",
        ] {
            assert_eq!(problem(path), None, "{path:?}");
        }
    }

    #[test]
    fn the_fast_check_agrees_with_the_full_one() {
        // Every path of up to six of these.
        let alphabet = ['/', '.', 'a', '~', '\u{7f}', 'é'];
        let mut paths = vec![String::new()];
        for longer in 0..6 {
            for at in 0..paths.len() {
                if paths[at].chars().count() == longer {
                    let path = &paths[at];
                    paths.extend(alphabet.map(|c| format!("{path}{c}")));
                }
            }
        }
        for path in paths {
            let valid = find_problem(&path, false).is_none();
            let usual = path.is_ascii() && !path.contains("/.");
            assert_eq!(is_plain(path.as_bytes()), valid && usual, "{path:?}");
        }
    }

    #[test]
    fn a_sequential_path_may_end_with_a_slash() {
        for path in ["/", "/a/", "/a/lock-", "/a/.", "/a/.."] {
            assert_eq!(validate_sequential(path), Ok(()), "{path}");
        }
        for path in ["", "a/", "//", "/a//", "/../a", "/a/./b-"] {
            assert!(validate_sequential(path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_message_shows_path_and_place() {
        let error = validate("/a//b").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"invalid path "/a//b": empty name at byte 3"#
        );
    }

    #[test]
    fn parents_names_and_joins() {
        assert_eq!(
            (parent("/"), parent("/a"), parent("/a/b")),
            (None, Some("/"), Some("/a"))
        );
        assert_eq!(parent("a"), None);
        assert_eq!((name("/"), name("/a"), name("/a/b")), ("", "a", "b"));
        assert_eq!(
            (join("/", "a"), join("/a", "b")),
            ("/a".to_owned(), "/a/b".to_owned())
        );
    }
}
