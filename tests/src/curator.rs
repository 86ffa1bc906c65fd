//! Curator, the Java client, as it comes with ZooKeeper's jars or of Debian's packages: a client that we
//! did not write.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::{Mutex, PoisonError};

use crate::apt;
use crate::command::run;
use crate::error::{Error, Result};
use crate::installation::Installation;

const PACKAGES: [&str; 3] = [
    "libcurator-client-java",
    "libcurator-framework-java",
    "libcurator-recipes-java",
];
const JARS: [&str; 3] = [
    "curator-client.jar",
    "curator-framework.jar",
    "curator-recipes.jar",
];
const INSTALLED: &str = "usr/share/java";
/// What Curator needs beside ZooKeeper; it comes with Debian's zookeeper.
const GUAVA: &str = "/usr/share/java/guava.jar";

/// What compiles a contender.
const JDK: &str = "default-jdk-headless";
/// The least that there is to compile.
const PROBE: &str = "class Probe { public static void main(String[] arguments) {} }";

/// A class path with Curator and ZooKeeper on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curator {
    java: PathBuf,
    classpath: OsString,
}

impl Curator {
    /// Finds the one to run with this ZooKeeper: that of the same directory of jars, if it has one;
    /// else Debian's packages where they are installed or were unpacked below `directory`, or
    /// downloads and unpacks them there, for which it needs `apt-get`, `dpkg-deb` and, once, Debian's
    /// archive. Needs a Java that runs what it is given as a source, which takes a JDK; root gets one
    /// installed.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with what `apt-get` said, what is to be installed, or what could not be
    /// done with the directory.
    pub fn find_or_download(installation: &Installation, directory: &Path) -> Result<Self> {
        // To look takes a second, and one at a time downloads.
        static FOUND: Mutex<Vec<(Installation, PathBuf, Curator)>> = Mutex::new(Vec::new());
        let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
        let known = (found.iter()).find(|(with, of, _)| with == installation && of == directory);
        if let Some((_, _, curator)) = known {
            return Ok(curator.clone());
        }
        let curator = Self::look_for(installation, directory)?;
        found.push((installation.clone(), directory.to_owned(), curator.clone()));
        Ok(curator)
    }

    fn look_for(installation: &Installation, directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)
            .map_err(|source| Error::io(format!("create {}", directory.display()), source))?;
        if let Err(refused) = runs_sources(installation.java(), directory) {
            // A JAVA_HOME that the user has set is left alone.
            if env::var_os("JAVA_HOME").is_some() || !apt::can_install() {
                return Err(refused);
            }
            apt::install(&[JDK])?;
            runs_sources(installation.java(), directory)?;
        }
        let classpath = if is_beside(installation.classpath()) {
            installation.classpath().to_owned()
        } else {
            of_debian(installation, directory)?
        };
        Ok(Self {
            java: installation.java().to_owned(),
            classpath,
        })
    }

    /// The `java` executable.
    #[must_use]
    pub fn java(&self) -> &Path {
        &self.java
    }

    /// Curator, ZooKeeper and what they need.
    #[must_use]
    pub fn classpath(&self) -> &OsStr {
        &self.classpath
    }
}

/// Whether this Java compiles as it starts: a JRE does not.
fn runs_sources(java: &Path, directory: &Path) -> Result<()> {
    let probe = directory.join("Probe.java");
    // Another test run may start it meanwhile, and must not find it empty.
    let own = directory.join(format!("Probe-{}.java", process::id()));
    let io = |source| Error::io(format!("write {}", probe.display()), source);
    fs::write(&own, PROBE)
        .and_then(|()| fs::rename(&own, &probe))
        .map_err(io)?;
    run(Command::new(java).arg(&probe)).map_err(|error| match error {
        Error::Command { command, outcome } => Error::Command {
            command,
            outcome: format!(
                "{outcome}. Contenders under Curator are compiled as they are started, which takes \
                 a JDK and not only a JRE: on Debian or Ubuntu run `apt-get install -y \
                 --no-install-recommends {JDK}` as root; elsewhere set JAVA_HOME to a JDK"
            ),
        },
        other => other,
    })
}

/// Whether a directory on the class path, all of whose jars count, has those of Curator.
fn is_beside(classpath: &OsStr) -> bool {
    env::split_paths(classpath)
        .filter(|path| path.ends_with("*"))
        .filter_map(|path| fs::read_dir(path.parent()?).ok())
        .any(|entries| {
            let files: Vec<_> = (entries.flatten())
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            JARS.iter().all(|jar| {
                let name = jar.trim_end_matches(".jar");
                let is_it = |file: &String| {
                    let version = file
                        .strip_prefix(name)
                        .and_then(|rest| rest.strip_prefix('-'));
                    version.is_some_and(|version| version.ends_with(".jar"))
                };
                files.iter().any(is_it)
            })
        })
}

/// A class path with Debian's Curator.
fn of_debian(installation: &Installation, directory: &Path) -> Result<OsString> {
    let jars = match jars_in(&Path::new("/").join(INSTALLED)) {
        Some(jars) => jars,
        None => downloaded(directory)?,
    };
    let paths = jars
        .into_iter()
        .chain([PathBuf::from(GUAVA)])
        .chain(env::split_paths(installation.classpath()));
    env::join_paths(paths).map_err(|error| Error::Command {
        command: "the class path of Curator".to_owned(),
        outcome: error.to_string(),
    })
}

fn jars_in(directory: &Path) -> Option<Vec<PathBuf>> {
    let jars = JARS.map(|jar| directory.join(jar));
    jars.iter().all(|jar| jar.is_file()).then(|| jars.to_vec())
}

fn downloaded(directory: &Path) -> Result<Vec<PathBuf>> {
    let place = directory.join("curator");
    if let Some(jars) = jars_in(&place.join(INSTALLED)) {
        return Ok(jars);
    }
    let io = |doing: &str, path: &Path| {
        let doing = format!("{doing} {}", path.display());
        move |source| Error::io(doing, source)
    };
    // Made elsewhere and moved: what bears the name is complete.
    let draft = directory.join(format!("curator-{}", process::id()));
    fs::create_dir_all(&draft).map_err(io("create", &draft))?;
    let mut download = Command::new("apt-get");
    download.arg("download").args(PACKAGES).current_dir(&draft);
    run(&mut download)?;
    for entry in fs::read_dir(&draft).map_err(io("list", &draft))? {
        let package = entry.map_err(io("list", &draft))?.path();
        if package.extension() == Some(OsStr::new("deb")) {
            run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&draft))?;
        }
    }
    let moved = fs::rename(&draft, &place);
    match (jars_in(&place.join(INSTALLED)), moved) {
        (Some(jars), _) => Ok(jars),
        (None, Err(source)) => Err(io("move", &draft)(source)),
        (None, Ok(())) => Err(Error::Command {
            command: format!("{download:?}"),
            outcome: format!("there is no {} in {}", JARS.join(" or "), place.display()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_directory::ServerDirectory;

    #[test]
    fn curator_may_come_with_zookeeper() {
        let root = ServerDirectory::create("curator").unwrap();
        let classpath = root.path().join("*").into_os_string();
        for jar in JARS {
            assert!(!is_beside(&classpath), "{jar} is not there");
            let file = jar.replace(".jar", "-5.9.0.jar");
            fs::write(root.path().join(file), b"").unwrap();
        }
        assert!(is_beside(&classpath));
        assert!(!is_beside(root.path().join("zookeeper.jar").as_os_str()));
    }

    #[test]
    fn jre_without_compiler_names_the_package() {
        let root = ServerDirectory::create("curator").unwrap();
        runs_sources(Path::new("true"), root.path()).unwrap();
        let refused = runs_sources(Path::new("false"), root.path()).unwrap_err();
        let text = refused.to_string();
        assert!(
            text.contains("apt-get install -y --no-install-recommends default-jdk-headless"),
            "{text}"
        );
    }
}
