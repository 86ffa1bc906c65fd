//! Operations on watches: adding, checking, removing, and setting them again after a reconnect.

use zk_proto::records::{
    AddWatchMode, AddWatchRequest, AddWatchResponse, CheckWatchesRequest, Children,
    RemoveWatchesRequest, SetWatches2Request, SetWatchesRequest, WatcherType,
};
use zk_proto::{ErrorCode, EventType, OpCode, Request as Body};

use crate::core::pose::behaviour::WatchKinds;
use crate::core::requests::{EmptyBody, Request};
use crate::core::state::State;
use crate::core::watch::Modes;

impl State {
    pub(crate) fn watches(&mut self, request: &Request<'_>) {
        let done = match request.body() {
            Ok(Body::AddWatch(args)) => self.add_watch(request, &args),
            Ok(Body::CheckWatches(args)) => self.check_watches(request, &args),
            Ok(Body::RemoveWatches(args)) => self.remove_watches(request, &args),
            Ok(Body::SetWatches(args)) => return self.set_watches(request, with_all_kinds(args)),
            Ok(Body::SetWatches2(args)) => return self.set_watches(request, args),
            Ok(_) => Err(ErrorCode::Unimplemented),
            Err(code) => Err(code),
        };
        match done {
            Ok(()) if request.op == OpCode::AddWatch => {
                let has_body = self.options.behaviour().add_watch_has_body;
                let err = has_body.then_some(0);
                self.reply(request, Ok(&AddWatchResponse { err }));
            }
            Ok(()) => self.reply(request, Ok(&EmptyBody)),
            Err(code) => self.reply(request, Err(code)),
        }
    }

    fn add_watch(
        &mut self,
        request: &Request<'_>,
        args: &AddWatchRequest<'_>,
    ) -> Result<(), ErrorCode> {
        let path = args.path.to_string();
        let id = request.connection;
        let member = self.members.get_mut(request.member);
        let member = member.ok_or(ErrorCode::SystemError)?;
        match args.mode {
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
        args: &CheckWatchesRequest<'_>,
    ) -> Result<(), ErrorCode> {
        let (data, child) = self.modes(args.kind)?;
        let path = args.path.to_string();
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
        args: &RemoveWatchesRequest<'_>,
    ) -> Result<(), ErrorCode> {
        let (data, child) = self.modes(args.kind)?;
        let path = args.path.to_string();
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

    fn set_watches(&mut self, request: &Request<'_>, args: SetWatches2Request) {
        // ClickHouse Keeper sends the reply before the events for missed changes.
        let answers_first = self.options.behaviour().watches == WatchKinds::EventEach;
        if answers_first {
            self.reply(request, Ok(&EmptyBody));
        }
        self.arm(request, &args);
        if !answers_first {
            self.reply(request, Ok(&EmptyBody));
        }
    }

    fn arm(&mut self, request: &Request<'_>, args: &SetWatches2Request) {
        let seen = args.relative_zxid.0;
        let id = request.connection;
        let Some(member) = self.members.get_mut(request.member) else {
            return;
        };
        let children_changed = match self.options.behaviour().watches {
            WatchKinds::EventEach => EventType::NodeDataChanged,
            _ => EventType::NodeChildrenChanged,
        };
        // Events for missed changes have no zxid.
        let mut missed = |kind, path: &str| self.connections.notify(id, -1, kind, path);
        for path in &args.data {
            match member.tree.get(path) {
                None => missed(EventType::NodeDeleted, path),
                Some(node) if node.mzxid > seen => missed(EventType::NodeDataChanged, path),
                Some(_) => member.data.add(path, id, Modes::STANDARD),
            }
        }
        for path in &args.exist {
            match member.tree.get(path) {
                Some(_) => missed(EventType::NodeCreated, path),
                None => member.data.add(path, id, Modes::STANDARD),
            }
        }
        for path in &args.child {
            match member.tree.get(path) {
                None => missed(EventType::NodeDeleted, path),
                Some(node) if node.pzxid > seen => missed(children_changed, path),
                Some(_) => member.child.add(path, id, Modes::STANDARD),
            }
        }
        // Servers send no events for what persistent watches missed (ZOOKEEPER-4698).
        for path in &args.persistent {
            member.child.add(path, id, Modes::PERSISTENT);
            member.data.add(path, id, Modes::PERSISTENT);
        }
        for path in &args.recursive {
            member.watch_recursively(path, id);
        }
    }
}

fn with_all_kinds(args: SetWatchesRequest) -> SetWatches2Request {
    SetWatches2Request {
        relative_zxid: args.relative_zxid,
        data: args.data,
        exist: args.exist,
        child: args.child,
        persistent: Children::default(),
        recursive: Children::default(),
    }
}
