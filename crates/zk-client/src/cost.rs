//! What a request costs: where the time of one get goes.
//!
//! This module holds no code. It follows one [`get`](crate::Client::get) of 100 bytes through the
//! client, with figures: for finding out whether a program waits for ZooKeeper or for its client, and
//! for making the client faster.
//!
//! # The way of a get
//!
//! ```text
//!   caller's task                       driver's task                          server
//!   checks the path
//!   lock 1: slot, xid, frame encoded
//!           straight into the output
//!   wakes the driver ────────────────►
//!   lock 2: leaves its waker
//!                                       lock 3: takes the whole output
//!                                       one write ───────────────────────────►
//!                                       one read  ◄───────────────────────────
//!                                       lock 4: frames are slices of the read
//!                                               buffer, each goes to its slot
//!   polled  ◄────────────────────────── wakes the callers that have a reply
//!   lock 5: takes its frame
//!   decodes it
//! ```
//!
//! There is no queue of requests and no copy of one: a request is encoded where the driver writes
//! from. The driver is woken once for all the tasks that submit before it runs. While a reply is
//! awaited anyway, it lets other runnable tasks submit first and writes all their requests in one
//! system call; and for all the replies of one read it reads the clock once and takes the lock once.
//! So with many requests in flight, from a pipeline or many tasks, nearly all the cost is the work on
//! the request itself; for a request that is alone it is switching between the two tasks and system
//! calls.
//!
//! # In files
//!
//! On its way down the request goes through these files, in this order:
//!
//! | | file | what happens there |
//! |---|---|---|
//! | 1 | `ops/mod.rs` | `Client::get` makes the builder |
//! | 2 | `ops/get.rs` | `Get::send` makes the record, and names the function that decodes the reply |
//! | 3 | `ops/pending.rs` | `Call::submit` checks the path, starts the clock, makes the `Pending` |
//! | 4 | `client.rs` | the handle adds its chroot and its deadline |
//! | 5 | `shared.rs` | takes the lock, wakes the driver after it |
//! | 6 | `session/requests/submit.rs` | `Core::submit`: checks whether the request is allowed, and sends or parks it |
//! | 7 | `session/requests/mod.rs` | checks the limits |
//! | 8 | `session/requests/slots.rs` | the slot in which the reply will be |
//! | 9 | `link/requests.rs` of `zk-transport` | xid and frame |
//! | 10 | `records/node.rs` of `zk-proto` | the record's fields, encoded |
//! | 11 | `driver/endpoint.rs` | takes the output |
//! | 12 | `pump.rs` of `zk-transport` | writes it |
//!
//! Seven more provide one value each: `path/validate.rs` of `zk-proto` whether the path is valid,
//! `session/requests/room.rs` how much room there is for requests,
//! `telemetry/mod.rs` whether `tracing` wants the request, `session/identity.rs` the epoch of the
//! session, `session/abilities/mod.rs` whether the server has the operation,
//! `session/leader_contact.rs` whether the request is a write, and `session/counters.rs` the counter.
//!
//! On the way up: `pump.rs` reads, `frame.rs` splits off the frame, `driver/endpoint.rs` takes the
//! lock, `session/connection/receive.rs` and `link/received.rs` find the request that the frame answers,
//! `session/requests/replies.rs` puts it into its slot, `shared.rs` wakes the caller, `ops/pending.rs` takes it
//! out and `ops/get.rs` decodes it. Between the frame and the caller's data there are three types: the
//! link's [`Received`](zk_transport::Received), and the session's `Reply` and `Answer`.
//!
//! # In instructions
//!
//! Of the process in user mode, on tokio's current-thread runtime, the calling task included:
//!
//! | for each get | alone | 64 in flight |
//! |---|---|---|
//! | submitting: path, slot, lock, encoding, waking | 1,020 | 860 |
//! | the driver: writing, reading, splitting, matching, waking | 3,880 | 670 |
//! | taking the reply: slot, lock, decoding | 680 | 680 |
//! | the runtime: switching tasks, waiting for the socket | 2,280 | 530 |
//! | together | about 7,900 | about 2,750 |
//!
//! For comparison, on the same runtime: a task that writes such a frame to a socket and reads the
//! reply, and does nothing else, executes 2,100; one that has another task do that for it, over
//! tokio's channels, 3,930. That is the cost of a round trip without ZooKeeper.
//!
//! # In time
//!
//! About 7,900 instructions take about two microseconds. The three system calls of a get that is alone —
//! write, wait, read — take more than that, the server's own work as much again, and a network ten to
//! a hundred times as much. A program waits for its client only if it has many requests in flight.
//! Then these help:
//!
//! - [`submit`](crate::Get::submit) several requests before awaiting the first, or make requests from
//!   several tasks: they share a write, a read and the switches.
//! - One session rather than many: sessions do not share writes.
//! - Data of more than 256 bytes are not copied: the `Bytes` that a get returns is a part of the
//!   read buffer and keeps it alive. Smaller data are copied out, so that a few bytes do not keep
//!   64 KiB. `children` keeps its frame, too, and returns names without copies.
//! - TLS, the feature `metrics` and `tracing` cost nothing where they are not used.
//!
//! # How it is measured
//!
//! `cargo xtask budget` counts instructions, system calls and allocations; the recorded figures are
//! in `tests/BUDGET.md`, and a test fails when they grow. A unit test counts the locks. `cargo xtask
//! bench` measures the time, beside other clients. The table of instructions comes from
//! `callgrind_annotate --inclusive=yes` on `zk-measured get ADDRESS 64 40000` under
//! `valgrind --tool=callgrind`, with `zk-measured serve 100` beside it.
