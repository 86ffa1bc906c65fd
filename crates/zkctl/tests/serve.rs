//! `zkctl serve`: its options and its `zoo.cfg`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, which the lint does not know from other functions"
)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use common::{SECRET, finish, text, zkctl};

/// A server process that ends with the test.
struct Serving {
    child: Child,
    hosts: String,
}

impl Serving {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut hosts = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        BufReader::new(stdout).read_line(&mut hosts).unwrap();
        let hosts = hosts.trim().to_owned();
        Serving { child, hosts }
    }

    fn four_letter_word(&self, member: usize, word: &str) -> String {
        let host = self.hosts.split(',').nth(member).unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(word.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// The output of a command, which must succeed.
    fn done(&self, arguments: &[&str], auth: &str) -> String {
        let mut command = zkctl(arguments);
        command.env("ZK_SERVER", &self.hosts).env("ZK_AUTH", auth);
        let output = finish(command);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Ends the server, and returns its standard error.
    fn end(mut self) -> String {
        self.child.kill().unwrap();
        let mut stderr = String::new();
        let pipe = self.child.stderr.as_mut().unwrap();
        pipe.read_to_string(&mut stderr).unwrap();
        stderr
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // An error means that the server has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes a temporary file.
fn file(name: &str, content: &str) -> PathBuf {
    let path = env::temp_dir().join(format!("zkctl-serve-{}-{name}", process::id()));
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn an_ensemble_is_served_and_reconfigured() {
    let mut command = zkctl(&[
        "serve",
        "--port",
        "0",
        "--members",
        "4",
        "--observers",
        "1",
        "--reconfig",
        "--tick",
        "100ms",
        "--quirks",
        "keep-pzxid,no-ttl",
    ]);
    command.env("ZK_SUPER", format!("super:{SECRET}"));
    let serving = Serving::start(command);
    assert_eq!(serving.hosts.split(',').count(), 4, "{}", serving.hosts);
    let conf = serving.four_letter_word(0, "conf");
    assert!(conf.contains("\nminSessionTimeout=200\n"), "{conf}");
    let srvr = serving.four_letter_word(3, "srvr");
    assert!(srvr.contains("Mode: observer"), "{srvr}");
    let auth = format!("digest:super:{SECRET}");
    let config = serving.done(&["reconfig", "--leave", "1"], &auth);
    assert!(
        !config.contains("server.1=") && config.contains("server.4="),
        "{config}"
    );
    let mut create = zkctl(&["create", "--ttl", "1s", "/t"]);
    create.env("ZK_SERVER", &serving.hosts);
    let refused = finish(create);
    assert!(!refused.status.success(), "there are no times to live");
}

#[test]
fn a_zoo_cfg_is_understood() {
    let path = file(
        "zoo.cfg",
        "# made for a test\ntickTime=250\ninitLimit=5\ndataDir=/var/lib/zookeeper\n\
         clientPort=0\nmaxClientCnxns=9\n4lw.commands.whitelist=conf,srvr\nnonsense=1\n\
         server.5=127.0.0.1:12888:13888\nserver.6=127.0.0.1:12889:13889\n",
    );
    let command = zkctl(&["serve", "--config", path.to_str().unwrap()]);
    let serving = Serving::start(command);
    assert_eq!(serving.hosts.split(',').count(), 2, "{}", serving.hosts);
    let conf = serving.four_letter_word(0, "conf");
    for line in [
        "tickTime=250",
        "maxClientCnxns=9",
        "serverId=5",
        "quorumPort=12888",
    ] {
        assert!(conf.lines().any(|found| found == line), "{line}: {conf}");
    }
    let refused = serving.four_letter_word(1, "ruok");
    assert!(refused.contains("not in the whitelist"), "{refused}");
    let stderr = serving.end();
    for (line, key) in [(3, "initLimit"), (4, "dataDir"), (8, "nonsense")] {
        let warned = format!("line {line}: {key} has no effect");
        assert!(stderr.contains(&warned), "{warned}: {stderr}");
    }
    assert!(!stderr.contains("tickTime"), "{stderr}");
    fs::write(&path, "tickTime=2000\nclientPort=hunter2\n").unwrap();
    let output = finish(zkctl(&["serve", "--config", path.to_str().unwrap()]));
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("line 2: ") && !stderr.contains(SECRET),
        "{stderr}"
    );
    fs::remove_file(path).unwrap();
}

/// Guards: P27.
#[test]
fn a_server_shows_no_secret() {
    let users = file("users", &format!("bob:{SECRET}\nhunter2\n"));
    let path = users.to_str().unwrap();
    for option in ["--sasl-users-file", "--super-file"] {
        fs::write(&users, format!("{SECRET}\n")).unwrap();
        let output = finish(zkctl(&["serve", "--port", "0", option, path]));
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.contains(option) && !stderr.contains(SECRET),
            "{stderr}"
        );
    }
    fs::remove_file(users).unwrap();
}

#[test]
fn enforced_authentication_is_required() {
    let command = zkctl(&["serve", "--port", "0", "--enforce-auth", "digest"]);
    let serving = Serving::start(command);
    assert_eq!(serving.done(&["exists", "/"], "digest:a:b"), "true\n");
    let mut anyone = zkctl(&["exists", "/"]);
    anyone.env("ZK_SERVER", &serving.hosts);
    assert!(!finish(anyone).status.success());
}

#[test]
fn replies_are_held_back() {
    let delay = Duration::from_millis(40);
    let serving = Serving::start(zkctl(&["serve", "--port", "0", "--delay", "40ms"]));
    let start = Instant::now();
    assert_eq!(serving.done(&["exists", "/"], "digest:a:b"), "true\n");
    // One delay for the handshake, one for the reply.
    assert!(start.elapsed() >= delay * 2);
}

#[cfg(feature = "tls")]
#[test]
fn a_server_makes_its_certificates() {
    use std::os::unix::fs::PermissionsExt;

    let directory = env::temp_dir().join(format!("zkctl-serve tls%{}", process::id()));
    for require in [&[][..], &["--tls-require-client"]] {
        let mut command = zkctl(&["serve", "--port", "0", "--members", "2", "--tls-dir"]);
        command.arg(&directory).args(require);
        // The second run replaces the files of the first one.
        let serving = Serving::start(command);
        assert!(serving.hosts.starts_with("zks://"), "{}", serving.hosts);
        serving.done(&["create", "/a", "x"], "");
        assert_eq!(serving.done(&["get", "/a"], ""), "x");
        let all = serving.done(&["four-letter", "ruok", "--all"], "");
        assert_eq!(all.matches("imok").count(), 2, "{all}");
        let key = fs::metadata(directory.join("client-key.pem")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);

        let (plain, _) = serving.hosts.split_once('?').unwrap();
        let mut command = zkctl(&["get", "/a", "--connect-timeout", "1s"]);
        command.env("ZK_SERVER", plain.replace("zks://", ""));
        let output = finish(command);
        let error = text(&output.stderr);
        assert!(error.contains("connect with TLS"), "{error}");
    }
    let mut command = zkctl(&["serve", "--port", "0", "--tls-dir"]);
    command.arg(directory.join("ca.pem"));
    let output = finish(command);
    let error = text(&output.stderr);
    assert!(error.contains("write the certificates into"), "{error}");
    fs::remove_dir_all(directory).unwrap();
}
