//! A configuration of a test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::common::{SECRET, finish, outcome, text, zkctl};

/// A directory with a configuration, removed with this value.
#[derive(Debug)]
pub(crate) struct Config(pub(crate) PathBuf);

impl Config {
    pub(crate) fn with(contents: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("contexts-{}-{number}", std::process::id());
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&directory).unwrap();
        let config = Config(directory);
        config.write("config.toml", contents, 0o600);
        config
    }

    pub(crate) fn write(&self, name: &str, contents: &str, mode: u32) {
        let path = self.0.join(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn read(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.join("config.toml")
    }

    pub(crate) fn zkctl(&self, arguments: &[&str]) -> Command {
        let mut command = zkctl(arguments);
        command.env("ZKCTL_CONFIG", self.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        outcome(self.zkctl(arguments))
    }

    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
        stdout
    }

    /// The one line of an error, without the name of the file.
    pub(crate) fn refused(&self, arguments: &[&str], code: i32) -> String {
        let (ended, stdout, stderr) = self.run(arguments);
        assert_eq!(
            (ended, &*stdout),
            (Some(code), ""),
            "{arguments:?}: {stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(!stderr.contains(SECRET), "{stderr}");
        let file = self.path().display().to_string();
        stderr.trim_end().replace(&file, "FILE")
    }

    /// What `context show` says about a key: the value and its source.
    pub(crate) fn shown(&self, command: Command, key: &str) -> Option<(String, String)> {
        let output = finish(command);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let rows = text(&output.stdout);
        let rows = rows
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let row = rows.into_iter().find(|row| row["key"] == key)?;
        let file = self.path().display().to_string();
        let cell = |name: &str| row[name].as_str().unwrap().replace(&file, "FILE");
        Some((cell("value"), cell("source")))
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        // What is left is removed with the directory of the build.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) const TWO: &str = "\
current = \"one\"
[contexts.one]
server = \"zk1:2181\"
chroot = \"/app\"
timeout = \"7s\"
tls-server-name = \"one.example\"
tls-ca = \"one.pem\"
sasl-user = \"one\"
sasl-password = \"env:ONE\"
[contexts.two]
server = \"zks://zk2:2281?session_timeout=33s&deadline=1m\"
output = \"plain\"
";
