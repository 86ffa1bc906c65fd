//! The command line tools, each with a server that has the data.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use zk_tests::Installation;
use zk_tests::ports::free_ports;
use zk_tests::run_directory::ServerDirectory;
use zk_tests::watchdog::try_poll;

use crate::workspace::cargo;

const PATH: &str = "/start";
/// The data of the znode, and of the key in etcd.
pub(super) const DATA: &str = "the-data-of-the-znode";
/// The release of zk-shell that is installed.
const ZK_SHELL: &str = "1.3.4";

/// A command line tool that prints the data.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: String,
    program: OsString,
    arguments: Vec<OsString>,
}

impl Tool {
    pub(super) fn new<T: Into<OsString>>(
        name: impl Into<String>,
        program: impl Into<OsString>,
        arguments: impl IntoIterator<Item = T>,
    ) -> Self {
        Tool {
            name: name.into(),
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }

    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        // Releases of etcdctl before 3.4 have another protocol by default.
        command.env("ETCDCTL_API", "3");
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }
}

type Found<T> = Result<T, Box<dyn Error>>;

/// The tools of this machine.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) found: Vec<Tool>,
    /// Why others are left out.
    pub(super) missing: Vec<String>,
    _etcd: Option<Etcd>,
}

impl Tools {
    /// Finds or installs them; builds `zkctl` if it is not given. The znode exists afterwards.
    pub(super) fn find(
        zkctl: Option<PathBuf>,
        installation: &Installation,
        server: &str,
    ) -> Found<Self> {
        let zkctl = zkctl.map_or_else(release_build, Ok)?;
        let create = ["--server", server, "create", PATH, DATA];
        run(Command::new(&zkctl).args(create))?;
        let get = ["--server", server, "get", PATH];
        let zkctl = Tool::new("zkctl", zkctl, get);
        // What zkCli.sh starts.
        let main = [
            "org.apache.zookeeper.ZooKeeperMain",
            "-server",
            server,
            "get",
            PATH,
        ];
        let mut arguments = vec![
            OsString::from("-Xmx256m"),
            "-cp".into(),
            installation.classpath().into(),
        ];
        arguments.extend(main.map(OsString::from));
        let name = format!("zkCli {}", installation.version()?);
        let mut found = vec![zkctl, Tool::new(name, installation.java(), arguments)];
        let mut missing = Vec::new();
        match zk_shell() {
            Ok(program) => {
                let get = format!("get {PATH}");
                let name = format!("zk-shell {ZK_SHELL}");
                found.push(Tool::new(name, program, ["--run-once", &get, server]));
            }
            Err(error) => missing.push(format!("zk-shell, {error}")),
        }
        let etcd = Etcd::start().map_err(|error| missing.push(format!("etcdctl, {error}")));
        let etcd = etcd.ok().map(|(etcd, tool)| {
            found.push(tool);
            etcd
        });
        Ok(Tools {
            found,
            missing,
            _etcd: etcd,
        })
    }
}

/// Standard output of a command that succeeds.
fn run(command: &mut Command) -> Found<String> {
    let output = command.stdout(Stdio::piped()).output();
    let program = command.get_program().to_string_lossy().into_owned();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("{program}: {}: {said}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// The release build, with the default features.
fn release_build() -> Found<PathBuf> {
    let build = [
        "build",
        "--quiet",
        "--release",
        "-p",
        "zkctl",
        "--message-format=json",
    ];
    let output = cargo().args(build).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("zkctl does not build; see above".into());
    }
    let messages = String::from_utf8(output.stdout)?;
    let mut paths = messages.lines().filter_map(|line| {
        let (_, path) = line.split_once("\"executable\":\"")?;
        path.split_once('"').map(|(path, _)| PathBuf::from(path))
    });
    Ok(paths
        .next_back()
        .ok_or("cargo has not said where zkctl is")?)
}

/// Installs it below the target directory, in a virtual environment of its own.
fn zk_shell() -> Found<PathBuf> {
    let target = target_directory()?;
    let environment = target.join(format!("tmp/zk-shell-{ZK_SHELL}"));
    let program = environment.join("bin/zk-shell");
    if !program.is_file() {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&environment))?;
        let wanted = format!("zk-shell=={ZK_SHELL}");
        let install = ["-m", "pip", "install", "--quiet", "--no-input", &wanted];
        run(Command::new(environment.join("bin/python")).args(install))?;
    }
    Ok(program)
}

/// The target directory that this program is in.
fn target_directory() -> Found<PathBuf> {
    let program = env::current_exe()?;
    let mut directories = program.ancestors();
    let target = directories.find(|directory| directory.join("CACHEDIR.TAG").is_file());
    Ok(target.ok_or("there is no target directory")?.to_owned())
}

/// A server of etcd, until it is dropped.
#[derive(Debug)]
struct Etcd {
    process: Child,
    _directory: ServerDirectory,
}

impl Etcd {
    fn start() -> Found<(Self, Tool)> {
        for program in ["etcd", "etcdctl"] {
            if Command::new(program).arg("--version").output().is_err() {
                let install = "apt-get install etcd-client etcd-server";
                return Err(format!("{program} is not on PATH ({install})").into());
            }
        }
        let directory = ServerDirectory::create("etcd")?;
        let [clients, peers] = free_ports()?;
        let address = |port: u16| format!("http://127.0.0.1:{port}");
        let (clients, peers) = (address(clients), address(peers));
        let cluster = format!("default={peers}");
        let log = fs::File::create(directory.path().join("etcd.log"))?;
        let process = Command::new("etcd")
            .args([
                "--listen-client-urls",
                &clients,
                "--advertise-client-urls",
                &clients,
            ])
            .args([
                "--listen-peer-urls",
                &peers,
                "--initial-advertise-peer-urls",
                &peers,
            ])
            .args(["--initial-cluster", &cluster, "--data-dir"])
            .arg(directory.path().join("data"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let etcd = Etcd {
            process,
            _directory: directory,
        };
        let client = |name: &str, words: &[&str]| {
            Tool::new(
                name,
                "etcdctl",
                [&["--endpoints", &clients], words].concat(),
            )
        };
        let put = client("etcdctl put", &["put", PATH, DATA]);
        try_poll("etcd", || run(&mut put.command()).ok())?;
        let version = run(&mut client("", &["version"]).command())?;
        let number = version.split_whitespace().nth(2).unwrap_or_default();
        let name = format!("etcdctl {number}, of etcd");
        let tool = client(&name, &["get", "--print-value-only", PATH]);
        Ok((etcd, tool))
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
