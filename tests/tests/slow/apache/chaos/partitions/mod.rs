//! The work of the chaos test, and locks, on real hosts that are cut off from each other.
//!
//! Three servers and each client have a network namespace of their own, on one bridge. Two minutes,
//! half of it on a release that is not the newest, or as long as
//! `cargo xtask partitions --minutes N [--seed S]` says; longer until every kind of cut had its turn, and,
//! up to three times as long, until a leader was deposed while a holder of a lock was connected to it. The
//! seed decides what is cut, not when that meets what is done.

#![allow(clippy::print_stdout, reason = "the figures of cargo xtask partitions")]

mod contender;
pub mod repair;
mod scenes;
mod seat;
mod witness;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contender::Contender;
use scenes::Scenes;
use seat::Seat;
use tokio::task::JoinSet;
use witness::Resource;
use zk_tests::{Ensemble, Host, Network, ServerOptions, starvation};

use crate::apache::chaos::load::Load;
use crate::apache::chaos::{ONE_AT_A_TIME, Run, SERVERS, builder, plan, verdict, workload};
use crate::common::{rounds, soon};

const WORKERS: usize = 6;
/// Of the workers, those that know one server only.
const PINNED: usize = 3;
const WATCHERS: usize = 2;
const CONTENDERS: usize = 6;
/// The sessions of contenders: long beside an election, so that a guard is still trusted when a leader
/// that was stopped has been deposed and continues.
const HOLDING: Duration = Duration::from_secs(9);
/// Times the length of a run, after which it does not continue until a leader was deposed while a holder
/// was connected to it.
const LONGEST: u32 = 3;
/// Leases of the semaphore.
const LEASES: usize = 2;

/// Tokens grow, a lock has one holder, a leader is alone, a semaphore gives no lease too many; and all
/// that the chaos test demands.
///
/// Guards: H1.
#[test]
fn locks_and_writes_survive_real_partitions() {
    let _turn = ONE_AT_A_TIME.blocking_lock();
    let mut network = Network::start().unwrap();
    let servers: Vec<_> = (0..SERVERS).map(|_| network.add_host().unwrap()).collect();
    let clients = WORKERS + WATCHERS + CONTENDERS;
    let clients: Vec<_> = (0..clients).map(|_| network.add_host().unwrap()).collect();
    // Of this test itself, which is not cut off.
    let observer = network.add_host().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .on_thread_start({
            let observer = observer.clone();
            move || observer.enter().unwrap()
        })
        .build()
        .unwrap();
    let test = partitions(&network, &servers, &clients);
    observer.run(|| runtime.block_on(test)).unwrap();
}

async fn partitions(network: &Network, servers: &[Arc<Host>], clients: &[Arc<Host>]) {
    let (length, seed) = plan("PARTITIONS", rounds(120, 60));
    println!("partitions for {} s, seed {seed}", length.as_secs());
    let mut rng = fastrand::Rng::with_seed(seed);
    // Soon deposed; and a server that times out waiting for the others to agree on a leader tries again
    // after this time, which 3.8.0 needs about once in ten elections.
    let options = ServerOptions::default();
    let options = options.config("syncLimit", "4").config("initLimit", "20");
    let ensemble =
        crate::apache::chaos::blocking(|| Ensemble::start_on(servers, &options).unwrap());
    let all = ensemble.connect_string();
    let version =
        crate::apache::chaos::blocking(|| ensemble.leader().unwrap().srvr().unwrap().version);
    println!("ZooKeeper {version} at {all}");
    workload::prepare(&all, WORKERS).await;
    contender::prepare(&all).await;

    let run = Arc::new(Run::default());
    let mut workers = Vec::new();
    let mut contenders = Vec::new();
    for (n, host) in clients.iter().enumerate() {
        let server = &ensemble.servers()[n % SERVERS];
        // In the order in which their sessions are judged.
        let hosts = if (WATCHERS..WATCHERS + PINNED).contains(&n) {
            server.connect_string()
        } else {
            all.clone()
        };
        let builder = builder(&hosts, rng.u64(..));
        if n < WATCHERS + WORKERS {
            workers.push(Seat::connect(host, builder).await);
        } else {
            let builder = builder.session_timeout(HOLDING);
            contenders.push(Seat::connect(host, builder).await);
        }
    }
    let zk = |seats: &[Seat]| seats.iter().map(|seat| seat.zk.clone()).collect();
    let (watching, working) = (zk(&workers[..WATCHERS]), zk(&workers[WATCHERS..]));
    let mut load = Load::start(watching, working, &mut rng, &run).await;
    for seat in &contenders {
        load.follow(&seat.zk, HOLDING);
    }
    let resources = [
        (contender::LOCK, 1),
        (contender::ELECTION, 1),
        (contender::SEMAPHORE, LEASES),
    ];
    let resources = resources.map(|(name, most)| Arc::new(Resource::new(name, most, &run)));
    let mut contending = JoinSet::new();
    for seat in &contenders {
        for resource in &resources {
            let (zk, seed) = (&seat.zk, rng.u64(..));
            let contender = Contender::new(seat.number(), zk, resource, seed, &run);
            contending.spawn(contender.contend());
        }
    }

    let mut scenes = Scenes::new(
        network,
        &ensemble,
        &workers,
        &contenders,
        &resources,
        rng.fork(),
        length,
    );
    let started = Instant::now();
    let has_to_go_on = |scenes: &Scenes<'_>| {
        let took = started.elapsed();
        let is_deposed = scenes.figures().deposed_with_holder > 0;
        took < length || !scenes.has_done_all() || (!is_deposed && took < LONGEST * length)
    };
    while has_to_go_on(&scenes) {
        load.check();
        if let Some(ended) = contending.try_join_next() {
            ended.unwrap();
            // It has noted why.
            assert!(!run.violations().is_empty(), "a contender ended");
        }
        scenes.next().await;
        if !run.violations().is_empty() {
            println!("the first violation came after {:?}", started.elapsed());
            break;
        }
    }
    let seconds = started.elapsed().as_secs();
    let outcome = load.end(&ensemble, scenes.faults()).await;
    let mut figures = scenes.figures();
    figures.repairs += repair::last_turns(&mut contending, &ensemble, &contenders).await;
    for seat in &contenders {
        soon("a session", seat.zk.connected()).await.unwrap();
        soon("the end of a session", seat.zk.clone().close())
            .await
            .unwrap();
    }
    let txns = verdict::logged(&ensemble);
    for name in [contender::LOCK, contender::ELECTION] {
        contender::judge_fence(name, txns.values(), &run);
    }

    println!("{seconds} s, partitions: {:?}", scenes.done());
    println!("servers: {figures:?}");
    let guards: BTreeMap<_, _> = resources
        .iter()
        .map(|resource| (resource.name, resource.figures()))
        .collect();
    println!("guards: {guards:#?}");
    println!("{outcome}");
    if figures.deposed_with_holder == 0 {
        starvation::unproven(&format!(
            "in {seconds} s no leader was deposed while a holder was connected to it"
        ));
    }
    for seat in workers.into_iter().chain(contenders) {
        seat.end();
    }
    let violations = run.violations();
    println!("violations: {}", violations.len());
    assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
}
