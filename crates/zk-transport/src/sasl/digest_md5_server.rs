//! The server's side of DIGEST-MD5, like the JDK's, which ZooKeeper's servers use; for test servers.

use std::fmt;

use super::digest_md5::{Challenge, DIGEST_URI, Secret};
use super::directives::{directives, quoted};

/// The realm of ZooKeeper's servers, whatever their host.
const REALM: &[u8] = b"zk-sasl-md5";

/// The server's side of one DIGEST-MD5 exchange.
pub struct DigestMd5Server {
    nonce: String,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Challenging,
    Over,
}

/// A server's answer in an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerStep {
    /// The challenge.
    Challenge(Vec<u8>),
    /// The client has proved that it knows the password; `proof` is the server's own proof.
    Done {
        /// The user's name.
        user: String,
        /// The server's answer.
        proof: Vec<u8>,
    },
}

impl DigestMd5Server {
    /// `nonce` has to be different each time, or recorded exchanges could be replayed: printable ASCII
    /// without quotes or backslashes.
    pub fn new(nonce: impl Into<String>) -> Self {
        Self {
            nonce: nonce.into(),
            state: State::Begin,
        }
    }

    /// Answers a token of the client; `None` if the exchange has failed. The first token must be empty.
    /// `password_of` returns a user's password, if the user exists.
    pub fn step(
        &mut self,
        token: &[u8],
        password_of: impl FnOnce(&str) -> Option<String>,
    ) -> Option<ServerStep> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Begin if token.is_empty() => {
                self.state = State::Challenging;
                let mut challenge = Vec::new();
                quoted(&mut challenge, "realm", REALM);
                quoted(&mut challenge, "nonce", self.nonce.as_bytes());
                challenge.extend_from_slice(b"charset=utf-8,algorithm=md5-sess");
                Some(ServerStep::Challenge(challenge))
            }
            State::Challenging => self.verify(token, password_of),
            State::Begin | State::Over => None,
        }
    }

    fn verify(
        &self,
        response: &[u8],
        password_of: impl FnOnce(&str) -> Option<String>,
    ) -> Option<ServerStep> {
        let directives = directives(response).ok()?;
        let once = |wanted: &str| {
            let mut found = directives.iter().filter(|(name, _)| name == wanted);
            let (_, value) = found.next()?;
            found.next().is_none().then_some(value.as_slice())
        };
        let utf8 = directives.iter().any(|(name, _)| name == "charset");
        let user = match once("username")? {
            name if utf8 => String::from_utf8(name.to_vec()).ok()?,
            name => name.iter().map(|&byte| char::from(byte)).collect(),
        };
        let cnonce = std::str::from_utf8(once("cnonce")?).ok()?;
        let is_ours = once("nonce")? == self.nonce.as_bytes()
            && once("realm")? == REALM
            && once("digest-uri")? == DIGEST_URI.as_bytes()
            && once("nc")? == b"00000001"
            && once("qop").is_none_or(|qop| qop == b"auth");
        if !is_ours || user.is_empty() || cnonce.is_empty() {
            return None;
        }
        let challenge = Challenge {
            realm: Some(REALM.to_vec()),
            nonce: self.nonce.clone().into_bytes(),
            utf8,
        };
        let secret = Secret::new(&user, &challenge, &password_of(&user)?, cnonce);
        let proof = |method: &str| secret.proof(method, &challenge.nonce, cnonce, DIGEST_URI);
        if once("response")? != proof("AUTHENTICATE:").as_bytes() {
            return None;
        }
        let proof = format!("rspauth={}", proof(":")).into_bytes();
        Some(ServerStep::Done { user, proof })
    }
}

/// Shows no secret.
impl fmt::Debug for DigestMd5Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestMd5Server")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{Digest, DigestMd5, Mechanism, SaslError, Step};

    fn respond(client: &mut DigestMd5, challenge: Option<&[u8]>) -> Vec<u8> {
        match client.step(challenge).unwrap() {
            Step::Respond(token) => token,
            other => panic!("{other:?}"),
        }
    }

    /// The client's proof of the password, its nonce and the server's verdict.
    fn exchange(user: &str, password: &str) -> (DigestMd5, Option<ServerStep>) {
        let mut client = DigestMd5::new(&Digest::new(user, "secret ü"), "cnonce");
        let mut server = DigestMd5Server::new("nonce");
        let first = respond(&mut client, None);
        let Some(ServerStep::Challenge(challenge)) = server.step(&first, |_| None) else {
            panic!("no challenge")
        };
        let response = respond(&mut client, Some(&challenge));
        let verdict = server.step(&response, |name| {
            (name == user && name != "eve").then(|| password.to_owned())
        });
        assert_eq!(server.step(&response, |_| None), None);
        (client, verdict)
    }

    #[test]
    fn client_and_server_prove_the_password() {
        for user in ["bob", "jörg", "Ελένη", "a\"b"] {
            let (mut client, verdict) = exchange(user, "secret ü");
            let Some(ServerStep::Done { user: named, proof }) = verdict else {
                panic!("{user}: {verdict:?}")
            };
            assert_eq!(named, user);
            assert_eq!(client.step(Some(&proof)), Ok(Step::Done));
        }
    }

    #[test]
    fn another_password_or_user_is_refused() {
        assert_eq!(exchange("bob", "other").1, None);
        assert_eq!(exchange("eve", "secret ü").1, None);
    }

    #[test]
    fn a_server_without_the_password_is_refused() {
        let (mut client, _) = exchange("bob", "other");
        let proof = b"rspauth=0123456789abcdef0123456789abcdef";
        assert_eq!(client.step(Some(proof)), Err(SaslError::Unproven));
    }

    #[test]
    fn only_an_empty_token_begins() {
        let mut server = DigestMd5Server::new("nonce");
        assert_eq!(server.step(b"username=\"bob\"", |_| None), None);
        assert_eq!(server.step(b"", |_| None), None);
    }
}
