//! What a request costs, as far as it can be counted and not only timed: instructions, system
//! calls, heap allocations. `tests/BUDGET.md` has the goals and what was recorded.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a failed expectation is a failed test, and figures are printed"
)]

mod program;
mod recorded;

use std::sync::LazyLock;

use zk_tests::Tool;

use program::{Program, allocations, instructions, system_calls};
use recorded::Budget;

static PROGRAM: LazyLock<Program> = LazyLock::new(Program::build);
static BUDGET: LazyLock<Budget> = LazyLock::new(Budget::read);

/// The length of the data that are read, in bytes.
const SIZE: usize = 100;
const LARGE: usize = 64 * 1024;

/// The instructions of the client's process for each get: all of it, the runtime and the tasks that
/// ask included, in user mode.
#[test]
fn get_instructions_within_budget() {
    if !can_use(Tool::Valgrind) {
        return;
    }
    let server = PROGRAM.serve(SIZE);
    let gets = |in_flight: &str| {
        per_operation(20_000, |n| {
            let n = n.to_string();
            instructions(&PROGRAM, &["get", server.address(), in_flight, &n])
        })
    };
    BUDGET.check(&[
        ("instructions per get, alone", gets("1")),
        ("instructions per get, 64 in flight", gets("64")),
    ]);
}

/// An event on its way from the socket to the subscriber of a lasting watch, which awaits each.
#[test]
fn watch_event_instructions_within_budget() {
    if !can_use(Tool::Valgrind) {
        return;
    }
    let server = PROGRAM.serve(SIZE);
    let event = per_operation(20_000, |n| {
        let n = n.to_string();
        instructions(&PROGRAM, &["events", server.address(), &n])
    });
    BUDGET.check(&[("instructions per watch event", event)]);
}

/// No table is walked, no queue is searched.
#[test]
fn get_cost_is_independent_of_load() {
    if !can_use(Tool::Valgrind) {
        return;
    }
    let server = PROGRAM.serve(SIZE);
    let among = |in_flight: &str| {
        per_operation(100_000, |n| {
            let n = n.to_string();
            instructions(&PROGRAM, &["together", server.address(), in_flight, &n])
        })
    };
    let (few, many) = (among("100"), among("100000"));
    println!("instructions per get, submitted together: 100: {few:.0}, 100,000: {many:.0}");
    assert!(many <= few * 1.1);
}

#[test]
fn get_system_calls_within_budget() {
    if !can_use(Tool::Strace) {
        return;
    }
    let server = PROGRAM.serve(SIZE);
    let gets = |workers: Option<&str>| {
        per_operation(2_000, |n| {
            let n = n.to_string();
            let arguments = ["get", server.address(), "1", &n]
                .into_iter()
                .chain(workers);
            system_calls(&PROGRAM, &arguments.collect::<Vec<_>>())
        })
    };
    BUDGET.check(&[
        ("system calls per get, alone", gets(None)),
        (
            "system calls per get, alone, on a worker thread",
            gets(Some("1")),
        ),
    ]);
}

/// More tasks than a worker's own queue holds, so that the driver runs between the tasks that
/// submit.
#[test]
fn gets_of_many_tasks_share_writes() {
    if !can_use(Tool::Strace) {
        return;
    }
    let server = PROGRAM.serve(SIZE);
    for workers in [None, Some("1")] {
        let calls = per_operation(50_000, |n| {
            let n = n.to_string();
            let arguments = ["get", server.address(), "1024", &n]
                .into_iter()
                .chain(workers);
            system_calls(&PROGRAM, &arguments.collect::<Vec<_>>())
        });
        println!("system calls per get, 1,024 in flight, workers {workers:?}: {calls:.3}");
        assert!(calls <= 0.1);
    }
}

/// A payload that were copied would be allocated twice.
#[test]
fn get_allocations_within_budget() {
    if !can_use(Tool::Valgrind) {
        return;
    }
    let (small, large) = (PROGRAM.serve(SIZE), PROGRAM.serve(LARGE));
    let count = |in_flight: &str| {
        per_operation(2_000, |n| {
            let n = n.to_string();
            allocations(&PROGRAM, &["get", small.address(), in_flight, &n]).count
        })
    };
    let per_byte = |in_flight: &str| {
        let bytes = per_operation(640, |n| {
            let n = n.to_string();
            allocations(&PROGRAM, &["get", large.address(), in_flight, &n]).bytes
        });
        bytes / LARGE as f64
    };
    BUDGET.check(&[
        ("allocations per get, alone", count("1")),
        ("allocations per get, 64 in flight", count("64")),
        (
            "bytes allocated per byte of 64 KiB gets, alone",
            per_byte("1"),
        ),
        (
            "bytes allocated per byte of 64 KiB gets, 64 in flight",
            per_byte("64"),
        ),
    ]);
}

/// What one operation costs: the start and the end of a program cancel out between a run of so many
/// and one of twice as many.
fn per_operation(operations: u64, cost_of: impl Fn(u64) -> u64) -> f64 {
    let more = cost_of(2 * operations).saturating_sub(cost_of(operations));
    more as f64 / operations as f64
}

/// Whether there is what counts. `cargo xtask test` installs it where it may, and says in its
/// summary if it could not.
fn can_use(tool: Tool) -> bool {
    match tool.find() {
        Ok(()) => true,
        Err(reason) => {
            println!("SKIPPED: {reason:?}");
            false
        }
    }
}
