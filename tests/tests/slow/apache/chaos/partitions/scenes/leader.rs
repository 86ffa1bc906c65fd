//! A leader is cut off, and holders of locks are with it.

use std::time::{Duration, Instant};

use zk_tests::Server;

use super::{Kind, Scenes, number};
use crate::apache::chaos::partitions::HOLDING;
use crate::apache::chaos::partitions::seat::Seat;
use crate::apache::chaos::partitions::witness::Resource;
use crate::common::blocking;

/// How often what is waited for is looked at.
const LOOK: Duration = Duration::from_millis(20);

impl<'a> Scenes<'a> {
    /// The leader and the clients that hold something on one side, the other servers and more clients on
    /// the other, where locks are free again when the sessions have ended there.
    pub(super) async fn leader_off(&mut self, leader: &'a Server, kind: Kind) {
        let first = number(leader);
        let others: Vec<_> = (1..=self.count()).filter(|other| *other != first).collect();
        let with = self.gather(leader).await;
        let mut cuts = Vec::new();
        for seat in self.clients() {
            let number = seat.number();
            if with.iter().any(|own| own.number() == number) {
                for other in &others {
                    cuts.extend(self.both(number, *other));
                }
            } else if self.rng.bool() {
                cuts.extend(self.both(number, first));
            }
        }
        self.cut(&cuts);
        let mut cuts = Vec::new();
        for other in &others {
            let both = self.both(first, *other);
            let one_way = kind == Kind::LeaderOneWay;
            let way = if one_way { self.rng.usize(..2) } else { 0 };
            cuts.extend(if one_way { &both[way..=way] } else { &both });
        }
        self.cut(&cuts);
        let began = Instant::now();
        if kind == Kind::LeaderDeposed {
            blocking(|| leader.pause().unwrap());
            self.stopped.push(leader);
            self.figures.stops += 1;
        }
        let mut holders = self.holders();
        holders.retain(|seat| seat.server() == Some(first));
        let is_deposed = self.another_leads(first, began + 2 * HOLDING).await;
        self.figures.deposed += usize::from(is_deposed);
        self.figures.deposed_with_holder += usize::from(is_deposed && !holders.is_empty());
        let mut whole = self.share(HOLDING, 0.3, 1.5);
        if kind == Kind::LeaderDeposed {
            self.until_dialled(&with, began + HOLDING.mul_f64(0.7))
                .await;
            // It answers until it notices that no server follows it.
            blocking(|| leader.resume().unwrap());
            self.stopped.clear();
            // Until the new leader has ended the sessions of its clients.
            whole = HOLDING.mul_f64(1.1);
        } else {
            self.strike().await;
        }
        tokio::time::sleep(whole).await;
        self.keep(false);
    }

    /// Whether holders of locks and leaders are to let go of them.
    fn keep(&self, keep: bool) {
        for resource in self.resources {
            resource.keep(keep);
        }
    }

    /// Moves the clients that hold a lock or lead to this server, and returns their seats.
    async fn gather(&mut self, server: &Server) -> Vec<&'a Seat> {
        self.keep(true);
        let deadline = Instant::now() + HOLDING;
        let seats = loop {
            let seats = self.holders();
            let is_there = |seat: &&Seat| seat.server() == Some(number(server));
            let is_held = self.alone().all(|resource| !resource.holders().is_empty());
            if Instant::now() > deadline || (is_held && seats.iter().all(is_there)) {
                break seats;
            }
            for seat in seats.iter().filter(|seat| !is_there(seat)) {
                seat.zk.update_hosts(server.connect_string()).unwrap();
            }
            tokio::time::sleep(LOOK).await;
        };
        for seat in &seats {
            seat.zk.update_hosts(server.connect_string()).unwrap();
        }
        seats
    }

    /// What has one holder at a time.
    fn alone(&self) -> impl Iterator<Item = &Resource> {
        let resources = self.resources.iter().map(|resource| &**resource);
        resources.filter(|resource| resource.capacity == 1)
    }

    /// The clients that hold a lock or lead, by their own account.
    fn holders(&self) -> Vec<&'a Seat> {
        let holders: Vec<_> = self.alone().flat_map(Resource::holders).collect();
        let seats = self.contenders.iter();
        seats
            .filter(|seat| holders.contains(&seat.number()))
            .collect()
    }

    /// Waits until one of these that still trusts its guard has given up its connection and dials.
    async fn until_dialled(&self, seats: &[&Seat], deadline: Instant) {
        // A dial before this cannot extend a guard beyond the session at the new leader.
        tokio::time::sleep(HOLDING / 8).await;
        let dials = || {
            let holders = self.holders();
            let dialling = holders.iter().filter(|seat| seat.server().is_none());
            let mut numbers = dialling.map(|seat| seat.number());
            numbers.any(|number| seats.iter().any(|seat| seat.number() == number))
        };
        while Instant::now() < deadline && !dials() {
            tokio::time::sleep(LOOK).await;
        }
        // What it has sent is with the server.
        tokio::time::sleep(HOLDING / 32).await;
    }

    /// Whether another server comes to lead before the deadline.
    async fn another_leads(&self, server: u8, deadline: Instant) -> bool {
        let others = || {
            let servers = self.ensemble.servers().iter();
            servers.filter(|other| number(other) != server)
        };
        while Instant::now() < deadline {
            if blocking(|| others().any(Server::is_leader)) {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        false
    }
}
