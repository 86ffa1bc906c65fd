//! The command line tool.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Built by the cargo that builds this, which says where it put it.
pub(crate) fn zkctl() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "zkctl", "--message-format=json"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        assert!(built.status.success());
        let messages = String::from_utf8(built.stdout).unwrap();
        let key = "\"executable\":\"";
        let mut paths = messages.lines().filter_map(|line| line.split_once(key));
        let (path, _) = paths.next_back().unwrap().1.split_once('"').unwrap();
        path.to_owned()
    })
}
