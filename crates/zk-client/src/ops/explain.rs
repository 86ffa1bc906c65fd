//! The error of a request that failed without a reply of a server.

use std::time::Instant;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome};
use crate::session::failure::Failure;
use crate::shared::now;

/// The failure of a request, with what the client knows of its servers.
#[cold]
pub(crate) fn explain(failure: Failure, client: &Client, submitted: Instant) -> Error {
    let waited = || now().saturating_duration_since(submitted).as_millis();
    let detail = match &failure {
        Failure::DeadlineExceeded(Outcome::NotSent) => Some(match &*client.connect_failures() {
            "" => format!(
                "the deadline passed: no server answered within {} ms",
                waited()
            ),
            failures => format!(
                "the deadline passed: no server within {} ms: {failures}",
                waited()
            ),
        }),
        Failure::DeadlineExceeded(_) => {
            let server = match client.server() {
                Some(server) => format!(" from {server}"),
                None => ", and the connection is lost".to_owned(),
            };
            Some(format!(
                "the deadline passed: no answer within {} ms{server}",
                waited()
            ))
        }
        Failure::Closed(_) if client.shared().with(|core| core.has_panicked()) => {
            Some(client.connect_failures())
        }
        Failure::AuthFailed(..) => Some(client.connect_failures()).filter(|said| !said.is_empty()),
        _ => None,
    };
    let error = Error::from(failure);
    match detail {
        Some(detail) => error.with_detail(detail),
        None => error,
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::ConnectionLost(reason, outcome) => Error::connection_lost(reason, outcome),
            Failure::ClosedOn(reason) => {
                Error::connection_lost(reason, Outcome::Unknown).with_closed_on()
            }
            Failure::Unimplemented(outcome) => Error::new(ErrorKind::Unimplemented, outcome),
            Failure::SessionExpired(outcome) => Error::new(ErrorKind::SessionExpired, outcome),
            Failure::DeadlineExceeded(outcome) => Error::new(ErrorKind::DeadlineExceeded, outcome),
            Failure::AuthFailed(reason, outcome) => Error::auth_failed(reason, outcome),
            Failure::Closed(outcome) => Error::new(ErrorKind::Closed, outcome),
            Failure::QueueFull => Error::new(ErrorKind::QueueFull, Outcome::NotSent),
            Failure::QueueBytes { bytes, limit } => {
                Error::new(ErrorKind::QueueFull, Outcome::NotSent).with_detail(format!(
                    "the outstanding requests have {bytes} bytes and the limit is {limit}"
                ))
            }
            Failure::RequestTooLarge { size, limit } => {
                Error::new(ErrorKind::RequestTooLarge, Outcome::NotSent).with_detail(format!(
                    "the request is {size} bytes long and the limit is {limit}"
                ))
            }
            Failure::ReplyTooLarge { size, limit } => {
                Error::new(ErrorKind::ReplyTooLarge, Outcome::Unknown).with_detail(format!(
                    "the reply is {size} bytes long and the limit is {limit}"
                ))
            }
        }
    }
}
