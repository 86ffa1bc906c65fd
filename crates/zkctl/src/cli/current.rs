//! The current znode of `zkctl shell`, to which paths on its lines are relative.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use clap::Command;
use zk_client::path;

thread_local! {
    /// Of the thread that parses command lines. `None` outside of a shell, where paths begin with a slash.
    static CURRENT: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether the shell has credentials that its context does not have.
    static HAS_CREDENTIALS: Cell<bool> = const { Cell::new(false) };
}

/// Makes a znode the current one of this thread.
pub(crate) fn enter(path: &str) {
    CURRENT.set(Some(path.to_owned()));
}

/// The shell's credentials, which are in variables, replace those of its context.
pub(crate) fn replace_credentials() {
    HAS_CREDENTIALS.set(true);
}

/// Whether the shell's credentials replace those of its context.
pub(crate) fn replaces_credentials() -> bool {
    HAS_CREDENTIALS.get()
}

/// The path that a text means: in a shell, the one it leads to from the current znode.
pub(crate) fn absolute(text: &str) -> Cow<'_, str> {
    CURRENT.with_borrow(|current| match current {
        Some(current) => Cow::Owned(resolve(current, text)),
        None => Cow::Borrowed(text),
    })
}

/// [`absolute`] for the beginning of a sequential znode's path, which may end in a slash.
pub(crate) fn absolute_beginning(text: &str) -> String {
    let mut path = absolute(text).into_owned();
    if text.len() > 1 && text.ends_with('/') && !path.ends_with('/') {
        path.push('/');
    }
    path
}

/// In a shell, the definition whose commands begin at the current znode unless a path is given. Of an option that is
/// given twice, the last is used, so that a line replaces the options of the shell.
pub(crate) fn with_defaults(definition: Command) -> Command {
    if CURRENT.with_borrow(Option::is_none) {
        return definition;
    }
    begin_here(definition).args_override_self(true)
}

fn begin_here(command: Command) -> Command {
    command
        .mut_args(|arg| match arg.get_default_values() {
            [only] if only == "/" => arg.default_value("."),
            _ => arg,
        })
        .mut_subcommands(begin_here)
}

/// Follows a path from a znode. `.` and `..` are no names of znodes, and the root has no parent. A slash at the end
/// is left out; any other mistake stays, for the check of paths to find.
pub(crate) fn resolve(current: &str, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut resolved = match text.strip_prefix('/') {
        Some(_) => "/".to_owned(),
        None => current.to_owned(),
    };
    let steps = text.strip_prefix('/').unwrap_or(text);
    let steps = steps.strip_suffix('/').unwrap_or(steps);
    if steps.is_empty() {
        return resolved;
    }
    for step in steps.split('/') {
        match step {
            "." => {}
            ".." => resolved = path::parent(&resolved).unwrap_or("/").to_owned(),
            name => {
                if resolved != "/" {
                    resolved.push('/');
                }
                resolved.push_str(name);
            }
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_current_one() {
        for (current, text, expected) in [
            ("/", "a", "/a"),
            ("/a", "b/c", "/a/b/c"),
            ("/a", "/b", "/b"),
            ("/a/b", "..", "/a"),
            ("/a/b", "../../..", "/"),
            ("/a/b", "../c/./d/", "/a/c/d"),
            ("/a", ".", "/a"),
            ("/a", "./", "/a"),
            ("/a", "/", "/"),
            ("/a", "/x/../y", "/y"),
            ("/a", "...", "/a/..."),
            ("/a", "b//c", "/a/b//c"),
            ("/a", "", ""),
            ("/a b", "é", "/a b/é"),
        ] {
            assert_eq!(resolve(current, text), expected, "{current} {text}");
        }
    }

    #[test]
    fn a_path_is_absolute_outside_of_a_shell() {
        assert_eq!(absolute("a/../b"), "a/../b");
        enter("/x");
        assert_eq!(absolute("a"), "/x/a");
        assert_eq!(absolute_beginning("a/"), "/x/a/");
        assert_eq!(absolute_beginning("a/n-"), "/x/a/n-");
        assert_eq!(absolute_beginning("/"), "/");
        assert_eq!(absolute_beginning("./"), "/x/");
    }
}
