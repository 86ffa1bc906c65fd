//! Whether a server serves with a quorum, found out without a session.

use zk_proto::HostPort;
use zk_proto::admin::{AdminError, ServerMode, ServerStatus, isro};
use zk_transport::{Addresses, Dial, four_letter};

/// Whether the server at the next of the addresses is part of a quorum.
pub(super) async fn has_quorum(
    dial: &dyn Dial,
    host: &HostPort,
    addresses: &mut Addresses,
) -> Result<bool, String> {
    let text = |error: AdminError| error.to_string();
    let answer = four_letter::ask_next(dial, host, addresses, "isro").await;
    match isro(&answer.map_err(|e| e.to_string())?) {
        Ok(read_only) => Ok(!read_only),
        // A server with read-only mode answers this word whatever its whitelist is; one without the mode
        // may be part of a quorum, too. Every server answers `srvr`.
        Err(AdminError::NotAllowed | AdminError::Empty) => {
            if let Some(same) = addresses.current() {
                addresses.prefer(same);
            }
            let status = four_letter::ask_next(dial, host, addresses, "srvr").await;
            let status = status.map_err(|e| e.to_string())?;
            let status: ServerStatus = status.parse().map_err(text)?;
            match status.mode {
                Some(ServerMode::ReadOnly | ServerMode::Other(_)) => Ok(false),
                Some(_) => Ok(true),
                None => Err("srvr has no line that begins with Mode:".to_owned()),
            }
        }
        Err(other) => Err(text(other)),
    }
}
