//! I18 to I20, I24 to I26: bounds, what is held by one, and what is not lost while servers are well.

use std::collections::BTreeMap;

use super::Verdict;
use crate::offline::simulation::history::{Change, History};

pub(super) fn check(history: &History, verdict: &mut Verdict) {
    for (outstanding, limit) in &history.outstanding {
        verdict.holds(
            "I18",
            outstanding <= limit,
            format_args!("{outstanding} requests outstanding, of {limit}"),
        );
    }
    for kept in &history.kept {
        verdict.holds(
            kept.invariant,
            kept.lost.is_none(),
            format_args!("{kept:?}"),
        );
    }
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    let is_early = |token: i64| history.ended_early.contains(&owner(history, token));
    for grant in history.grants.iter().filter(|grant| grant.trusted) {
        if is_early(grant.token) {
            continue;
        }
        let invariant = if grant.lock == "/election" {
            "I20"
        } else {
            "I19"
        };
        let others = grant.others.iter();
        let others: Vec<i64> = others.copied().filter(|token| !is_early(*token)).collect();
        verdict.holds(
            invariant,
            others.is_empty(),
            format_args!("held by {others:x?} and given to another: {grant:?}"),
        );
        let before = last.entry(grant.lock).or_default();
        verdict.holds(
            invariant,
            grant.token > *before,
            format_args!("a token not larger than {before:#x}: {grant:?}"),
        );
        *before = grant.token;
    }
    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for commit in &history.log {
        for change in &commit.changes {
            if let Change::Set {
                path,
                token: Some(token),
                ..
            } = change
            {
                let before = last.entry(path).or_default();
                verdict.holds(
                    "I19",
                    token >= before,
                    format_args!("written under {token:#x} after {before:#x}: {commit:?}"),
                );
                *before = *token;
            }
        }
    }
}

/// The session whose node a token is the creation of.
fn owner(history: &History, token: i64) -> i64 {
    let commit = history.log.binary_search_by_key(&token, |c| c.zxid);
    commit.map_or(0, |index| history.log[index].session)
}

#[cfg(test)]
mod tests {
    use super::super::wrong;
    use super::*;
    use crate::offline::simulation::history::{Commit, Grant, Kept};

    fn grant(lock: &'static str, token: i64, others: Vec<i64>) -> Grant {
        Grant {
            at: 0,
            lock,
            client: 0,
            token,
            trusted: true,
            others,
        }
    }

    fn with(grants: Vec<Grant>) -> Vec<String> {
        wrong(&History {
            grants,
            ..History::default()
        })
    }

    /// Guards: I18.
    #[test]
    fn too_many_requests_are_found() {
        let history = History {
            outstanding: vec![(3, 3), (4, 3)],
            ..History::default()
        };
        assert_eq!(wrong(&history).len(), 1);
    }

    /// Guards: I24.
    #[test]
    fn lost_guard_is_found() {
        let kept = |lost: Option<&str>| Kept {
            invariant: "I24",
            client: 0,
            at: 0,
            lost: lost.map(str::to_owned),
        };
        let history = History {
            kept: vec![kept(None), kept(Some("the connection"))],
            ..History::default()
        };
        let wrong = wrong(&history);
        assert!(wrong.len() == 1 && wrong[0].starts_with("I24"), "{wrong:?}");
    }

    /// Guards: I19, I20.
    #[test]
    fn two_holders_at_a_time_are_found() {
        assert!(with(vec![grant("/l", 1, vec![]), grant("/l", 2, vec![])]).is_empty());
        assert!(with(vec![grant("/l", 2, vec![1])])[0].starts_with("I19"));
        assert!(with(vec![grant("/election", 2, vec![1])])[0].starts_with("I20"));
    }

    #[test]
    fn early_end_excuses_the_holder() {
        let history = History {
            grants: vec![grant("/l", 2, vec![1])],
            ended_early: [7].into(),
            log: vec![Commit {
                zxid: 1,
                session: 7,
                closes: false,
                changes: Vec::new(),
            }],
            ..History::default()
        };
        assert!(wrong(&history).is_empty());
    }

    /// Guards: I19, I20.
    #[test]
    fn token_that_does_not_grow_is_found() {
        let grants = vec![grant("/l", 2, vec![]), grant("/l", 2, vec![])];
        assert_eq!(with(grants).len(), 1);
        let grants = vec![grant("/election", 3, vec![]), grant("/election", 2, vec![])];
        assert_eq!(with(grants).len(), 1);
        assert!(with(vec![grant("/a", 3, vec![]), grant("/b", 2, vec![])]).is_empty());
    }

    /// Guards: I19.
    #[test]
    fn write_under_an_old_token_is_found() {
        let write = |zxid, token| Commit {
            zxid,
            session: 1,
            closes: false,
            changes: vec![Change::Set {
                path: "/f".to_owned(),
                value: None,
                token: Some(token),
            }],
        };
        let history = |log| History {
            log,
            ..History::default()
        };
        assert!(wrong(&history(vec![write(1, 1), write(2, 1), write(3, 2)])).is_empty());
        assert_eq!(wrong(&history(vec![write(1, 2), write(2, 1)])).len(), 1);
    }
}
