//! One measurement: how many operations a second, or how many seconds an operation.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use crate::bare::Bare;
use crate::client::{Client, Locks, Outcome};
use crate::ours::Ours;
use crate::tokio_zookeeper::TokioZookeeper;
use crate::workload::{Contender, Kind, Runtime, Workload};
use crate::zookeeper_client::ZookeeperClient;

const LOCK: &str = "/bench/lock";
static DATA: [u8; 100] = [b'x'; 100];

/// What the names say, for about so many seconds.
pub fn measure(
    client: &str,
    workload: &str,
    runtime: &str,
    address: &str,
    seconds: f64,
) -> Outcome<f64> {
    let client = Contender::find(client).ok_or("no such client")?;
    let workload = Workload::find(workload).ok_or("no such workload")?;
    let mut builder = match Runtime::find(runtime).ok_or("no such runtime")? {
        Runtime::CurrentThread => Builder::new_current_thread(),
        Runtime::MultiThread => Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build()?;
    let length = Duration::from_secs_f64(seconds);
    let address = address.to_owned();
    // A task of the runtime, as the tasks of most programs are.
    let measuring = runtime.spawn(async move {
        match client {
            Contender::Ours => with_locks::<Ours>(workload, address, length).await,
            Contender::ZookeeperClient => {
                with_locks::<ZookeeperClient>(workload, address, length).await
            }
            Contender::TokioZookeeper => {
                without_locks::<TokioZookeeper>(workload, address, length).await
            }
            Contender::Bare => rate(length, Bare { workload, address }).await,
            Contender::Kazoo => Err("kazoo measures itself".into()),
        }
    });
    runtime.block_on(measuring)?
}

async fn with_locks<C: Locks>(
    workload: &'static Workload,
    address: String,
    length: Duration,
) -> Outcome<f64> {
    match workload.kind {
        Kind::Lock | Kind::LockDropped => {
            let zk = C::connect(&address).await?;
            let is_awaited = workload.kind == Kind::Lock;
            rate(length, Locking { zk, is_awaited }).await
        }
        Kind::Handoff => handoff::<C>(workload.in_flight, &address, length).await,
        _ => without_locks::<C>(workload, address, length).await,
    }
}

async fn without_locks<C: Client>(
    workload: &'static Workload,
    address: String,
    length: Duration,
) -> Outcome<f64> {
    let many = workload.in_flight;
    match workload.kind {
        Kind::Connect => {
            let connecting = Connecting::<C> {
                address,
                client: PhantomData,
            };
            rate(length, connecting).await
        }
        Kind::Events => {
            let flood = C::flood(&address).await?;
            rate(length, Flooding::<C> { flood, many }).await
        }
        Kind::GetTogether => {
            let zk = C::connect(&address).await?;
            rate(length, Together { zk, many }).await
        }
        _ => {
            let zk = C::connect(&address).await?;
            if workload.real {
                // Refused if another client has made it; otherwise the gets fail.
                let _ = zk.create(&DATA).await;
            }
            rate(length, InTasks { zk, workload }).await
        }
    }
}

/// Something that can be done any number of times.
pub trait Runs {
    fn run(&mut self, operations: usize) -> impl Future<Output = Outcome<Duration>> + Send;
}

/// Operations a second: tried with more and more of them, until that takes long enough.
async fn rate(length: Duration, mut what: impl Runs) -> Outcome<f64> {
    let mut operations = 64;
    let mut took = what.run(operations).await?;
    while took < length / 8 {
        operations *= 2;
        took = what.run(operations).await?;
    }
    let scale = length.as_secs_f64() / took.as_secs_f64();
    let operations = (operations as f64 * scale).ceil() as usize;
    let took = what.run(operations).await?;
    Ok(operations as f64 / took.as_secs_f64())
}

struct Connecting<C> {
    address: String,
    client: PhantomData<fn() -> C>,
}

impl<C: Client> Runs for Connecting<C> {
    async fn run(&mut self, operations: usize) -> Outcome<Duration> {
        let started = Instant::now();
        for _ in 0..operations {
            C::connect(&self.address).await?.close().await?;
        }
        Ok(started.elapsed())
    }
}

struct Flooding<C: Client> {
    flood: C::Flood,
    many: usize,
}

impl<C: Client> Runs for Flooding<C> {
    async fn run(&mut self, operations: usize) -> Outcome<Duration> {
        let started = Instant::now();
        for _ in 0..operations.div_ceil(self.many) {
            C::events(&mut self.flood, self.many).await?;
        }
        Ok(adjusted(started, operations, self.many))
    }
}

struct Together<C> {
    zk: C,
    many: usize,
}

impl<C: Client> Runs for Together<C> {
    async fn run(&mut self, operations: usize) -> Outcome<Duration> {
        let started = Instant::now();
        for _ in 0..operations.div_ceil(self.many) {
            self.zk.get_together(self.many).await?;
        }
        Ok(adjusted(started, operations, self.many))
    }
}

struct Locking<C> {
    zk: C,
    /// Whether the release is, where the client reports it.
    is_awaited: bool,
}

impl<C: Locks> Runs for Locking<C> {
    async fn run(&mut self, operations: usize) -> Outcome<Duration> {
        let started = Instant::now();
        for _ in 0..operations {
            let guard = self.zk.lock(LOCK).await?;
            match self.is_awaited {
                true => C::release(guard).await?,
                false => drop(guard),
            }
        }
        Ok(started.elapsed())
    }
}

struct InTasks<C> {
    zk: C,
    workload: &'static Workload,
}

impl<C: Client> Runs for InTasks<C> {
    async fn run(&mut self, operations: usize) -> Outcome<Duration> {
        let workload = self.workload;
        let each = operations.div_ceil(workload.in_flight);
        let started = Instant::now();
        let tasks: Vec<_> = (0..workload.in_flight)
            .map(|_| tokio::spawn(one_after_another(self.zk.clone(), workload, each)))
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(adjusted(started, operations, workload.in_flight))
    }
}

async fn one_after_another<C: Client>(
    zk: C,
    workload: &'static Workload,
    operations: usize,
) -> Outcome<()> {
    for _ in 0..operations {
        match workload.kind {
            Kind::Set => zk.set(&DATA).await?,
            Kind::Create => zk.create(&DATA).await?,
            _ => {
                let length = zk.get().await?;
                if length != workload.size {
                    return Err(format!("{length} bytes were got").into());
                }
            }
        }
    }
    Ok(())
}

/// The time that so many operations took, when as many were done as fill the last turn.
fn adjusted(started: Instant, operations: usize, a_turn: usize) -> Duration {
    let done = operations.next_multiple_of(a_turn);
    started.elapsed().mul_f64(operations as f64 / done as f64)
}

/// The median of how long it takes from the begin of a release until the next has the lock, in
/// seconds.
async fn handoff<C: Locks>(contenders: usize, address: &str, length: Duration) -> Outcome<f64> {
    let mut sessions = Vec::new();
    for _ in 0..contenders {
        sessions.push(C::connect(address).await?);
    }
    let released: Arc<Mutex<Option<Instant>>> = Arc::default();
    let end = Instant::now() + length;
    let tasks: Vec<_> = sessions
        .into_iter()
        .map(|zk| {
            let released = released.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < end {
                    let guard = zk.lock(LOCK).await?;
                    let acquired = Instant::now();
                    {
                        let mut released = released.lock().unwrap_or_else(PoisonError::into_inner);
                        times.extend(released.take().map(|begun| acquired - begun));
                        *released = Some(Instant::now());
                    }
                    C::release(guard).await?;
                }
                Outcome::Ok(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    times.sort_unstable();
    let median = times
        .get(times.len() / 2)
        .ok_or("no client handed the lock on")?;
    Ok(median.as_secs_f64())
}
