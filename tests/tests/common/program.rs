//! The command line tool.

use std::env;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Where `cargo xtask test` has built it.
const BUILT: &str = "ZK_TESTS_ZKCTL";

/// The path of the tool. Without [`BUILT`], cargo builds it, with the features of the tool alone.
pub(crate) fn zkctl() -> &'static str {
    static PROGRAM: OnceLock<String> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Ok(path) = env::var(BUILT) {
            return path;
        }
        let built = zk_tests::cargo()
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

/// A command line that runs it with none of the signals ignored that this process ignores: a shell
/// starts what is to run in the background so that it ignores SIGINT.
pub(crate) fn zkctl_command() -> Command {
    static RESETS: OnceLock<bool> = OnceLock::new();
    // Other programs of this name than that of the GNU coreutils do not.
    let resets = *RESETS.get_or_init(|| {
        let probe = Command::new("env")
            .args(["--default-signal", "true"])
            .output();
        probe.is_ok_and(|output| output.status.success())
    });
    let mut command = Command::new("env");
    if resets {
        command.arg("--default-signal");
    }
    command.arg(zkctl());
    command
}
