//! The files of a crate as modules: what each defines, and what it imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use super::tokens::tokens;

/// The keywords that an item's name follows.
const ITEMS: [&str; 11] = [
    "struct",
    "enum",
    "fn",
    "const",
    "static",
    "type",
    "trait",
    "union",
    "mod",
    "macro_rules",
    "macro",
];

/// One file.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Below `src`.
    pub(crate) file: String,
    lines: usize,
    defines: BTreeSet<String>,
    /// The names that its `use` lines make, with what they stand for.
    names: BTreeMap<String, Vec<String>>,
    /// What `use x::*` stands for.
    globs: Vec<Vec<String>>,
    /// The paths in the rest of it.
    paths: BTreeSet<Vec<String>>,
    /// The words in the rest of it.
    words: BTreeSet<String>,
}

/// The files of a crate by the paths of their modules; the crate's own is empty.
#[derive(Debug)]
pub(crate) struct Modules(BTreeMap<Vec<String>, Module>);

impl Modules {
    pub(crate) fn read(source: &Path) -> io::Result<Self> {
        let mut modules = Modules(BTreeMap::new());
        modules.find(source, &[])?;
        Ok(modules)
    }

    fn find(&mut self, directory: &Path, path: &[String]) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
            let file = entry?.path();
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let mut module = path.to_vec();
            if !matches!(&*stem, "lib" | "main" | "mod") || file.is_dir() {
                module.push(stem.clone().into_owned());
            }
            // Unit tests beside the file that they test.
            if stem == "tests" {
                continue;
            }
            if file.is_dir() {
                self.find(&file, &module)?;
            } else if file.extension().is_some_and(|extension| extension == "rs") {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                let mut below = path.to_vec();
                below.push(name.into_owned());
                let parsed = Module::parse(below.join("/"), &fs::read_to_string(&file)?);
                self.0.insert(module, parsed);
            }
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn flat(&self) -> usize {
        let files = self.0.values();
        files.filter(|module| !module.file.contains('/')).count()
    }

    pub(crate) fn longest(&self) -> (usize, String) {
        let files = self.0.values();
        let longest = files.max_by_key(|module| module.lines);
        longest.map_or_else(Default::default, |module| {
            (module.lines, module.file.clone())
        })
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|module| &*module.file)
    }

    /// The imports of each file, as pairs of places in [`files`](Self::files).
    pub(crate) fn imports(&self) -> BTreeSet<(usize, usize)> {
        let places: BTreeMap<_, _> = self.0.keys().zip(0..).collect();
        let mut imports = BTreeSet::new();
        for (from, module) in &self.0 {
            let used = module.names.iter();
            let used =
                used.filter(|(name, _)| name.starts_with('_') || module.words.contains(*name));
            let paths = used.map(|(_, path)| path);
            for path in paths.chain(&module.globs).chain(&module.paths) {
                let found = self.resolve(from, path, 0);
                let to = found.filter(|to| *to != from.as_slice());
                if let Some(to) = to.and_then(|to| places.get(&to.to_vec())) {
                    imports.insert((places[from], *to));
                }
            }
        }
        imports
    }

    /// The file that defines what a path in a file stands for, if it is of this crate.
    fn resolve(&self, from: &[String], path: &[String], depth: usize) -> Option<&[String]> {
        // Names that stand for each other would not come to an end.
        if depth > 8 {
            return None;
        }
        let (mut module, mut rest) = match path.split_first()? {
            (first, rest) if first == "crate" => (Vec::new(), rest),
            (first, rest) if first == "self" => (from.to_vec(), rest),
            (first, rest) if first == "super" => {
                let mut module = from.to_vec();
                module.pop()?;
                (module, rest)
            }
            (first, _) => {
                let child = [from, std::slice::from_ref(first)].concat();
                let stands_for = self.0.get(from).and_then(|module| module.names.get(first));
                match stands_for {
                    Some(other) if !self.0.contains_key(&child) && *other != path => {
                        let longer = [other.as_slice(), &path[1..]].concat();
                        return self.resolve(from, &longer, depth + 1);
                    }
                    _ if self.0.contains_key(&child) => (from.to_vec(), path),
                    // Another crate.
                    _ => return None,
                }
            }
        };
        while let Some((first, more)) = rest.split_first() {
            if first == "super" {
                module.pop()?;
            } else {
                let child = [module.as_slice(), std::slice::from_ref(first)].concat();
                if !self.0.contains_key(&child) {
                    break;
                }
                module = child;
            }
            rest = more;
        }
        let (module, found) = self.0.get_key_value(&module)?;
        let Some(name) = rest.first().filter(|name| !found.defines.contains(*name)) else {
            return Some(module);
        };
        if let Some(stands_for) = found.names.get(name) {
            return self.resolve(module, stands_for, depth + 1).or(Some(module));
        }
        let globs = found.globs.iter();
        let mut globs = globs.filter_map(|glob| self.resolve(module, glob, depth + 1));
        let defining = globs.find(|to| {
            let defines = self.0.get(*to).map(|module| &module.defines);
            defines.is_some_and(|defines| defines.contains(name))
        });
        defining.or(Some(module))
    }
}

impl Module {
    fn parse(file: String, source: &str) -> Self {
        let mut module = Module {
            file,
            lines: source.lines().count(),
            ..Module::default()
        };
        let tokens = tokens(source);
        let mut at = 0;
        while at < tokens.len() {
            let token = &tokens[at];
            if token == "use" {
                at = module.parse_use(&tokens, at + 1, &[]) + 1;
                continue;
            }
            if ITEMS.contains(&token.as_str()) {
                let name = tokens[at + 1..].iter().find(|token| *token != "!");
                module.defines.extend(name.cloned());
            }
            let is_word = token.starts_with(|c: char| c.is_alphabetic() || c == '_');
            if is_word {
                module.words.insert(token.clone());
                let mut path = vec![token.clone()];
                while tokens.get(at + 1).is_some_and(|token| token == "::") {
                    let Some(next) = tokens.get(at + 2).filter(|next| *next != "<") else {
                        break;
                    };
                    path.push(next.clone());
                    at += 2;
                }
                if path.len() > 1 {
                    module.paths.insert(path);
                }
            }
            at += 1;
        }
        module
    }

    /// Reads a tree of names from here, and returns where it ends.
    fn parse_use(&mut self, tokens: &[String], mut at: usize, before: &[String]) -> usize {
        let mut path = before.to_vec();
        while let Some(token) = tokens.get(at) {
            match token.as_str() {
                "::" => {}
                "{" => loop {
                    at = self.parse_use(tokens, at + 1, &path);
                    match tokens.get(at).map(String::as_str) {
                        Some(",") => {}
                        Some("}") => {
                            path.clear();
                            break;
                        }
                        _ => return at,
                    }
                },
                "*" => {
                    self.globs.push(std::mem::take(&mut path));
                }
                "as" => {
                    at += 1;
                    let name = tokens.get(at).cloned().unwrap_or_default();
                    // A trait that is used by its methods has no name: each is one of its own.
                    let name = match name.as_str() {
                        "_" => format!("_{}", path.join("_")),
                        _ => name,
                    };
                    self.names.insert(name, std::mem::take(&mut path));
                }
                "," | "}" | ";" => break,
                "self" if !path.is_empty() => {}
                _ => path.push(token.clone()),
            }
            at += 1;
        }
        // `a::{self}` names `a`, and a group that was read names nothing.
        if let Some(name) = path.last().filter(|_| path.len() > 1).cloned() {
            self.names.insert(name, path);
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(files: &[(&str, &str)]) -> Modules {
        let parse = |(path, source): &(&str, &str)| {
            let words = path.split("::").filter(|word| !word.is_empty());
            let module = Module::parse((*path).to_owned(), source);
            (words.map(str::to_owned).collect(), module)
        };
        Modules(files.iter().map(parse).collect())
    }

    fn imports(files: &[(&str, &str)]) -> Vec<(String, String)> {
        let modules = modules(files);
        let files: Vec<_> = modules.files().map(str::to_owned).collect();
        let imports = modules.imports().into_iter();
        imports
            .map(|(from, to)| (files[from].clone(), files[to].clone()))
            .collect()
    }

    fn pair(from: &str, to: &str) -> (String, String) {
        (from.to_owned(), to.to_owned())
    }

    #[test]
    fn re_exports_lead_to_the_file_that_defines() {
        let found = imports(&[
            ("", "mod a; mod b; pub use a::deep::Thing;"),
            ("a", "pub mod deep;"),
            ("a::deep", "pub struct Thing;"),
            (
                "b",
                "use crate::Thing; fn f(_: Thing) { super::a::deep::Thing; }",
            ),
        ]);
        assert_eq!(found, [pair("b", "a::deep")]);
    }

    #[test]
    fn trees_of_names_are_read() {
        let found = imports(&[
            ("", "mod a; mod b; mod c;"),
            ("a", "pub struct X; pub trait T {}"),
            ("b", "pub fn y() {}"),
            (
                "c",
                "use crate::{a::{self, T as _}, b::y as z}; fn f() { z() }",
            ),
        ]);
        assert_eq!(found, [pair("c", "a"), pair("c", "b")]);
    }

    #[test]
    fn unused_re_exports_are_no_imports() {
        let files = [("", "mod a; pub use a::X;"), ("a", "pub struct X;")];
        assert!(imports(&files).is_empty());
        let files = [
            ("", "mod a; pub use a::X; fn f(_: X) {}"),
            ("a", "pub struct X;"),
        ];
        assert_eq!(imports(&files), [pair("", "a")]);
    }
}
