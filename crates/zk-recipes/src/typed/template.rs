//! Paths with parameters.

use std::fmt;

use zk_client::path;

use crate::error::Result;

/// A path in which some names are parameters: `/users/{id}/sessions/{session}`.
///
/// ```
/// # fn main() -> Result<(), zk_recipes::Error> {
/// use zk_recipes::PathTemplate;
///
/// let sessions = PathTemplate::new("/users/{id}/sessions/{session}")?;
/// let path = sessions.resolve(&[&7, &"a"])?;
/// assert_eq!(path, "/users/7/sessions/a");
/// assert_eq!(sessions.parse(&path), Some(vec!["7", "a"]));
/// // A value is one name, and cannot lead to another place.
/// assert!(sessions.resolve(&[&"7/../8", &"a"]).is_err());
/// # Ok(()) }
/// ```
///
/// The counterpart is Curator's `ZPath`.
#[doc(alias = "ZPath")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathTemplate {
    text: String,
}

impl PathTemplate {
    /// A template. A name in braces is a parameter; the name in them is for the reader, and different
    /// parameters may have the same.
    ///
    /// # Errors
    /// [`InvalidPath`](zk_client::ErrorKind::InvalidPath): the template is no path, or a name contains
    /// braces in another place.
    pub fn new(template: &str) -> Result<Self> {
        crate::paths::check(template)?;
        let wrong = names(template).find(|name| {
            let inner = parameter(name).unwrap_or(name);
            inner.contains(['{', '}']) || *name == "{}"
        });
        if let Some(name) = wrong {
            return Err(invalid(format!(
                "invalid template {template:?}: in {name:?} braces do not enclose the name of a parameter"
            )));
        }
        Ok(PathTemplate {
            text: template.to_owned(),
        })
    }

    /// The names of the parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        names(&self.text).filter_map(parameter)
    }

    /// The path with these values in place of the parameters, in order.
    ///
    /// # Errors
    /// [`InvalidPath`](zk_client::ErrorKind::InvalidPath): too few or too many values, or a value that
    /// cannot be the name of a znode: it is empty, `.` or `..`, or contains a slash.
    pub fn resolve(&self, values: &[&dyn fmt::Display]) -> Result<String> {
        let mut unused = values.iter();
        let mut resolved = String::new();
        for name in names(&self.text) {
            let Some(parameter) = parameter(name) else {
                resolved = path::join(&resolved, name);
                continue;
            };
            let value = unused.next().map(ToString::to_string).ok_or_else(|| {
                invalid(format!("no value for {{{parameter}}} in {:?}", self.text))
            })?;
            let is_name = !value.is_empty()
                && !value.contains('/')
                && path::validate(&path::join("/", &value)).is_ok();
            if !is_name {
                return Err(invalid(format!(
                    "the value {value:?} for {{{parameter}}} in {:?} cannot be the name of a znode",
                    self.text
                )));
            }
            resolved = path::join(&resolved, &value);
        }
        match unused.len() {
            0 if resolved.is_empty() => Ok("/".to_owned()),
            0 => Ok(resolved),
            extra => Err(invalid(format!(
                "{extra} more values than {:?} has parameters",
                self.text
            ))),
        }
    }

    /// The values of the parameters in a path; `None` if it is not a path of this template.
    pub fn parse<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let mut found = path.starts_with('/').then(|| names(path))?;
        let mut values = Vec::new();
        for name in names(&self.text) {
            let found = found.next()?;
            match parameter(name) {
                Some(_) => values.push(found),
                None if name == found => {}
                None => return None,
            }
        }
        found.next().is_none().then_some(values)
    }

    /// The template of the parent; `None` for the root.
    pub fn parent(&self) -> Option<PathTemplate> {
        let (parent, _) = self.text.rsplit_once('/').filter(|_| self.text != "/")?;
        let text = if parent.is_empty() { "/" } else { parent };
        Some(PathTemplate {
            text: text.to_owned(),
        })
    }

    /// The template of a child, whose name may be a parameter in braces.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn child(&self, name: &str) -> Result<PathTemplate> {
        Self::new(&path::join(&self.text, name))
    }

    /// Whether the last name is a parameter.
    pub(super) fn ends_in_parameter(&self) -> bool {
        names(&self.text).last().and_then(parameter).is_some()
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

fn parameter(name: &str) -> Option<&str> {
    name.strip_prefix('{')?.strip_suffix('}')
}

fn invalid(text: String) -> crate::error::Error {
    zk_client::Error::invalid_path(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> PathTemplate {
        PathTemplate::new(text).unwrap()
    }

    #[test]
    fn values_take_the_places_of_parameters() {
        let two = template("/users/{id}/sessions/{id}");
        assert_eq!(two.parameters().collect::<Vec<_>>(), ["id", "id"]);
        assert_eq!(two.resolve(&[&1, &"x"]).unwrap(), "/users/1/sessions/x");
        assert_eq!(template("/").resolve(&[]).unwrap(), "/");
        assert_eq!(template("/a/b").resolve(&[]).unwrap(), "/a/b");
        for values in [&[] as &[&dyn fmt::Display], &[&1], &[&1, &2, &3]] {
            assert!(two.resolve(values).is_err(), "{}", values.len());
        }
        for value in ["", ".", "..", "a/b", "a\0"] {
            assert!(two.resolve(&[&1, &value]).is_err(), "{value:?}");
        }
    }

    #[test]
    fn a_path_is_parsed_into_its_values() {
        let two = template("/users/{id}/sessions/{session}");
        assert_eq!(two.parse("/users/1/sessions/x"), Some(vec!["1", "x"]));
        for other in [
            "/users/1",
            "/users/1/sessions/x/y",
            "/groups/1/sessions/x",
            "users/1/sessions/x",
        ] {
            assert_eq!(two.parse(other), None, "{other}");
        }
        assert_eq!(template("/").parse("/"), Some(vec![]));
    }

    #[test]
    fn parents_and_children_are_templates() {
        let users = template("/users/{id}");
        assert_eq!(users.parent(), Some(template("/users")));
        assert_eq!(users.parent().unwrap().parent(), Some(template("/")));
        assert_eq!(template("/").parent(), None);
        assert_eq!(users.child("{n}").unwrap().to_string(), "/users/{id}/{n}");
        assert!(users.ends_in_parameter() && !template("/users").ends_in_parameter());
    }

    #[test]
    fn braces_enclose_whole_names() {
        for text in ["/{}", "/a{b}", "/{a}b", "/{a", "/a}", "/{{a}}", "a", "/a/"] {
            assert!(PathTemplate::new(text).is_err(), "{text}");
        }
    }
}
