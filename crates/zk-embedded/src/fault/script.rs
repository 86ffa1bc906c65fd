//! The rules and cuts in force.

use super::cut::{Cut, Direction};
use super::matcher::RequestView;
use super::rule::{Action, Rule};

/// The rules in force, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Script {
    rules: Vec<(Vec<usize>, Rule)>,
    cuts: Vec<(Vec<usize>, Cut)>,
}

impl Script {
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.cuts.is_empty()
    }

    pub(crate) fn add(&mut self, members: Vec<usize>, rule: Rule) {
        if rule.times != Some(0) {
            self.rules.push((members, rule));
        }
    }

    pub(crate) fn add_cut(&mut self, members: Vec<usize>, cut: Cut) {
        self.cuts.push((members, cut));
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn pending(&self) -> usize {
        self.rules.len() + self.cuts.len()
    }

    /// The action for a request: that of the first rule that matches.
    pub(crate) fn decide(&mut self, member: usize, request: &RequestView<'_>) -> Option<Action> {
        for index in 0..self.rules.len() {
            let Some((members, rule)) = self.rules.get_mut(index) else {
                break;
            };
            if !members.contains(&member) || !rule.on.matches(request) {
                continue;
            }
            if let Some(left) = rule.on.skip.checked_sub(1) {
                rule.on.skip = left;
                continue;
            }
            let action = rule.action.clone();
            if let Some(times) = &mut rule.times {
                *times = times.saturating_sub(1);
                if *times == 0 {
                    self.rules.remove(index);
                }
            }
            return Some(action);
        }
        None
    }

    /// Takes a cut inside the given frame, once `available` bytes of the frame reach it.
    pub(crate) fn cut(
        &mut self,
        member: usize,
        direction: Direction,
        frame: u64,
        available: usize,
    ) -> Option<Cut> {
        let falls = |(members, cut): &(Vec<usize>, Cut)| {
            members.contains(&member)
                && cut.direction == direction
                && cut.frame == frame
                && cut.byte <= available
        };
        let index = self.cuts.iter().position(falls)?;
        Some(self.cuts.remove(index).1)
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use zk_proto::records::ExistsRequest;
    use zk_proto::{Encode, OpCode, RequestHeader, SessionId};

    use super::*;
    use crate::fault::{on, on_any, on_connect};

    fn exists(path: &str) -> Bytes {
        let mut out = BytesMut::new();
        RequestHeader::new(1, OpCode::Exists).encode(&mut out);
        let watch = false;
        let path = path.into();
        ExistsRequest { path, watch }.encode(&mut out);
        out.freeze()
    }

    fn seen(frame: &Bytes) -> RequestView<'_> {
        RequestView {
            op: Some(OpCode::Exists),
            session: Some(SessionId(7)),
            frame,
        }
    }

    #[test]
    fn a_rule_skips_and_repeats_as_it_says() {
        let mut script = Script::default();
        script.add(
            vec![0],
            on(OpCode::Exists).after(1).then(Action::Close).times(2),
        );
        let frame = exists("/a");
        let decisions: Vec<_> = (0..4).map(|_| script.decide(0, &seen(&frame))).collect();
        let close = Some(Action::Close);
        assert_eq!(decisions, [None, close.clone(), close, None]);
        assert!(script.is_empty());
    }

    #[test]
    fn rules_match_by_each_of_their_conditions() {
        let frame = exists("/a");
        let decided = |on: crate::fault::Matcher| {
            let mut script = Script::default();
            script.add(vec![0], on.then(Action::Close));
            (
                script.decide(1, &seen(&frame)),
                script.decide(0, &seen(&frame)),
            )
                .1
                .is_some()
        };
        assert!(decided(on_any()) && decided(on(OpCode::Exists).path("/a")));
        assert!(decided(on_any().session(SessionId(7))));
        assert!(!decided(on_any().session(SessionId(8))));
        assert!(!decided(on(OpCode::Exists).path("/b")) && !decided(on(OpCode::Delete)));
        assert!(!decided(on_connect()));
    }
}
