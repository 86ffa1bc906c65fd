//! What goes wrong, one thing after the other.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use zk_tests::proxy::Place;
use zk_tests::starvation::Window;
use zk_tests::{Direction, Ensemble, Proxy, Server};

use crate::apache::chaos::SESSION;
use crate::common::blocking;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// kill -9, and it comes back.
    KillFollower,
    KillLeader,
    /// SIGSTOP, for between half a session's time and three of them.
    StopFollower,
    StopLeader,
    /// A connection ends at a place in a frame, several times.
    CutFrames,
    /// All connections to one server end at once.
    CutServer,
    /// Clients reach no server, for less than half a session's time.
    Partition,
    /// Everything to and from one server is late.
    Delay,
}

const ALL: [Fault; 8] = [
    Fault::KillFollower,
    Fault::KillLeader,
    Fault::StopFollower,
    Fault::StopLeader,
    Fault::CutFrames,
    Fault::CutServer,
    Fault::Partition,
    Fault::Delay,
];

/// Longer than a client with work takes to receive a few frames.
const CUT_TIMEOUT: Duration = Duration::from_secs(2);

pub struct Faults<'a> {
    ensemble: &'a Ensemble,
    proxies: &'a [Proxy],
    rng: fastrand::Rng,
    /// Those of this round; in each round every fault has its turn.
    round: Vec<Fault>,
    done: BTreeMap<Fault, usize>,
    windows: Vec<Window>,
}

impl<'a> Faults<'a> {
    pub fn new(ensemble: &'a Ensemble, proxies: &'a [Proxy], rng: fastrand::Rng) -> Self {
        Faults {
            ensemble,
            proxies,
            rng,
            round: Vec::new(),
            done: BTreeMap::new(),
            windows: Vec::new(),
        }
    }

    pub fn done(&self) -> &BTreeMap<Fault, usize> {
        &self.done
    }

    pub fn has_done_all(&self) -> bool {
        self.done.len() == ALL.len()
    }

    /// From when until when something was broken.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Breaks something, mends it, and leaves a moment of calm.
    pub async fn next(&mut self) {
        let fault = match self.round.pop() {
            Some(fault) => fault,
            None => {
                self.round = ALL.to_vec();
                self.rng.shuffle(&mut self.round);
                self.round.pop().unwrap()
            }
        };
        let started = Instant::now();
        match fault {
            Fault::KillFollower => self.kill(false).await,
            Fault::KillLeader => self.kill(true).await,
            Fault::StopFollower => self.stop(false).await,
            Fault::StopLeader => self.stop(true).await,
            Fault::CutFrames => self.cut_frames().await,
            Fault::CutServer => {
                self.any().cut_all();
            }
            Fault::Partition => self.partition().await,
            Fault::Delay => self.delay().await,
        }
        *self.done.entry(fault).or_default() += 1;
        self.windows.push((started, Instant::now()));
        self.pause(300, 1500).await;
    }

    async fn pause(&mut self, from: u64, to: u64) {
        tokio::time::sleep(Duration::from_millis(self.rng.u64(from..to))).await;
    }

    fn any(&mut self) -> &'a Proxy {
        &self.proxies[self.rng.usize(..self.proxies.len())]
    }

    /// The leader, or one of the others.
    fn victim(&mut self, leads: bool) -> &'a Server {
        let leader = blocking(|| self.ensemble.leader().unwrap());
        if leads {
            return leader;
        }
        let servers = self.ensemble.servers().iter();
        let others: Vec<_> = servers
            .filter(|server| server.id() != leader.id())
            .collect();
        others[self.rng.usize(..others.len())]
    }

    /// A server that is back is one of three that serve.
    fn mended(&self) {
        blocking(|| self.ensemble.wait_until_serving().unwrap());
    }

    async fn kill(&mut self, leader: bool) {
        let server = self.victim(leader);
        blocking(|| server.kill().unwrap());
        self.pause(100, 2500).await;
        blocking(|| server.spawn().unwrap());
        self.mended();
    }

    async fn stop(&mut self, leader: bool) {
        let server = self.victim(leader);
        // More often short than long.
        let share = 0.5 + 2.5 * self.rng.f64().powi(2);
        blocking(|| server.pause().unwrap());
        tokio::time::sleep(SESSION.mul_f64(share)).await;
        blocking(|| server.resume().unwrap());
        self.mended();
    }

    async fn cut_frames(&mut self) {
        for _ in 0..self.rng.usize(2..8) {
            let direction = match self.rng.bool() {
                true => Direction::ToServer,
                false => Direction::ToClient,
            };
            let place = match self.rng.u8(..3) {
                0 => Place::Before,
                1 => Place::Within(self.rng.usize(1..40)),
                _ => Place::After,
            };
            let frames = self.rng.u64(..20);
            let proxy = self.any();
            proxy.cut_frame(direction, frames, place);
            let started = Instant::now();
            while proxy.is_to_cut(direction) && started.elapsed() < CUT_TIMEOUT {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            proxy.spare();
        }
    }

    async fn partition(&mut self) {
        let share = self.rng.f64() / 2.0;
        blocking(|| {
            for proxy in self.proxies {
                proxy.refuse(true).unwrap();
            }
        });
        for proxy in self.proxies {
            match self.rng.bool() {
                true => drop(proxy.cut_all()),
                false => proxy.stall(true),
            }
        }
        tokio::time::sleep(SESSION.mul_f64(share)).await;
        blocking(|| {
            for proxy in self.proxies {
                proxy.stall(false);
                proxy.refuse(false).unwrap();
            }
        });
    }

    async fn delay(&mut self) {
        let proxy = self.any();
        proxy.delay(Duration::from_millis(self.rng.u64(5..200)));
        self.pause(1000, 3000).await;
        proxy.delay(Duration::ZERO);
    }
}
