//! Operations on watches: adding, checking, removing, and setting them again after a reconnect.

use zk_proto::records::{
    AddWatchMode, AddWatchRequest, AddWatchResponse, CheckWatchesRequest, Children,
    RemoveWatchesRequest, SetWatches2Request, SetWatchesRequest, WatcherType,
};
use zk_proto::{ErrorCode, EventType, OpCode, Request as Body};

use crate::core::pose::WatchKinds;
use crate::core::requests::{Nothing, Request};
use crate::core::state::State;
use crate::core::watch::Modes;

impl State {
    pub(crate) fn watches(&mut self, request: &Request<'_>) {
        let done = match request.body() {
            Ok(Body::AddWatch(asked)) => self.add_watch(request, &asked),
            Ok(Body::CheckWatches(asked)) => self.check_watches(request, &asked),
            Ok(Body::RemoveWatches(asked)) => self.remove_watches(request, &asked),
            Ok(Body::SetWatches(asked)) => return self.set_watches(request, with_all_kinds(asked)),
            Ok(Body::SetWatches2(asked)) => return self.set_watches(request, asked),
            Ok(_) => Err(ErrorCode::Unimplemented),
            Err(code) => Err(code),
        };
        match done {
            Ok(()) if request.op == OpCode::AddWatch => {
                let has_body = self.options.behaviour().add_watch_has_body;
                let err = has_body.then_some(0);
                self.reply(request, Ok(&AddWatchResponse { err }));
            }
            Ok(()) => self.reply(request, Ok(&Nothing)),
            Err(code) => self.reply(request, Err(code)),
        }
    }

    fn add_watch(
        &mut self,
        request: &Request<'_>,
        asked: &AddWatchRequest<'_>,
    ) -> Result<(), ErrorCode> {
        let path = asked.path.to_string();
        let id = request.connection;
        let member = self.members.get_mut(request.member);
        let member = member.ok_or(ErrorCode::SystemError)?;
        match asked.mode {
            AddWatchMode::Persistent => {
                member.data.add(&path, id, Modes::PERSISTENT);
                member.child.add(&path, id, Modes::PERSISTENT);
            }
            AddWatchMode::PersistentRecursive => member.watch_recursively(&path, id),
            _ => return Err(ErrorCode::MarshallingError),
        }
        Ok(())
    }

    /// The kinds of watch on data and on children that a type names.
    fn modes(&self, kind: WatcherType) -> Result<(Modes, Modes), ErrorCode> {
        let last_set = self.options.behaviour().watches == WatchKinds::LastSet;
        let (standard, newer) = if last_set {
            (Modes::ANY, false)
        } else {
            (Modes::STANDARD, true)
        };
        match kind {
            WatcherType::Children => Ok((Modes::NONE, standard)),
            WatcherType::Data => Ok((standard, Modes::NONE)),
            WatcherType::Any => Ok((Modes::ANY, Modes::ANY)),
            WatcherType::Persistent if newer => Ok((Modes::PERSISTENT, Modes::PERSISTENT)),
            WatcherType::PersistentRecursive if newer => Ok((Modes::RECURSIVE, Modes::NONE)),
            _ => Err(ErrorCode::MarshallingError),
        }
    }

    fn check_watches(
        &mut self,
        request: &Request<'_>,
        asked: &CheckWatchesRequest<'_>,
    ) -> Result<(), ErrorCode> {
        let (data, child) = self.modes(asked.kind)?;
        let path = asked.path.to_string();
        let id = request.connection;
        let member = self.members.get(request.member);
        let member = member.ok_or(ErrorCode::SystemError)?;
        if member.data.contains(&path, id, data) || member.child.contains(&path, id, child) {
            Ok(())
        } else {
            Err(ErrorCode::NoWatcher)
        }
    }

    fn remove_watches(
        &mut self,
        request: &Request<'_>,
        asked: &RemoveWatchesRequest<'_>,
    ) -> Result<(), ErrorCode> {
        let (data, child) = self.modes(asked.kind)?;
        let path = asked.path.to_string();
        let id = request.connection;
        let member = self.members.get_mut(request.member);
        let member = member.ok_or(ErrorCode::SystemError)?;
        let data = member.data.remove(&path, id, data);
        let child = member.child.remove(&path, id, child);
        if data || child {
            Ok(())
        } else {
            Err(ErrorCode::NoWatcher)
        }
    }

    fn set_watches(&mut self, request: &Request<'_>, asked: SetWatches2Request) {
        // ClickHouse Keeper answers before it sends what was missed.
        let answers_first = self.options.behaviour().watches == WatchKinds::EventEach;
        if answers_first {
            self.reply(request, Ok(&Nothing));
        }
        self.arm(request, &asked);
        if !answers_first {
            self.reply(request, Ok(&Nothing));
        }
    }

    fn arm(&mut self, request: &Request<'_>, asked: &SetWatches2Request) {
        let seen = asked.relative_zxid.0;
        let id = request.connection;
        let Some(member) = self.members.get_mut(request.member) else {
            return;
        };
        let children_changed = match self.options.behaviour().watches {
            WatchKinds::EventEach => EventType::NodeDataChanged,
            _ => EventType::NodeChildrenChanged,
        };
        // Events for what was missed belong to no transaction.
        let mut missed = |kind, path: &str| self.connections.notify(id, -1, kind, path);
        for path in &asked.data {
            match member.tree.get(path) {
                None => missed(EventType::NodeDeleted, path),
                Some(node) if node.mzxid > seen => missed(EventType::NodeDataChanged, path),
                Some(_) => member.data.add(path, id, Modes::STANDARD),
            }
        }
        for path in &asked.exist {
            match member.tree.get(path) {
                Some(_) => missed(EventType::NodeCreated, path),
                None => member.data.add(path, id, Modes::STANDARD),
            }
        }
        for path in &asked.child {
            match member.tree.get(path) {
                None => missed(EventType::NodeDeleted, path),
                Some(node) if node.pzxid > seen => missed(children_changed, path),
                Some(_) => member.child.add(path, id, Modes::STANDARD),
            }
        }
        // No event tells what persistent watches missed (ZOOKEEPER-4698).
        for path in &asked.persistent {
            member.child.add(path, id, Modes::PERSISTENT);
            member.data.add(path, id, Modes::PERSISTENT);
        }
        for path in &asked.recursive {
            member.watch_recursively(path, id);
        }
    }
}

fn with_all_kinds(asked: SetWatchesRequest) -> SetWatches2Request {
    SetWatches2Request {
        relative_zxid: asked.relative_zxid,
        data: asked.data,
        exist: asked.exist,
        child: asked.child,
        persistent: Children::default(),
        recursive: Children::default(),
    }
}
