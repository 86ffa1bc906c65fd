//! The programs that hold the tests: cargo builds them once, and each run starts those it selects.

use std::error::Error;
use std::fmt;
use std::process::{Command, Stdio};

use crate::hang::Watch;
use crate::workspace::cargo;

/// All features of all packages, always: then every step of a run uses the same build.
pub(crate) const BUILD: [&str; 2] = ["--workspace", "--all-features"];

/// What cargo has built.
#[derive(Debug)]
pub(crate) struct Programs(Vec<Program>);

/// A test program, or a program that tests start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) package: String,
    /// `lib`, or the name of another target.
    pub(crate) target: String,
    pub(crate) is_test: bool,
    path: String,
    /// Of the package: cargo would run the program there.
    directory: String,
}

impl Programs {
    /// Builds the test targets that the arguments select.
    pub(crate) fn build(
        targets: &[String],
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, Box<dyn Error>> {
        let mut command = cargo();
        command.arg("test").args(BUILD).args(targets);
        command.args(["--no-run", "--message-format=json-render-diagnostics"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        prepare(&mut command);
        let cargo = command.spawn()?;
        let watch = Watch::over_cargo(cargo.id());
        let output = cargo.wait_with_output()?;
        drop(watch);
        if !output.status.success() {
            return Err("the tests do not build; see above".into());
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let mut programs: Vec<_> = messages.lines().filter_map(Program::parse).collect();
        programs.sort_by(|a, b| (&a.package, &a.target).cmp(&(&b.package, &b.target)));
        Ok(Programs(programs))
    }

    pub(crate) fn tests(&self) -> impl Iterator<Item = &Program> {
        self.0.iter().filter(|program| program.is_test)
    }

    pub(crate) fn test(&self, package: &str, target: &str) -> Option<&Program> {
        let mut tests = self.tests();
        tests.find(|program| program.package == package && program.target == target)
    }

    /// The path of a program that is no test.
    pub(crate) fn path(&self, name: &str) -> Option<&str> {
        let mut others = self.0.iter().filter(|program| !program.is_test);
        let found = others.find(|program| program.target == name)?;
        Some(&found.path)
    }
}

impl Program {
    /// From a message of cargo about a program.
    fn parse(message: &str) -> Option<Self> {
        let value = |key: &str| {
            let (_, rest) = message.split_once(&format!("\"{key}\":\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let path = value("executable")?;
        // `path+file:///directory#1.0.0`, or `…#name@1.0.0` where the directory has another name.
        let id = value("package_id")?;
        let (directory, version) = id.split_once('#')?;
        let directory = directory.split_once("://")?.1.to_owned();
        let package = match version.split_once('@') {
            Some((name, _)) => name.to_owned(),
            None => directory.rsplit('/').next()?.to_owned(),
        };
        let target = match message.contains("\"kind\":[\"lib\"]") {
            true => "lib".to_owned(),
            false => value("name")?,
        };
        let (_, profile) = message.split_once("\"profile\":{")?;
        let is_test = profile.split('}').next()?.contains("\"test\":true");
        Some(Program {
            package,
            target,
            is_test,
            path,
            directory,
        })
    }

    /// A command that starts it as cargo does.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .current_dir(&self.directory)
            .env("CARGO_MANIFEST_DIR", &self.directory)
            .stdin(Stdio::null());
        command
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target.as_str() {
            "lib" => write!(f, "{}, unit tests", self.package),
            target if target == self.package => write!(f, "{target}, unit tests"),
            target => write!(f, "{}, {target}", self.package),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(id: &str, kind: &str, name: &str, is_test: bool) -> Program {
        let message = format!(
            "{{\"reason\":\"compiler-artifact\",\"package_id\":\"path+file:///w/{id}\",\
             \"target\":{{\"kind\":[\"{kind}\"],\"name\":\"{name}\",\"test\":true}},\
             \"profile\":{{\"opt_level\":\"0\",\"test\":{is_test}}},\"executable\":\"/t/{name}-1\"}}"
        );
        Program::parse(&message).unwrap()
    }

    #[test]
    fn messages_name_package_and_target() {
        let library = parsed("crates/zk-client#0.1.0", "lib", "zk_client", true);
        assert_eq!(library.to_string(), "zk-client, unit tests");
        let tests = parsed("tests#zk-tests@0.1.0", "test", "server", true);
        assert_eq!(tests.to_string(), "zk-tests, server");
        assert_eq!(
            (&*tests.path, &*tests.directory),
            ("/t/server-1", "/w/tests")
        );
        assert!(Program::parse("{\"reason\":\"build-finished\",\"success\":true}").is_none());
    }

    #[test]
    fn a_tool_is_no_test() {
        let tool = parsed("crates/zkctl#0.1.0", "bin", "zkctl", false);
        let tests = parsed("crates/zkctl#0.1.0", "bin", "zkctl", true);
        let programs = Programs(vec![tests.clone(), tool]);
        assert_eq!(programs.path("zkctl"), Some("/t/zkctl-1"));
        assert_eq!(programs.test("zkctl", "zkctl"), Some(&tests));
        assert_eq!(programs.test("zkctl", "lib"), None);
    }
}
