//! The arguments of `sync` and `ephemerals`.

use clap::Args;
use zk_client::SessionId;

use super::znode::znode;

#[derive(Args)]
pub(crate) struct Sync {
    /// A znode; the server catches up with all of the tree, whichever it is
    #[arg(value_parser = znode, default_value = "/")]
    pub(crate) path: String,
}

#[derive(Args)]
pub(crate) struct Ephemerals {
    /// The znode at and below which to look
    #[arg(value_parser = znode, default_value = "/")]
    pub(crate) path: String,
    /// Only those of this session, as in 0x10000a2c4b50000
    #[arg(long, value_name = "SESSION", value_parser = session)]
    pub(crate) owner: Option<SessionId>,
}

/// Parses the number of a session, in hexadecimal digits.
pub(crate) fn session(text: &str) -> Result<SessionId, &'static str> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    // `from_str_radix` would accept a sign.
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && let Ok(id) = u64::from_str_radix(digits, 16)
    {
        return Ok(SessionId(id.cast_signed()));
    }
    Err("a session is a hexadecimal number of at most 16 digits, as in 0x10000a2c4b50000")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_hexadecimal() {
        assert_eq!(session("0x1f"), Ok(SessionId(0x1f)));
        assert_eq!(session("1f"), Ok(SessionId(0x1f)));
        assert_eq!(session("0xffffffffffffffff"), Ok(SessionId(-1)));
        for text in ["", "0x", "-1", "+1", "0xg", "0x1ffffffffffffffff"] {
            assert!(session(text).is_err(), "{text:?}");
        }
    }
}
