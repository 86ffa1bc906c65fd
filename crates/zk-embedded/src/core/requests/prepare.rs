//! Checks of writes: each request is checked against the tree as it will be when the request is applied,
//! and becomes a [`Change`].

use std::collections::HashMap;

use bytes::Bytes;
use zk_proto::path;
use zk_proto::records::{
    CheckVersionRequest, CreateRequest, CreateTtlRequest, DeleteRequest, SetAclRequest,
    SetDataRequest,
};
use zk_proto::{Acl, CreateMode, ErrorCode, Id, OpCode, Permissions, Stat};

use crate::core::tree::acl;
use crate::core::tree::quota;
use crate::core::tree::txn::Change;
use crate::core::tree::{AclList, Tree};
use crate::options::Options;

/// The tree as the checks of one transaction see it, with the transaction's own earlier changes.
pub(crate) struct Preparation<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) options: &'a Options,
    pub(crate) session: i64,
    pub(crate) auth: &'a [Id],
    /// Whether the session is local, so that it cannot have ephemeral nodes.
    pub(crate) local: bool,
    changed: HashMap<Box<str>, Option<Record>>,
}

/// The part of a node that the checks need.
#[derive(Clone)]
struct Record {
    acl: AclList,
    version: i32,
    aversion: i32,
    creates: i32,
    owner: i64,
    children: usize,
    data_len: usize,
}

impl<'a> Preparation<'a> {
    pub(crate) fn new(
        tree: &'a Tree,
        options: &'a Options,
        session: i64,
        auth: &'a [Id],
        local: bool,
    ) -> Self {
        Self {
            tree,
            options,
            session,
            auth,
            local,
            changed: HashMap::new(),
        }
    }

    pub(crate) fn create(
        &mut self,
        op: OpCode,
        request: &CreateRequest<'_>,
    ) -> Result<Change, ErrorCode> {
        self.create_node(
            op,
            &request.path.to_string(),
            request.data,
            &request.acl,
            request.flags,
            -1,
        )
    }

    pub(crate) fn create_ttl(
        &mut self,
        request: &CreateTtlRequest<'_>,
    ) -> Result<Change, ErrorCode> {
        self.create_node(
            OpCode::CreateTtl,
            &request.path.to_string(),
            request.data,
            &request.acl,
            request.flags,
            request.ttl_ms,
        )
    }

    fn create_node(
        &mut self,
        op: OpCode,
        requested: &str,
        data: Option<&[u8]>,
        acl: &[Acl],
        flags: i32,
        ttl_ms: i64,
    ) -> Result<Change, ErrorCode> {
        let behaviour = self.options.behaviour();
        let mode = behaviour.mode(flags).ok_or(ErrorCode::BadArguments)?;
        let has_ttl = matches!(
            mode,
            CreateMode::PersistentWithTtl | CreateMode::PersistentSequentialWithTtl
        );
        if has_ttl && !self.options.extended_types {
            return Err(ErrorCode::Unimplemented);
        }
        let ttl_owner = Stat::ttl_owner(ttl_ms);
        if has_ttl != ttl_owner.is_some() || (op == OpCode::CreateTtl && ttl_owner.is_none()) {
            return Err(ErrorCode::BadArguments);
        }
        if mode.is_ephemeral() && self.local {
            return Err(ErrorCode::EphemeralOnLocalSession);
        }
        let parent_path = parent_of(requested)?;
        let sasl = self.options.sasl_users.is_some();
        let mut acl = acl::resolve(behaviour.acls, acl, self.auth, sasl)?;
        let mut parent = self.record(parent_path)?;
        if acl == parent.acl {
            // Most nodes have the ACL of their parent, so that they can share one copy.
            acl = parent.acl.clone();
        }
        acl::check(&parent.acl, Permissions::CREATE, self.auth)?;
        let path = if mode.is_sequential() {
            format!("{requested}{:010}", parent.creates)
        } else {
            requested.to_owned()
        };
        self.validate(&path)?;
        if self.record(&path).is_ok() {
            return Err(ErrorCode::NodeExists);
        }
        if is_session(parent.owner) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let data_len = data.map_or(0, <[u8]>::len);
        quota::check_create(self.tree, self.options, &path, data_len)?;
        // The operation decides, not the flags: a `create` with the flag of a container creates an
        // ordinary node.
        let owner = match op {
            OpCode::CreateContainer => Stat::container_owner(),
            OpCode::CreateTtl => ttl_owner.unwrap_or_default(),
            _ if mode.is_ephemeral() => self.session,
            _ => 0,
        };
        parent.creates = parent.creates.wrapping_add(1);
        parent.children += 1;
        let creates = parent.creates;
        let node = Record {
            acl: acl.clone(),
            version: 0,
            aversion: 0,
            creates: 0,
            owner,
            children: 0,
            data_len,
        };
        self.put(parent_path, Some(parent));
        self.put(&path, Some(node));
        Ok(Change::Create {
            path: path.into(),
            data: self.stored(data),
            acl,
            owner,
            creates,
        })
    }

    pub(crate) fn delete(&mut self, request: &DeleteRequest<'_>) -> Result<Change, ErrorCode> {
        let path = request.path.to_string();
        let parent_path = self.deletable(&path)?;
        let parent = self.record(parent_path)?;
        acl::check(&parent.acl, Permissions::DELETE, self.auth)?;
        let node = self.record(&path)?;
        next_version(node.version, request.version)?;
        self.remove(&path, parent_path, parent, &node)
    }

    pub(crate) fn delete_container(&mut self, path: &str) -> Result<Change, ErrorCode> {
        let parent_path = self.deletable(path)?;
        let node = self.record(path)?;
        if node.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        if is_session(node.owner) {
            return Err(ErrorCode::BadVersion);
        }
        let parent = self.record(parent_path)?;
        self.remove(path, parent_path, parent, &node)
    }

    fn remove(
        &mut self,
        path: &str,
        parent_path: &str,
        mut parent: Record,
        node: &Record,
    ) -> Result<Change, ErrorCode> {
        if node.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        parent.children = parent.children.saturating_sub(1);
        self.put(parent_path, Some(parent));
        self.put(path, None);
        Ok(Change::Delete { path: path.into() })
    }

    pub(crate) fn set_data(&mut self, request: &SetDataRequest<'_>) -> Result<Change, ErrorCode> {
        let path = request.path.to_string();
        self.validate(&path)?;
        // A server with a reserved subtree treats the root as part of it here.
        if path == "/" && self.options.behaviour().reserved.is_some() {
            return Err(ErrorCode::BadArguments);
        }
        let mut node = self.record(&path)?;
        acl::check(&node.acl, Permissions::WRITE, self.auth)?;
        let data_len = request.data.map_or(0, <[u8]>::len);
        quota::check_set(self.tree, self.options, &path, node.data_len, data_len)?;
        node.version = next_version(node.version, request.version)?;
        node.data_len = data_len;
        let version = node.version;
        self.put(&path, Some(node));
        Ok(Change::SetData {
            path: path.into(),
            data: self.stored(request.data),
            version,
        })
    }

    pub(crate) fn set_acl(&mut self, request: &SetAclRequest<'_>) -> Result<Change, ErrorCode> {
        let path = request.path.to_string();
        self.validate(&path)?;
        let rules = self.options.behaviour().acls;
        let sasl = self.options.sasl_users.is_some();
        let acl = acl::resolve(rules, &request.acl, self.auth, sasl)?;
        let mut node = self.record(&path)?;
        acl::check(&node.acl, Permissions::ADMIN, self.auth)?;
        node.aversion = next_version(node.aversion, request.version)?;
        node.acl = acl.clone();
        let aversion = node.aversion;
        self.put(&path, Some(node));
        Ok(Change::SetAcl {
            path: path.into(),
            acl,
            aversion,
        })
    }

    pub(crate) fn check(&mut self, request: &CheckVersionRequest<'_>) -> Result<Change, ErrorCode> {
        let path = request.path.to_string();
        self.validate(&path)?;
        let node = self.record(&path)?;
        acl::check(&node.acl, Permissions::READ, self.auth)?;
        next_version(node.version, request.version)?;
        Ok(Change::Check { path: path.into() })
    }

    /// The data as the server stores it.
    fn stored(&self, data: Option<&[u8]>) -> Option<Bytes> {
        let data = data.map(Bytes::copy_from_slice);
        data.or_else(|| self.options.behaviour().null_is_empty.then(Bytes::new))
    }

    /// Checks that a client may write to this path.
    fn validate(&self, path: &str) -> Result<(), ErrorCode> {
        if self.options.behaviour().is_reserved(path) {
            return Err(ErrorCode::BadArguments);
        }
        path::validate(path).map_err(|_| ErrorCode::BadArguments)
    }

    /// The parent of a node, if a client may delete the node.
    fn deletable<'p>(&self, path: &'p str) -> Result<&'p str, ErrorCode> {
        let behaviour = self.options.behaviour();
        if behaviour.is_special(path) || behaviour.is_reserved(path) {
            return Err(ErrorCode::BadArguments);
        }
        parent_of(path)
    }

    fn record(&self, path: &str) -> Result<Record, ErrorCode> {
        let path = if path.is_empty() { "/" } else { path };
        if let Some(changed) = self.changed.get(path) {
            return changed.clone().ok_or(ErrorCode::NoNode);
        }
        let node = self.tree.get(path).ok_or(ErrorCode::NoNode)?;
        Ok(Record {
            acl: node.acl.clone(),
            version: node.version,
            aversion: node.aversion,
            creates: node.creates,
            owner: node.owner,
            children: node.children.len(),
            data_len: node.data.as_ref().map_or(0, Bytes::len),
        })
    }

    fn put(&mut self, path: &str, record: Option<Record>) {
        let path = if path.is_empty() { "/" } else { path };
        self.changed.insert(path.into(), record);
    }
}

/// Whether this owner is a session, not a container or a time to live.
pub(crate) fn is_session(owner: i64) -> bool {
    let mut stat = Stat::default();
    stat.ephemeral_owner = owner;
    stat.is_ephemeral()
}

/// The text before the last slash, which is empty for a child of the root.
fn parent_of(path: &str) -> Result<&str, ErrorCode> {
    match path.rsplit_once('/') {
        Some((parent, _)) if !path.contains('\0') => Ok(parent),
        _ => Err(ErrorCode::BadArguments),
    }
}

/// The version after this one. −1 means any version, so it is skipped.
fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected != -1 && expected != current {
        return Err(ErrorCode::BadVersion);
    }
    match current.wrapping_add(1) {
        -1 => Ok(0),
        next => Ok(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_skip_the_one_that_means_any() {
        assert_eq!(next_version(0, -1), Ok(1));
        assert_eq!(next_version(7, 7), Ok(8));
        assert_eq!(next_version(7, 8), Err(ErrorCode::BadVersion));
        assert_eq!(next_version(-2, -1), Ok(0));
        assert_eq!(next_version(i32::MAX, -1), Ok(i32::MIN));
    }

    #[test]
    fn parents_are_found_as_by_the_server() {
        assert_eq!(parent_of("/a"), Ok(""));
        assert_eq!(parent_of("/a/"), Ok("/a"));
        assert_eq!(parent_of("a"), Err(ErrorCode::BadArguments));
        assert_eq!(parent_of("/a\0b"), Err(ErrorCode::BadArguments));
    }
}
