//! A client's own root.

use std::fmt;

use super::validate::{PathError, validate};
use super::wire::WirePath;

/// The node that is a client's root; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Chroot(String);

impl Chroot {
    /// The server's own root.
    pub const fn none() -> Self {
        Self(String::new())
    }

    /// A chroot at `path`; `/` and the empty string are none.
    ///
    /// # Errors
    /// [`PathError`] if the path is not valid.
    pub fn new(path: &str) -> Result<Self, PathError> {
        if path.is_empty() || path == "/" {
            return Ok(Self::none());
        }
        validate(path)?;
        Ok(Self(path.to_owned()))
    }

    /// Whether there is no chroot.
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// The chroot's path, without a trailing slash; empty for none.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The server's name for `path`.
    pub fn join(&self, path: &str) -> String {
        self.wire(path).to_string()
    }

    /// The server's name for `path`, without a copy.
    pub fn wire<'a>(&'a self, path: &'a str) -> WirePath<'a> {
        WirePath::new(&self.0, path)
    }

    /// The server's name for `path`, to which the server appends a number: with the root for a path
    /// it numbers the chroot's children, and not the chroot.
    pub fn wire_numbered<'a>(&'a self, path: &'a str) -> WirePath<'a> {
        WirePath::numbered(&self.0, path)
    }

    /// The client's name for a server's path; `None` for one outside the chroot. Names are compared
    /// whole: `/apple` is not below `/app`.
    pub fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        match path.strip_prefix(self.as_str())? {
            "" if self.is_none() => None,
            "" => Some("/"),
            rest => rest.starts_with('/').then_some(rest),
        }
    }

    /// The chroot at `path` below this one.
    ///
    /// # Errors
    /// [`PathError`] if the path is not valid.
    pub fn child(&self, path: &str) -> Result<Self, PathError> {
        let below = Self::new(path)?;
        Ok(Self(format!("{}{}", self.0, below.0)))
    }
}

/// The chroot's path; `/` for none.
impl fmt::Display for Chroot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_none() { "/" } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: A81, B60.
    #[test]
    fn strips_whole_names_only() {
        let app = Chroot::new("/app").unwrap();
        assert_eq!(app.strip("/app"), Some("/"));
        assert_eq!(app.strip("/app/a/b"), Some("/a/b"));
        for outside in ["/apple", "/ap", "/", "", "/other/app", "app", "app/a"] {
            assert_eq!(app.strip(outside), None, "{outside}");
        }
        let none = Chroot::none();
        assert_eq!(none.strip("/a"), Some("/a"));
        assert_eq!(none.strip("/"), Some("/"));
        for outside in ["", "a"] {
            assert_eq!(none.strip(outside), None, "{outside:?}");
        }
    }

    #[test]
    fn joins_and_nests() {
        let app = Chroot::new("/app").unwrap();
        assert_eq!(
            (app.join("/"), app.join("/a")),
            ("/app".to_owned(), "/app/a".to_owned())
        );
        assert_eq!(Chroot::none().join("/a"), "/a");
        assert_eq!(app.child("/team").unwrap().as_str(), "/app/team");
        assert_eq!(app.child("/").unwrap(), app);
        assert_eq!(Chroot::none().child("/team").unwrap().as_str(), "/team");
        assert_eq!(Chroot::none().child("/").unwrap(), Chroot::none());
        assert!(app.child("team").is_err() && app.child("/team/").is_err());
    }

    #[test]
    fn the_root_is_no_chroot() {
        for path in ["", "/"] {
            assert_eq!(Chroot::new(path).unwrap(), Chroot::none());
        }
        assert_eq!(
            (Chroot::none().as_str(), Chroot::none().to_string()),
            ("", "/".to_owned())
        );
        assert!(Chroot::new("app").is_err());
    }
}
