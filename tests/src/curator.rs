//! Curator, the Java client, of Debian's packages: a client that we did not write.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::{Mutex, PoisonError};

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

/// A class path with Curator and ZooKeeper on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Curator {
    java: PathBuf,
    classpath: OsString,
}

impl Curator {
    /// Finds Debian's packages where they are installed or were unpacked below `directory`, or
    /// downloads and unpacks them there, for which it needs `apt-get`, `dpkg-deb` and, once, Debian's
    /// archive. Needs ZooKeeper and Java as well.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] with what `apt-get` said, what is missing of ZooKeeper, or what could not
    /// be done with the directory.
    pub fn find_or_download(directory: &Path) -> Result<Self> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let installation = Installation::find()?;
        let jars = match jars_in(&Path::new("/").join(INSTALLED)) {
            Some(jars) => jars,
            None => downloaded(directory)?,
        };
        let paths = jars
            .into_iter()
            .chain([PathBuf::from(GUAVA)])
            .chain(env::split_paths(installation.classpath()));
        let classpath = env::join_paths(paths).map_err(|error| Error::Command {
            command: "the class path of Curator".to_owned(),
            outcome: error.to_string(),
        })?;
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

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .map_err(|source| Error::io(format!("run {command:?}"), source))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Error::Command {
        command: format!("{command:?}"),
        outcome: format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&said).trim()
        ),
    })
}
