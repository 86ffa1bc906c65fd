//! The servers that suites run on: the embedded one, in each of its poses, and each release of Apache
//! ZooKeeper here.

use std::env;
use std::fmt;
use std::process::Command;

use zk_tests::Installation;

/// Says to the tests of `zk-tests` which kind of servers they start.
const SERVER_PARAMETER: &str = "ZK_TESTS_SERVER";
/// Says to them that they need not do everything as often as on another release.
const ROUNDS_PARAMETER: &str = "ZK_TESTS_ROUNDS";
/// Names the release that is tested beside Debian's.
const HOME: &str = "ZOOKEEPER_HOME";
/// Why [`HOME`] is not set, for the summary.
const WHY_UNSET: &str = "ZOOKEEPER_HOME_UNSET";
/// Is tested alone.
const CLASSPATH: &str = "ZK_CLASSPATH";

/// The poses of the embedded server beside the one that it has by default, by the names of
/// `zk_embedded::Pose`, and what they are.
const POSES: [(&str, &str); 6] = [
    ("3.4", "Apache 3.4"),
    ("3.5", "Apache 3.5"),
    ("3.6", "Apache 3.6"),
    ("3.8", "Apache 3.8"),
    ("keeper-old", "Keeper, old"),
    ("keeper-new", "Keeper, new"),
];

/// What the tests of a suite start. Its text is how the summary names it.
#[derive(Debug)]
pub(crate) enum Servers {
    Embedded,
    Posing {
        pose: &'static str,
        title: &'static str,
    },
    Apache {
        version: String,
        installation: Installation,
        /// A newer one is tested, too, and there the tests do everything as often as they can.
        has_newer: bool,
    },
}

/// Why tests do not run on a server.
#[derive(Debug)]
pub(crate) struct Reason {
    /// The servers that are missing.
    pub(crate) servers: &'static str,
    pub(crate) text: String,
    /// The summary of a green CI run is rarely read, so there a missing server is a failure unless it
    /// is excused.
    pub(crate) excused: bool,
}

impl Servers {
    /// The releases of Apache ZooKeeper, or why one is not here.
    pub(crate) fn releases() -> Vec<Result<Self, Reason>> {
        let mut releases: Vec<_> = (Installation::each().into_iter())
            .map(|found| found.map_err(missing).and_then(Self::of))
            .collect();
        if releases.iter().any(Result::is_ok) {
            releases.extend(why_only_one().map(Err));
        }
        // The newest is the last of them.
        for older in releases.iter_mut().rev().flatten().skip(1) {
            if let Self::Apache { has_newer, .. } = older {
                *has_newer = true;
            }
        }
        releases
    }

    /// The embedded server in each pose that it has not by default.
    pub(crate) fn poses() -> impl Iterator<Item = Self> {
        let poses = POSES.into_iter();
        poses.map(|(pose, title)| Self::Posing { pose, title })
    }

    fn of(installation: Installation) -> Result<Self, Reason> {
        Ok(Self::Apache {
            version: installation.version().map_err(missing)?,
            installation,
            has_newer: false,
        })
    }

    /// Makes the tests that `command` runs start these servers.
    pub(crate) fn select_for(&self, command: &mut Command) {
        match self {
            Self::Embedded => {
                command.env(SERVER_PARAMETER, "embedded");
            }
            Self::Posing { pose, .. } => {
                command.env(SERVER_PARAMETER, format!("embedded-{pose}"));
            }
            Self::Apache {
                installation,
                has_newer,
                ..
            } => {
                command.env(SERVER_PARAMETER, "apache");
                if *has_newer {
                    command.env(ROUNDS_PARAMETER, "few");
                }
                installation.select_for(command);
            }
        }
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Posing { title, .. } => write!(f, "embedded as {title}"),
            Self::Apache { version, .. } => write!(f, "apache {version}"),
        }
    }
}

fn missing(error: impl fmt::Debug) -> Reason {
    Reason {
        servers: "real servers",
        text: format!("{error:?}"),
        excused: !crate::workspace::is_ci(),
    }
}

/// Why the suites run on one release only, if that was not asked for.
fn why_only_one() -> Option<Reason> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    if set(HOME).or(set(CLASSPATH)).is_some() {
        return None;
    }
    let why = set(WHY_UNSET).map_or_else(String::new, |why| format!(": {}", why.display()));
    Some(Reason {
        servers: "real servers of a second release",
        text: format!("{HOME} names no release to test beside Debian's{why}"),
        excused: true,
    })
}
