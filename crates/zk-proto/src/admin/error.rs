//! Error replies.

/// Number of characters of an unexpected reply that its error shows.
const MAX_SHOWN: usize = 80;

/// Why the reply to a four-letter word could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The command is not in the server's `4lw.commands.whitelist`.
    #[error("the server does not allow this command; add it to its 4lw.commands.whitelist")]
    NotAllowed,
    /// The server has no quorum, or is starting or stopping.
    #[error("the server is not serving requests")]
    NotServing,
    /// The server closed the connection without a reply.
    #[error(
        "the reply is empty; the command may not be in the server's 4lw.commands.whitelist, or not \
         be known to the server"
    )]
    Empty,
    /// The reply is not one of this command. The text is its first line, or the beginning of it.
    #[error("unexpected reply: {0:?}")]
    Unexpected(String),
}

/// Refuses the error replies that every command can have.
pub(super) fn check(reply: &str) -> Result<(), AdminError> {
    if reply.is_empty() {
        return Err(AdminError::Empty);
    }
    let first = reply.trim_start().lines().next().unwrap_or_default();
    if first.contains("is not executed because it is not in the whitelist") {
        return Err(AdminError::NotAllowed);
    }
    if first.contains("instance is not currently serving requests") {
        return Err(AdminError::NotServing);
    }
    Ok(())
}

pub(super) fn unexpected(reply: &str) -> AdminError {
    let first = reply.trim().lines().next();
    first.map_or(AdminError::Empty, |line| {
        AdminError::Unexpected(line.chars().take(MAX_SHOWN).collect())
    })
}
