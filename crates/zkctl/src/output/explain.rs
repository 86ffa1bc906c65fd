//! The text of a library's error for a user of the command line.

use std::error::Error as StdError;
use std::fmt::Write as _;

use zk_client::{Disconnect, ErrorKind};

/// The error, those of its causes that add something, and what to do: in terms of options and variables
/// where the library's advice names methods.
pub(crate) fn explain(error: &zk_client::Error) -> String {
    let mut text = without_advice(error);
    let library = error.advice().map(|advice| format!(" ({advice})"));
    match (advice(error), library) {
        (Some(advice), _) => {
            // Writing to a String does not fail.
            let _ = write!(text, " ({advice})");
        }
        (None, Some(library)) => {
            text.push_str(&library.replace("more time", "more time with --timeout"));
        }
        (None, None) => {}
    }
    text
}

/// The error and those of its causes that add something, without what to do.
pub(crate) fn without_advice(error: &zk_client::Error) -> String {
    let mut text = error.to_string();
    if let Some(advice) = error.advice() {
        let advice = format!(" ({advice})");
        text.truncate(text.strip_suffix(&advice).map_or(text.len(), str::len));
    }
    add_causes(&mut text, error.source());
    text
}

/// [`without_advice`] for the error of a four-letter word that only reads.
pub(crate) fn of_question(error: &zk_client::Error) -> String {
    without_advice(error).replace("; whether it took effect is unknown", "")
}

/// [`explain`] for an error of a recipe.
pub(crate) fn explain_recipe(error: &zk_recipes::Error) -> String {
    if let zk_recipes::Error::Client(error) = error {
        return explain(error);
    }
    let mut text = error.to_string();
    add_causes(&mut text, error.source());
    text
}

fn add_causes(text: &mut String, mut cause: Option<&(dyn StdError + 'static)>) {
    while let Some(error) = cause {
        let cause_text = error.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        cause = error.source();
    }
}

/// Whether the server requires credentials and got none, as opposed to having refused some.
fn lacks_credentials(error: &zk_client::Error) -> bool {
    error.disconnect() == Some(&Disconnect::LoginRequired)
}

/// Whether the path after the servers is that of no znode.
fn lacks_chroot(error: &zk_client::Error) -> bool {
    // Otherwise the advice on a missing znode is another.
    error
        .advice()
        .is_some_and(|advice| advice.contains("creates the chroot"))
}

/// Advice in place of the library's, which names methods.
fn advice(error: &zk_client::Error) -> Option<&'static str> {
    Some(match error.kind() {
        ErrorKind::NoNode if error.op().is_some_and(|op| op.starts_with("create")) => {
            "create it first, or use -p"
        }
        ErrorKind::NoNode if lacks_chroot(error) => {
            "check the path after the servers, as in --server host:port/chroot; create -p creates it"
        }
        ErrorKind::ConnectTimeout => {
            "no request was sent; check the addresses, and that the servers run and have a quorum: zkctl \
             health asks each of them"
        }
        ErrorKind::NotEmpty => "delete its children first, or use -r",
        ErrorKind::NoAuth => {
            "give credentials that have the permission, with ZK_AUTH or --auth; zkctl whoami shows which the \
             server has"
        }
        ErrorKind::InvalidAcl => {
            "name a scheme that the servers know; the scheme auth needs credentials, given with \
             ZK_AUTH or --auth"
        }
        ErrorKind::AuthFailed if lacks_credentials(error) => {
            "give credentials with ZK_AUTH or --auth, ZK_SASL_USER or --sasl-user"
        }
        ErrorKind::AuthFailed => {
            "check the scheme and the credentials: ZK_AUTH or --auth, ZK_SASL_USER or --sasl-user"
        }
        ErrorKind::RequestTooLarge => {
            "raise --max-request-bytes to the servers' jute.maxbuffer, and that if need be"
        }
        ErrorKind::ReplyTooLarge => "raise --max-reply-bytes",
        ErrorKind::QueueFull => "do less at a time",
        ErrorKind::Closed => "run it again",
        _ => return None,
    })
}
