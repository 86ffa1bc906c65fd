//! Fencing tokens.

use std::fmt;

use zk_client::{Stat, Zxid};

/// A fencing token: the zxid at which the guard's znode was created. It grows from holder to
/// holder, also when the lock's parent znode was deleted and created again, which restarts the
/// sequence numbers.
///
/// A service that keeps the greatest token it has seen stores [`get`](Self::get) and restores it with
/// `Token::from(number)`. With the feature `serde` a token is serialized as that number.
///
/// # After a restore
///
/// Tokens are comparable only within one history of one ensemble. When the ensemble is restored from
/// a backup, or replaced by another, zxids start again where the backup ends, or at 0. Then the token
/// of a new holder is smaller than those that were seen before, and the protected service refuses
/// it, or it is equal to one of them by chance.
///
/// So keep a generation of the ensemble outside of the backup, such as in the program's
/// configuration, and increase it with each restore. Compare the pairs `(generation, token)`, the
/// generation first: Rust compares tuples in this order, and SQL compares rows in this order,
/// `(generation, token) <= (:generation, :token)`. Without a generation, the stored tokens have to be
/// reset after a restore, once no earlier holder can write any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "i64", into = "i64"))]
pub struct Token(Zxid);

impl Token {
    pub(crate) fn of(stat: &Stat) -> Self {
        Token(stat.czxid)
    }

    /// The token as a number, for systems other than ZooKeeper.
    pub fn get(self) -> i64 {
        self.0.0
    }
}

/// A token that was stored as a number.
impl From<i64> for Token {
    fn from(number: i64) -> Self {
        Token(Zxid(number))
    }
}

impl From<Token> for i64 {
    fn from(token: Token) -> Self {
        token.get()
    }
}

/// The token in decimal.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_token_is_restored() {
        let token = Token(Zxid(0x0001_0000_0007));
        assert_eq!(Token::from(i64::from(token)), token);
        assert_eq!(token.to_string(), "4294967303");
    }

    #[cfg(feature = "serde")]
    #[test]
    fn a_token_is_serialized_as_a_number() {
        let token = Token(Zxid(42));
        let text = serde_json::to_string(&token).unwrap();
        assert_eq!(text, "42");
        assert_eq!(serde_json::from_str::<Token>(&text).unwrap(), token);
    }
}
