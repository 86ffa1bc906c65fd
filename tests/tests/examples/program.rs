//! An example as a process, and the server that it uses.

use std::fmt::Debug;

use zk_embedded::Server;

use crate::common::LONG_SESSION;
use crate::common::child::{self, Child};

/// Includes examples as modules: their names, and their files.
macro_rules! examples {
    ($($name:ident $file:literal;)*) => {$(
        #[expect(dead_code, unreachable_pub, reason = "as an example it has a `main`")]
        #[path = $file]
        mod $name;
    )*};
}
pub(crate) use examples;

/// Sessions last, whatever the examples request, until a test expires them.
pub(crate) async fn server() -> Server {
    let server = Server::builder().session_timeouts(LONG_SESSION, LONG_SESSION);
    server.start().await.unwrap()
}

/// The arguments of the example, if this process was started to run it. Otherwise the test continues.
pub(crate) fn arguments() -> Option<Vec<String>> {
    let orders = child::orders()?;
    Some(orders.split('|').map(str::to_owned).collect())
}

/// Runs the example in the process that was started for it.
pub(crate) async fn run<E: Debug>(example: impl Future<Output = Result<(), E>>) {
    child::run_program(example).await.unwrap();
}

/// Starts the example of a test in another process, with these arguments.
pub(crate) fn start((module, test): (&str, &str), arguments: &[&str]) -> Child {
    Child::start_program(module, test, &arguments.join("|"))
}

/// The lines that the first comment of an example shows as its output.
pub(crate) fn documented(source: &str) -> Vec<&str> {
    let comment = source.lines().map_while(|line| line.strip_prefix("//!"));
    let shown = comment.skip_while(|line| *line != " ```console");
    let shown = shown.skip(1).take_while(|line| *line != " ```");
    let lines = shown.map(str::trim_start);
    lines.filter(|line| !line.starts_with(['$', '^'])).collect()
}

/// Whether a line is as documented, where `…` stands for anything.
pub(crate) fn is_like(line: &str, documented: &str) -> bool {
    let mut parts = documented.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let mut last = "";
    for part in parts {
        let Some((_, later)) = rest.split_once(part) else {
            return false;
        };
        (rest, last) = (later, part);
    }
    rest.is_empty() || (last.is_empty() && documented.ends_with('…'))
}

#[test]
fn documented_lines_may_have_gaps() {
    assert!(is_like("token 17 of 4", "token … of 4"));
    assert!(is_like("token 17 of 4", "token …"));
    assert!(!is_like("token 17 of 41", "token … of 4"));
    assert!(!is_like("a token 17", "token …"));
    let source = "//! It.\n//!\n//! ```console\n//! $ run\n//! one\n//! ^C\n//! ```\n";
    assert_eq!(documented(source), ["one"]);
}
