//! What is cut, one thing after the other.

mod leader;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_tests::{Cut, Ensemble, Loss, Network, Server};

use super::repair;
use super::seat::Seat;
use super::witness::Resource;
use crate::apache::chaos::SESSION;
use crate::apache::chaos::outages::Fault;
use crate::common::blocking;
use crate::common::divergence::Repairs;

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
    /// The same, and the leader is stopped. When it continues it has been deposed, and still answers.
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
/// Those that cut off some clients and disturb no other.
const OF_CLIENTS: [Kind; 3] = [
    Kind::ClientFromServer,
    Kind::ClientFromAll,
    Kind::ClientFlaps,
];
/// What endangers locks most has more turns, in runs that have time for them; the first of each round
/// is one.
const AGAIN: [Kind; 2] = [Kind::LeaderDeposed; 2];
/// The longest run with time for each kind once.
const SHORT: Duration = Duration::from_secs(120);

pub struct Scenes<'a> {
    pub network: &'a Network,
    pub ensemble: &'a Ensemble,
    /// Clients with writes and watches.
    pub workers: &'a [Seat],
    /// Clients with locks.
    pub contenders: &'a [Seat],
    pub resources: &'a [Arc<Resource>],
    pub rng: fastrand::Rng,
    /// What has more turns in each round.
    again: &'static [Kind],
    /// Those of this round; in each round every kind has its turn.
    round: Vec<Kind>,
    done: BTreeMap<Kind, usize>,
    faults: Vec<Fault>,
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
    /// Leaders that were started again because they committed nothing, and servers that were replaced
    /// because they had what their leader had not.
    pub repairs: Repairs,
}

impl<'a> Scenes<'a> {
    pub fn new(
        network: &'a Network,
        ensemble: &'a Ensemble,
        workers: &'a [Seat],
        contenders: &'a [Seat],
        resources: &'a [Arc<Resource>],
        rng: fastrand::Rng,
        length: Duration,
    ) -> Self {
        Scenes {
            network,
            ensemble,
            workers,
            contenders,
            resources,
            rng,
            again: if length > SHORT { &AGAIN } else { &[] },
            round: Vec::new(),
            done: BTreeMap::new(),
            faults: Vec::new(),
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

    /// When something was broken, and for which clients.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Cuts something, mends it, and leaves a moment of calm.
    pub async fn next(&mut self) {
        let kind = match self.round.pop() {
            Some(kind) => kind,
            None => {
                self.round = round(&mut self.rng, self.again);
                Kind::LeaderDeposed
            }
        };
        let started = Instant::now();
        let leader = blocking(|| self.ensemble.leader().unwrap());
        // The servers' scenes concern all clients.
        let mut cut_off = Vec::new();
        match kind {
            Kind::ClientFromServer => cut_off = self.client_from_server().await,
            Kind::ClientFromAll => cut_off = self.client_from_all().await,
            Kind::ClientFlaps => {
                let number = self.some_clients()[0];
                self.flap(number).await;
                cut_off.push(number);
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
        if self.mend().await > 0 {
            cut_off.clear();
        }
        let (broken, mending) = (healed - started, healed.elapsed());
        println!("{kind:?}: broken for {broken:.1?}, one ensemble again after {mending:.1?}");
        *self.done.entry(kind).or_default() += 1;
        // A connection that lost packets sends them again after as long as it had waited already, and a
        // client gives it up before its session ends.
        let until = Instant::now() + broken.min(SESSION);
        let indices = cut_off.iter().map(|number| self.index(*number));
        self.faults.push(Fault {
            window: (started, until),
            clients: indices.collect(),
        });
        self.pause(300, 1500).await;
    }

    /// Of a client, by the number of its host: clients come after the servers.
    fn index(&self, number: u8) -> usize {
        usize::from(number - self.count()) - 1
    }

    /// Mends everything; the servers are one ensemble again. Returns how many of them did not become
    /// one by themselves.
    async fn mend(&mut self) -> usize {
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
        let restarted = repair::ensure_commits(self.ensemble, self.clients()).await;
        self.figures.repairs.restarted += restarted;
        let hosts = self.ensemble.connect_string();
        for seat in self.contenders {
            seat.zk.update_hosts(&hosts).unwrap();
        }
        restarted
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

    async fn client_from_server(&mut self) -> Vec<u8> {
        let numbers = self.some_clients();
        for &number in &numbers {
            let seat = self.clients().find(|seat| seat.number() == number);
            let server = seat.and_then(Seat::server);
            let server = server.unwrap_or_else(|| self.rng.u8(1..=self.count()));
            let cuts = self.some(number, server);
            self.cut(&cuts);
        }
        self.part(0.3, 2.0).await;
        numbers
    }

    async fn client_from_all(&mut self) -> Vec<u8> {
        let numbers = self.some_clients();
        for &number in &numbers {
            let mut cuts = Vec::new();
            for server in 1..=self.count() {
                cuts.extend(self.some(number, server));
            }
            self.cut(&cuts);
        }
        self.part(0.2, 2.0).await;
        numbers
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

/// Every kind once, and these, in an order of its own; the scenes of clients follow each other, so that
/// the other clients are left alone for longer than a session.
fn round(rng: &mut fastrand::Rng, again: &[Kind]) -> Vec<Kind> {
    let of_servers = ALL.iter().filter(|kind| !OF_CLIENTS.contains(kind));
    let mut round: Vec<_> = of_servers.chain(again).copied().collect();
    let mut of_clients = OF_CLIENTS;
    rng.shuffle(&mut round);
    rng.shuffle(&mut of_clients);
    let at = rng.usize(..=round.len());
    round.splice(at..at, of_clients);
    round
}

/// Of a server's host: the servers have the first.
fn number(server: &Server) -> u8 {
    u8::try_from(server.id()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_each_kind_and_groups_clients() {
        let mut rng = fastrand::Rng::with_seed(1);
        for again in [&AGAIN[..], &[]] {
            for _ in 0..20 {
                let round = round(&mut rng, again);
                assert_eq!(round.len(), ALL.len() + again.len());
                assert!(ALL.iter().all(|kind| round.contains(kind)));
                let is_of_clients =
                    |kinds: &[Kind]| kinds.iter().all(|kind| OF_CLIENTS.contains(kind));
                assert!(round.windows(OF_CLIENTS.len()).any(is_of_clients));
            }
        }
    }
}
