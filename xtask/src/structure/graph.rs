//! The imports between the files of a crate.

use std::collections::BTreeSet;

use super::modules::Modules;

#[derive(Debug)]
pub(crate) struct Graph {
    files: usize,
    imports: BTreeSet<(usize, usize)>,
}

impl Graph {
    pub(crate) fn of(modules: &Modules) -> Self {
        Graph {
            files: modules.len(),
            imports: modules.imports(),
        }
    }

    pub(crate) fn imports(&self) -> usize {
        self.imports.len()
    }

    /// The files of the largest set in which each reaches each other. A file alone is no circle.
    pub(crate) fn largest_circle(&self, modules: &Modules) -> Vec<String> {
        let reached: Vec<_> = (0..self.files).map(|from| self.reached(from)).collect();
        let circle = (0..self.files).map(|file| {
            let others = reached[file].iter().copied();
            let others = others.filter(|other| reached[*other].contains(&file));
            others.collect::<BTreeSet<_>>()
        });
        let largest = circle.max_by_key(BTreeSet::len).unwrap_or_default();
        let files = modules.files().enumerate();
        let files = files.filter(|(place, _)| largest.contains(place));
        files.map(|(_, file)| file.to_owned()).collect()
    }

    /// The files that one imports, and what they import.
    fn reached(&self, from: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut open = vec![from];
        while let Some(file) = open.pop() {
            for (_, to) in self.imports.range((file, 0)..(file + 1, 0)) {
                if reached.insert(*to) {
                    open.push(*to);
                }
            }
        }
        reached
    }

    /// The imports that lead from a floor to a later one of the list.
    pub(crate) fn upward(&self, modules: &Modules, floors: &[&[&str]]) -> Vec<String> {
        let files: Vec<_> = modules.files().collect();
        let floor = |file: usize| {
            let name = files[file].split('/').next()?;
            let name = name.strip_suffix(".rs").unwrap_or(name);
            floors.iter().position(|rooms| rooms.contains(&name))
        };
        let imports = self.imports.iter();
        let upward = imports.filter(|(from, to)| {
            matches!((floor(*from), floor(*to)), (Some(lower), Some(higher)) if lower < higher)
        });
        upward
            .map(|(from, to)| format!("{} → {}", files[*from], files[*to]))
            .collect()
    }
}
