//! The servers that suites run on: the embedded one, and each release of Apache ZooKeeper here.

use std::env;
use std::fmt;
use std::process::Command;

use zk_tests::Installation;

/// Says to the tests of `zk-tests` which kind of servers they start.
const SERVER_PARAMETER: &str = "ZK_TESTS_SERVER";
/// Names the release that is tested beside Debian's.
const HOME: &str = "ZOOKEEPER_HOME";
/// Why [`HOME`] is not set, for the summary.
const WHY_UNSET: &str = "ZOOKEEPER_HOME_UNSET";
/// Is tested alone.
const CLASSPATH: &str = "ZK_CLASSPATH";

/// What the tests of a suite start. Its text is how the summary names it.
#[derive(Debug)]
pub(crate) enum Servers {
    Embedded,
    Apache {
        version: String,
        installation: Installation,
    },
}

/// Why tests do not run on a server.
#[derive(Debug)]
pub(crate) struct Reason {
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
        releases.extend(why_only_one().map(Err));
        releases
    }

    fn of(installation: Installation) -> Result<Self, Reason> {
        Ok(Self::Apache {
            version: installation.version().map_err(missing)?,
            installation,
        })
    }

    /// Makes the tests that `command` runs start these servers.
    pub(crate) fn select_for(&self, command: &mut Command) {
        match self {
            Self::Embedded => {
                command.env(SERVER_PARAMETER, "embedded");
            }
            Self::Apache { installation, .. } => {
                command.env(SERVER_PARAMETER, "apache");
                installation.select_for(command);
            }
        }
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Apache { version, .. } => write!(f, "apache {version}"),
        }
    }
}

fn missing(error: impl fmt::Debug) -> Reason {
    Reason {
        text: format!("{error:?}"),
        excused: !crate::is_ci(),
    }
}

/// Why the suites do not run on a release beside Debian's, if none was named.
fn why_only_one() -> Option<Reason> {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    if set(HOME) || set(CLASSPATH) {
        return None;
    }
    let why = env::var(WHY_UNSET).ok().filter(|why| !why.is_empty());
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    Some(Reason {
        text: format!("{HOME} names no release to test beside Debian's{why}"),
        excused: true,
    })
}
