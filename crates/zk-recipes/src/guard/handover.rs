//! Guards that are passed on with their session.

use std::fmt;
use std::str::FromStr;

use zk_client::{Client, Created, Stat, path};

use super::claim::Claim;
use super::held::Held;
use super::{Guard, LeaseBasis, Token};
use crate::error::Result;
use crate::retry::RetryBackoff;

/// A lock, a lease or a leadership that is passed on with its session: to the process that replaces
/// this one, or to another client in it. Made by `hand_over` of a guard, and taken up by `resume` of
/// the same recipe with the client that has resumed the session.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use zk_client::{Client, SessionToken};
/// use zk_recipes::{Election, Handover};
///
/// // The process that is about to be replaced:
/// let term = Election::new(&zk, "/election").campaign().await?;
/// let handover = term.hand_over().to_string();
/// let session = zk.detach()?.expose();
///
/// // Its successor, before the session's timeout has passed:
/// let zk = Client::builder("zk1:2181").resume(session.parse::<SessionToken>()?).await?;
/// let handover: Handover = handover.parse()?;
/// match Election::new(&zk, "/election").resume(&handover).await? {
///     Some(term) => println!("still leading, with the token {}", term.token()),
///     None => println!("the session has ended, or the znode was deleted"),
/// }
/// # Ok(()) }
/// ```
///
/// As text, a handover is its token and its path, separated by a space. It is no secret: nothing can
/// be resumed without the session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Handover {
    /// The path of the guard's znode, below the root of the handle that the recipe was made with.
    pub path: String,
    /// The guard's fencing token, which the resumed guard has, too.
    pub token: Token,
}

impl Handover {
    /// Takes up the guard whose znode is in `parent` now, which may be reached through another root
    /// than before; `None` if the znode is not that of the handover, is not the session's, or is that of
    /// a guard of this process.
    pub(crate) async fn resume(
        &self,
        client: &Client,
        parent: &str,
        lease_basis: LeaseBasis,
        persistent: bool,
        has_id: bool,
    ) -> Result<Option<Guard>> {
        let path = path::join(parent, path::name(&self.path));
        let lease = client.lease();
        let owner = (!persistent).then(|| lease.session());
        // Before the read, after which its holder could delete it.
        let Some(held) = Held::take(client, &path, persistent) else {
            return Ok(None);
        };
        let Some(mut stat) = find(client, &path).await? else {
            return Ok(None);
        };
        let mut claim = None;
        if !has_id {
            claim = Claim::take(client, &stat);
            // Before another read, as above.
            match find(client, &path).await? {
                Some(found) if claim.is_some() && found.czxid == stat.czxid => stat = found,
                _ => return Ok(None),
            }
        }
        // A writer that has become a reader has a newer znode than its token.
        if stat.owner() != owner || Token::of(&stat) < self.token {
            return Ok(None);
        }
        let lease = (!persistent).then_some(lease);
        let guard = Guard::new(client, lease, lease_basis, Created::new(path, stat));
        let guard = guard.with_held(Some(held)).with_claim(claim);
        // Dropping this future releases nothing.
        let guard = guard.with_token(self.token);
        guard.set_armed(false);
        if !guard.confirm_lease().await? {
            return Ok(None);
        }
        guard.set_armed(true);
        Ok(Some(guard.start_renewal()))
    }
}

/// The znode at a path, if it exists.
pub(crate) async fn find(client: &Client, path: &str) -> Result<Option<Stat>> {
    let client = client.with_deadline(None);
    let mut backoff = RetryBackoff::new();
    loop {
        // This client's server may lag behind that of the earlier client.
        match client.exists(path).synced().await {
            Ok(stat) => return Ok(stat),
            Err(error) => backoff.sleep_after(error).await?,
        }
    }
}

impl Guard {
    /// Leaves what is guarded to the client that will have the session.
    pub(crate) fn hand_over(self) -> Handover {
        self.set_armed(false);
        if let Some(claim) = &self.claim {
            claim.hand_over();
        }
        Handover {
            path: self.path().to_owned(),
            token: self.token(),
        }
    }
}

/// The token and the path.
impl fmt::Display for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.token, self.path)
    }
}

/// The text of a [`Handover`] is not a token and a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a handover is a token, a space and a path; nothing was resumed")]
pub struct InvalidHandover;

impl FromStr for Handover {
    type Err = InvalidHandover;

    fn from_str(text: &str) -> Result<Self, InvalidHandover> {
        let (token, path) = text.split_once(' ').ok_or(InvalidHandover)?;
        let token: i64 = token.parse().map_err(|_| InvalidHandover)?;
        path::validate(path).map_err(|_| InvalidHandover)?;
        Ok(Handover {
            path: path.to_owned(),
            token: Token::from(token),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handover_is_read_from_its_text() {
        let handover = Handover {
            path: "/locks/a b/_c_1-lock-0000000001".to_owned(),
            token: Token::from(4_294_967_303),
        };
        let text = handover.to_string();
        assert_eq!(text, "4294967303 /locks/a b/_c_1-lock-0000000001");
        assert_eq!(text.parse(), Ok(handover));
        for text in ["", "7", "7 ", "x /a", "7 a"] {
            assert_eq!(text.parse::<Handover>(), Err(InvalidHandover), "{text:?}");
        }
    }
}
