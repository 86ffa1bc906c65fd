//! A small ensemble and one client, in every interleaving: the rules of `leader_contact` against what
//! Apache's servers do.
//!
//! Time passes in steps of a twenty-fourth of the session's timeout. There are three servers: the
//! leader, a follower, and one more follower that is on the other side when the ensemble is divided.
//! The client is idle for a while, acquires, and holds; the rules decide when it renews and when it
//! leaves its server. The servers are as hostile as Apache's can be: the leader asks its followers as
//! rarely as it may, a deposed leader answers everything but writes, the next leader starts at once,
//! and a session ends to the step.

use std::sync::OnceLock;

use stateright::{Checker, Model, Property};
use zk_transport::link::ping_interval;

use crate::session::leader_contact::tests::*;

const STEPS: u16 = 24;
const STEP: Duration = Duration::from_millis(10);
const TIMEOUT: Duration = STEP.saturating_mul(STEPS as u32);
/// The longest half tick: a quarter of the timeout.
const ASK_EVERY: u16 = STEPS / 4;
/// The fault strikes within two renewals of the acquisition.
const STRIKES_WITHIN: u16 = STEPS / 2;
/// By then, after the fault, the session has ended or is safe.
const HORIZON: u16 = STEPS + 6;
const HANDSHAKE_BUDGET: u16 = STEPS / 12;
/// A server that sends nothing for longer loses its connections.
const PAUSE: u16 = STEPS * 2 / 3 - 1;

fn instant(step: u16) -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now) + STEP * u32::from(step)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Server {
    Leader,
    Follower,
    Other,
}

/// What happens once, at a step that the model chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fault {
    Nothing,
    /// The leader is cut off from the others, which elect another at once.
    LeaderDeposed,
    /// The same, and the follower stays with the old leader.
    DeposedWithFollower,
    /// The follower has lost the leader and does not know.
    FollowerAstray,
    /// The client's server stops.
    ServerStops,
    /// The follower pauses before the acquisition, or during it.
    FollowerPauses,
}

/// What the program writes while it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Program {
    Nothing,
    /// At every step a write that the server refuses by itself.
    Refused,
    /// At every step a write, whether or not those before have been answered.
    OpenLoop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Guard {
    Waiting,
    Held,
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Connection {
    Open(Server),
    /// Since a step.
    Dialling(Server, u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Ping,
    Write { decided: bool },
}

/// A reply on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Reply {
    submitted: u16,
    due: u16,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    step: u16,
    // What was drawn.
    acquire_at: u16,
    program: Program,
    fault: Fault,
    /// Whether the client reaches only the leader's side of a divided ensemble.
    cut_off: bool,
    /// How many steps a reply takes.
    latency: u16,
    /// When the leader asks, modulo [`ASK_EVERY`].
    phase: u16,
    // The ensemble.
    faulted: Option<u16>,
    stopped: Option<Server>,
    /// The step at which the follower continues.
    paused_until: u16,
    /// When the reigning leader ends the session unless it is touched.
    ends_at: u16,
    ended: bool,
    /// Whether the client's server has a sign of life to report.
    touched: bool,
    // The client.
    contact: LeaderContact,
    connection: Connection,
    replies: Vec<Reply>,
    last_sent: u16,
    /// Whether a renewal waits for a connection.
    parked: bool,
    guard: Guard,
    /// Connections given up.
    left: u8,
}

/// What is chosen at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Choice {
    strikes: bool,
    /// Which of the servers in reach is dialled if one has to be.
    next: usize,
}

impl World {
    fn now(&self) -> Instant {
        instant(self.step)
    }

    fn deadline(&self) -> Option<Instant> {
        self.contact.deadline(TIMEOUT)
    }

    fn holds(&self) -> bool {
        self.guard == Guard::Held && self.deadline().is_some_and(|at| at > self.now())
    }

    fn is_stopped(&self, server: Server) -> bool {
        self.stopped == Some(server)
    }

    /// Whether the server is on the side that ends sessions.
    fn reigns(&self, server: Server) -> bool {
        match (self.faulted, self.fault) {
            (Some(_), Fault::LeaderDeposed) => server != Server::Leader,
            (Some(_), Fault::DeposedWithFollower) => server == Server::Other,
            (Some(_), Fault::FollowerAstray) => server != Server::Follower,
            _ => true,
        }
    }

    fn leads(&self, server: Server) -> bool {
        let leader = match self.is_divided() {
            true => Server::Other,
            false => Server::Leader,
        };
        server == leader
    }

    fn is_divided(&self) -> bool {
        let divides = matches!(
            self.fault,
            Fault::LeaderDeposed | Fault::DeposedWithFollower
        );
        divides && self.faulted.is_some()
    }

    fn commits(&self, server: Server) -> bool {
        self.reigns(server) && !self.is_stopped(server)
    }

    fn resumes(&self, server: Server) -> bool {
        let astray = self.faulted.is_some() && self.fault == Fault::FollowerAstray;
        !(self.is_stopped(server) || astray && server == Server::Follower)
    }

    /// The servers that the client can dial, the one it was at last.
    fn in_reach(&self, last: Server) -> Vec<Server> {
        let all = [Server::Leader, Server::Follower, Server::Other];
        let divided = self.is_divided() && self.cut_off;
        let reached = |server: &Server| *server != last && !(divided && self.reigns(*server));
        all.into_iter().filter(reached).chain([last]).collect()
    }

    /// The fault, if it is its time.
    fn strike(&mut self) {
        self.faulted = Some(self.step);
        match self.fault {
            Fault::LeaderDeposed | Fault::DeposedWithFollower => {
                // The next leader knows all sessions and gives each its whole timeout.
                self.ends_at = self.step + STEPS;
                // A server with another leader closes its connections.
                if let Connection::Open(server) = self.connection
                    && self.reigns(server)
                {
                    self.dial(server);
                }
            }
            Fault::ServerStops => {
                if let Connection::Open(server) = self.connection {
                    self.stopped = Some(server);
                }
            }
            Fault::FollowerPauses => self.paused_until = self.step + PAUSE,
            Fault::Nothing | Fault::FollowerAstray => {}
        }
    }

    fn is_paused(&self, server: Server) -> bool {
        server == Server::Follower && self.step < self.paused_until
    }

    fn dial(&mut self, server: Server) {
        self.connection = Connection::Dialling(server, self.step);
        self.replies.clear();
        self.touched = false;
    }

    /// The client's packet reaches its server.
    fn touch(&mut self, server: Server) {
        if self.is_stopped(server) {
            return;
        }
        if self.leads(server) {
            self.ends_at = self.step + STEPS;
        } else {
            self.touched = true;
        }
    }

    fn ask(&mut self) {
        let Connection::Open(server) = self.connection else {
            return;
        };
        // Pings that the leader sent during a pause are answered when the server continues.
        let goes_on = server == Server::Follower && self.step == self.paused_until;
        let asked = goes_on || self.step % ASK_EVERY == self.phase;
        let answers = !(self.is_stopped(server) || self.is_paused(server));
        if asked && answers && self.touched && self.reigns(server) {
            self.touched = false;
            self.ends_at = self.step + STEPS;
        }
    }

    fn send(&mut self, kind: Kind) {
        let Connection::Open(server) = self.connection else {
            self.parked |= kind == Kind::Write { decided: true };
            return;
        };
        self.last_sent = self.step;
        if matches!(kind, Kind::Write { .. }) {
            self.contact.handle_written(instant(self.step));
        }
        self.touch(server);
        let hangs = kind == Kind::Write { decided: true } && !self.commits(server);
        if !hangs && !self.is_stopped(server) {
            let taken = match self.is_paused(server) {
                true => self.paused_until,
                false => self.step,
            };
            self.replies.push(Reply {
                submitted: self.step,
                due: taken + self.latency,
                kind,
            });
        }
    }

    fn receive(&mut self) {
        let now = self.now();
        let due: Vec<Reply> = self
            .replies
            .iter()
            .filter(|r| r.due <= self.step)
            .copied()
            .collect();
        self.replies.retain(|reply| reply.due > self.step);
        for reply in due {
            let submitted = instant(reply.submitted);
            if let Kind::Write { decided } = reply.kind {
                self.contact.handle_reply(submitted, now, decided);
                if decided && self.guard == Guard::Waiting && !self.ended {
                    let enough = self.deadline().is_some_and(|at| at > now + TIMEOUT * 2 / 5);
                    match enough {
                        true => self.guard = Guard::Held,
                        false => self.send(Kind::Write { decided: true }),
                    }
                }
            }
            self.contact.handle_answered(submitted, now, TIMEOUT);
        }
    }

    fn shake_hands(&mut self, choice: Choice) {
        let Connection::Dialling(server, since) = self.connection else {
            return;
        };
        let reached = self.in_reach(server);
        if self.resumes(server) && self.step > since && !self.ended_at(server) {
            self.touch(server);
            if self.reigns(server) {
                self.ends_at = self.step + STEPS;
            }
            self.connection = Connection::Open(server);
            self.last_sent = self.step;
            self.contact
                .handle_connected(instant(since), self.now(), false);
            if std::mem::take(&mut self.parked) {
                self.send(Kind::Write { decided: true });
            }
        } else if self.step >= since + HANDSHAKE_BUDGET {
            self.dial(reached[choice.next % reached.len()]);
        }
    }

    /// Whether the server knows that the session is over, and says so.
    fn ended_at(&self, server: Server) -> bool {
        self.ended && self.reigns(server)
    }

    fn run_client(&mut self, choice: Choice) {
        self.shake_hands(choice);
        self.receive();
        if self.step == self.acquire_at {
            self.send(Kind::Write { decided: true });
        }
        if self.step > self.acquire_at {
            match self.program {
                Program::Nothing => {}
                Program::Refused => self.send(Kind::Write { decided: false }),
                Program::OpenLoop => self.send(Kind::Write { decided: true }),
            }
        }
        if self.guard == Guard::Held {
            if !self.holds() {
                self.guard = Guard::Lost;
            } else if self.contact.claim_renewal(self.now(), TIMEOUT) {
                self.send(Kind::Write { decided: true });
            }
        }
        self.receive();
        let overdue = self
            .contact
            .overdue(TIMEOUT)
            .is_some_and(|at| at <= self.now());
        if let Connection::Open(server) = self.connection {
            if self.holds() && overdue {
                self.left += 1;
                let reached = self.in_reach(server);
                self.dial(reached[choice.next % reached.len()]);
            } else if self.now() >= instant(self.last_sent) + ping_interval(TIMEOUT) {
                self.send(Kind::Ping);
                self.receive();
            }
        }
    }

    /// Whether a client does well here to keep its guard.
    fn another_server_serves(&self) -> bool {
        match self.fault {
            Fault::Nothing | Fault::ServerStops | Fault::FollowerAstray => true,
            Fault::FollowerPauses => true,
            Fault::LeaderDeposed => !self.cut_off,
            // Two of three servers do not serve, and the client may dial the wrong one.
            Fault::DeposedWithFollower => false,
        }
    }
}

struct Ensemble;

impl Model for Ensemble {
    type State = World;
    type Action = Choice;

    fn init_states(&self) -> Vec<World> {
        let mut worlds = Vec::new();
        let faults = [
            Fault::Nothing,
            Fault::LeaderDeposed,
            Fault::DeposedWithFollower,
            Fault::FollowerAstray,
            Fault::ServerStops,
            Fault::FollowerPauses,
        ];
        let programs = [Program::Nothing, Program::Refused, Program::OpenLoop];
        for fault in faults {
            for program in programs {
                for acquire_at in [1, 6, 11, 16] {
                    for phase in [0, 2, 5] {
                        for (server, latency, cut_off) in [
                            (Server::Leader, 0, true),
                            (Server::Leader, 1, false),
                            (Server::Follower, 0, false),
                            (Server::Follower, 1, true),
                        ] {
                            let mut contact = LeaderContact::new(instant(0));
                            contact.handle_connected(instant(0), instant(0), true);
                            worlds.push(World {
                                step: 0,
                                acquire_at,
                                program,
                                fault,
                                cut_off,
                                latency,
                                phase,
                                faulted: None,
                                stopped: None,
                                paused_until: 0,
                                ends_at: STEPS,
                                ended: false,
                                touched: false,
                                contact,
                                connection: Connection::Open(server),
                                replies: Vec::new(),
                                last_sent: 0,
                                parked: false,
                                guard: Guard::Waiting,
                                left: 0,
                            });
                        }
                    }
                }
            }
        }
        worlds
    }

    fn actions(&self, world: &World, actions: &mut Vec<Choice>) {
        let start = world.faulted.unwrap_or(world.acquire_at);
        if world.guard == Guard::Lost || world.step >= start + HORIZON {
            return;
        }
        let in_time = match world.fault {
            Fault::Nothing => false,
            Fault::FollowerPauses => world.guard == Guard::Waiting,
            _ => world.guard == Guard::Held && world.step <= world.acquire_at + STRIKES_WITHIN,
        };
        let may_strike = in_time && world.faulted.is_none();
        for strikes in [false, true] {
            for next in 0..2 {
                if !strikes || may_strike {
                    actions.push(Choice { strikes, next });
                }
            }
        }
    }

    fn next_state(&self, world: &World, choice: Choice) -> Option<World> {
        let mut world = world.clone();
        world.step += 1;
        if choice.strikes {
            world.strike();
        }
        world.ask();
        world.run_client(choice);
        if world.step >= world.ends_at {
            world.ended = true;
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no guard outlives its session", |_, world: &World| {
                !(world.holds() && world.ended)
            }),
            Property::always(
                "a guard is kept where a server serves",
                |_, world: &World| world.guard != Guard::Lost || !world.another_server_serves(),
            ),
            Property::always("a healthy connection is kept", |_, world: &World| {
                world.left == 0 || world.faulted.is_some()
            }),
            Property::always("half is left at acquisition", |_, world: &World| {
                let is_new = world.step == world.acquire_at + world.latency
                    && world.fault != Fault::FollowerPauses;
                let half = world.now() + TIMEOUT / 2 - STEP * u32::from(world.latency);
                !(is_new && world.holds()) || world.deadline().is_some_and(|at| at >= half)
            }),
            Property::sometimes("a guard is lost", |_, world: &World| {
                !world.ended && world.guard == Guard::Lost
            }),
            Property::sometimes("a deposed leader resumes a session", |_, world: &World| {
                let Connection::Open(server) = world.connection else {
                    return false;
                };
                world.left > 0 && !world.reigns(server) && world.resumes(server)
            }),
            Property::sometimes("another server saves the guard", |_, world: &World| {
                let start = world.faulted.unwrap_or(world.step);
                world.left > 0 && world.holds() && world.step == start + HORIZON
            }),
        ]
    }
}

/// Guards: H1, H4, H6.
#[test]
fn no_interleaving_breaks_a_guard() {
    let checker = Ensemble.checker().threads(2).spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
}
