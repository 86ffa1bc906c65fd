//! A line of znodes: each contender's is ephemeral and numbered by the ensemble, and the lowest
//! number is at the head. Each contender watches only the one before it, so that one departure
//! wakes one.

use bytes::Bytes;
use zk_client::{Client, ErrorKind, path};

use crate::error::Result;
use crate::guard::{Guard, Token};
use crate::pause::pause;

/// What stands between a contender's id and its number. Curator's name for it; kazoo sees it with
/// `extra_lock_patterns=["-lock-"]`.
const MARK: &str = "-lock-";

/// A line under a znode.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The caller's, for what is written under the guard.
    client: Client,
    /// Without a deadline: a wait has the caller's, not each of its requests its own.
    patient: Client,
    parent: String,
    identifier: Vec<u8>,
}

/// A contender in a line, as its name tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) sequence: i32,
}

impl Line {
    pub(crate) fn new(client: &Client, parent: &str) -> Self {
        Line {
            client: client.clone(),
            patient: client.with_deadline(None),
            parent: parent.to_owned(),
            identifier: Vec::new(),
        }
    }

    pub(crate) fn set_identifier(&mut self, identifier: &[u8]) {
        self.identifier = identifier.to_vec();
    }

    /// The contenders, the head first.
    async fn contenders(&self) -> Result<Vec<Contender>> {
        let mut pause = pause();
        loop {
            match self.patient.children(&self.parent).await {
                Ok(names) => return Ok(contenders(names.iter())),
                Err(error) if error.kind() == ErrorKind::NoNode => return Ok(Vec::new()),
                Err(error) if error.is_retryable() => tokio::time::sleep(pause.next_delay()).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The identifiers and tokens of the contenders, the head first. Those who leave meanwhile are
    /// left out.
    pub(crate) async fn identified(&self) -> Result<Vec<(Bytes, Token)>> {
        let line = self.contenders().await?;
        let paths: Vec<String> = line
            .iter()
            .map(|c| path::join(&self.parent, &c.name))
            .collect();
        let reads: Vec<_> = paths
            .iter()
            .map(|path| self.patient.get(path).submit())
            .collect();
        let mut identified = Vec::with_capacity(reads.len());
        for read in reads {
            match read.await {
                Ok((identifier, stat)) => identified.push((identifier, Token::of(&stat))),
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(identified)
    }

    /// Waits for the head of the line, or, if not to `wait`, leaves it again and returns `None`.
    ///
    /// Dropping the future leaves the line, in the background.
    pub(crate) async fn stand(&self, wait: bool) -> Result<Option<Guard>> {
        loop {
            let place = self.join().await?;
            if let Some(held) = self.advance(place, wait).await? {
                return Ok(held);
            }
            // The place vanished, with its session or by somebody's hand: join anew.
        }
    }

    /// A place at the end of the line.
    async fn join(&self) -> Result<Guard> {
        let mut pause = pause();
        loop {
            self.patient.connected().await?;
            let path = path::join(&self.parent, MARK.trim_start_matches('-'));
            let created = self
                .patient
                .create(&path, &self.identifier)
                .ephemeral()
                .sequential()
                .protected()
                .await;
            match created {
                Ok(created) => {
                    let lease = self.patient.lease();
                    if created.stat.owner() == Some(lease.session()) {
                        return Ok(Guard::new(&self.client, lease, created));
                    }
                    // Of a session that has ended meanwhile, it is no place, and may take a while
                    // to go.
                    self.patient.delete(&created.path).guaranteed();
                }
                // Containers and empty parents go when nobody needs them; make them again.
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    self.patient.ensure_path(&self.parent).container().await?;
                }
                // Another session follows, or `connected` says why not.
                Err(error) if error.kind() == ErrorKind::SessionExpired => {}
                Err(error) if error.is_retryable() => tokio::time::sleep(pause.next_delay()).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// `None` if the place is gone; `Some(None)` if it is not at the head and was given up.
    async fn advance(&self, place: Guard, wait: bool) -> Result<Option<Option<Guard>>> {
        let mut pause = pause();
        loop {
            let line = self.contenders().await?;
            if !place.is_live() {
                return Ok(None);
            }
            let Some(own) = line.iter().find(|c| place.is_named(&c.name)) else {
                return Ok(None);
            };
            let Some(ahead) = before(&line, own) else {
                return Ok(Some(Some(place)));
            };
            if !wait {
                place.give_up().await?;
                return Ok(Some(None));
            }
            let ahead = path::join(&self.parent, &ahead.name);
            // Not `exists`, which would leave a watch for the creation of what is gone (B68).
            match self.patient.get(&ahead).watch().await {
                Ok((_, _, watch)) => {
                    // Whatever it tells, look again: a gap and the end of a session too.
                    watch.await;
                }
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) if error.is_retryable() => tokio::time::sleep(pause.next_delay()).await,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The contenders among the children, the head first. Others' znodes are nothing to us.
pub(crate) fn contenders<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Contender> {
    let mut line: Vec<Contender> = names
        .filter_map(|name| {
            let sequence = path::sequence_after(name.get(name.rfind(MARK)?..)?, MARK)?;
            Some(Contender {
                name: name.to_owned(),
                sequence,
            })
        })
        .collect();
    // The ensemble's counter runs over; a line is never half the number space long.
    if let Some(any) = line.first().map(|c| c.sequence) {
        line.sort_by_key(|c| c.sequence.wrapping_sub(any));
    }
    line
}

/// Who is directly ahead of `own`.
fn before<'a>(line: &'a [Contender], own: &Contender) -> Option<&'a Contender> {
    let place = line.iter().position(|c| c == own)?;
    line.get(place.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &[Contender]) -> Vec<&str> {
        line.iter().map(|c| c.name.as_str()).collect()
    }

    /// ZOOKEEPER-2931: by number, not by name.
    #[test]
    fn b81_the_order_is_that_of_the_numbers_whatever_the_ids() {
        let line = contenders(
            [
                "_c_z-lock-0000000001",
                "_c_a-lock-0000000003",
                "_c_m-lock-0000000002",
            ]
            .into_iter(),
        );
        assert_eq!(
            names(&line),
            [
                "_c_z-lock-0000000001",
                "_c_m-lock-0000000002",
                "_c_a-lock-0000000003"
            ]
        );
        assert_eq!(before(&line, &line[0]), None);
        assert_eq!(before(&line, &line[2]), Some(&line[1]));
    }

    /// ZOOKEEPER-4372.
    #[test]
    fn b82_the_order_survives_the_overflow_of_the_counter() {
        let mut children = [
            "x-lock-2147483646",
            "x-lock-2147483647",
            "x-lock--2147483648",
            "x-lock--2147483647",
        ];
        for _ in 0..children.len() {
            children.rotate_left(1);
            let line = contenders(children.into_iter());
            assert_eq!(
                names(&line),
                [
                    "x-lock-2147483646",
                    "x-lock-2147483647",
                    "x-lock--2147483648",
                    "x-lock--2147483647"
                ]
            );
        }
    }

    #[test]
    fn foreign_children_are_ignored() {
        let foreign = [
            "config",
            "lock",
            "-lock-",
            "x-lock-12",
            "x-lock-000000000a",
            "x__lock__0000000001",
        ];
        assert!(contenders(foreign.into_iter()).is_empty());
    }
}
