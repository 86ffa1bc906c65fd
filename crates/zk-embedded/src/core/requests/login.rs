//! Authentication: `auth`, `sasl`, and the refusal of clients without the required scheme.

use zk_proto::records::{AuthRequest, SaslRequest, SaslResponse};
use zk_proto::{ErrorCode, Id, Zxid};
use zk_transport::sasl::{DigestMd5Server, ServerStep};

use crate::core::pose::behaviour::AclRules;
use crate::core::requests::{EmptyBody, Request};
use crate::core::state::State;
use crate::core::tree::acl;

impl State {
    pub(crate) fn auth(&mut self, request: &Request<'_>) {
        let id = request.connection;
        let Ok(args) = request.record::<AuthRequest<'_>>() else {
            return self.connections.close(id);
        };
        let Some(connection) = self.connections.all.get_mut(&id) else {
            return;
        };
        if let ("ensemble", Some(names)) = (args.scheme, &self.options.ensemble_names) {
            let named = args.auth.unwrap_or_default();
            let mut names = names.iter();
            if named.is_empty() || names.len() == 0 || names.any(|name| name.as_bytes() == named) {
                return self.reply_at(id, request.xid, Zxid(0), Ok(&EmptyBody));
            }
            // `EnsembleAuthenticationProvider` closes the connection without an answer.
            return self.connections.close(id);
        }
        let super_digest = self.options.super_digest.as_deref();
        let ip = connection.peer.ip();
        let rules = self.options.behaviour().acls;
        match acl::prove(rules, args.scheme, args.auth, ip, super_digest) {
            Some(ids) => {
                for id in ids {
                    connection.authenticate(id);
                }
                self.reply_at(id, request.xid, Zxid(0), Ok(&EmptyBody));
            }
            None => {
                self.reply_at(id, request.xid, Zxid(0), Err(ErrorCode::AuthFailed));
                if rules == AclRules::Apache {
                    self.connections.close(id);
                }
            }
        }
    }

    /// One step of DIGEST-MD5. A server without SASL answers with a null token.
    pub(crate) fn sasl(&mut self, request: &Request<'_>) {
        let id = request.connection;
        let args = request.record::<SaslRequest<'_>>();
        let Some(users) = &self.options.sasl_users else {
            return self.reply_token(request, None);
        };
        let (Ok(args), Some(connection)) = (args, self.connections.all.get_mut(&id)) else {
            return self.connections.close(id);
        };
        let seed = self.options.session_seed;
        let nonce = || DigestMd5Server::new(format!("{seed:016x}{:016x}", id.0));
        let login = connection.login.get_or_insert_with(nonce);
        let token = args.token.unwrap_or_default();
        match login.step(token, |user| users.password_of(user)) {
            Some(ServerStep::Challenge(challenge)) => self.reply_token(request, Some(challenge)),
            Some(ServerStep::Done { user, proof }) => {
                connection.authenticate(Id::new("sasl", user));
                self.reply_token(request, Some(proof));
            }
            _ => {
                let required = self
                    .options
                    .enforce_auth
                    .iter()
                    .any(|scheme| scheme == "sasl");
                let code = if required {
                    ErrorCode::SessionClosedRequireSaslAuth
                } else {
                    ErrorCode::AuthFailed
                };
                let body = SaslResponse { token: None };
                self.reply_with_at(id, request.xid, Zxid(0), Some(code), &body);
                self.connections.close(id);
            }
        }
    }

    fn reply_token(&mut self, request: &Request<'_>, token: Option<Vec<u8>>) {
        let token = token.map(Into::into);
        self.reply_at(
            request.connection,
            request.xid,
            Zxid(0),
            Ok(&SaslResponse { token }),
        );
    }

    /// Refuses a request of a client that has not proven a required scheme, and closes its connection.
    /// Returns whether it did. Apache answers with this code for every scheme.
    pub(crate) fn lacks_auth(&mut self, request: &Request<'_>) -> bool {
        let enforced = &self.options.enforce_auth;
        let Some(connection) = self.connections.all.get(&request.connection) else {
            return false;
        };
        let proven = connection
            .auth
            .iter()
            .any(|id| enforced.contains(&id.scheme));
        let lacks = !enforced.is_empty() && !proven;
        if lacks {
            let code = ErrorCode::SessionClosedRequireSaslAuth;
            self.reply_at(request.connection, request.xid, Zxid(0), Err(code));
            self.connections.close(request.connection);
        }
        lacks
    }
}
