//! `zkctl`: reads and changes a ZooKeeper ensemble, watches it, and runs programs under its locks.

use std::process::ExitCode;

fn main() -> ExitCode {
    zkctl::main(None)
}
