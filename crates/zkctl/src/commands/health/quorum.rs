//! How many servers may fail before the ensemble stops.

use zk_client::admin::ServerMode;

use super::report::{Report, Role, leader};

/// How many servers with a vote take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quorum {
    /// The leader, and the followers with a vote that are in sync.
    pub(crate) in_sync: u64,
    /// All that have a vote; servers before 3.6 do not report them.
    pub(crate) voters: Option<u64>,
}

impl Quorum {
    /// `None` without a leader that reports its followers.
    pub(crate) fn of(reports: &[Report]) -> Option<Self> {
        let leader = leader(reports)?;
        let synced = leader.synced_followers?;
        let in_sync = 1 + synced.saturating_sub(leader.synced_without_vote.unwrap_or_default());
        Some(Quorum {
            in_sync,
            voters: leader.voters,
        })
    }

    /// How many are needed.
    pub(crate) fn majority(self) -> Option<u64> {
        self.voters.map(majority)
    }
}

/// What is wrong with the number of servers that take part.
pub(super) fn problem(reports: &[Report]) -> Option<String> {
    let serves = |report: &Report| {
        use ServerMode::{Follower, Leader, Observer};
        [Leader, Follower, Observer]
            .iter()
            .any(|mode| report.is(mode))
    };
    match reports.iter().any(serves) {
        true => missing(reports),
        false => lost(reports),
    }
}

/// Of an ensemble that serves.
fn missing(reports: &[Report]) -> Option<String> {
    let reported = reports.iter().filter_map(|report| report.voters).max();
    let (what, voters, missing) = match reported {
        Some(voters) => {
            // The leader is connected to the others, and this process may be cut off from them.
            let missing = match Quorum::of(reports) {
                Some(quorum) => voters.saturating_sub(quorum.in_sync),
                None => unseen(voters, reports),
            };
            if missing == 0 && unseen(voters, reports) > 0 {
                return Some(format!(
                    "the leader has all {voters} voters in sync: a server that is down here cannot be reached \
                     from here, or has just stopped"
                ));
            }
            ("voters", voters, missing)
        }
        // What the list names may be a part of the ensemble, with which the quorum is.
        None => {
            let (listed, down) = listed(reports);
            let is_whole = listed.saturating_sub(down) >= majority(listed);
            let missing = if is_whole { down } else { 0 };
            ("servers of the list", listed, missing)
        }
    };
    if missing == 0 {
        return None;
    }
    let needed = majority(voters);
    let consequence = match voters.saturating_sub(missing).checked_sub(needed) {
        // The servers that still serve have not noticed yet, or this process is cut off from the others.
        None => format!("a quorum needs {needed}"),
        Some(0) => "one more failure loses the quorum".to_owned(),
        Some(1) => "the quorum survives one more failure".to_owned(),
        Some(more) => format!("the quorum survives {more} more failures"),
    };
    let state = match reported {
        Some(_) => "down or not in sync",
        None => "down",
    };
    let are = if missing == 1 { "is" } else { "are" };
    Some(format!(
        "{missing} of {voters} {what} {are} {state}: {consequence}"
    ))
}

/// Of an ensemble of which no server serves.
fn lost(reports: &[Report]) -> Option<String> {
    let (listed, _) = listed(reports);
    let is_alone = |report: &Report| report.is(&ServerMode::Standalone);
    if listed < 2 || reports.iter().any(is_alone) || is_any_unknown(reports) {
        return None;
    }
    let down = count(reports, |report| report.role.is_none());
    let (running, needed) = (listed.saturating_sub(down), majority(listed));
    Some(match (running, needed.saturating_sub(running)) {
        (0, _) => format!(
            "none of the {listed} servers of the list answers: bring back at least {needed}, or check the way to them \
             from here"
        ),
        (_, 0) => format!(
            "no quorum, although {running} of the {listed} servers of the list run: an election is under way, or they \
             do not reach each other on their quorum and election ports; their logs name the peers"
        ),
        (_, start) => format!(
            "no quorum: {down} of the {listed} servers of the list {} down, and {needed} are needed; bring back at least \
             {start} of them",
            if down == 1 { "is" } else { "are" }
        ),
    })
}

fn majority(voters: u64) -> u64 {
    voters / 2 + 1
}

/// How many servers of the list may have a vote, and how many of those do not take part.
fn listed(reports: &[Report]) -> (u64, u64) {
    let listed = count(reports, |report| !report.is(&ServerMode::Observer));
    (listed, count(reports, is_down))
}

/// How many of the voters do not take part, by what the servers of the list answer: the list may not name all voters,
/// and may name observers.
fn unseen(voters: u64, reports: &[Report]) -> u64 {
    let seen = count(reports, |report| {
        report.is(&ServerMode::Leader) || report.is(&ServerMode::Follower)
    });
    voters.saturating_sub(seen).min(count(reports, is_down))
}

fn is_down(report: &Report) -> bool {
    matches!(
        report.role,
        None | Some(Role::NotServing | Role::Mode(ServerMode::ReadOnly))
    )
}

fn is_any_unknown(reports: &[Report]) -> bool {
    let is_unknown = |report: &Report| {
        matches!(
            report.role,
            Some(Role::Unknown | Role::Mode(ServerMode::Other(_)))
        )
    };
    reports.iter().any(is_unknown)
}

fn count(reports: &[Report], of: impl Fn(&Report) -> bool) -> u64 {
    let count = reports.iter().filter(|report| of(report)).count();
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(mode: ServerMode) -> Report {
        Report {
            role: Some(Role::Mode(mode)),
            ..Report::default()
        }
    }

    fn leader(synced: u64, voters: Option<u64>) -> Report {
        Report {
            synced_followers: Some(synced),
            voters,
            ..mode(ServerMode::Leader)
        }
    }

    fn follower() -> Report {
        mode(ServerMode::Follower)
    }

    fn down() -> Report {
        Report::default()
    }

    fn not_serving() -> Report {
        Report {
            role: Some(Role::NotServing),
            ..Report::default()
        }
    }

    #[test]
    fn a_missing_server_is_counted() {
        const LAST: &str = "one more failure loses the quorum";
        let one = |rest: &str| Some(format!("1 of 3 voters is down or not in sync: {rest}"));
        for (reports, problem) in [
            (vec![leader(2, Some(3)), follower(), follower()], None),
            (vec![leader(1, Some(3)), follower(), down()], one(LAST)),
            // The leader has not noticed yet, or the follower's port for clients is closed.
            (
                vec![leader(2, Some(3)), follower(), down()],
                Some(
                    "the leader has all 3 voters in sync: a server that is down here cannot be reached from \
                     here, or has just stopped"
                        .to_owned(),
                ),
            ),
            // It is up, and lacks transactions.
            (vec![leader(1, Some(3)), follower(), follower()], one(LAST)),
            // Not in the list.
            (vec![leader(1, Some(3)), follower()], one(LAST)),
            (vec![leader(2, Some(3))], None),
            (
                vec![
                    leader(3, Some(5)),
                    follower(),
                    follower(),
                    follower(),
                    down(),
                ],
                Some(
                    "1 of 5 voters is down or not in sync: the quorum survives one more failure"
                        .to_owned(),
                ),
            ),
            (
                vec![leader(2, Some(5)), down(), follower(), follower(), down()],
                Some(format!("2 of 5 voters are down or not in sync: {LAST}")),
            ),
            (
                vec![leader(5, Some(7))],
                Some(
                    "1 of 7 voters is down or not in sync: the quorum survives 2 more failures"
                        .to_owned(),
                ),
            ),
            (
                vec![
                    down(),
                    Report {
                        voters: Some(3),
                        ..follower()
                    },
                    down(),
                ],
                Some("2 of 3 voters are down or not in sync: a quorum needs 2".to_owned()),
            ),
            // An observer.
            (
                vec![leader(2, Some(3)), follower(), follower(), down()],
                None,
            ),
        ] {
            assert_eq!(super::problem(&reports), problem, "{reports:?}");
        }
    }

    #[test]
    fn a_follower_without_vote_is_none() {
        let leader = Report {
            synced_without_vote: Some(1),
            ..leader(2, Some(3))
        };
        let reports = [leader, follower(), follower(), down()];
        let quorum = Quorum {
            in_sync: 2,
            voters: Some(3),
        };
        assert_eq!(Quorum::of(&reports), Some(quorum));
        assert!(problem(&reports).is_some_and(|text| text.starts_with("1 of 3")));
    }

    /// `mntr` is not allowed, or the servers are older than 3.6.
    #[test]
    fn the_list_stands_in_for_the_voters() {
        const ONE: &str = "1 of 3 servers of the list is down: one more failure loses the quorum";
        let old = || leader(1, None);
        let bare = || mode(ServerMode::Leader);
        for (reports, problem) in [
            (vec![bare(), follower(), follower()], None),
            (vec![bare(), follower(), down()], Some(ONE)),
            (vec![old(), follower(), not_serving()], Some(ONE)),
            (
                vec![bare(), follower(), down(), mode(ServerMode::Observer)],
                Some(ONE),
            ),
            // The leader does not answer, and the followers have not noticed yet.
            (vec![down(), follower(), follower()], Some(ONE)),
            // The quorum is with servers that the list does not name.
            (vec![follower(), down()], None),
            (vec![bare(), down(), down()], None),
        ] {
            assert_eq!(super::problem(&reports).as_deref(), problem, "{reports:?}");
        }
    }

    #[test]
    fn a_lost_quorum_says_what_to_start() {
        for (reports, words) in [
            (
                vec![not_serving(), down(), down()],
                "no quorum: 2 of the 3 servers of the list are down, and 2 are needed; bring back at least 1 ",
            ),
            (
                vec![mode(ServerMode::ReadOnly), down(), down(), down(), down()],
                "4 of the 5 servers of the list are down, and 3 are needed; bring back at least 2 ",
            ),
            (
                vec![not_serving(), not_serving(), down()],
                "although 2 of the 3 servers of the list run: an election",
            ),
            (
                vec![down(), down()],
                "none of the 2 servers of the list answers: bring back at least 2",
            ),
        ] {
            let problem = problem(&reports).unwrap();
            assert!(problem.contains(words), "{problem}");
        }
        for alone in [down(), not_serving(), mode(ServerMode::Standalone)] {
            assert_eq!(problem(&[alone]), None);
        }
        let unknown = Report {
            role: Some(Role::Unknown),
            ..Report::default()
        };
        assert_eq!(problem(&[unknown, down()]), None);
    }
}
