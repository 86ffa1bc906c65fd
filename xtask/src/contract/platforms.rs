//! The libraries compile for other operating systems.

use super::features::everywhere;
use super::libraries::{Checks, LIBRARIES, TARGET};
use crate::check::{Check, add_target};
use crate::workspace::cargo;

const PLATFORMS: [(&str, &str); 2] = [
    ("Windows", "x86_64-pc-windows-gnu"),
    ("macOS", "x86_64-apple-darwin"),
];

pub(super) fn check() -> Checks {
    let mut checks = Vec::new();
    for (system, target) in PLATFORMS {
        let name = format!("the libraries for {system}");
        if !add_target(target) {
            let why = format!("rustup could not add the target {target}");
            checks.push(Check::skipped(name, why));
            continue;
        }
        let mut build = cargo();
        build.args(["check", "--lib", "--target", target]);
        for library in LIBRARIES {
            build.args(["-p", library]);
        }
        // ring needs a C compiler for the target; the same code compiles with a provider of the program.
        build.args(["--features", &everywhere(&LIBRARIES, &["tls"])?]);
        build.args(["--target-dir", TARGET]);
        checks.push(Check::run(name, &mut build)?);
    }
    Ok(checks)
}
