//! Makes a trace out of a seed.

use std::borrow::Cow;

use fastrand::Rng;
use zk_proto::records::*;
use zk_proto::{Acl, MAX_TTL_MS, OpCode, Permissions, digest_id};

use crate::apache::differential::trace::{Action, Call, LONG, Resume, SLOTS, Since, Step, encode};

/// Of each session.
const MOST_STEPS: usize = 50;

/// The trace of a seed; everything happens below `root`.
pub(crate) fn generate(seed: u64, root: &str) -> Vec<Step> {
    let mut source = Source {
        rng: Rng::with_seed(seed),
        root,
    };
    let mut left = [0; SLOTS].map(|_: usize| source.rng.usize(5..=MOST_STEPS));
    let mut steps = Vec::new();
    if !source.one_in(4) {
        // Where there is nothing, most requests only fail.
        for below in ["/a", "/b", "/a/x"] {
            let path = format!("{root}{below}");
            let slot = source.rng.usize(..SLOTS);
            let action = Action::Call(Call::new(OpCode::Create, &plain(&path)));
            steps.push(Step { slot, action });
        }
    }
    while left.iter().any(|&left| left > 0) {
        let slot = source.rng.usize(..SLOTS);
        if left[slot] > 0 {
            left[slot] -= 1;
            let action = source.action();
            steps.push(Step { slot, action });
        }
    }
    steps
}

fn plain(path: &str) -> CreateRequest<'_> {
    CreateRequest {
        path: path.into(),
        data: Some(b"plain"),
        acl: Acl::open().into(),
        flags: 0,
    }
}

struct Source<'a> {
    rng: Rng,
    root: &'a str,
}

impl Source<'_> {
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(..n) == 0
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.rng.usize(..all.len())].clone()
    }

    fn action(&mut self) -> Action {
        match self.rng.u32(..100) {
            0..=39 => Action::Call(self.write()),
            40..=51 => Action::Call(self.multi()),
            52..=67 => Action::Call(self.read()),
            68..=79 => Action::Call(self.watch()),
            80..=82 => self.set_watches(),
            83..=86 => Action::Call(self.about_the_session()),
            87 => Action::Call(self.malformed()),
            88..=91 => Action::Disconnect,
            92..=97 => Action::Resume(self.resume()),
            98 => Action::Close,
            _ if self.one_in(3) => Action::Expire,
            _ => Action::Disconnect,
        }
    }

    fn path(&mut self) -> String {
        if self.one_in(40) {
            return self.strange_path();
        }
        let below = [
            "", "/a", "/a", "/b", "/a/x", "/a/x", "/a/y", "/a/x/z", "/b/x", "/c",
        ];
        self.root.to_owned() + self.pick(&below)
    }

    fn strange_path(&mut self) -> String {
        let root = self.root;
        let paths = [
            String::new(),
            "nope".to_owned(),
            "/nope/x".to_owned(),
            "/zookeeper".to_owned(),
            "/zookeeper/config".to_owned(),
            "/zookeeper/quota".to_owned(),
            "/".to_owned(),
            "//".to_owned(),
            format!("{root}/a/"),
            format!("{root}//x"),
            format!("{root}/."),
            format!("{root}/../x"),
            format!("{root}/a\u{1}"),
            format!("{root}/ä"),
            format!("{root}/\u{1F600}"),
        ];
        self.pick(&paths)
    }

    /// Where nothing is changed that outlives the trace.
    fn path_to_change(&mut self) -> String {
        loop {
            let path = self.path();
            if path.starts_with(self.root) || matches!(&*path, "" | "nope" | "/nope/x" | "//") {
                return path;
            }
        }
    }

    /// What comes back as it is sent: Java writes what is outside the basic plane as CESU-8.
    fn path_to_repeat(&mut self) -> String {
        loop {
            let path = self.path();
            if path.chars().all(|char| u32::from(char) <= 0xffff) {
                return path;
            }
        }
    }

    fn data(&mut self) -> Option<&'static [u8]> {
        self.pick(&[None, Some(b""), Some(b"abc"), Some(b"hello"), Some(&LONG)])
    }

    fn version(&mut self) -> i32 {
        self.pick(&[-1, -1, -1, 0, 0, 1, 2, -2])
    }

    fn acl(&mut self) -> Vec<Acl> {
        let all = Permissions::ALL;
        let ann = digest_id("ann", "a");
        match self.rng.u32(..40) {
            0..=27 => Acl::open(),
            28..=30 => Acl::creator_all(),
            31 => Acl::read_only(),
            32 => vec![Acl::new(all, "digest", ann)],
            33 => vec![
                Acl::new(Permissions::READ, "world", "anyone"),
                Acl::new(all, "digest", ann),
            ],
            34 => vec![Acl::new(Permissions(self.rng.i32(..32)), "world", "anyone")],
            35 => {
                let network = self.pick(&["127.0.0.1", "127.0.0.0/8", "10.0.0.0/8", "1.2", ""]);
                vec![Acl::new(Permissions(self.rng.i32(1..32)), "ip", network)]
            }
            36 => Vec::new(),
            37 => [Acl::open(), Acl::open(), Acl::creator_all()].concat(),
            38 => vec![Acl::new(
                all,
                self.pick(&["nope", "world", "auth", "digest", ""]),
                "x",
            )],
            _ => vec![Acl::new(
                Permissions(self.pick(&[0, 32, -1, 63])),
                "world",
                "anyone",
            )],
        }
    }

    fn write(&mut self) -> Call {
        let path = self.path_to_change();
        let version = self.version();
        match self.rng.u32(..40) {
            0..=19 => self.create(&path),
            20..=26 => {
                let path = (&path).into();
                Call::new(OpCode::Delete, &DeleteRequest { path, version })
            }
            27..=34 => {
                let (path, data) = ((&path).into(), self.data());
                Call::new(
                    OpCode::SetData,
                    &SetDataRequest {
                        path,
                        data,
                        version,
                    },
                )
            }
            35..=37 => {
                let (path, acl) = ((&path).into(), self.acl().into());
                Call::new(OpCode::SetAcl, &SetAclRequest { path, acl, version })
            }
            38 => {
                let path = (&path).into();
                Call::new(OpCode::DeleteContainer, &DeleteContainerRequest { path })
            }
            _ => {
                let path = self.path_to_repeat();
                let path = (&path).into();
                Call::new(OpCode::Sync, &SyncRequest { path })
            }
        }
    }

    fn creation<'p>(&mut self, path: &'p str) -> (OpCode, CreateRequest<'p>) {
        let (op, flags) = match self.rng.u32(..20) {
            0..=4 => (OpCode::Create, 0),
            5..=8 => (OpCode::Create2, 0),
            9..=15 => {
                let op = self.pick(&[OpCode::Create, OpCode::Create2]);
                (op, self.rng.i32(1..=3))
            }
            16..=17 => (OpCode::CreateContainer, 4),
            18 => (
                self.pick(&[OpCode::Create, OpCode::Create2]),
                self.pick(&[4, 5, 6]),
            ),
            _ => {
                let op = self.pick(&[OpCode::Create, OpCode::Create2, OpCode::CreateContainer]);
                (op, self.pick(&[-1, 0, 1, 7, 99]))
            }
        };
        let request = CreateRequest {
            path: path.into(),
            data: self.data(),
            acl: Cow::Owned(self.acl()),
            flags,
        };
        (op, request)
    }

    fn timed_creation<'p>(&mut self, path: &'p str) -> CreateTtlRequest<'p> {
        let flags = self.pick(&[5, 5, 5, 6, 6, 0, 1, 4, 99]);
        CreateTtlRequest {
            path: path.into(),
            data: self.data(),
            acl: Cow::Owned(self.acl()),
            flags,
            // A node whose time is over goes when the server looks, which is not in the trace.
            ttl_ms: match flags {
                5 | 6 => self.pick(&[100_000_000, 100_000_000, MAX_TTL_MS, MAX_TTL_MS + 1, 0, -1]),
                // Without a time, Apache takes it for valid and then cannot apply it.
                _ => 100_000_000,
            },
        }
    }

    fn create(&mut self, path: &str) -> Call {
        if self.one_in(8) {
            return Call::new(OpCode::CreateTtl, &self.timed_creation(path));
        }
        let (op, request) = self.creation(path);
        Call::new(op, &request)
    }

    fn multi(&mut self) -> Call {
        let count = self.pick(&[0, 1, 1, 2, 2, 3, 3, 4, 5]);
        let reading = self.one_in(4);
        let paths: Vec<_> = (0..count)
            .map(|_| {
                if reading {
                    self.path()
                } else {
                    self.path_to_change()
                }
            })
            .collect();
        let mut ops: Vec<_> = paths
            .iter()
            .map(|path| {
                if reading {
                    self.read_op(path)
                } else {
                    self.write_op(path)
                }
            })
            .collect();
        let mut op = if reading {
            OpCode::MultiRead
        } else {
            OpCode::Multi
        };
        if self.one_in(20) {
            op = self.pick(&[OpCode::Multi, OpCode::MultiRead]);
            if let Some(first) = paths.first() {
                ops.push(self.read_op(first));
            }
        }
        Call::new(op, &MultiRequest { ops })
    }

    fn read_op<'p>(&mut self, path: &'p str) -> MultiOp<'p> {
        let (path, watch) = (path.into(), self.rng.bool());
        if self.rng.bool() {
            MultiOp::GetData(GetDataRequest { path, watch })
        } else {
            MultiOp::GetChildren(GetChildrenRequest { path, watch })
        }
    }

    fn write_op<'p>(&mut self, path: &'p str) -> MultiOp<'p> {
        // Most of them fit, or hardly a transaction would.
        let version = self.pick(&[-1, -1, -1, -1, -1, -1, 0, 1]);
        match self.rng.u32(..16) {
            0..=3 => {
                let flags = self.pick(&[2, 2, 3, 0]);
                let request = CreateRequest {
                    flags,
                    ..plain(path)
                };
                if self.rng.bool() {
                    MultiOp::Create(request)
                } else {
                    MultiOp::Create2(request)
                }
            }
            4..=6 => match self.creation(path) {
                (OpCode::Create, request) => MultiOp::Create(request),
                (OpCode::Create2, request) => MultiOp::Create2(request),
                (_, request) => MultiOp::CreateContainer(request),
            },
            7 => MultiOp::CreateTtl(self.timed_creation(path)),
            8 => MultiOp::Delete(DeleteRequest {
                path: path.into(),
                version,
            }),
            9..=12 => {
                let (path, data) = (path.into(), self.data());
                MultiOp::SetData(SetDataRequest {
                    path,
                    data,
                    version,
                })
            }
            _ => MultiOp::Check(CheckVersionRequest {
                path: path.into(),
                version,
            }),
        }
    }

    fn read(&mut self) -> Call {
        let text = self.path();
        let (path, watch) = ((&text).into(), self.rng.bool());
        match self.rng.u32(..16) {
            0..=2 => Call::new(OpCode::Exists, &ExistsRequest { path, watch }),
            3..=5 => Call::new(OpCode::GetData, &GetDataRequest { path, watch }),
            6..=7 => Call::new(OpCode::GetChildren, &GetChildrenRequest { path, watch }),
            8..=9 => Call::new(OpCode::GetChildren2, &GetChildren2Request { path, watch }),
            10..=11 => Call::new(OpCode::GetAcl, &GetAclRequest { path }),
            12..=13 => {
                let prefix = self.pick(&[Some(&*text), Some(self.root), Some(" "), None]);
                Call::new(OpCode::GetEphemerals, &GetEphemeralsRequest { prefix })
            }
            _ => Call::new(
                OpCode::GetAllChildrenNumber,
                &GetAllChildrenNumberRequest { path },
            ),
        }
    }

    fn watch(&mut self) -> Call {
        let mut text = self.path();
        if text == "nope" {
            // Whether Apache's server stumbles over it depends on the watches there ever were.
            text = self.root.to_owned();
        }
        let path = (&text).into();
        match self.rng.u32(..16) {
            0..=1 => Call::new(OpCode::Exists, &ExistsRequest { path, watch: true }),
            2..=3 => Call::new(OpCode::GetData, &GetDataRequest { path, watch: true }),
            4..=5 => Call::new(
                OpCode::GetChildren,
                &GetChildrenRequest { path, watch: true },
            ),
            6 => Call::new(
                OpCode::GetChildren2,
                &GetChildren2Request { path, watch: true },
            ),
            7..=9 => {
                let mode = AddWatchMode::Persistent;
                Call::new(OpCode::AddWatch, &AddWatchRequest { path, mode })
            }
            10..=11 => {
                let mode = AddWatchMode::PersistentRecursive;
                Call::new(OpCode::AddWatch, &AddWatchRequest { path, mode })
            }
            12..=14 => {
                let kind = WatcherType::from_i32(self.pick(&[1, 2, 3, 3, 4, 5, 0, 9]));
                if self.rng.bool() {
                    Call::new(OpCode::CheckWatches, &CheckWatchesRequest { path, kind })
                } else {
                    Call::new(OpCode::RemoveWatches, &RemoveWatchesRequest { path, kind })
                }
            }
            _ => {
                let mode = AddWatchMode::from_i32(self.pick(&[-1, 2, 7]));
                Call::new(OpCode::AddWatch, &AddWatchRequest { path, mode })
            }
        }
    }

    fn set_watches(&mut self) -> Action {
        let lists = [(); 5].map(|()| {
            let count = self.pick(&[0, 0, 1, 2, 3]);
            (0..count).map(|_| self.path_to_repeat()).collect()
        });
        Action::SetWatches {
            op: self.pick(&[OpCode::SetWatches, OpCode::SetWatches2]),
            since: self.pick(&[Since::Beginning, Since::Seen, Since::Seen, Since::Future]),
            lists,
        }
    }

    fn about_the_session(&mut self) -> Call {
        match self.rng.u32(..12) {
            0..=1 => Call::bare(OpCode::WhoAmI),
            2 => Call::bare(OpCode::Ping),
            3 => Call::new(
                OpCode::Sasl,
                &SaslRequest {
                    token: Some(b"token"),
                },
            ),
            4 => {
                let none = Some("");
                let request = ReconfigRequest {
                    joining: none,
                    leaving: none,
                    new_members: None,
                    cur_config_id: -1,
                };
                Call::new(OpCode::Reconfig, &request)
            }
            choice => {
                let digest: [&[u8]; 6] = [
                    b"ann:a",
                    b"ann:a",
                    b"bob:b",
                    b"ann:",
                    b"super:secret",
                    b"ann",
                ];
                let (scheme, auth): (_, &[u8]) = match choice {
                    5..=9 => ("digest", self.pick(&digest)),
                    10 => ("ip", b""),
                    _ => (self.pick(&["nope", "world", "auth", "x509"]), b"a:b"),
                };
                let (auth_type, auth) = (0, Some(auth));
                Call::new(
                    OpCode::Auth,
                    &AuthRequest {
                        auth_type,
                        scheme,
                        auth,
                    },
                )
            }
        }
    }

    /// What no client sends.
    fn malformed(&mut self) -> Call {
        if self.one_in(3) {
            let path = encode(&GetAclRequest {
                path: self.root.into(),
            });
            let op = self.pick(&[999, 0, -1, 10, 13, 23, 108]);
            // A version that fits no node: a `check` by itself that succeeds is never answered.
            return Call::raw(op, [path, vec![0, 0, 3, 9]].concat());
        }
        let mut whole = match self.rng.u32(..4) {
            0 => self.write(),
            1 => self.read(),
            2 => self.multi(),
            _ => self.watch(),
        };
        let len = self.rng.usize(..=whole.body.len());
        whole.body.truncate(len);
        whole.shown = format!("the first {len} bytes of {}", whole.shown);
        whole
    }

    fn resume(&mut self) -> Resume {
        match self.rng.u32(..12) {
            0..=6 => Resume::Honest(self.pick(&[None, Some(false), Some(true)])),
            7..=8 => Resume::WrongPassword,
            9 => Resume::Ahead,
            10 => Resume::UnknownSession,
            _ => Resume::Longest,
        }
    }
}
