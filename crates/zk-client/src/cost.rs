//! What a request costs: where the time of one get goes.
//!
//! This module holds no code. It follows one [`get`](crate::Client::get) of 100 bytes through the
//! client, with figures, for those who wonder whether their program waits for ZooKeeper or for its
//! client, and for those who want to make the client faster.
//!
//! # Its way
//!
//! ```text
//!   caller's task                       driver's task                          server
//!   path is looked at
//!   lock: slot, xid, frame encoded
//!         straight into the output
//!   unlock, wake the driver ─────────►  takes the whole output
//!                                       one write ───────────────────────────►
//!                                       one read  ◄───────────────────────────
//!                                       lock: frames are slices of what was
//!                                             read, each to its slot
//!   polled  ◄────────────────────────── unlock, wake whoever was answered
//!   lock: takes its frame
//!   decodes it
//! ```
//!
//! There is no queue of requests and no copy of one: a request is encoded where the driver writes
//! from. The driver is woken once however many tasks submit before it runs, and while an answer is
//! awaited anyway it lets those who are about to submit go first; it writes what they all have encoded
//! in one system call, and hands out all that a read brings with one look at the clock and one turn at
//! the lock. So with many requests in flight, which is what a pipeline or many tasks come
//! to, nearly all that is left is the work on the request itself; alone, most is switching between
//! the two tasks and asking the kernel.
//!
//! # In instructions
//!
//! Of the process in user mode, on tokio's current-thread runtime, the asking task included:
//!
//! | for each get | alone | 64 in flight |
//! |---|---|---|
//! | submitting: path, slot, lock, encoding, waking | 980 | 840 |
//! | the driver: writing, reading, splitting, matching, waking | 4,060 | 640 |
//! | taking the reply: slot, lock, decoding | 700 | 700 |
//! | the runtime: switching tasks, waiting for the socket | 2,260 | 500 |
//! | together | 8,000 | 2,680 |
//!
//! For comparison, on the same runtime: a task that writes such a frame to a socket and reads the
//! answer, and does nothing else, executes 2,100; one that has another task do that for it, over
//! tokio's channels, 3,930. That is what asking alone costs before there is any ZooKeeper in it.
//!
//! # In time
//!
//! 8,000 instructions are about two microseconds. The three system calls of a lone get — write, wait,
//! read — take more than that, the server's own take as much again, and a network ten to a hundred
//! times as much. A client is what a program waits for only if it has many requests in flight. What
//! helps then:
//!
//! - [`submit`](crate::Get::submit) several requests before awaiting the first, or ask from several
//!   tasks: they share a write, a read and the switches.
//! - One session rather than many: sessions do not share writes.
//! - Data of more than 256 bytes are not copied: the `Bytes` that a get returns is a part of the
//!   buffer that was read into, and keeps it. Smaller data are copied out, so that a few bytes that are
//!   kept do not keep 64 KiB. `children` keeps its frame, too, and gives out names without copies.
//! - TLS, the feature `metrics` and `tracing` cost nothing where they are not used.
//!
//! # How it is measured
//!
//! `cargo xtask budget` counts instructions, system calls and allocations; the figures of now stand
//! in `tests/BUDGET.md`, and a test fails when they grow. `cargo xtask bench` measures the time, beside
//! other clients. The table above is what `callgrind_annotate --inclusive=yes` says of
//! `zk-measured get ADDRESS 64 40000` under `valgrind --tool=callgrind`, with `zk-measured serve 100`
//! beside it.
