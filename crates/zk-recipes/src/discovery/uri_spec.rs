//! Patterns of the URIs of instances.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pattern of a URI, with variables in braces: `{scheme}://{address}:{port}`.
///
/// | variable | value |
/// |---|---|
/// | `scheme` | `https` if the instance has an SSL port, else `http` |
/// | `name`, `id`, `address` | the fields of the instance |
/// | `port`, `ssl-port` | the ports |
/// | `registration-time-utc` | milliseconds since 1970 |
/// | `service-type` | the type in lower case |
/// | `[`, `]` | an opening and a closing brace |
///
/// A variable without a value, or with another name, is replaced by nothing, as Curator does it;
/// [`ServiceInstance::uri_with`](crate::ServiceInstance::uri_with) gives values to further names.
///
/// ```
/// use zk_recipes::{ServiceInstance, UriSpec};
///
/// let spec = UriSpec::parse("{scheme}://{address}:{port}/v1").unwrap();
/// let instance = ServiceInstance::<()>::new("search", "10.0.0.7").port(9200).uri_spec(spec);
/// assert_eq!(instance.uri().unwrap(), "http://10.0.0.7:9200/v1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct UriSpec {
    #[serde(default)]
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Part {
    value: String,
    #[serde(default)]
    variable: bool,
}

/// Why a pattern is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error(
    "the pattern of the URI has a brace without its counterpart at byte {at}; write {{[}} and {{]}} for braces"
)]
pub struct InvalidUriSpec {
    /// The offset of the brace in bytes.
    pub at: usize,
}

impl UriSpec {
    /// Parses a pattern.
    ///
    /// # Errors
    /// A brace without its counterpart, or one within another.
    pub fn parse(pattern: &str) -> Result<Self, InvalidUriSpec> {
        let mut parts = Vec::new();
        let mut text_from = 0;
        let mut opened = None;
        let part = |range: std::ops::Range<usize>, variable: bool| {
            let value = pattern.get(range).unwrap_or_default();
            let value = if variable { value.trim() } else { value };
            (!value.is_empty()).then(|| Part {
                value: value.to_owned(),
                variable,
            })
        };
        for (at, brace) in pattern.match_indices(['{', '}']) {
            match (brace, opened.take()) {
                ("{", None) => {
                    parts.extend(part(text_from..at, false));
                    opened = Some(at);
                }
                ("}", Some(from)) => {
                    parts.extend(part(from + 1..at, true));
                    text_from = at + 1;
                }
                _ => return Err(InvalidUriSpec { at }),
            }
        }
        match opened {
            Some(at) => Err(InvalidUriSpec { at }),
            None => {
                parts.extend(part(text_from..pattern.len(), false));
                Ok(UriSpec { parts })
            }
        }
    }

    /// The URI with these values of the variables; a variable without one is replaced by nothing.
    pub fn build(&self, value: impl Fn(&str) -> Option<String>) -> String {
        let values = self.parts.iter().map(|part| match part.variable {
            false => part.value.clone(),
            true => value(&part.value).unwrap_or_default(),
        });
        values.collect()
    }
}

impl std::str::FromStr for UriSpec {
    type Err = InvalidUriSpec;

    fn from_str(pattern: &str) -> Result<Self, InvalidUriSpec> {
        UriSpec::parse(pattern)
    }
}

impl fmt::Display for UriSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part.variable {
                true => write!(f, "{{{}}}", part.value)?,
                false => f.write_str(&part.value)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_come_in_pairs() {
        for (pattern, at) in [("a{b", 1), ("a}b", 1), ("{{x}}", 1), ("{a}}", 3)] {
            assert_eq!(
                UriSpec::parse(pattern),
                Err(InvalidUriSpec { at }),
                "{pattern}"
            );
        }
        let pattern = "{scheme}://{address}:{port}/é{[}x{]}";
        assert_eq!(UriSpec::parse(pattern).unwrap().to_string(), pattern);
    }
}
