//! Our layers one by one, from the codec to a client: what a change did to the speed of one of them.
//! Criterion keeps the figures of the last run beside the target directory and prints how these
//! differ. They are no gate: what can be counted without noise is in `tests/BUDGET.md`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Builder;
use zk_client::Client;
use zk_client::testkit::{Ask, Machine};
use zk_proto::records::{ConnectResponse, GetChildren2Response, GetDataRequest, GetDataResponse};
use zk_proto::{Decode, Decoder, Encode, ReplyHeader, SessionId, SessionPassword, Stat, Xid, Zxid};
use zk_tests::Constant;
use zk_transport::FrameReader;

const PATH: &str = "/services/ledger/leader";
const SIZE: usize = 100;
/// As many as the driver is mostly woken for, in a pipeline of 64.
const TOGETHER: usize = 64;

fn encoded(record: &dyn Encode) -> Bytes {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    out.freeze()
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let length = i32::try_from(frame.len()).expect("a frame of a test");
    [&length.to_be_bytes(), frame].concat()
}

fn data() -> Bytes {
    let data = [b'x'; SIZE];
    encoded(&GetDataResponse {
        data: Some(data.to_vec().into()),
        stat: Stat::default(),
    })
}

/// The reply to a get, its length prefix included.
fn reply(xid: Xid) -> Vec<u8> {
    let header = ReplyHeader {
        xid,
        zxid: Zxid(1),
        err: 0,
    };
    framed(&[encoded(&header), data()].concat())
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codec");
    let mut out = BytesMut::with_capacity(64);
    let request = GetDataRequest {
        path: PATH.into(),
        watch: false,
    };
    group.bench_function("a get's request", |bencher| {
        bencher.iter(|| {
            out.clear();
            black_box(&request).encode(&mut out);
        });
    });
    let body = data();
    group.bench_function("a get's reply", |bencher| {
        bencher.iter(|| GetDataResponse::decode(&mut Decoder::new(black_box(&body))));
    });
    let names = (0..1000).map(|number| format!("worker-{number:010}"));
    let children = encoded(&GetChildren2Response {
        children: names.collect(),
        stat: Stat::default(),
    });
    group.bench_function("a thousand children", |bencher| {
        bencher.iter(|| GetChildren2Response::decode(&mut Decoder::new(black_box(&children))));
    });
    group.finish();
}

fn frames(criterion: &mut Criterion) {
    let stream = reply(1).repeat(TOGETHER);
    let mut group = criterion.benchmark_group("frames");
    group.throughput(Throughput::Elements(TOGETHER as u64));
    let mut reader = FrameReader::new(1 << 20);
    group.bench_function("replies of a read", |bencher| {
        bencher.iter(|| {
            reader.space().extend_from_slice(&stream);
            while let Some(frame) = reader.next_frame().expect("frames") {
                black_box(frame);
            }
        });
    });
    group.finish();
}

/// A machine with a session, and no socket.
fn connected(now: Instant) -> Machine {
    let timeout = Duration::from_secs(10);
    let mut machine = Machine::new(now, timeout, true, TOGETHER);
    machine.connect(now, timeout);
    machine.output(usize::MAX);
    let response = encoded(&ConnectResponse {
        protocol_version: 0,
        timeout_ms: 10_000,
        session_id: SessionId(7),
        password: SessionPassword::zero(),
        read_only: false,
    });
    machine.input(now, &framed(&response)).expect("a handshake");
    machine
}

fn machine(criterion: &mut Criterion) {
    let now = Instant::now();
    let mut machine = connected(now);
    let mut group = criterion.benchmark_group("machine");
    group.throughput(Throughput::Elements(TOGETHER as u64));
    let one = reply(0);
    let mut replies = one.repeat(TOGETHER);
    let mut xid: Xid = 1;
    group.bench_function("gets and their replies", |bencher| {
        bencher.iter(|| {
            for reply in replies.chunks_exact_mut(one.len()) {
                reply[4..8].copy_from_slice(&xid.to_be_bytes());
                xid += 1;
            }
            let tickets: Vec<_> = (0..TOGETHER)
                .map(|_| {
                    machine
                        .submit(now, Ask::Get(PATH, false), None)
                        .expect("room")
                })
                .collect();
            black_box(machine.output(usize::MAX));
            machine.input(now, &replies).expect("replies");
            for ticket in tickets {
                black_box(machine.poll(ticket).expect("answered").is_ok());
            }
        });
    });
    group.finish();
}

fn client(criterion: &mut Criterion) {
    let server = Constant::start(SIZE).expect("a server");
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let address = server.address().to_string();
    let zk = runtime
        .block_on(Client::connect(address))
        .expect("a session");
    let mut group = criterion.benchmark_group("client");
    for many in [1, TOGETHER] {
        group.throughput(Throughput::Elements(many as u64));
        group.bench_function(format!("{many} in flight"), |bencher| {
            bencher.iter_custom(|rounds| {
                let zk = zk.clone();
                // A task of the runtime, as the tasks of most programs are.
                let measuring = runtime.spawn(async move {
                    let started = Instant::now();
                    for _ in 0..rounds {
                        let gets: Vec<_> = (0..many).map(|_| zk.get(PATH).submit()).collect();
                        for get in gets {
                            get.await.expect("data");
                        }
                    }
                    started.elapsed()
                });
                runtime.block_on(measuring).expect("a measurement")
            });
        });
    }
    group.finish();
}

criterion_group!(trends, codec, frames, machine, client);
criterion_main!(trends);
