//! The children of a node, by name: a sorted map that is cheap to copy, and cheap to change after
//! a copy.
//!
//! The map consists of chunks. A chunk that is shared with a snapshot is copied when it is changed;
//! a chunk that is not shared is changed in place.

use std::sync::Arc;

/// A chunk with more children than this is split.
const CHUNK_MAX: usize = 256;
/// Two neighbours with fewer children than this together become one.
const CHUNK_MIN: usize = 64;

#[derive(Debug)]
struct Slot<E> {
    name: Arc<str>,
    entry: Arc<E>,
}

impl<E> Clone for Slot<E> {
    fn clone(&self) -> Self {
        Slot {
            name: self.name.clone(),
            entry: self.entry.clone(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Directory<E> {
    /// None of them is empty.
    chunks: Vec<Arc<Vec<Slot<E>>>>,
    len: usize,
}

impl<E> Clone for Directory<E> {
    fn clone(&self) -> Self {
        Directory {
            chunks: self.chunks.clone(),
            len: self.len,
        }
    }
}

impl<E> Default for Directory<E> {
    fn default() -> Self {
        Directory {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<E> Directory<E> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The chunk that can contain the name.
    fn chunk_of(&self, name: &str) -> usize {
        self.chunks
            .partition_point(|chunk| chunk.last().is_some_and(|slot| *slot.name < *name))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<E>> {
        let chunk = self.chunks.get(self.chunk_of(name))?;
        let at = position(chunk, name).ok()?;
        chunk.get(at).map(|slot| &slot.entry)
    }

    /// The shared name of a child that exists.
    pub(super) fn name(&self, name: &str) -> Option<&Arc<str>> {
        let chunk = self.chunks.get(self.chunk_of(name))?;
        let at = position(chunk, name).ok()?;
        chunk.get(at).map(|slot| &slot.name)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Arc<E>> {
        let index = self.chunk_of(name);
        let chunk = self.chunks.get_mut(index)?;
        let at = position(chunk, name).ok()?;
        Arc::make_mut(chunk).get_mut(at).map(|slot| &mut slot.entry)
    }

    /// Adds a child that does not exist yet.
    pub(super) fn insert(&mut self, name: &str, entry: Arc<E>) {
        let slot = Slot {
            name: name.into(),
            entry,
        };
        self.len += 1;
        // A name beyond all others goes into the last chunk.
        let index = self.chunk_of(name).min(self.chunks.len().saturating_sub(1));
        let Some(chunk) = self.chunks.get_mut(index) else {
            self.chunks.push(Arc::new(vec![slot]));
            return;
        };
        let chunk = Arc::make_mut(chunk);
        let at = position(chunk, name).unwrap_or_else(|at| at);
        chunk.insert(at, slot);
        if chunk.len() > CHUNK_MAX {
            let tail = chunk.split_off(CHUNK_MAX / 2);
            chunk.shrink_to_fit();
            self.chunks.insert(index + 1, Arc::new(tail));
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Arc<E>> {
        let index = self.chunk_of(name);
        let chunk = self.chunks.get_mut(index)?;
        let at = position(chunk, name).ok()?;
        let removed = Arc::make_mut(chunk).remove(at);
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.remove(index);
        } else {
            self.join(index);
        }
        Some(removed.entry)
    }

    /// Joins a chunk with the next if both are small.
    fn join(&mut self, index: usize) {
        if let (Some(this), Some(next)) = (self.chunks.get(index), self.chunks.get(index + 1))
            && this.len() + next.len() < CHUNK_MIN
        {
            let next = self.chunks.remove(index + 1);
            if let Some(this) = self.chunks.get_mut(index) {
                Arc::make_mut(this).extend(next.iter().cloned());
            }
        }
    }

    /// The children, sorted by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Arc<E>)> + Clone {
        let slots = self.chunks.iter().flat_map(|chunk| chunk.iter());
        slots.map(|slot| (&*slot.name, &slot.entry))
    }
}

fn position<E>(chunk: &[Slot<E>], name: &str) -> Result<usize, usize> {
    chunk.binary_search_by(|slot| (*slot.name).cmp(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn contents(directory: &Directory<u64>) -> Vec<(String, u64)> {
        directory
            .iter()
            .map(|(name, entry)| (name.to_owned(), **entry))
            .collect()
    }

    #[test]
    fn it_equals_a_sorted_map_and_copies_stay() {
        for seed in 0..20 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let names = rng.u32(1..2000);
            let mut model = BTreeMap::new();
            let mut directory = Directory::default();
            let mut copies = Vec::new();
            for step in 0..6000 {
                let name = format!("n{}", rng.u32(0..names));
                // Grows and shrinks by turns, so that chunks are split and joined.
                let grows = (step / 1000) % 2 == 0;
                if rng.u8(0..4) > 0 && !grows {
                    let removed = directory.remove(&name).map(|entry| *entry);
                    assert_eq!(removed, model.remove(&name));
                } else if let Some(old) = directory.get_mut(&name) {
                    *old = Arc::new(step);
                    model.insert(name.clone(), step);
                } else {
                    directory.insert(&name, Arc::new(step));
                    assert_eq!(model.insert(name.clone(), step), None);
                }
                let got = directory.get(&name).map(|entry| **entry);
                assert_eq!(got, model.get(&name).copied());
                assert_eq!(directory.len(), model.len());
                if rng.u16(..) < 100 {
                    copies.push((directory.clone(), model.clone()));
                }
            }
            copies.push((directory, model));
            for (copy, model) in copies {
                assert_eq!(contents(&copy), model.into_iter().collect::<Vec<_>>());
            }
        }
    }
}
