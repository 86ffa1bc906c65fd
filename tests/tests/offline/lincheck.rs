//! The linearizability checker is right: about histories that are right or wrong by construction,
//! and as often as a search that remembers nothing and tries everything.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use fastrand::Rng;
use zk_tests::lincheck::models::{
    Counter, Fenced, Hold, Mutex, Register, RegisterInput, RegisterOutput, RwHold, RwLock,
    Semaphore,
};
use zk_tests::lincheck::{
    Model, Operation, OperationOf, Recorder, Verdict, by_key, check, check_within,
};

/// How a model is exercised.
trait Exercised: Model {
    /// Something that can be asked, and what is answered to it in this state.
    fn ask(&self, state: &Self::State, rng: &mut Rng) -> (Self::Input, Self::Output);

    /// Whether an operation without a known outcome may have taken effect. Something taken with an
    /// unknown outcome counts as not taken.
    fn may_take_effect_unheard(&self, _: &Self::Input) -> bool {
        true
    }

    /// Operations that cannot happen one after the other, whatever was before, unless something
    /// else happens at the same time.
    fn nonsense(&self, rng: &mut Rng) -> Vec<(Self::Input, Self::Output)>;
}

impl Exercised for Register {
    fn ask(
        &self,
        &(value, version): &(u64, i32),
        rng: &mut Rng,
    ) -> (RegisterInput, RegisterOutput) {
        let new = rng.u64(..);
        match rng.u8(0..4) {
            0 => (RegisterInput::Read, RegisterOutput::Value(value, version)),
            1 => (
                RegisterInput::Write(new, None),
                RegisterOutput::Written(version + 1),
            ),
            2 => (
                RegisterInput::Write(new, Some(version)),
                RegisterOutput::Written(version + 1),
            ),
            _ => (
                RegisterInput::Write(new, Some(version + 1)),
                RegisterOutput::BadVersion,
            ),
        }
    }

    fn nonsense(&self, rng: &mut Rng) -> Vec<(RegisterInput, RegisterOutput)> {
        let read = |value, version| (RegisterInput::Read, RegisterOutput::Value(value, version));
        let write = |value, expected, version| {
            let input = RegisterInput::Write(value, expected);
            (input, RegisterOutput::Written(version))
        };
        match rng.u8(0..4) {
            // A value that was never written.
            0 => vec![read(u64::MAX, rng.i32(0..50))],
            // A stale read.
            1 => vec![
                write(1, None, 9),
                read(1, 9),
                write(2, None, 10),
                read(1, 9),
            ],
            // A lost update: both saw version 9.
            2 => vec![
                write(1, None, 9),
                write(2, Some(9), 10),
                write(3, Some(9), 10),
            ],
            // A write that was refused although the version was right.
            _ => {
                let refused = (RegisterInput::Write(2, Some(9)), RegisterOutput::BadVersion);
                vec![write(1, None, 9), refused]
            }
        }
    }
}

impl Exercised for Mutex {
    fn ask(&self, &(holder, greatest): &(Option<i64>, i64), rng: &mut Rng) -> (Hold, i64) {
        match holder {
            Some(holder) => (Hold::Release(holder), 0),
            None => (Hold::Acquire, greatest.max(0) + rng.i64(1..4)),
        }
    }

    fn may_take_effect_unheard(&self, input: &Hold) -> bool {
        matches!(input, Hold::Release(_))
    }

    fn nonsense(&self, rng: &mut Rng) -> Vec<(Hold, i64)> {
        let free = [(Hold::Acquire, 1 << 40), (Hold::Release(1 << 40), 0)];
        match rng.u8(0..3) {
            // Two holders.
            0 => vec![(Hold::Acquire, 1 << 40), (Hold::Acquire, 1 << 41)],
            // A token that is not greater than the last.
            1 => [&free[..], &[(Hold::Acquire, (1 << 40) - 1)]].concat(),
            // Released twice.
            _ => [&free[..], &free[1..]].concat(),
        }
    }
}

impl Exercised for Fenced {
    fn ask(&self, greatest: &i64, rng: &mut Rng) -> (i64, bool) {
        let token = (*greatest).max(0) + rng.i64(-3..4);
        (token, token >= *greatest)
    }

    fn nonsense(&self, rng: &mut Rng) -> Vec<(i64, bool)> {
        let smaller = (1 << 40) - rng.i64(1..10);
        vec![(1 << 40, true), (smaller, true)]
    }
}

impl Exercised for Semaphore {
    fn ask(&self, holders: &Vec<i64>, rng: &mut Rng) -> (Hold, i64) {
        match rng.choice(holders) {
            Some(holder) if holders.len() == self.0 || rng.bool() => (Hold::Release(*holder), 0),
            _ => (Hold::Acquire, rng.i64(0..1 << 40)),
        }
    }

    fn may_take_effect_unheard(&self, input: &Hold) -> bool {
        matches!(input, Hold::Release(_))
    }

    fn nonsense(&self, _: &mut Rng) -> Vec<(Hold, i64)> {
        let token = |n: usize| (1 << 41) + i64::try_from(n).unwrap();
        (0..=self.0).map(|n| (Hold::Acquire, token(n))).collect()
    }
}

impl Exercised for RwLock {
    fn ask(&self, (readers, writer): &(Vec<i64>, Option<i64>), rng: &mut Rng) -> (RwHold, i64) {
        let token = rng.i64(0..1 << 40);
        match (writer, rng.choice(readers)) {
            (Some(writer), _) if rng.bool() => (RwHold::Downgrade(*writer), 0),
            (Some(writer), _) => (RwHold::Release(*writer), 0),
            (None, Some(reader)) if rng.u8(0..3) > 0 => (RwHold::Release(*reader), 0),
            (None, Some(_)) => (RwHold::Read, token),
            (None, None) if rng.bool() => (RwHold::Read, token),
            (None, None) => (RwHold::Write, token),
        }
    }

    fn may_take_effect_unheard(&self, input: &RwHold) -> bool {
        !matches!(input, RwHold::Read | RwHold::Write)
    }

    fn nonsense(&self, rng: &mut Rng) -> Vec<(RwHold, i64)> {
        let (one, other) = (1 << 41, 1 << 42);
        match rng.u8(0..3) {
            0 => vec![(RwHold::Write, one), (RwHold::Read, other)],
            1 => vec![(RwHold::Read, one), (RwHold::Write, other)],
            // Still held for reading after a downgrade.
            _ => vec![
                (RwHold::Write, one),
                (RwHold::Downgrade(one), 0),
                (RwHold::Write, other),
            ],
        }
    }
}

impl Exercised for Counter {
    fn ask(&self, state: &i64, rng: &mut Rng) -> (i64, i64) {
        let added = rng.i64(0..5);
        (added, state + added)
    }

    fn nonsense(&self, rng: &mut Rng) -> Vec<(i64, i64)> {
        let now = rng.i64(0..100);
        match rng.bool() {
            // A lost update.
            true => vec![(1, now), (1, now)],
            // A reading that goes back.
            false => vec![(0, now), (0, now - 1)],
        }
    }
}

const PROCESSES: usize = 8;

/// Operations that took effect one after the other, at even times from `from` on, each called before
/// that and returned after it, by processes that do one thing at a time. With `unknown`, the outcomes
/// of some are unknown, and some of those never took effect.
fn right<M: Exercised>(
    model: &M,
    rng: &mut Rng,
    count: usize,
    from: u64,
    unknown: bool,
) -> Vec<OperationOf<M>> {
    let mut free_at = [from; PROCESSES];
    let mut history = Vec::new();
    let mut state = model.init();
    for n in 0..count {
        // Far enough apart for what overlaps to be called and returned in between.
        let moment = from + (n as u64 + 1) * 10;
        let free: Vec<_> = (0..PROCESSES).filter(|p| free_at[*p] < moment).collect();
        let Some(process) = rng.choice(free) else {
            continue;
        };
        let called = rng.u64(free_at[process].max(moment.saturating_sub(80))..moment);
        let returned = moment + rng.u64(0..80);
        let (input, output) = model.ask(&state, rng);
        let is_unknown = unknown && rng.u8(0..20) == 0;
        if !is_unknown || (model.may_take_effect_unheard(&input) && rng.bool()) {
            state = model.step(&state, &input, Some(&output)).unwrap();
        }
        free_at[process] = if is_unknown { u64::MAX } else { returned + 1 };
        history.push(Operation {
            called,
            input,
            returned: (!is_unknown).then_some((returned, output)),
        });
    }
    rng.shuffle(&mut history);
    history
}

/// A right history, then nonsense, then another right one that has nothing to do with it, while
/// others are at what does no harm.
fn wrong<M: Exercised>(model: &M, rng: &mut Rng) -> Vec<OperationOf<M>> {
    let mut history = right(model, rng, 60, 0, false);
    let end = |history: &[OperationOf<M>]| {
        let ends = history
            .iter()
            .filter_map(|operation| operation.returned.as_ref());
        ends.map(|(at, _)| *at).max().unwrap_or(0)
    };
    let mut now = end(&history) + 1;
    for (input, output) in model.nonsense(rng) {
        history.push(Operation {
            called: now,
            input,
            returned: Some((now + 1, output)),
        });
        now += 2;
    }
    history.extend(right(model, rng, 30, now + 1, false));
    rng.shuffle(&mut history);
    history
}

/// How many right and wrong histories the checker was right about.
fn exercise<M: Exercised>(model: &M, name: &str, histories: u64) {
    let mut explained = 0;
    for seed in 0..histories {
        let mut rng = Rng::with_seed(seed);
        let unknown = seed % 2 == 1;
        let history = right(model, &mut rng, 120, 0, unknown);
        assert_eq!(
            check(model, &history),
            Verdict::Linearizable,
            "{name}, seed {seed}"
        );
        let history = wrong(model, &mut rng);
        match check(model, &history) {
            Verdict::Violation { explained: some } => explained += some.len(),
            verdict => panic!("{name}, seed {seed}: {verdict:?}"),
        }
    }
    assert!(
        explained > 0,
        "{name}: the failure does not say how far it got"
    );
}

#[test]
fn right_histories_pass_wrong_ones_fail() {
    exercise(&Register, "register", 50);
    exercise(&Mutex, "mutex", 50);
    exercise(&Fenced, "fenced", 50);
    exercise(&Semaphore(3), "semaphore", 50);
    exercise(&RwLock, "rw-lock", 50);
    exercise(&Counter, "counter", 50);
}

/// Whether some order explains a history: tries them all.
fn brute_force<M: Model>(
    model: &M,
    history: &[OperationOf<M>],
    state: &M::State,
    done: u32,
) -> bool {
    let left = || (0..history.len()).filter(|n| done & (1 << n) == 0);
    let ends = left().filter_map(|n| history[n].returned.as_ref().map(|(at, _)| *at));
    let Some(first) = ends.min() else {
        return true;
    };
    left().filter(|n| history[*n].called <= first).any(|n| {
        let output = history[n].returned.as_ref().map(|(_, output)| output);
        let next = model.step(state, &history[n].input, output);
        next.is_some_and(|next| brute_force(model, history, &next, done | (1 << n)))
    })
}

/// Few operations at random times with answers that are right by chance.
fn any<M: Exercised>(
    model: &M,
    rng: &mut Rng,
    answers: &[(M::Input, M::Output)],
) -> Vec<OperationOf<M>> {
    let mut history = right(model, rng, 4, 0, true);
    let span = 60;
    while history.len() < 8 && rng.u8(0..6) > 0 {
        let (input, output) = rng.choice(answers).unwrap().clone();
        let called = rng.u64(0..span);
        let returned = called + rng.u64(0..span / 2);
        history.push(Operation {
            called,
            input,
            returned: (rng.u8(0..6) > 0).then_some((returned, output)),
        });
    }
    history
}

/// Agrees with brute force, and says how often there was an explanation.
fn agree<M: Exercised>(model: &M, name: &str, histories: u64, answers: &[(M::Input, M::Output)]) {
    let mut linearizable = 0;
    for seed in 0..histories {
        let mut rng = Rng::with_seed(seed);
        let history = any(model, &mut rng, answers);
        let expected = brute_force(model, &history, &model.init(), 0);
        let verdict = check(model, &history);
        assert_ne!(verdict, Verdict::GaveUp, "{name}, seed {seed}");
        let found = verdict == Verdict::Linearizable;
        assert_eq!(found, expected, "{name}, seed {seed}: {history:?}");
        linearizable += u64::from(found);
    }
    // Or it would not say much.
    let share = linearizable * 100 / histories;
    assert!(
        (10..=90).contains(&share),
        "{name}: {share} % are linearizable"
    );
}

#[test]
fn it_agrees_with_brute_force() {
    let write = |expected, version| {
        (
            RegisterInput::Write(7, expected),
            RegisterOutput::Written(version),
        )
    };
    let answers = [
        write(None, 1),
        write(None, 2),
        write(Some(1), 2),
        (RegisterInput::Write(7, Some(0)), RegisterOutput::BadVersion),
        (RegisterInput::Read, RegisterOutput::Value(7, 2)),
        (RegisterInput::Read, RegisterOutput::Value(0, 0)),
    ];
    agree(&Register, "register", 2000, &answers);
    let answers = [
        (Hold::Acquire, 1),
        (Hold::Release(1), 0),
        (Hold::Acquire, 10),
        (Hold::Release(10), 0),
    ];
    agree(&Mutex, "mutex", 2000, &answers);
    agree(&Semaphore(2), "semaphore", 2000, &answers);
    agree(
        &Fenced,
        "fenced",
        1000,
        &[(1, true), (3, true), (2, false), (2, true)],
    );
    let answers = [
        (RwHold::Read, 1),
        (RwHold::Release(1), 0),
        (RwHold::Write, 2),
        (RwHold::Downgrade(2), 0),
        (RwHold::Release(2), 0),
    ];
    agree(&RwLock, "rw-lock", 2000, &answers);
    agree(
        &Counter,
        "counter",
        1000,
        &[(1, 1), (1, 2), (2, 3), (0, 1), (0, 2), (0, 0)],
    );
}

#[test]
fn what_is_recorded_is_what_happened() {
    let recorder = Recorder::default();
    let (first, second) = (recorder.call(1), recorder.call(2));
    second.returned(3);
    recorder.call(10).is_void();
    drop(recorder.call(20));
    first.returned(1);
    let history = recorder.history();
    let inputs: Vec<_> = history.iter().map(|operation| operation.input).collect();
    assert_eq!(inputs, [1, 2, 20]);
    assert!(history[1].returned.unwrap().0 < history[0].returned.unwrap().0);
    assert_eq!(history[2].returned, None);
    assert_eq!(check(&Counter, &history), Verdict::Linearizable);
    // Without the overlap nothing explains that the second saw the first.
    let sequential = Recorder::default();
    sequential.call(2).returned(3);
    sequential.call(1).returned(1);
    let history = sequential.history();
    assert!(matches!(
        check(&Counter, &history),
        Verdict::Violation { .. }
    ));
}

#[test]
fn too_long_a_search_is_no_success() {
    let history = right(&Counter, &mut Rng::with_seed(1), 100, 0, false);
    assert_eq!(check_within(&Counter, &history, 10), Verdict::GaveUp);
    let both = history.iter().flat_map(|operation| {
        let of = |key| (key, operation.clone());
        [of("a"), of("b")]
    });
    let histories = by_key(both);
    assert_eq!(histories.len(), 2);
    for history in histories.values() {
        assert_eq!(check(&Counter, history), Verdict::Linearizable);
    }
    let mixed: Vec<_> = histories.into_values().flatten().collect();
    assert!(matches!(check(&Counter, &mixed), Verdict::Violation { .. }));
}
