//! Whatever is submitted, dropped, changed and cut, at whichever byte: every request is answered
//! once, no write is executed twice or after it was said not to be, no watch is lost, none leaks.

use std::collections::BTreeMap;

use proptest::prelude::*;
use zk_proto::ErrorCode;
use zk_proto::records::{
    AddWatchMode, Create2Response, GetChildren2Response, GetDataResponse, StatResponse,
};

use crate::NodeEventKind;
use crate::session::tests::*;

const PATHS: [&str; 4] = ["/a", "/a/b", "/c", "/d"];

#[derive(Debug, Clone)]
enum Step {
    Get {
        path: usize,
        watch: bool,
    },
    Exists {
        path: usize,
    },
    Children {
        path: usize,
    },
    Set {
        path: usize,
    },
    /// A znode of its own.
    Create,
    AddWatch {
        path: usize,
        recursive: bool,
    },
    /// Another client changes a znode.
    Change {
        path: usize,
        delete: bool,
    },
    Deliver(usize),
    Answer(usize),
    Cut,
    Connect,
    Expire,
    DropRequest(usize),
    DropWatch(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let path = 0..PATHS.len();
    prop_oneof![
        4 => (path.clone(), any::<bool>()).prop_map(|(path, watch)| Step::Get { path, watch }),
        2 => path.clone().prop_map(|path| Step::Exists { path }),
        2 => path.clone().prop_map(|path| Step::Children { path }),
        4 => path.clone().prop_map(|path| Step::Set { path }),
        2 => Just(Step::Create),
        1 => (path.clone(), any::<bool>())
            .prop_map(|(path, recursive)| Step::AddWatch { path, recursive }),
        4 => (path, any::<bool>()).prop_map(|(path, delete)| Step::Change { path, delete }),
        6 => (0usize..120).prop_map(Step::Deliver),
        5 => (1usize..4).prop_map(Step::Answer),
        2 => Just(Step::Cut),
        3 => Just(Step::Connect),
        1 => Just(Step::Expire),
        2 => (0usize..8).prop_map(Step::DropRequest),
        2 => (0usize..8).prop_map(Step::DropWatch),
    ]
}

/// What the server does not know, if anything, and what it does then.
fn lacks() -> impl Strategy<Value = Option<(Vec<OpCode>, Unknown)>> {
    use OpCode::{AddWatch, Create2, RemoveWatches, SetWatches2};
    let lacks = prop_oneof![
        Just(vec![RemoveWatches]),
        Just(vec![AddWatch, SetWatches2]),
        Just(vec![Create2]),
        Just(vec![Create2, RemoveWatches, AddWatch, SetWatches2]),
    ];
    let unknown = prop_oneof![
        Just(Unknown::Refuse),
        Just(Unknown::RefuseAndClose),
        Just(Unknown::Close),
        Just(Unknown::End),
    ];
    prop::option::of((lacks, unknown))
}

/// A request that has not been answered.
struct Asked {
    key: SlotKey,
    /// The data of a write.
    write: Option<String>,
    path: usize,
    watching: Option<WatchKind>,
}

/// A one-shot watch that has not fired, and the state that its handle has seen.
struct Watching {
    sub: SubId,
    path: usize,
    kind: WatchKind,
    /// `None` if the znode did not exist.
    known: Option<zk_proto::Zxid>,
}

struct Run {
    world: World,
    asked: Vec<Asked>,
    watching: Vec<Watching>,
    lasting: Vec<(SubId, usize, WatchKind)>,
    writes: usize,
    /// What became of each write, by its data.
    fates: BTreeMap<String, &'static str>,
    up: bool,
    /// Whether a connection or a session has ended for no reason that lies with the client.
    misled: bool,
}

impl Run {
    fn new() -> Self {
        Run {
            world: World::new(),
            asked: Vec::new(),
            watching: Vec::new(),
            lasting: Vec::new(),
            writes: 0,
            fates: BTreeMap::new(),
            up: false,
            misled: false,
        }
    }

    fn step(&mut self, step: &Step) {
        let full = self.world.core.statistics().outstanding >= 60;
        match *step {
            Step::Get { .. }
            | Step::Exists { .. }
            | Step::Children { .. }
            | Step::Set { .. }
            | Step::Create
            | Step::AddWatch { .. }
                if full => {}
            Step::Get { path, watch } => {
                let key = self.world.get(PATHS[path], watch);
                self.asked.push(Asked {
                    key,
                    write: None,
                    path,
                    watching: watch.then_some(WatchKind::Data),
                });
            }
            Step::Exists { path } => {
                let key = self.world.exists(PATHS[path]);
                self.asked.push(Asked {
                    key,
                    write: None,
                    path,
                    watching: Some(WatchKind::Data),
                });
            }
            Step::Children { path } => {
                let key = self.world.children(PATHS[path]);
                self.asked.push(Asked {
                    key,
                    write: None,
                    path,
                    watching: Some(WatchKind::Child),
                });
            }
            Step::Set { path } => {
                self.writes += 1;
                let data = format!("w{:05}", self.writes);
                let key = self.world.set(PATHS[path], &data);
                self.asked.push(Asked {
                    key,
                    write: Some(data),
                    path,
                    watching: None,
                });
            }
            Step::Create => {
                self.writes += 1;
                let data = format!("w{:05}", self.writes);
                let key = self
                    .world
                    .create_by(OpCode::Create2, &format!("/{data}"), &data);
                self.asked.push(Asked {
                    key,
                    write: Some(data),
                    path: 0,
                    watching: None,
                });
            }
            Step::AddWatch { path, recursive } => {
                let (mode, kind) = if recursive {
                    (AddWatchMode::PersistentRecursive, WatchKind::Recursive)
                } else {
                    (AddWatchMode::Persistent, WatchKind::Persistent)
                };
                match self.world.try_add_watch(PATHS[path], mode, kind) {
                    Ok(key) => self.asked.push(Asked {
                        key,
                        write: None,
                        path,
                        watching: Some(kind),
                    }),
                    Err(Failure::Unimplemented(Outcome::NotSent)) => {
                        assert!(self.may_lack(OpCode::AddWatch), "it is there");
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
            Step::Change { path, delete } => self.world.server.change(PATHS[path], delete),
            Step::Deliver(n) if self.up => self.world.deliver(n),
            Step::Answer(n) if self.up => self.world.answer(n),
            Step::Cut if self.up => {
                self.misled = true;
                self.cut();
            }
            Step::Expire => {
                self.world.server.expire_next = true;
                self.misled = true;
            }
            Step::Connect if !self.up => {
                self.world.begin();
                self.up = true;
            }
            Step::DropRequest(n) if n < self.asked.len() => {
                let asked = self.asked.swap_remove(n);
                self.world.core.abandon(self.world.now, asked.key);
                if let Some(data) = asked.write {
                    self.fates.insert(data, "dropped");
                }
            }
            Step::DropWatch(n) if n < self.watching.len() => {
                let watching = self.watching.swap_remove(n);
                self.world.core.unsubscribe(self.world.now, watching.sub);
            }
            _ => {}
        }
        // An expired session ends its connection.
        if self.up && self.world.core.connection.link.is_none() {
            self.world.server.cut();
            self.world.wire.clear();
            self.up = false;
        }
        self.read();
    }

    fn cut(&mut self) {
        self.world.cut();
        self.up = false;
    }

    /// Whether the client may take the server to lack the operation. A connection lost twice in a row,
    /// or a session that is over right after it, looks as if it had ended for what was on its way.
    fn may_lack(&self, op: OpCode) -> bool {
        self.world.server.lacks.contains(&op) || self.misled
    }

    /// The replies and events so far.
    fn read(&mut self) {
        let mut asked = std::mem::take(&mut self.asked);
        asked.retain(|asked| match self.world.poll(asked.key) {
            None => true,
            Some(answer) => {
                self.answered(asked, answer);
                false
            }
        });
        self.asked = asked;
        let world = &mut self.world;
        self.watching
            .retain(|watching| match world.event(watching.sub) {
                None => true,
                Some(_) => {
                    assert_ne!(
                        world.event(watching.sub).as_ref().map(is_change),
                        Some(true),
                        "once"
                    );
                    world.core.unsubscribe(world.now, watching.sub);
                    false
                }
            });
    }

    fn answered(&mut self, asked: &Asked, answer: Result<Reply, Failure>) {
        if let Some(data) = &asked.write {
            let fate = match &answer {
                Ok(Reply {
                    result: Ok(body), ..
                }) => {
                    if let Ok(created) = decode_frame::<Create2Response>(body, 0) {
                        let (_, stat) = &self.world.server.nodes[&created.path];
                        assert_eq!(created.stat.czxid, stat.czxid);
                    }
                    "done"
                }
                Ok(Reply { result: Err(_), .. })
                | Err(Failure::Unimplemented(Outcome::Rejected)) => "refused",
                Err(Failure::ConnectionLost(_, Outcome::Unknown) | Failure::ClosedOn(_)) => {
                    "unknown"
                }
                Err(
                    Failure::ConnectionLost(_, Outcome::NotSent)
                    | Failure::SessionExpired(Outcome::NotSent),
                ) => "not sent",
                Err(other) => panic!("a write failed with {other:?}"),
            };
            assert!(
                self.fates.insert(data.clone(), fate).is_none(),
                "answered twice"
            );
            return;
        }
        if let Err(Failure::Unimplemented(_)) = &answer {
            assert!(asked.watching.is_some_and(WatchKind::is_persistent));
            assert!(self.may_lack(OpCode::AddWatch), "it is there");
            return;
        }
        let reply = answer.expect("reads are answered in the end");
        let Some(sub) = reply.watch else {
            assert!(
                asked.watching.is_none() || reply.result.is_err(),
                "a watch without a handle"
            );
            return;
        };
        let kind = asked.watching.expect("no watch was asked for");
        if kind.is_persistent() {
            self.lasting.push((sub, asked.path, kind));
            return;
        }
        let known = match &reply.result {
            Err(ErrorCode::NoNode) => None,
            Err(other) => panic!("refused with {other:?}"),
            Ok(body) if kind == WatchKind::Child => {
                let response: GetChildren2Response = decode_frame(body, 0).unwrap();
                Some(response.stat.pzxid)
            }
            Ok(body) => Some(
                decode_frame::<GetDataResponse>(body, 0)
                    .map(|response| response.stat)
                    .or_else(|_| decode_frame::<StatResponse>(body, 0).map(|r| r.stat))
                    .unwrap()
                    .mzxid,
            ),
        };
        self.watching.push(Watching {
            sub,
            path: asked.path,
            kind,
            known,
        });
    }

    /// Reconnects until everything is quiet, and the client knows what the server lacks.
    fn finish(&mut self) {
        self.world.server.expire_next = false;
        self.settle();
        let lacks = self.world.server.lacks.contains(&OpCode::RemoveWatches);
        self.world.server.change("/apart", false);
        let mut rounds = 0;
        while lacks && !self.world.core.lacks(OpCode::RemoveWatches) {
            rounds += 1;
            assert!(rounds < 20, "it does not stop to send requests");
            let key = self.world.get("/apart", true);
            self.settle();
            if let Some(Ok(Reply {
                watch: Some(sub), ..
            })) = self.world.poll(key)
            {
                self.world.core.unsubscribe(self.world.now, sub);
            }
            self.world.server.change("/apart", false);
            self.settle();
        }
    }

    fn settle(&mut self) {
        for _ in 0..8 {
            if !self.up {
                self.world.begin();
                self.up = true;
            }
            self.world.settle();
            self.step(&Step::Answer(0));
        }
    }

    fn check(&mut self) {
        assert!(
            self.asked.is_empty(),
            "{} requests were never answered",
            self.asked.len()
        );
        let log: Vec<String> = self
            .world
            .server
            .log
            .iter()
            .map(|d| String::from_utf8(d.to_vec()).unwrap())
            .collect();
        assert!(
            log.is_sorted(),
            "writes were executed out of order: {log:?}"
        );
        for pair in log.windows(2) {
            assert_ne!(pair[0], pair[1], "executed twice");
        }
        for (data, fate) in &self.fates {
            let executed = log.contains(data);
            match *fate {
                "done" => assert!(executed, "{data} was acknowledged and not executed"),
                "refused" | "not sent" => assert!(!executed, "{data} was {fate} and executed"),
                _ => {}
            }
        }
        // A watch that has not fired has seen the present state.
        for watching in &self.watching {
            let path = PATHS[watching.path];
            let now = self
                .world
                .server
                .nodes
                .get(path)
                .map(|(_, stat)| match watching.kind {
                    WatchKind::Child => stat.pzxid,
                    _ => stat.mzxid,
                });
            assert_eq!(watching.known, now, "a change of {path} was lost");
        }
        self.probe();
    }

    /// Persistent and recursive watches that have not ended deliver each change once.
    fn probe(&mut self) {
        self.lasting.retain(|&(sub, _, _)| {
            loop {
                match self.world.event(sub) {
                    None if self.world.core.is_abandoned(sub) => {
                        self.world.core.unsubscribe(self.world.now, sub);
                        break false;
                    }
                    None => break true,
                    Some(WatchEvent::SessionEnded) => {
                        self.world.core.unsubscribe(self.world.now, sub);
                        break false;
                    }
                    Some(_) => {}
                }
            }
        });
        for (path, child) in [("/a", "/a/new"), ("/a/b", "/a/b/new"), ("/c", "/c/new")] {
            self.world.server.change(path, false);
            self.world.server.change(child, false);
            self.world.settle();
            let changed = |event: &crate::NodeEvent| {
                event.path == path && event.kind != NodeEventKind::ChildrenChanged
            };
            for &(sub, at, kind) in &self.lasting {
                let mut events = Vec::new();
                while let Some(event) = self.world.event(sub) {
                    events.push(event.node().expect("a change").clone());
                }
                let count = |of: &dyn Fn(&crate::NodeEvent) -> bool| {
                    events.iter().filter(|event| of(event)).count()
                };
                let of_child = |event: &crate::NodeEvent| match kind {
                    WatchKind::Recursive => event.path == child,
                    _ => event.path == path && event.kind == NodeEventKind::ChildrenChanged,
                };
                let watched = match kind {
                    WatchKind::Recursive => path.starts_with(PATHS[at]),
                    _ => path == PATHS[at],
                };
                let expected = usize::from(watched);
                assert_eq!(
                    count(&changed),
                    expected,
                    "{kind:?} {}: {events:?}",
                    PATHS[at]
                );
                assert_eq!(
                    count(&of_child),
                    expected,
                    "{kind:?} {}: {events:?}",
                    PATHS[at]
                );
            }
        }
    }

    fn drop_watches(&mut self) {
        let subs: Vec<SubId> = self
            .watching
            .drain(..)
            .map(|w| w.sub)
            .chain(self.lasting.drain(..).map(|lasting| lasting.0))
            .collect();
        for sub in subs {
            self.world.core.unsubscribe(self.world.now, sub);
        }
        self.world.settle();
        let left = self.world.core.statistics();
        assert_eq!(
            (
                left.outstanding,
                left.parked,
                left.watches,
                left.subscribers
            ),
            (0, 0, 0, 0),
            "something stays"
        );
        for class in [left.reads, left.writes] {
            let ended = class.answered + class.rejected + class.not_sent + class.unknown;
            assert_eq!(class.submitted, ended + class.dropped, "{class:?}");
        }
        let server = &self.world.server;
        // A server without the one is taken to lack the other.
        if self.may_lack(OpCode::RemoveWatches) || self.may_lack(OpCode::Create2) {
            return;
        }
        for there in [&server.data_watches, &server.child_watches] {
            assert!(there.is_empty(), "the server still watches {there:?}");
        }
    }
}

fn is_change(event: &WatchEvent) -> bool {
    matches!(event, WatchEvent::Node(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Guards: A43, D1, D4, D5.
    #[test]
    fn nothing_is_lost_and_nothing_stays(
        steps in prop::collection::vec(step(), 1..120), old in any::<bool>(),
        lacks in lacks(),
    ) {
        let mut run = Run::new();
        run.world.server.old = old;
        if let Some((lacks, unknown)) = lacks {
            run.world.server.lacks = lacks;
            run.world.server.unknown = Some(unknown);
        }
        for step in &steps {
            run.step(step);
        }
        run.finish();
        run.check();
        run.drop_watches();
    }
}
