//! Where Java and ZooKeeper are on this machine, and how to get them.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::apt;
use crate::error::{Error, Result};
use crate::missing::MissingZooKeeper;

const PACKAGES: [&str; 2] = ["zookeeper", "default-jre-headless"];
const CLASSPATH_VARIABLE: &str = "ZK_CLASSPATH";
const VERSION_CLASS: &str = "org.apache.zookeeper.Version";

// Debian's zookeeper.jar names in its manifest most of what it needs. It leaves out something to
// log with (this binding writes to standard error, where the harness wants it) and half of Netty,
// without which a TLS port accepts connections and answers nothing.
const DEBIAN_JARS: [&str; 5] = [
    "zookeeper.jar",
    "slf4j-simple.jar",
    "netty-codec.jar",
    "netty-resolver.jar",
    "netty-transport-native-unix-common.jar",
];

/// A ZooKeeper that can be started.
///
/// Looked for in this order: `ZK_CLASSPATH` (a Java class path), `ZOOKEEPER_HOME` (an unpacked
/// Apache release, or a directory with its jars), Debian's packages. Java is `JAVA_HOME`'s, else the
/// first one on `PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    java: PathBuf,
    classpath: OsString,
    origin: String,
}

impl Installation {
    /// Finds what is installed.
    ///
    /// # Errors
    ///
    /// [`MissingZooKeeper`], which says what is missing and what to do.
    pub fn find() -> std::result::Result<Self, MissingZooKeeper> {
        Search::of_this_machine().run()
    }

    /// Finds what is installed, or installs Debian's packages when run by root on a system with
    /// `apt-get`.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`], which says what is missing, what was tried and what to do.
    pub fn find_or_install() -> Result<Self> {
        Ok(Search::of_this_machine().run_or_install()?)
    }

    /// Every release that the suites run on: the one that `ZK_CLASSPATH` names and no other; else
    /// Debian's packages, installed as by [`find_or_install`](Self::find_or_install), and after them
    /// the release in `ZOOKEEPER_HOME`, if that is set. Never empty: what is missing is in the list
    /// as the reason.
    #[must_use]
    pub fn each() -> Vec<std::result::Result<Self, MissingZooKeeper>> {
        let searches = Search::of_this_machine().each().into_iter();
        searches.map(|search| search.run_or_install()).collect()
    }

    /// The version of its servers, such as `3.8.0`.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] if Java does not start, or the class path holds no ZooKeeper.
    pub fn version(&self) -> Result<String> {
        let mut command = Command::new(&self.java);
        // Of slf4j-simple: the program reports that it ends as an error.
        command
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=off")
            .arg("-cp")
            .arg(&self.classpath)
            .args([VERSION_CLASS, "--short"])
            .stdin(Stdio::null());
        let io = |source| Error::io(format!("start {}", self.java.display()), source);
        let output = command.output().map_err(io)?;
        let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && version.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(version);
        }
        Err(Error::Command {
            command: format!("{command:?}"),
            outcome: format!(
                "{}, and no version: {version}{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            ),
        })
    }

    /// Makes the processes that `command` starts find this installation and no other.
    pub fn select_for(&self, command: &mut Command) {
        command.env(CLASSPATH_VARIABLE, &self.classpath);
    }

    /// The `java` executable.
    #[must_use]
    pub fn java(&self) -> &Path {
        &self.java
    }

    /// The class path a server is started with.
    #[must_use]
    pub fn classpath(&self) -> &OsStr {
        &self.classpath
    }

    /// Where it comes from, in words.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

#[derive(Clone)]
struct Search {
    zk_classpath: Option<OsString>,
    zookeeper_home: Option<PathBuf>,
    java_home: Option<PathBuf>,
    path: OsString,
    share_java: PathBuf,
}

impl Search {
    fn of_this_machine() -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            zk_classpath: set(CLASSPATH_VARIABLE),
            zookeeper_home: set("ZOOKEEPER_HOME").map(PathBuf::from),
            java_home: set("JAVA_HOME").map(PathBuf::from),
            path: env::var_os("PATH").unwrap_or_default(),
            share_java: PathBuf::from("/usr/share/java"),
        }
    }

    /// The searches, one for each release, of which this one finds the first.
    fn each(self) -> Vec<Self> {
        if self.zk_classpath.is_some() || self.zookeeper_home.is_none() {
            return vec![self];
        }
        let of_debian = Self {
            zookeeper_home: None,
            ..self.clone()
        };
        vec![of_debian, self]
    }

    fn run_or_install(&self) -> std::result::Result<Installation, MissingZooKeeper> {
        let mut missing = match self.run() {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        // A wrong location is mended where it was set: a package would not be used.
        if missing.named_by_user || !apt::can_install() {
            return Err(missing);
        }
        if let Err(error) = apt::install(&PACKAGES) {
            missing
                .reasons
                .push(format!("installing it failed ({error:?})"));
            return Err(missing);
        }
        self.run()
    }

    fn run(&self) -> std::result::Result<Installation, MissingZooKeeper> {
        match (self.java(), self.classpath()) {
            (Ok(java), Ok((classpath, origin))) => Ok(Installation {
                java,
                classpath,
                origin,
            }),
            (java, classpath) => Err(MissingZooKeeper {
                reasons: java.err().into_iter().chain(classpath.err()).collect(),
                named_by_user: self.zk_classpath.is_some()
                    || self.zookeeper_home.is_some()
                    || self.java_home.is_some(),
                install: apt::command(&PACKAGES),
            }),
        }
    }

    fn java(&self) -> std::result::Result<PathBuf, String> {
        if let Some(home) = &self.java_home {
            let java = home.join("bin/java");
            return if java.is_file() {
                Ok(java)
            } else {
                Err(format!("JAVA_HOME has no {}", java.display()))
            };
        }
        env::split_paths(&self.path)
            .map(|directory| directory.join("java"))
            .find(|java| java.is_file())
            .ok_or_else(|| "there is no `java` on PATH".to_owned())
    }

    fn classpath(&self) -> std::result::Result<(OsString, String), String> {
        if let Some(classpath) = &self.zk_classpath {
            return Ok((classpath.clone(), CLASSPATH_VARIABLE.to_owned()));
        }
        if let Some(home) = &self.zookeeper_home {
            let places = [home.join("lib"), home.clone()];
            let Some(jars) = places.iter().find(|place| holds_zookeeper(place)) else {
                return Err(format!(
                    "ZOOKEEPER_HOME is {home}, and there is no zookeeper-*.jar in {home}/lib or {home}",
                    home = home.display()
                ));
            };
            // Java itself expands the trailing star to the jars of a directory.
            return Ok((
                jars.join("*").into_os_string(),
                format!("{}", home.display()),
            ));
        }
        let mut classpath = OsString::new();
        for name in DEBIAN_JARS {
            let jar = self.share_java.join(name);
            if !jar.is_file() {
                return Err(format!("there is no {}", jar.display()));
            }
            if !classpath.is_empty() {
                classpath.push(":");
            }
            classpath.push(jar);
        }
        Ok((classpath, "Debian's packages".to_owned()))
    }
}

fn holds_zookeeper(lib: &Path) -> bool {
    // Unreadable and absent come to the same here: no jars to start from.
    fs::read_dir(lib).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let version = name
                .strip_prefix("zookeeper-")
                .and_then(|n| n.strip_suffix(".jar"));
            version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_directory::ServerDirectory;

    fn nothing_installed(root: &Path) -> Search {
        Search {
            zk_classpath: None,
            zookeeper_home: None,
            java_home: None,
            path: root.join("bin").into_os_string(),
            share_java: root.join("share"),
        }
    }

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }

    #[test]
    fn bare_machine_gets_the_install_command() {
        let root = ServerDirectory::create("installation").unwrap();
        let missing = nothing_installed(root.path()).run().unwrap_err();
        let text = missing.to_string();
        assert!(text.contains("no `java` on PATH"), "{text}");
        assert!(text.contains("zookeeper.jar"), "{text}");
        assert!(
            text.contains(
                "apt-get install -y --no-install-recommends zookeeper default-jre-headless"
            ),
            "{text}"
        );
        assert!(!missing.named_by_user);
    }

    #[test]
    fn all_of_debians_jars_are_required() {
        let root = ServerDirectory::create("installation").unwrap();
        touch(&root.path().join("bin/java"));
        let search = nothing_installed(root.path());
        for jar in DEBIAN_JARS {
            let missing = search.run().unwrap_err();
            assert!(missing.to_string().contains(jar), "{missing}");
            touch(&search.share_java.join(jar));
        }
        let found = search.run().unwrap();
        assert_eq!(found.java(), root.path().join("bin/java"));
        let jars: Vec<_> = env::split_paths(found.classpath()).collect();
        assert_eq!(jars, DEBIAN_JARS.map(|jar| search.share_java.join(jar)));
    }

    #[test]
    fn release_directory_precedes_debian() {
        let root = ServerDirectory::create("installation").unwrap();
        touch(&root.path().join("bin/java"));
        for jar in DEBIAN_JARS {
            touch(&root.path().join("share").join(jar));
        }
        let home = root.path().join("apache-zookeeper-3.9.5-bin");
        touch(&home.join("lib/zookeeper-jute-3.9.5.jar"));
        let mut search = nothing_installed(root.path());
        search.zookeeper_home = Some(home.clone());
        assert!(search.run().unwrap_err().named_by_user);
        touch(&home.join("lib/zookeeper-3.9.5.jar"));
        assert_eq!(
            search.run().unwrap().classpath(),
            home.join("lib/*").as_os_str()
        );
        search.zk_classpath = Some("/my/classes".into());
        assert_eq!(search.run().unwrap().classpath(), OsStr::new("/my/classes"));
    }

    #[test]
    fn a_directory_of_jars_is_a_release() {
        let root = ServerDirectory::create("installation").unwrap();
        touch(&root.path().join("bin/java"));
        let home = root.path().join("jars");
        touch(&home.join("zookeeper-jute-3.9.5.jar"));
        let mut search = nothing_installed(root.path());
        search.zookeeper_home = Some(home.clone());
        let missing = search.run().unwrap_err().to_string();
        for place in [home.join("lib"), home.clone()] {
            let place = place.display().to_string();
            assert!(missing.contains(&place), "{missing}");
        }
        touch(&home.join("zookeeper-3.9.5.jar"));
        assert_eq!(
            search.run().unwrap().classpath(),
            home.join("*").as_os_str()
        );
    }

    #[test]
    fn the_suites_run_on_each_release() {
        let root = ServerDirectory::create("installation").unwrap();
        touch(&root.path().join("bin/java"));
        let home = root.path().join("jars");
        touch(&home.join("zookeeper-3.9.5.jar"));
        let found = |search: &Search| -> Vec<_> {
            let searches = search.clone().each().into_iter();
            searches
                .map(|search| search.run().ok().map(|found| found.origin))
                .collect()
        };
        let mut search = nothing_installed(root.path());
        assert_eq!(found(&search), [None]);
        search.zookeeper_home = Some(home.clone());
        let of_home = Some(home.display().to_string());
        assert_eq!(found(&search), [None, of_home.clone()]);
        for jar in DEBIAN_JARS {
            touch(&search.share_java.join(jar));
        }
        assert_eq!(
            found(&search),
            [Some("Debian's packages".to_owned()), of_home]
        );
        search.zk_classpath = Some("/my/classes".into());
        assert_eq!(found(&search), [Some(CLASSPATH_VARIABLE.to_owned())]);
    }

    #[test]
    fn wrong_java_home_is_an_error() {
        let root = ServerDirectory::create("installation").unwrap();
        touch(&root.path().join("bin/java"));
        let mut search = nothing_installed(root.path());
        search.java_home = Some(root.path().join("jdk"));
        let missing = search.run().unwrap_err();
        assert!(missing.to_string().contains("JAVA_HOME"), "{missing}");
        assert!(
            missing.named_by_user,
            "installing a package would not mend it"
        );
        touch(&root.path().join("jdk/bin/java"));
        assert_eq!(search.java().unwrap(), root.path().join("jdk/bin/java"));
    }
}
