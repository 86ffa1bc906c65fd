//! What is cut, one thing after the other.

mod leader;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_tests::starvation::Window;
use zk_tests::{Cut, Ensemble, Loss, Network, Server};

use super::repair;
use super::seat::Seat;
use super::witness::Resource;
use crate::SESSION;
use crate::common::blocking;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Some clients from the server that they are connected to.
    ClientFromServer,
    /// Some clients from all servers.
    ClientFromAll,
    /// The link of a client goes down and up.
    ClientFlaps,
    /// Two servers from each other; both reach the third.
    Ring,
    /// A follower from the other servers.
    FollowerOff,
    /// A leader from the other servers; holders of locks are with it.
    LeaderOff,
    /// The same in one direction only.
    LeaderOneWay,
    /// The same, and the leader is stopped. When it goes on it has been deposed, and still answers.
    LeaderDeposed,
    /// The link of a server goes down and up.
    ServerFlaps,
    /// The link of a server is down.
    ServerUnplugged,
    /// Every server from every other.
    AllApart,
}

const ALL: [Kind; 11] = [
    Kind::ClientFromServer,
    Kind::ClientFromAll,
    Kind::ClientFlaps,
    Kind::Ring,
    Kind::FollowerOff,
    Kind::LeaderOff,
    Kind::LeaderOneWay,
    Kind::LeaderDeposed,
    Kind::ServerFlaps,
    Kind::ServerUnplugged,
    Kind::AllApart,
];
/// What endangers locks most has more turns; the first of each round is one.
const AGAIN: [Kind; 2] = [Kind::LeaderDeposed; 2];

pub struct Scenes<'a> {
    pub network: &'a Network,
    pub ensemble: &'a Ensemble,
    /// Clients with writes and watches.
    pub workers: &'a [Seat],
    /// Clients with locks.
    pub contenders: &'a [Seat],
    pub resources: &'a [Arc<Resource>],
    pub rng: fastrand::Rng,
    /// Those of this round; in each round every kind has its turn.
    round: Vec<Kind>,
    done: BTreeMap<Kind, usize>,
    windows: Vec<Window>,
    killed: Vec<&'a Server>,
    stopped: Vec<&'a Server>,
    figures: Figures,
}

/// What happened to servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub kills: usize,
    pub stops: usize,
    /// Leaders that others replaced while they were cut off.
    pub deposed: usize,
    /// Those of them that a holder was connected to.
    pub deposed_with_holder: usize,
}

impl<'a> Scenes<'a> {
    pub fn new(
        network: &'a Network,
        ensemble: &'a Ensemble,
        workers: &'a [Seat],
        contenders: &'a [Seat],
        resources: &'a [Arc<Resource>],
        rng: fastrand::Rng,
    ) -> Self {
        Scenes {
            network,
            ensemble,
            workers,
            contenders,
            resources,
            rng,
            round: Vec::new(),
            done: BTreeMap::new(),
            windows: Vec::new(),
            killed: Vec::new(),
            stopped: Vec::new(),
            figures: Figures::default(),
        }
    }

    pub fn done(&self) -> &BTreeMap<Kind, usize> {
        &self.done
    }

    pub fn has_done_all(&self) -> bool {
        self.done.len() == ALL.len()
    }

    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// From when until when something was broken.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Cuts something, mends it, and leaves a moment of calm.
    pub async fn next(&mut self) {
        let kind = match self.round.pop() {
            Some(kind) => kind,
            None => {
                self.round = [&ALL[..], &AGAIN].concat();
                self.rng.shuffle(&mut self.round);
                Kind::LeaderDeposed
            }
        };
        let started = Instant::now();
        let leader = blocking(|| self.ensemble.leader().unwrap());
        match kind {
            Kind::ClientFromServer => self.client_from_server().await,
            Kind::ClientFromAll => self.client_from_all().await,
            Kind::ClientFlaps => {
                let number = self.some_clients()[0];
                self.flap(number).await;
            }
            Kind::Ring => self.ring().await,
            Kind::FollowerOff => self.follower_off(leader).await,
            Kind::LeaderOff | Kind::LeaderOneWay | Kind::LeaderDeposed => {
                self.leader_off(leader, kind).await;
            }
            Kind::ServerFlaps => {
                let number = self.rng.u8(1..=self.count());
                self.flap(number).await;
            }
            Kind::ServerUnplugged => self.unplug().await,
            Kind::AllApart => self.all_apart().await,
        }
        let healed = Instant::now();
        self.mend().await;
        let (broken, mending) = (healed - started, healed.elapsed());
        println!("{kind:?}: broken for {broken:.1?}, one ensemble again after {mending:.1?}");
        *self.done.entry(kind).or_default() += 1;
        // A connection that lost packets sends them again after as long as it had waited already.
        let until = Instant::now() + (healed - started);
        self.windows.push((started, until));
        self.pause(300, 1500).await;
    }

    /// Mends everything; the servers are one ensemble again.
    async fn mend(&mut self) {
        blocking(|| {
            // Either can be first.
            if self.rng.bool() {
                self.network.heal().unwrap();
            }
            for server in self.killed.drain(..) {
                server.spawn().unwrap();
            }
            for server in self.stopped.drain(..) {
                server.resume().unwrap();
            }
            self.network.heal().unwrap();
            self.ensemble.wait_until_serving().unwrap();
        });
        repair::ensure_commits(self.ensemble).await;
        let hosts = self.ensemble.connect_string();
        for seat in self.contenders {
            seat.zk.update_hosts(&hosts).unwrap();
        }
    }

    async fn pause(&mut self, from: u64, to: u64) {
        tokio::time::sleep(Duration::from_millis(self.rng.u64(from..to))).await;
    }

    /// Part of a session's time.
    async fn part(&mut self, from: f64, to: f64) {
        tokio::time::sleep(self.share(SESSION, from, to)).await;
    }

    fn share(&mut self, of: Duration, from: f64, to: f64) -> Duration {
        of.mul_f64(from + self.rng.f64() * (to - from))
    }

    /// Of the servers.
    fn count(&self) -> u8 {
        u8::try_from(self.ensemble.servers().len()).unwrap()
    }

    fn loss(&mut self) -> Loss {
        match self.rng.bool() {
            true => Loss::Drop,
            false => Loss::Reject,
        }
    }

    /// The link of a host, broken at one end.
    fn link(&mut self, host: u8) -> Cut {
        match self.rng.bool() {
            true => Cut::Cable(host),
            false => Cut::Interface(host),
        }
    }

    fn both(&mut self, one: u8, other: u8) -> [Cut; 2] {
        let loss = self.loss();
        Cut::between(one, other, loss)
    }

    /// Both directions, or one.
    fn some(&mut self, one: u8, other: u8) -> Vec<Cut> {
        let both = self.both(one, other);
        match self.rng.u8(..4) {
            0 => both[..1].to_vec(),
            1 => both[1..].to_vec(),
            _ => both.to_vec(),
        }
    }

    fn cut(&self, cuts: &[Cut]) {
        blocking(|| self.network.cut(cuts).unwrap());
    }

    fn clients(&self) -> impl Iterator<Item = &'a Seat> + use<'a> {
        self.workers.iter().chain(self.contenders)
    }

    /// The numbers of one to four clients.
    fn some_clients(&mut self) -> Vec<u8> {
        let mut numbers: Vec<_> = self.clients().map(Seat::number).collect();
        self.rng.shuffle(&mut numbers);
        numbers.truncate(self.rng.usize(1..5));
        numbers
    }

    async fn client_from_server(&mut self) {
        for number in self.some_clients() {
            let seat = self.clients().find(|seat| seat.number() == number);
            let server = seat.and_then(Seat::server);
            let server = server.unwrap_or_else(|| self.rng.u8(1..=self.count()));
            let cuts = self.some(number, server);
            self.cut(&cuts);
        }
        self.part(0.3, 2.0).await;
    }

    async fn client_from_all(&mut self) {
        for number in self.some_clients() {
            let mut cuts = Vec::new();
            for server in 1..=self.count() {
                cuts.extend(self.some(number, server));
            }
            self.cut(&cuts);
        }
        self.part(0.2, 2.0).await;
    }

    async fn flap(&mut self, number: u8) {
        for _ in 0..self.rng.usize(3..8) {
            let down = self.link(number);
            self.cut(&[down]);
            self.pause(50, 900).await;
            blocking(|| self.network.mend(&[down]).unwrap());
            self.pause(50, 900).await;
        }
    }

    async fn ring(&mut self) {
        let one = self.rng.u8(1..=self.count());
        let other = one % self.count() + 1;
        let cuts = self.some(one, other);
        self.cut(&cuts);
        self.strike().await;
        self.part(0.5, 2.0).await;
    }

    async fn follower_off(&mut self, leader: &Server) {
        let leader = number(leader);
        let apart = self.rng.u8(1..self.count());
        let follower = (leader + apart - 1) % self.count() + 1;
        let mut cuts = Vec::new();
        for other in (1..=self.count()).filter(|other| *other != follower) {
            cuts.extend(self.some(follower, other));
        }
        self.cut(&cuts);
        self.strike().await;
        self.part(0.5, 2.0).await;
    }

    async fn unplug(&mut self) {
        let server = self.rng.u8(1..=self.count());
        let down = self.link(server);
        self.cut(&[down]);
        self.strike().await;
        self.part(0.5, 2.0).await;
    }

    async fn all_apart(&mut self) {
        let mut cuts = Vec::new();
        for one in 1..=self.count() {
            for other in one + 1..=self.count() {
                cuts.extend(self.both(one, other));
            }
        }
        self.cut(&cuts);
        self.strike().await;
        self.part(0.5, 1.5).await;
    }

    /// Sometimes a server is killed or stopped as well.
    async fn strike(&mut self) {
        let servers = self.ensemble.servers();
        let victim = &servers[self.rng.usize(..servers.len())];
        let is_killed = match self.rng.u8(..6) {
            0 | 1 => true,
            2 => false,
            _ => return,
        };
        self.part(0.0, 0.7).await;
        if is_killed {
            blocking(|| victim.kill().unwrap());
            self.killed.push(victim);
            self.figures.kills += 1;
        } else {
            blocking(|| victim.pause().unwrap());
            self.stopped.push(victim);
            self.figures.stops += 1;
        }
    }
}

/// Of a server's host: the servers have the first.
fn number(server: &Server) -> u8 {
    u8::try_from(server.id()).unwrap()
}
