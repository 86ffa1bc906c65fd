//! An error as a sentence: what happened, to which operation and path, whether it took effect, and
//! what to do about it. The texts of kinds are in `kind`; `ops/explain.rs` adds what the client knows
//! of its servers. `tests/tests/server/one_server/error_messages.rs` tests them.

use std::fmt;

use zk_proto::{OpCode, path};
use zk_transport::Disconnect;

use crate::error::op_class::{is_create, is_read, is_replaced, sets_no_znode};
use crate::error::{Error, ErrorKind, Inner, Outcome};

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(op) = inner.op {
            f.write_str(verb(op))?;
            if let Some(path) = &inner.path {
                write!(f, " {path}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(index) = inner.failed_op {
            write!(f, "operation {index} of the transaction: ")?;
        }
        match (&inner.detail, &inner.source) {
            (Some(detail), _) => f.write_str(detail)?,
            (None, Some(source)) if inner.kind == ErrorKind::Server => write!(f, "{source}")?,
            (None, _) if lacks_chroot(inner) => {
                let chroot = inner.chroot.as_deref().unwrap_or_default();
                write!(f, "the client's chroot {chroot} does not exist")?;
            }
            (None, _) => {
                f.write_str(what(inner))?;
                if let Some(chroot) = &inner.chroot {
                    write!(f, " in the chroot {chroot}")?;
                }
            }
        }
        if let Some(effect) = effect(inner) {
            write!(f, "; {effect}")?;
        }
        match advice(inner) {
            Some(advice) => write!(f, " ({advice})"),
            None => Ok(()),
        }
    }
}

impl Error {
    /// What to do, in terms of this library: the end of the text, there in parentheses. A program
    /// with an interface of its own can replace it.
    pub fn advice(&self) -> Option<&'static str> {
        advice(&self.0)
    }
}

/// The operation's name without the number of its revision.
fn verb(op: OpCode) -> &'static str {
    op.name().trim_end_matches(|c: char| c.is_ascii_digit())
}

/// The text for a server that lacks the operation.
fn unknown_to_server(op: OpCode) -> Option<&'static str> {
    macro_rules! since {
        ($name:literal, $version:literal) => {
            concat!(
                "the server does not know ",
                $name,
                ", which came with version ",
                $version
            )
        };
    }
    Some(match op {
        OpCode::Create2 => since!("create2", "3.5"),
        OpCode::Reconfig => {
            "the server does not know reconfig, which came with version 3.5 and is not there on a \
             server that runs alone"
        }
        OpCode::CheckWatches => since!("checkWatches", "3.5"),
        OpCode::RemoveWatches => since!("removeWatches", "3.5"),
        OpCode::CreateContainer => since!("createContainer", "3.5.1"),
        OpCode::CreateTtl => {
            "the server does not know createTTL, which came with version 3.5.3, or has not enabled it \
             (extendedTypesEnabled)"
        }
        OpCode::MultiRead => since!("multiRead", "3.6"),
        OpCode::GetEphemerals => since!("getEphemerals", "3.6"),
        OpCode::GetAllChildrenNumber => since!("getAllChildrenNumber", "3.6"),
        OpCode::AddWatch => since!("addWatch", "3.6"),
        OpCode::WhoAmI => since!("whoAmI", "3.7"),
        OpCode::Multi => {
            "the server does not know transactions, which came with version 3.4, or an operation of this \
             transaction: createTTL came with version 3.5.3 and has to be enabled \
             (extendedTypesEnabled)"
        }
        _ => return None,
    })
}

/// The text for a server that closed the connection and may lack the operation.
fn closed_on(op: OpCode) -> Option<&'static str> {
    macro_rules! since {
        ($name:literal, $version:literal) => {
            concat!(
                "the server closed the connection and may not know ",
                $name,
                ", which came with version ",
                $version
            )
        };
    }
    Some(match op {
        OpCode::Create2 => since!("create2", "3.5"),
        OpCode::Reconfig => since!("reconfig", "3.5"),
        OpCode::CreateContainer => since!("createContainer", "3.5.1"),
        OpCode::CreateTtl => since!("createTTL", "3.5.3"),
        OpCode::Multi => {
            "the server closed the connection and may not know one of the transaction's operations"
        }
        _ => return None,
    })
}

fn what(inner: &Inner) -> &'static str {
    let of_ability = inner.op.and_then(|op| match inner.kind {
        ErrorKind::Unimplemented => unknown_to_server(op),
        _ if inner.closed_on => closed_on(op),
        _ => None,
    });
    if let Some(text) = of_ability {
        return text;
    }
    match (inner.kind, inner.op) {
        (ErrorKind::NoNode, Some(op)) if is_create(op) => "the znode's parent does not exist",
        (kind, _) => kind.text(),
    }
}

/// Whether the path that was missing is the handle's chroot.
fn lacks_chroot(inner: &Inner) -> bool {
    let path = inner.path.as_deref().unwrap_or_default();
    let is_create = inner.op.is_some_and(is_create);
    let parent = path::parent(path).filter(|_| is_create);
    inner.chroot.is_some() && (path == "/" || parent == Some("/"))
}

fn effect(inner: &Inner) -> Option<&'static str> {
    let read = inner.op.is_some_and(is_read);
    if matches!(
        inner.kind,
        ErrorKind::CloseUnacknowledged | ErrorKind::CleanupFailed
    ) {
        return None;
    }
    match inner.outcome {
        Outcome::Unknown if inner.op.is_some_and(sets_no_znode) => Some("it changes no znode"),
        Outcome::Unknown if read => Some("a read changes nothing"),
        Outcome::Unknown => Some("whether it took effect is unknown"),
        Outcome::NotSent | Outcome::Rejected if inner.op.is_some() && !read => {
            Some("it had no effect")
        }
        Outcome::NotSent if read => Some("it was not sent"),
        Outcome::NotSent | Outcome::Rejected => None,
    }
}

/// Whether the server requires credentials and got none, as opposed to having refused some.
fn lacks_credentials(inner: &Inner) -> bool {
    let source = inner.source.as_ref();
    let reason = source.and_then(|source| source.downcast_ref::<Disconnect>());
    reason == Some(&Disconnect::LoginRequired)
}

fn advice(inner: &Inner) -> Option<&'static str> {
    const LOOK: &str = "read what it would have changed before making it again";
    let create = inner.op.is_some_and(is_create);
    let write = inner.op.is_some_and(|op| !is_read(op));
    Some(match (inner.kind, inner.outcome) {
        (ErrorKind::SessionExpired, Outcome::Unknown) if write => {
            "the session's ephemeral znodes and watches are gone; read what it would have changed before \
             making it again in the next session"
        }
        (ErrorKind::Closed, Outcome::Unknown) if write => {
            "the client is closed; read what it would have changed with another client"
        }
        (ErrorKind::ConnectionLost, _) if inner.closed_on && inner.op.is_some_and(is_replaced) => {
            "read what it would have changed before making it again; once it is certain that the server does \
             not know it, the client sends an older operation"
        }
        (
            ErrorKind::ConnectionLost | ErrorKind::DeadlineExceeded | ErrorKind::Server,
            Outcome::Unknown,
        ) if write => LOOK,
        (ErrorKind::ReplyTooLarge, Outcome::Unknown) if write => {
            "read what it would have changed before making it again, and raise max_reply_bytes"
        }
        (ErrorKind::MalformedReply, Outcome::Unknown) if write => {
            "read what it would have changed before making it again; the server may be of a version that \
             this client does not know"
        }
        (ErrorKind::Server, Outcome::Unknown) => "it can be made again",
        (ErrorKind::ConnectionLost, _) => "it can be made again",
        (ErrorKind::DeadlineExceeded, Outcome::NotSent) => {
            "see that the servers run and can be reached, or give it more time"
        }
        (ErrorKind::DeadlineExceeded, _) => "it can be made again, or given more time",
        (ErrorKind::SessionExpired, _) => {
            "the session's ephemeral znodes and watches are gone; make them, and it, again in the \
             next session"
        }
        (ErrorKind::Unimplemented, _) if inner.op.is_some_and(is_replaced) => {
            "make it again: the client sends an older operation from now on"
        }
        (ErrorKind::NoNode, _) if lacks_chroot(inner) => {
            "ensure_path(\"/\") creates the chroot, and so does parents()"
        }
        (ErrorKind::NoNode, _) if create => "create it first, or use parents()",
        (ErrorKind::BadVersion, _) => "read it again, and decide again",
        (ErrorKind::NotEmpty, _) => "delete its children first, or use recursive()",
        (ErrorKind::NoAuth, _) => {
            "give the credentials that the ACL names with auth() or add_auth()"
        }
        (ErrorKind::InvalidAcl, _) => {
            "name a scheme that the servers know; the scheme auth needs credentials given before"
        }
        (ErrorKind::ReadOnly, _) => "make it again when the servers have a quorum",
        (ErrorKind::QuotaExceeded, _) => "delete something, or have the quota raised",
        (ErrorKind::Throttled, _) => "make it again, later",
        (ErrorKind::ConnectTimeout, _) => {
            "check the addresses, and that the servers run and have a quorum"
        }
        (ErrorKind::Untrusted, _) => {
            "a retry will not help; check the certificates, the names, and which ports use TLS"
        }
        (ErrorKind::AuthFailed, _) if lacks_credentials(inner) => {
            "this client is closed; make another with the credentials, by auth() or sasl()"
        }
        (ErrorKind::AuthFailed, _) => {
            "this client is closed; check the scheme and the credentials, and make another"
        }
        (ErrorKind::Closed, _) if inner.op.is_some() => "make another client",
        (ErrorKind::QueueFull, _) if inner.detail.is_some() => {
            "use wait_for_room(), or raise max_outstanding_bytes"
        }
        (ErrorKind::QueueFull, _) => "use wait_for_room(), or raise max_outstanding",
        (ErrorKind::RequestTooLarge, _) => {
            "split it, or raise max_request_bytes and the servers' jute.maxbuffer"
        }
        (ErrorKind::ReplyTooLarge, _) => "raise max_reply_bytes",
        (ErrorKind::MalformedReply, _) => {
            "the server may be of a version that this client does not know"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use zk_proto::ErrorCode;

    use super::*;

    #[test]
    fn a_lost_reply_says_what_to_do() {
        let error = Error::connection_lost(Disconnect::ClosedByServer, Outcome::Unknown)
            .at(OpCode::Create2, "/a");
        assert_eq!(
            error.to_string(),
            "create /a: the connection was lost; whether it took effect is unknown (read what it \
             would have changed before making it again)"
        );
        assert_eq!(
            error.source().unwrap().to_string(),
            "the server closed the connection"
        );
    }

    #[test]
    fn a_read_has_no_effects() {
        let error = Error::answered(ErrorCode::NoNode).at(OpCode::GetData, "/b");
        assert_eq!(error.to_string(), "getData /b: the znode does not exist");
        assert_eq!(error.code(), Some(ErrorCode::NoNode));
        let error =
            Error::new(ErrorKind::DeadlineExceeded, Outcome::Unknown).at(OpCode::GetData, "/b");
        assert_eq!(
            error.to_string(),
            "getData /b: the deadline passed; a read changes nothing (it can be made again, or \
             given more time)"
        );
    }

    /// Guards: P1, P6.
    #[test]
    fn an_unknown_operation_is_named() {
        let lost = Error::connection_lost(Disconnect::ClosedByServer, Outcome::Unknown);
        let error = lost.with_closed_on().at(OpCode::Create2, "/a");
        assert!(error.lacks_operation() && !error.is_retryable());
        assert_eq!(
            error.to_string(),
            "create /a: the server closed the connection and may not know create2, which came with \
             version 3.5; whether it took effect is unknown (read what it would have changed before making \
             it again; once it is certain that the server does not know it, the client sends an older \
             operation)"
        );
        let refused = |op| Error::answered(ErrorCode::Unimplemented).at(op, "/a");
        assert_eq!(
            refused(OpCode::CreateContainer).to_string(),
            "createContainer /a: the server does not know createContainer, which came with version \
             3.5.1; it had no effect (make it again: the client sends an older operation from now on)"
        );
        assert!(refused(OpCode::CreateContainer).is_retryable());
        let unsent =
            Error::new(ErrorKind::Unimplemented, Outcome::NotSent).at(OpCode::AddWatch, "/a");
        assert_eq!(
            unsent.to_string(),
            "addWatch /a: the server does not know addWatch, which came with version 3.6; it was not sent"
        );
        assert!(!unsent.is_retryable() && unsent.lacks_operation());
    }

    /// Guards: M2.
    #[test]
    fn an_ambiguous_code_is_called_no_refusal() {
        let text = |op| {
            let code = ErrorCode::OperationTimeout;
            Error::answered(code).at(op, "/a").to_string()
        };
        assert_eq!(
            text(OpCode::SetData),
            "setData /a: operation timed out (OperationTimeout, -7); whether it took effect is \
             unknown (read what it would have changed before making it again)"
        );
        assert_eq!(
            text(OpCode::GetData),
            "getData /a: operation timed out (OperationTimeout, -7); a read changes nothing (it can \
             be made again)"
        );
        assert_eq!(
            text(OpCode::AddWatch),
            "addWatch /a: operation timed out (OperationTimeout, -7); it changes no znode (it can \
             be made again)"
        );
    }

    // The failed look is a read, and the creation is a write.
    /// Guards: M3.
    #[test]
    fn a_failed_look_is_the_cause_of_a_write() {
        let lost = Error::connection_lost(Disconnect::ClosedByServer, Outcome::Unknown);
        let look =
            Error::new(ErrorKind::ReplyTooLarge, Outcome::Unknown).at(OpCode::GetChildren2, "/q");
        let error = lost.at(OpCode::Create2, "/q/x-").with_failed_look(look);
        assert_eq!(
            error.to_string(),
            "create /q/x-: the connection was lost, and looking for its effect failed; whether it \
             took effect is unknown (read what it would have changed before making it again)"
        );
        let look = error.source().unwrap().to_string();
        assert!(
            look.starts_with("getChildren /q: the reply is too large"),
            "{look}"
        );
        assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    }

    #[test]
    fn a_create_misses_its_parent() {
        let error = Error::answered(ErrorCode::NoNode).at(OpCode::Create2, "/b/c");
        assert_eq!(
            error.to_string(),
            "create /b/c: the znode's parent does not exist; it had no effect (create it first, or \
             use parents())"
        );
    }

    #[test]
    fn a_read_only_server_says_when_to_retry() {
        let error = Error::answered(ErrorCode::NotReadOnly).at(OpCode::SetData, "/a");
        assert_eq!(
            error.to_string(),
            "setData /a: the server is read-only: it has no quorum; it had no effect (make it again \
             when the servers have a quorum)"
        );
    }
}
