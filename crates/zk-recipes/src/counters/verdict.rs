//! What a read says about a write whose reply was lost.

use zk_client::Stat;

/// Whether the write took effect.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It took effect; the stat is that of the cell after it.
    Applied(Box<Stat>),
    /// It has had no effect so far. Should it still have one, that is because the cell has the version
    /// that was read; so no two attempts at one version take effect.
    NotApplied,
    /// Another write was faster, so this one had no effect and will have none.
    Conflict,
    /// It cannot be decided.
    Unknown,
}

/// From the witness: its data are the mark of the attempt that was written to it last, in one
/// transaction with the cell.
pub(super) fn of_witness(
    mark: &str,
    found: &[u8],
    witness: &Stat,
    known: &Stat,
    written: usize,
) -> Verdict {
    if found != mark.as_bytes() {
        return Verdict::NotApplied;
    }
    // Other writers may have changed the cell again, but the transaction is that of the witness.
    let mut stat = *known;
    stat.version = known.version.wrapping_add(1);
    (stat.mzxid, stat.mtime) = (witness.mzxid, witness.mtime);
    stat.data_length = i32::try_from(written).unwrap_or(i32::MAX);
    Verdict::Applied(Box::new(stat))
}

/// From the cell alone, which another writer may have changed in the same way.
pub(super) fn of_cell(known: &Stat, found: &Stat, is_ours: bool) -> Verdict {
    if found.czxid != known.czxid {
        // This is another znode: the one that was written to is deleted.
        Verdict::Unknown
    } else if found.version == known.version && found.mzxid == known.mzxid {
        Verdict::NotApplied
    } else if found.version == known.version.wrapping_add(1) && !is_ours {
        Verdict::Conflict
    } else {
        Verdict::Unknown
    }
}

#[cfg(test)]
mod tests {
    use zk_client::Zxid;

    use super::*;

    fn stat(version: i32, czxid: i64, mzxid: i64) -> Stat {
        let mut stat = Stat::default();
        (stat.version, stat.czxid, stat.mzxid) = (version, Zxid(czxid), Zxid(mzxid));
        stat
    }

    #[test]
    fn the_mark_of_the_attempt_proves_it() {
        let (witness, known) = (stat(9, 60, 120), stat(3, 50, 90));
        let verdict = |found: &[u8]| of_witness("mark", found, &witness, &known, 8);
        let Verdict::Applied(applied) = verdict(b"mark") else {
            panic!("it was applied")
        };
        let parts = (applied.version, applied.czxid, applied.mzxid);
        assert_eq!(parts, (4, Zxid(50), Zxid(120)));
        assert_eq!(applied.data_length, 8);
        assert_eq!(verdict(b"another"), Verdict::NotApplied);
        assert_eq!(verdict(b""), Verdict::NotApplied);
    }

    #[test]
    fn versions_overflow() {
        let (witness, known) = (stat(9, 60, 120), stat(i32::MAX, 50, 90));
        let verdict = of_witness("m", b"m", &witness, &known, 8);
        assert!(matches!(verdict, Verdict::Applied(stat) if stat.version == i32::MIN));
        let others = of_cell(&known, &stat(i32::MIN, 50, 91), false);
        assert_eq!(others, Verdict::Conflict);
    }

    #[test]
    fn equal_data_prove_nothing_alone() {
        let known = stat(3, 50, 90);
        let verdict = |found: Stat, is_ours| of_cell(&known, &found, is_ours);
        assert_eq!(verdict(stat(3, 50, 90), false), Verdict::NotApplied);
        assert_eq!(verdict(stat(4, 50, 120), false), Verdict::Conflict);
        assert_eq!(verdict(stat(4, 50, 120), true), Verdict::Unknown);
        // This write may have been the one before.
        assert_eq!(verdict(stat(5, 50, 120), false), Verdict::Unknown);
        // Another znode, and the same znode with another history.
        assert_eq!(verdict(stat(3, 51, 90), false), Verdict::Unknown);
        assert_eq!(verdict(stat(3, 50, 80), false), Verdict::Unknown);
    }
}
