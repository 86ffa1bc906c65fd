//! The libraries build with the oldest dependencies that their manifests allow.

use std::path::Path;

use super::features::everywhere;
use super::libraries::{Checks, LIBRARIES, TARGET};
use crate::check::Check;
use crate::workspace::{cargo, copy, sources};

/// A copy of the sources: the lock file of the working copy stays as it is.
const COPY: &str = "target/contract/oldest";

pub(super) fn check() -> Checks {
    const LOCK: &str = "the oldest dependencies that the manifests allow are a solution";
    const BUILD: &str = "build with the oldest dependencies that the manifests allow";

    for source in sources()? {
        copy(&source, &Path::new(COPY).join(&source))?;
    }
    let target = std::env::current_dir()?.join(TARGET);
    // A lock file written by this cargo; the option is not stable yet, and nothing is built with it.
    let mut update = cargo();
    update.args(["update", "-Z", "direct-minimal-versions"]);
    update.env("RUSTC_BOOTSTRAP", "1").current_dir(COPY);
    let locked = Check::run(LOCK, &mut update)?;
    if locked.has_failed() {
        return Ok(vec![locked]);
    }
    let mut build = cargo();
    build
        .args(["check", "--lib", "--locked", "--target-dir"])
        .arg(target);
    for library in LIBRARIES {
        build.args(["-p", library]);
    }
    build.args(["--features", &everywhere(&LIBRARIES, &[])?]);
    build.current_dir(COPY);
    Ok(vec![locked, Check::run(BUILD, &mut build)?])
}
