//! What the znodes of a double barrier mean for one member.

use zk_client::{Stat, Zxid};

/// The znode that exists from the moment at which all members have entered.
pub(super) const READY: &str = "ready";

/// What a member that has entered does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entering {
    /// Its znode does not exist.
    Lost,
    /// All members are there, and `ready` says so.
    Pass,
    /// All members are there: create `ready`, after the deletion of the one of an earlier round, which
    /// has this version.
    Open { stale: Option<i32> },
    /// Delete the `ready` of an earlier round, which has this version, and look again.
    Discard { stale: i32 },
    /// Wait for `ready`.
    Wait,
}

/// Decides for the member `own`, from `ready` and from the children that were read after it.
///
/// The `ready` of a round is created when all of its members have znodes, so it is younger than each
/// of them. An older one was left behind: its round was never left by all members, or a member of it
/// has yet to delete it.
pub(super) fn entering(
    ready: Option<&Stat>,
    children: &[String],
    own: &str,
    own_created: Zxid,
    members: usize,
) -> Entering {
    if !children.iter().any(|name| name == own) {
        return Entering::Lost;
    }
    if ready.is_some_and(|ready| ready.czxid > own_created) {
        return Entering::Pass;
    }
    let present = children.iter().filter(|name| *name != READY).count();
    let stale = ready.map(|ready| ready.version);
    match stale {
        _ if present >= members => Entering::Open { stale },
        Some(stale) => Entering::Discard { stale },
        None => Entering::Wait,
    }
}

/// The members of a round, when the first of this program's members begins to leave. No other can join:
/// all members have entered before one leaves.
#[derive(Debug)]
pub(super) struct Round {
    members: Vec<String>,
}

/// What a member that leaves does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving<'a> {
    /// All members have left.
    Done,
    /// Its znode does not exist although it was not deleted.
    Lost,
    /// It is the last: delete its znode.
    Last,
    /// It is the lowest, and leaves last: wait until this member has left.
    Await(&'a str),
    /// It leaves before this member, the lowest: watch that, and delete the own znode.
    LeaveBefore(&'a str),
}

impl Round {
    pub(super) fn new(children: &[String]) -> Self {
        let names = children.iter().filter(|name| *name != READY);
        let mut members: Vec<_> = names.cloned().collect();
        members.sort();
        Round { members }
    }

    /// Decides for the member `own`, whose znode is deleted or not yet, from the children.
    pub(super) fn leaving<'a>(
        &'a self,
        children: &[String],
        own: &str,
        deleted: bool,
    ) -> Leaving<'a> {
        let is_left = |name: &&String| children.contains(*name) && !(deleted && *name == own);
        let left: Vec<&String> = self.members.iter().filter(is_left).collect();
        if !deleted && !left.iter().any(|name| *name == own) {
            return Leaving::Lost;
        }
        match left.as_slice() {
            [] => Leaving::Done,
            [only] if *only == own => Leaving::Last,
            [lowest, .., highest] if *lowest == own => Leaving::Await(highest),
            [lowest, ..] if deleted => Leaving::Await(lowest),
            [lowest, ..] => Leaving::LeaveBefore(lowest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(czxid: i64) -> Stat {
        let mut stat = Stat::default();
        stat.czxid = Zxid(czxid);
        stat.version = 7;
        stat
    }

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn decide(created: Option<i64>, children: &str) -> Entering {
        let ready = created.map(ready);
        entering(ready.as_ref(), &names(children), "b", Zxid(10), 3)
    }

    #[test]
    fn only_all_members_open_a_barrier() {
        assert_eq!(decide(None, "b a"), Entering::Wait);
        assert_eq!(decide(None, "b a c"), Entering::Open { stale: None });
        assert_eq!(decide(None, "b a c d"), Entering::Open { stale: None });
        assert_eq!(decide(None, "a c d"), Entering::Lost);
        assert_eq!(decide(Some(11), "a c ready"), Entering::Lost);
    }

    #[test]
    fn an_older_ready_opens_nothing() {
        assert_eq!(decide(Some(11), "b ready"), Entering::Pass);
        assert_eq!(decide(Some(9), "a b ready"), Entering::Discard { stale: 7 });
        let open = Entering::Open { stale: Some(7) };
        assert_eq!(decide(Some(9), "a b c ready"), open);
    }

    #[test]
    fn the_lowest_member_leaves_last() {
        let round = Round::new(&names("c ready a b"));
        let next = |children: &str, own, deleted| round.leaving(&names(children), own, deleted);
        assert_eq!(next("a b c ready", "a", false), Leaving::Await("c"));
        assert_eq!(next("a b ready", "a", false), Leaving::Await("b"));
        assert_eq!(next("a", "a", false), Leaving::Last);
        assert_eq!(next("a b c", "b", false), Leaving::LeaveBefore("a"));
        assert_eq!(next("a c", "b", true), Leaving::Await("a"));
        // The lowest has crashed.
        assert_eq!(next("b c", "c", false), Leaving::LeaveBefore("b"));
        assert_eq!(next("ready", "b", true), Leaving::Done);
        assert_eq!(next("a c", "b", false), Leaving::Lost);
    }

    #[test]
    fn the_next_round_keeps_no_member_back() {
        let round = Round::new(&names("a b"));
        assert_eq!(round.leaving(&names("d e"), "b", true), Leaving::Done);
        assert_eq!(round.leaving(&names("b d"), "b", false), Leaving::Last);
    }
}
