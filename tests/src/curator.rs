//! Curator, the Java client, as it comes with ZooKeeper's jars or of Debian's packages: a client that we
//! did not write.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
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
/// Curator's service discovery, and what that needs.
const DISCOVERY: Extra = Extra {
    place: "curator-discovery",
    packages: &[
        "libcurator-discovery-java",
        "libjackson2-annotations-java",
        "libjackson2-core-java",
        "libjackson2-databind-java",
    ],
    jars: &[
        "curator-x-discovery.jar",
        "jackson-annotations.jar",
        "jackson-core.jar",
        "jackson-databind.jar",
    ],
};
/// ZooKeeper's own recipes, which come with Debian's packages only.
const ZOOKEEPERS: Extra = Extra {
    place: "zookeeper-recipes",
    packages: &["libzookeeper-java"],
    jars: &[
        "zookeeper-recipes-lock.jar",
        "zookeeper-recipes-election.jar",
    ],
};
const RECIPES: Extra = Extra {
    place: "curator",
    packages: &PACKAGES,
    jars: &JARS,
};
const INSTALLED: &str = "usr/share/java";
/// What Curator needs beside ZooKeeper; it comes with Debian's zookeeper.
const GUAVA: &str = "/usr/share/java/guava.jar";

/// What compiles a contender.
const JDK: &str = "default-jdk-headless";
/// The compiler of a JDK, which compiles for the class path of the Java that runs it.
const COMPILER: [&str; 2] = ["--module", "jdk.compiler/com.sun.tools.javac.Main"];
/// The least that there is to compile.
const PROBE: &str = "class Probe { public static void main(String[] arguments) {} }";

/// Debian's packages, and where they are unpacked.
struct Extra {
    place: &'static str,
    packages: &'static [&'static str],
    jars: &'static [&'static str],
}

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

    /// The same with Curator's service discovery, which does not come with ZooKeeper's jars: from
    /// Debian's packages, which are unpacked below `directory`.
    ///
    /// # Errors
    ///
    /// As [`find_or_download`](Self::find_or_download).
    pub fn discovery_classpath(&self, directory: &Path) -> Result<OsString> {
        self.with(&DISCOVERY, directory)
    }

    /// The same with ZooKeeper's own recipes for locks and elections, from Debian's packages, which are
    /// unpacked below `directory` unless they are installed.
    ///
    /// # Errors
    ///
    /// As [`find_or_download`](Self::find_or_download).
    pub fn zookeepers_recipes(&self, directory: &Path) -> Result<OsString> {
        self.with(&ZOOKEEPERS, directory)
    }

    /// Compiles a program for this class path, unless that was done before, and returns the class path with
    /// the program. The classes are below `directory`. A Java that is given the source compiles it at each
    /// start, which takes a processor for seconds.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with what the compiler said; [`Error::Io`] where a file cannot be read or written.
    pub fn compile(&self, program: &Path, classpath: &OsStr, directory: &Path) -> Result<OsString> {
        let io = |doing: &str, path: &Path| {
            let doing = format!("{doing} {}", path.display());
            move |source| Error::io(doing, source)
        };
        let source = fs::read_to_string(program).map_err(io("read", program))?;
        let mut hasher = DefaultHasher::new();
        (source, classpath, &self.java).hash(&mut hasher);
        let classes = directory.join(format!("classes-{:016x}", hasher.finish()));
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        if !classes.is_dir() {
            // Made elsewhere and moved: what bears the name is complete.
            let draft = directory.join(format!("classes-{}", process::id()));
            let mut compiler = Command::new(&self.java);
            compiler.args(["-XX:TieredStopAtLevel=1", "-cp"]);
            compiler.arg(classpath).args(COMPILER);
            // It would replace the class path.
            compiler.env_remove("CLASSPATH");
            run(compiler.arg("-d").arg(&draft).arg(program))?;
            if let Err(refused) = fs::rename(&draft, &classes) {
                // Another process may have been faster.
                fs::remove_dir_all(&draft).map_err(io("remove", &draft))?;
                if !classes.is_dir() {
                    return Err(io("move", &draft)(refused));
                }
            }
        }
        joined([classes].into_iter().chain(env::split_paths(classpath)))
    }

    fn with(&self, extra: &Extra, directory: &Path) -> Result<OsString> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let jars = extra.find_or_download(directory)?;
        // Those of the installation come first: jars of one library fit together.
        joined(env::split_paths(&self.classpath).chain(jars))
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
                "{outcome}. Contenders under Curator are compiled, which takes \
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
    let jars = RECIPES.find_or_download(directory)?;
    let paths = jars
        .into_iter()
        .chain([PathBuf::from(GUAVA)])
        .chain(env::split_paths(installation.classpath()));
    joined(paths)
}

fn joined(paths: impl Iterator<Item = PathBuf>) -> Result<OsString> {
    env::join_paths(paths).map_err(|error| Error::Command {
        command: "the class path of Curator".to_owned(),
        outcome: error.to_string(),
    })
}

impl Extra {
    fn find_or_download(&self, directory: &Path) -> Result<Vec<PathBuf>> {
        match self.jars_in(&Path::new("/").join(INSTALLED)) {
            Some(jars) => Ok(jars),
            None => self.downloaded(directory),
        }
    }

    fn jars_in(&self, directory: &Path) -> Option<Vec<PathBuf>> {
        let jars = self.jars.iter().map(|jar| directory.join(jar));
        jars.map(|jar| jar.is_file().then_some(jar)).collect()
    }

    fn downloaded(&self, directory: &Path) -> Result<Vec<PathBuf>> {
        let place = directory.join(self.place);
        if let Some(jars) = self.jars_in(&place.join(INSTALLED)) {
            return Ok(jars);
        }
        let io = |doing: &str, path: &Path| {
            let doing = format!("{doing} {}", path.display());
            move |source| Error::io(doing, source)
        };
        // Made elsewhere and moved: what bears the name is complete.
        let draft = directory.join(format!("{}-{}", self.place, process::id()));
        fs::create_dir_all(&draft).map_err(io("create", &draft))?;
        let mut download = Command::new("apt-get");
        download
            .arg("download")
            .args(self.packages)
            .current_dir(&draft);
        run(&mut download)?;
        for entry in fs::read_dir(&draft).map_err(io("list", &draft))? {
            let package = entry.map_err(io("list", &draft))?.path();
            if package.extension() == Some(OsStr::new("deb")) {
                run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&draft))?;
            }
        }
        let moved = fs::rename(&draft, &place);
        match (self.jars_in(&place.join(INSTALLED)), moved) {
            (Some(jars), _) => Ok(jars),
            (None, Err(source)) => Err(io("move", &draft)(source)),
            (None, Ok(())) => Err(Error::Command {
                command: format!("{download:?}"),
                outcome: format!(
                    "there is no {} in {}",
                    self.jars.join(" or "),
                    place.display()
                ),
            }),
        }
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
