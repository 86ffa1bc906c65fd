//! The part of a tree that a cache covers.

use std::fmt;
use std::sync::Arc;

use super::tree::split;

type Predicate = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Chooses nodes by their paths. Without predicates it covers everything, and costs nothing.
#[derive(Clone, Default)]
pub(super) struct Selector {
    pub(super) traverse: Option<Predicate>,
    pub(super) accept: Option<Predicate>,
}

impl Selector {
    /// Whether the children of a node are covered.
    pub(super) fn traverses(&self, path: &str) -> bool {
        self.traverse.as_ref().is_none_or(|covers| covers(path))
    }

    /// Whether all nodes are accepted, whatever they are called.
    pub(super) fn accepts_all(&self) -> bool {
        self.accept.is_none()
    }

    /// Whether a node below the root is covered, if its parent is and its children are.
    pub(super) fn accepts(&self, path: &str) -> bool {
        self.accept.as_ref().is_none_or(|covers| covers(path))
    }

    /// Whether a path at or below `base` is covered. The base itself always is.
    pub(super) fn covers(&self, base: &str, path: &str) -> bool {
        if self.traverse.is_none() && self.accept.is_none() {
            return true;
        }
        let mut at = path;
        while at.len() > base.len() {
            let (parent, _) = split(at);
            if !self.accepts(at) || !self.traverses(parent) {
                return false;
            }
            at = parent;
        }
        true
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selector")
            .field("traverse", &self.traverse.is_some())
            .field("accept", &self.accept.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_covered_with_all_its_parents() {
        let selector = Selector {
            traverse: Some(Arc::new(|path| path != "/app/closed")),
            accept: Some(Arc::new(|path| !path.ends_with("/tmp") && path != "/app")),
        };
        for path in ["/app", "/app/a", "/app/closed", "/app/a/closed/b"] {
            assert!(selector.covers("/app", path), "{path}");
        }
        for path in ["/app/tmp", "/app/tmp/a", "/app/a/tmp/b/c", "/app/closed/a"] {
            assert!(!selector.covers("/app", path), "{path}");
        }
        assert!(
            !selector.covers("/", "/app/a"),
            "below the root every node is chosen"
        );
        assert!(selector.covers("/", "/"));
        assert!(Selector::default().covers("/", "/tmp"));
    }
}
