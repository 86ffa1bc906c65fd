//! How fast the two servers answer reads that are sent without waiting for one another.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test"
)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use zk_embedded::Options;
use zk_proto::records::*;
use zk_proto::{Acl, CreateMode, Encode, OpCode, SessionId, SessionPassword, Zxid};

use zk_tests::starvation::unless_starved;
use zk_tests::{ServerOptions, Standalone};

use crate::common::embedded::Embedded;
use crate::common::wire::{Received, Wire};

const IN_FLIGHT: usize = 256;
const ROUNDS: usize = 40;
const TURNS: usize = 5;
/// Java compiles what runs often; it gets the time to.
const WARM_UP: usize = 120;

/// Pipelined `getData` of 100 bytes on one connection to each server, per second: the best of several
/// runs, in turns, for this machine has other things to do.
fn gets_per_second(servers: [SocketAddr; 2]) -> [f64; 2] {
    let path = "/throughput".into();
    let get = encoded(&GetDataRequest { path, watch: false });
    let mut wires = servers.map(warm);
    for wire in &mut wires {
        run(wire, &get, WARM_UP);
    }
    let mut best = [Duration::MAX; 2];
    for _ in 0..TURNS {
        for (best, wire) in best.iter_mut().zip(&mut wires) {
            *best = run(wire, &get, ROUNDS).min(*best);
        }
    }
    best.map(|best| f64::from(u32::try_from(IN_FLIGHT * ROUNDS).unwrap()) / best.as_secs_f64())
}

/// A connection to a server that has the znode.
fn warm(server: SocketAddr) -> Wire {
    let ask = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms: 30_000,
        session_id: SessionId::NONE,
        password: SessionPassword::zero(),
        read_only: Some(false),
    };
    let (mut wire, ..) = Wire::connect(server, &ask).unwrap().unwrap();
    let create = encoded(&CreateRequest {
        path: "/throughput".into(),
        data: Some(&[7; 100]),
        acl: Acl::open().into(),
        flags: CreateMode::Ephemeral.flags(),
    });
    wire.send(OpCode::Create.code(), &create).unwrap();
    let _created_by_one = wire.receive().unwrap();
    wire
}

fn run(wire: &mut Wire, get: &[u8], rounds: usize) -> Duration {
    let began = Instant::now();
    for _ in 0..rounds {
        wire.send_many(OpCode::GetData.code(), get, IN_FLIGHT)
            .unwrap();
        await_replies(wire, IN_FLIGHT);
    }
    began.elapsed()
}

fn await_replies(wire: &mut Wire, count: usize) {
    for _ in 0..count {
        assert!(
            matches!(wire.receive().unwrap(), Received::Reply { header, .. } if header.err == 0)
        );
    }
}

fn encoded(record: &impl Encode) -> Vec<u8> {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    out.into()
}

/// Measured in turns, so that what else the machine does slows both down; and again where it starves
/// one of them.
#[test]
fn embedded_reads_are_three_times_as_fast() {
    let apache = Standalone::start(ServerOptions::default()).unwrap();
    let embedded = Embedded::start(Options::default());
    let servers = [apache.address(), embedded.address()];
    unless_starved(Duration::from_secs(1), |_| {
        let [theirs, ours] = gets_per_second(servers);
        eprintln!("getData per second: Apache {theirs:.0}, embedded {ours:.0}");
        assert!(
            ours > 3.0 * theirs,
            "{ours:.0} against {theirs:.0} a second"
        );
    });
}
