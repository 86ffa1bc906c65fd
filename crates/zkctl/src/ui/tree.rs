//! The znodes that have been read, and the rows that are visible of them.

use std::cmp::Ordering;

use zk_client::path;

/// A znode of the tree, until it is deleted.
pub(super) type Id = usize;

/// What another client did to a znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    New,
    Changed,
}

#[derive(Debug, Default)]
struct Node {
    name: String,
    parent: Id,
    depth: usize,
    /// Sorted by name; `None` if they have not been read.
    children: Option<Vec<Id>>,
    expanded: bool,
    mark: Option<Mark>,
    /// Why the children could not be read.
    unread: Option<String>,
    /// Whether the filter shows it.
    matches: bool,
}

/// The tree. Its rows are computed when it changes, and not when they are drawn: there may be 100,000.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    unused: Vec<Id>,
    rows: Vec<Id>,
    filter: Option<Pattern>,
}

/// A part of a name. Without upper-case letters, it also matches those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    text: String,
    exact: bool,
}

impl Pattern {
    /// `None` if the text is empty.
    pub(super) fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Pattern {
            text: text.to_owned(),
            exact: text.chars().any(char::is_uppercase),
        })
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        if self.exact {
            return name.contains(&self.text);
        }
        name.contains(&self.text) || name.to_lowercase().contains(&self.text)
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

/// How the children of a znode differ from those before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) new: usize,
    pub(super) gone: usize,
}

impl Tree {
    /// The root, which exists always.
    pub(super) const ROOT: Id = 0;

    pub(super) fn new() -> Self {
        Tree {
            nodes: vec![Node::default()],
            unused: Vec::new(),
            rows: vec![Self::ROOT],
            filter: None,
        }
    }

    fn node(&self, id: Id) -> Option<&Node> {
        self.nodes.get(id)
    }

    pub(super) fn name(&self, id: Id) -> &str {
        match self.node(id) {
            Some(node) if id != Self::ROOT => &node.name,
            _ => "/",
        }
    }

    pub(super) fn depth(&self, id: Id) -> usize {
        self.node(id).map_or(0, |node| node.depth)
    }

    pub(super) fn parent(&self, id: Id) -> Id {
        self.node(id).map_or(Self::ROOT, |node| node.parent)
    }

    pub(super) fn is_expanded(&self, id: Id) -> bool {
        self.node(id).is_some_and(|node| node.expanded)
    }

    /// The number of children; `None` if they have not been read.
    pub(super) fn count(&self, id: Id) -> Option<usize> {
        let children = self.node(id)?.children.as_ref()?;
        Some(children.len())
    }

    /// Takes over how many children a znode's stat shows, unless they are on the screen.
    pub(super) fn set_count(&mut self, id: Id, count: i32) {
        let Some(node) = self.nodes.get_mut(id) else {
            return;
        };
        if node.expanded {
            return;
        }
        match (&node.children, count) {
            (None, 0) => node.children = Some(Vec::new()),
            (Some(children), 1..) if children.is_empty() => node.children = None,
            _ => {}
        }
    }

    pub(super) fn mark(&self, id: Id) -> Option<Mark> {
        self.node(id)?.mark
    }

    pub(super) fn set_mark(&mut self, id: Id, mark: Option<Mark>) {
        if let Some(node) = self.nodes.get_mut(id) {
            // New says more than changed.
            if node.mark != Some(Mark::New) || mark.is_none() {
                node.mark = mark;
            }
        }
    }

    pub(super) fn unread(&self, id: Id) -> Option<&str> {
        self.node(id)?.unread.as_deref()
    }

    pub(super) fn set_unread(&mut self, id: Id, why: Option<String>) {
        if let Some(node) = self.nodes.get_mut(id) {
            node.unread = why;
        }
    }

    pub(super) fn path(&self, id: Id) -> String {
        let mut names = Vec::new();
        let mut at = id;
        while at != Self::ROOT {
            names.push(self.name(at));
            at = self.parent(at);
        }
        if names.is_empty() {
            return "/".to_owned();
        }
        names
            .iter()
            .rev()
            .fold(String::new(), |path, name| path + "/" + name)
    }

    /// The znode at a path, if it has been read; otherwise the lowest above it that has been, as an error.
    pub(super) fn find(&self, path: &str) -> Result<Id, Id> {
        let mut at = Self::ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = self.child(at, name).ok_or(at)?;
        }
        Ok(at)
    }

    fn child(&self, id: Id, name: &str) -> Option<Id> {
        let children = self.node(id)?.children.as_deref()?;
        let found = children.binary_search_by(|child| self.name(*child).cmp(name));
        children.get(found.ok()?).copied()
    }

    /// The path of a child, as znodes are named.
    pub(super) fn join(parent: &str, name: &str) -> String {
        path::join(parent, name)
    }

    /// Replaces the children of a znode. Those that are new are marked, unless none had been read before.
    pub(super) fn set_children(&mut self, id: Id, mut names: Vec<String>) -> Difference {
        names.sort_unstable();
        names.dedup();
        let Some(node) = self.nodes.get_mut(id) else {
            return Difference::default();
        };
        node.unread = None;
        let depth = node.depth + 1;
        let before = node.children.take();
        let mark = before.is_some().then_some(Mark::New);
        let mut before = before.unwrap_or_default().into_iter().peekable();
        let mut children = Vec::with_capacity(names.len());
        let mut difference = Difference::default();
        for name in names {
            // Both are sorted.
            let mut kept = None;
            while let Some(&old) = before.peek() {
                match self.name(old).cmp(&name) {
                    Ordering::Less => {
                        difference.gone += 1;
                        self.remove(old);
                    }
                    Ordering::Equal => kept = Some(old),
                    Ordering::Greater => break,
                }
                before.next();
                if kept.is_some() {
                    break;
                }
            }
            children.push(kept.unwrap_or_else(|| {
                difference.new += 1;
                let matches = self
                    .filter
                    .as_ref()
                    .is_none_or(|filter| filter.matches(&name));
                self.add(Node {
                    name,
                    parent: id,
                    depth,
                    mark,
                    matches,
                    ..Node::default()
                })
            }));
        }
        for old in before {
            difference.gone += 1;
            self.remove(old);
        }
        if mark.is_none() {
            difference.new = 0;
        }
        let is_visible = self.is_expanded(id);
        if let Some(node) = self.nodes.get_mut(id) {
            node.children = Some(children);
        }
        if is_visible {
            self.compute_rows();
        }
        difference
    }

    fn add(&mut self, node: Node) -> Id {
        if let Some(id) = self.unused.pop()
            && let Some(place) = self.nodes.get_mut(id)
        {
            *place = node;
            return id;
        }
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn remove(&mut self, id: Id) {
        let mut removed = vec![id];
        while let Some(id) = removed.pop() {
            if let Some(node) = self.nodes.get_mut(id) {
                let node = std::mem::take(node);
                removed.extend(node.children.unwrap_or_default());
                self.unused.push(id);
            }
        }
    }

    /// Shows or hides the children of a znode.
    pub(super) fn set_expanded(&mut self, id: Id, expanded: bool) {
        if let Some(node) = self.nodes.get_mut(id)
            && node.expanded != expanded
        {
            node.expanded = expanded;
            self.compute_rows();
        }
    }

    /// The expanded znodes.
    pub(super) fn expanded(&self) -> Vec<String> {
        let ids = self.rows.iter().copied();
        ids.filter(|&id| self.is_expanded(id))
            .map(|id| self.path(id))
            .collect()
    }

    /// The visible znodes, from above.
    pub(super) fn rows(&self) -> &[Id] {
        &self.rows
    }

    /// The row of a znode, or of the lowest above it that is visible.
    pub(super) fn row_of(&self, id: Id) -> usize {
        let mut id = id;
        loop {
            if let Some(row) = self.rows.iter().position(|&row| row == id) {
                return row;
            }
            if id == Self::ROOT {
                return 0;
            }
            id = self.parent(id);
        }
    }

    pub(super) fn filter(&self) -> Option<&Pattern> {
        self.filter.as_ref()
    }

    /// Shows only znodes whose names match, and those above them.
    pub(super) fn set_filter(&mut self, filter: Option<Pattern>) {
        self.filter = filter;
        for node in &mut self.nodes {
            node.matches = self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(&node.name));
        }
        self.compute_rows();
    }

    fn compute_rows(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        // Znodes whose children are being added: the znode, its row, and how many children are done.
        let mut above: Vec<(Id, usize, usize)> = vec![(Self::ROOT, 0, 0)];
        rows.push(Self::ROOT);
        while let Some((id, row, done)) = above.last_mut() {
            let (id, row) = (*id, *row);
            let node = self.node(id);
            let visible = node.filter(|node| node.expanded);
            let children = visible
                .and_then(|node| node.children.as_deref())
                .unwrap_or_default();
            if let Some(&child) = children.get(*done) {
                *done += 1;
                if self.is_expanded(child) {
                    above.push((child, rows.len(), 0));
                    rows.push(child);
                } else if self.node(child).is_some_and(|child| child.matches) {
                    rows.push(child);
                }
                continue;
            }
            above.pop();
            let is_needed = rows.len() > row + 1 || node.is_some_and(|node| node.matches);
            if !is_needed && id != Self::ROOT {
                rows.truncate(row);
            }
        }
        self.rows = rows;
    }

    /// The next znode after `from` that matches, in the order of the tree, also below znodes that are not expanded;
    /// after the last comes the first. `backwards` searches the other way.
    pub(super) fn search(
        &self,
        pattern: &Pattern,
        from: Id,
        backwards: bool,
        also_from: bool,
    ) -> Option<Id> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut stack = vec![Self::ROOT];
        while let Some(id) = stack.pop() {
            order.push(id);
            if let Some(children) = self.node(id).and_then(|node| node.children.as_deref()) {
                stack.extend(children.iter().rev());
            }
        }
        if backwards {
            order.reverse();
        }
        let at = order.iter().position(|&id| id == from).unwrap_or(0);
        let (before, after) = order.split_at_checked(at).unwrap_or_default();
        let skipped = usize::from(!also_from);
        after
            .iter()
            .skip(skipped)
            .chain(before)
            .chain(after.first())
            .copied()
            .find(|&id| pattern.matches(self.name(id)))
    }

    /// Expands everything above a znode.
    pub(super) fn reveal(&mut self, id: Id) {
        let mut at = id;
        let mut changed = false;
        while at != Self::ROOT {
            at = self.parent(at);
            if let Some(node) = self.nodes.get_mut(at) {
                changed |= !std::mem::replace(&mut node.expanded, true);
            }
        }
        // A filter would hide it.
        if self.node(id).is_some_and(|node| !node.matches) {
            self.set_filter(None);
        } else if changed {
            self.compute_rows();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn visible(tree: &Tree) -> Vec<String> {
        tree.rows().iter().map(|&id| tree.path(id)).collect()
    }

    /// `/`, `/a` and `/b`, expanded, with `/a/x` and `/a/y`.
    fn small() -> Tree {
        let mut tree = Tree::new();
        tree.set_expanded(Tree::ROOT, true);
        tree.set_children(Tree::ROOT, names(&["b", "a"]));
        let a = tree.find("/a").unwrap();
        tree.set_children(a, names(&["y", "x"]));
        tree.set_expanded(a, true);
        tree
    }

    #[test]
    fn expanded_znodes_show_sorted_children() {
        let mut tree = small();
        assert_eq!(visible(&tree), ["/", "/a", "/a/x", "/a/y", "/b"]);
        let a = tree.find("/a").unwrap();
        assert_eq!(tree.find("/a/z/q"), Err(a));
        let y = tree.find("/a/y").unwrap();
        assert_eq!((tree.row_of(y), tree.depth(y)), (3, 2));
        tree.set_expanded(a, false);
        assert_eq!(visible(&tree), ["/", "/a", "/b"]);
        assert_eq!(tree.row_of(y), 1);
    }

    #[test]
    fn new_children_are_marked_and_others_kept() {
        let mut tree = small();
        let b = tree.find("/b").unwrap();
        let difference = tree.set_children(Tree::ROOT, names(&["0", "b", "c"]));
        assert_eq!(difference, Difference { new: 2, gone: 1 });
        assert_eq!(visible(&tree), ["/", "/0", "/b", "/c"]);
        assert_eq!(tree.find("/b"), Ok(b));
        assert_eq!(tree.mark(b), None);
        let c = tree.find("/c").unwrap();
        assert_eq!(tree.mark(c), Some(Mark::New));
        // The znodes below /a are gone as well: their places are used again.
        let used = tree.nodes.len();
        tree.set_children(c, names(&["1"]));
        assert_eq!(tree.nodes.len(), used);
        assert_eq!(tree.mark(tree.find("/c/1").unwrap()), None);
    }

    #[test]
    fn a_filter_keeps_what_is_above() {
        let mut tree = small();
        tree.set_filter(Pattern::new("x"));
        assert_eq!(visible(&tree), ["/", "/a", "/a/x"]);
        tree.set_filter(Pattern::new("B"));
        assert_eq!(visible(&tree), ["/"]);
        let x = tree.find("/a/x").unwrap();
        tree.reveal(x);
        assert_eq!(visible(&tree).len(), 5);
    }

    #[test]
    fn a_search_goes_around_and_into_collapsed() {
        let mut tree = small();
        let a = tree.find("/a").unwrap();
        let b = tree.find("/b").unwrap();
        tree.set_expanded(a, false);
        let pattern = Pattern::new("X").unwrap();
        assert_eq!(tree.search(&pattern, b, false, false), None);
        let pattern = Pattern::new("x").unwrap();
        let x = tree.search(&pattern, b, false, false).unwrap();
        assert_eq!(tree.path(x), "/a/x");
        assert_eq!(tree.search(&pattern, x, true, false), Some(x));
        tree.reveal(x);
        assert!(visible(&tree).contains(&"/a/x".to_owned()));
    }
}
