//! What the producers and the consumers of a queue have seen, and what must be true of it.

use std::collections::{BTreeMap, BTreeSet};

use zk_embedded::core::{Change, Txn};
use zk_proto::{SessionId, Zxid};

/// How a consumer's work on an item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It was acknowledged.
    Acknowledged,
    /// The acknowledgement may have been executed.
    Unknown,
    /// It was given back, or an error has said that it was not acknowledged.
    Unfinished,
}

/// An item that a consumer got.
#[derive(Debug)]
struct Delivery {
    item: String,
    /// Of the item's znode, without the chroot.
    path: String,
    session: SessionId,
    /// The latest transaction at that time.
    zxid: Zxid,
    /// The item was acknowledged by then, as this delivery's consumer got it.
    acknowledged: Option<usize>,
    end: Option<End>,
}

/// When the servers created the claims: by the names of the items, and by the sessions of the consumers.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<(String, i64), Vec<Zxid>>);

impl Claims {
    /// Those among the transactions whose paths begin with `directory`.
    pub(super) fn of<'t>(log: impl IntoIterator<Item = &'t Txn>, directory: &str) -> Self {
        let mut claims = Claims::default();
        for txn in log {
            if txn.error.is_some() {
                continue;
            }
            for change in &txn.changes {
                if let Change::Create { path, owner, .. } = change
                    && let Some(name) = path.strip_prefix(directory)
                {
                    claims.add(name, SessionId(*owner), txn.zxid);
                }
            }
        }
        claims
    }

    fn add(&mut self, name: &str, session: SessionId, zxid: Zxid) {
        let key = (name.to_owned(), session.0);
        self.0.entry(key).or_default().push(zxid);
    }

    /// The claim by which an item was delivered.
    fn claim(&self, delivery: &Delivery) -> Option<Zxid> {
        let (_, name) = delivery.path.rsplit_once('/')?;
        let claims = self.0.get(&(name.to_owned(), delivery.session.0))?;
        claims.iter().rev().copied().find(|at| *at <= delivery.zxid)
    }
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The items of puts that succeeded.
    put: BTreeSet<String>,
    /// In the order in which the consumers got them.
    deliveries: Vec<Delivery>,
}

impl Ledger {
    /// A put has succeeded.
    pub(super) fn put(&mut self, item: String) {
        self.put.insert(item);
    }

    /// A consumer of this session gets an item. Returns the number of the delivery.
    pub(super) fn deliver(
        &mut self,
        item: &str,
        path: &str,
        session: SessionId,
        zxid: Zxid,
    ) -> usize {
        let acknowledged = (self.deliveries.iter())
            .position(|delivery| delivery.item == item && delivery.end == Some(End::Acknowledged));
        self.deliveries.push(Delivery {
            item: item.to_owned(),
            path: path.to_owned(),
            session,
            zxid,
            acknowledged,
            end: None,
        });
        self.deliveries.len() - 1
    }

    /// The consumer's work on a delivered item ends.
    pub(super) fn end(&mut self, delivery: usize, end: End) {
        self.deliveries[delivery].end = Some(end);
    }

    /// What is not as promised, at the end of all work.
    pub(super) fn violations(
        &self,
        claims: &Claims,
        ended_early: impl Fn(SessionId) -> bool,
    ) -> Vec<String> {
        let mut violations = Vec::new();
        let mut of_item: BTreeMap<&str, Vec<&Delivery>> = BTreeMap::new();
        for delivery in &self.deliveries {
            of_item.entry(&delivery.item).or_default().push(delivery);
        }
        for item in &self.put {
            if !of_item.contains_key(&**item) {
                violations.push(format!("{item} was put and never delivered"));
            }
        }
        for (item, deliveries) in of_item {
            let paths: BTreeSet<_> = deliveries.iter().map(|delivery| &delivery.path).collect();
            if paths.len() > 1 {
                violations.push(format!("{item} was put several times: {paths:?}"));
            }
            let ends = deliveries.iter().filter_map(|delivery| delivery.end);
            if ends.filter(|end| *end == End::Acknowledged).count() > 1 {
                violations.push(format!("{item} was acknowledged several times"));
            }
            for delivery in &deliveries {
                let Some(claim) = claims.claim(delivery) else {
                    violations.push(format!("{item} was delivered without a claim"));
                    continue;
                };
                let later = |other: &Delivery| claims.claim(other).is_some_and(|at| at > claim);
                if delivery.end == Some(End::Unfinished) && !deliveries.iter().any(|it| later(it)) {
                    violations.push(format!(
                        "{item} was not acknowledged and is not delivered again"
                    ));
                }
                let Some(acknowledged) = delivery.acknowledged else {
                    continue;
                };
                // The servers had ended the session before its time, and its client could not know: another
                // consumer has claimed and acknowledged the item since, and the reply to the first was late.
                let is_late =
                    ended_early(delivery.session) && later(&self.deliveries[acknowledged]);
                if !is_late {
                    let path = &delivery.path;
                    violations.push(format!("{path} was acknowledged and is delivered again"));
                }
            }
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: SessionId = SessionId(1);
    const TWO: SessionId = SessionId(2);

    /// A history of one item in one znode: who gets it, when its claim was made and when it arrives, and how
    /// the work on it ends, in the order of the arrivals. Each ends before the next arrives.
    fn found(history: &[(SessionId, i64, i64, End)], ended_early: &[SessionId]) -> Vec<String> {
        let (mut ledger, mut claims) = (Ledger::default(), Claims::default());
        ledger.put("a".to_owned());
        for (session, claimed, arrived, end) in history {
            if *claimed > 0 {
                claims.add("entry-0", *session, Zxid(*claimed));
            }
            let delivery = ledger.deliver("a", "/q/entry-0", *session, Zxid(*arrived));
            ledger.end(delivery, *end);
        }
        ledger.violations(&claims, |session| ended_early.contains(&session))
    }

    fn is_sound(history: &[(SessionId, i64, i64, End)], ended_early: &[SessionId]) {
        assert_eq!(found(history, ended_early), [""; 0], "{history:?}");
    }

    fn is_found(
        violation: &str,
        history: &[(SessionId, i64, i64, End)],
        ended_early: &[SessionId],
    ) {
        let found = found(history, ended_early);
        assert!(
            found.iter().any(|text| text.contains(violation)),
            "{found:?}"
        );
    }

    #[test]
    fn deliveries_before_the_ack_are_sound() {
        is_sound(&[(ONE, 1, 1, End::Acknowledged)], &[]);
        is_sound(&[(ONE, 1, 1, End::Unknown)], &[]);
        let again = [
            (ONE, 1, 1, End::Unfinished),
            (ONE, 3, 3, End::Unknown),
            (TWO, 5, 6, End::Acknowledged),
        ];
        is_sound(&again, &[]);
    }

    #[test]
    fn a_lost_item_is_found() {
        is_found("never delivered", &[], &[]);
        let lost = "not acknowledged and is not delivered again";
        is_found(lost, &[(ONE, 1, 1, End::Unfinished)], &[]);
        is_found(lost, &[(ONE, 1, 1, End::Unfinished)], &[ONE]);
        let last = [(ONE, 1, 1, End::Unknown), (TWO, 3, 3, End::Unfinished)];
        is_found(lost, &last, &[]);
    }

    #[test]
    fn a_delivery_after_the_ack_is_found() {
        let again = "acknowledged and is delivered again";
        let later = [
            (TWO, 1, 1, End::Acknowledged),
            (ONE, 3, 3, End::Acknowledged),
        ];
        for ended_early in [&[][..], &[ONE], &[ONE, TWO]] {
            is_found(again, &later, ended_early);
            is_found("acknowledged several times", &later, ended_early);
        }
        // The claim was made first, and arrives last.
        let late = [(TWO, 3, 3, End::Acknowledged), (ONE, 1, 4, End::Unfinished)];
        is_sound(&late, &[ONE]);
        is_found(again, &late, &[]);
        is_found(again, &late, &[TWO]);
    }

    #[test]
    fn second_znodes_and_missing_claims_show() {
        is_found("without a claim", &[(ONE, 0, 1, End::Acknowledged)], &[]);
        is_found("without a claim", &[(ONE, 2, 1, End::Acknowledged)], &[]);
        let mut ledger = Ledger::default();
        let mut claims = Claims::default();
        for name in ["entry-0", "entry-1"] {
            claims.add(name, ONE, Zxid(1));
            ledger.deliver("a", &format!("/q/{name}"), ONE, Zxid(2));
        }
        let found = ledger.violations(&claims, |_| false);
        assert!(found[0].contains("put several times"), "{found:?}");
    }
}
