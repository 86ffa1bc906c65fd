//! The error of a command that has done a part of its work.

/// The text of the error, with how many znodes are done: those that `what` names. A repetition of the command does the
/// others.
pub(crate) fn partly(text: &str, what: &str, done: u64) -> String {
    match done {
        0 => text.to_owned(),
        _ => format!("{text}; {what} before: {done} (run the command again for the others)"),
    }
}
