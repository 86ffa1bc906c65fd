//! A key distribution centre of MIT Kerberos, on a loopback port, with a database of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use zk_tests::ports::free_ports;
use zk_tests::watchdog::poll;

/// Its only realm.
pub(crate) const REALM: &str = "ZK.TEST";

/// Where Debian puts the programs of an administrator.
const PATH: &str = "/usr/sbin:/usr/local/sbin:/usr/bin:/bin";

/// A KDC, until it is dropped.
#[derive(Debug)]
pub(crate) struct Kdc {
    directory: PathBuf,
    port: u16,
    process: Mutex<Option<Child>>,
}

impl Kdc {
    /// Writes the configuration that clients, servers and the KDC read. The variables [`environment`] name it.
    pub(crate) fn configure(directory: &Path) {
        let [port] = free_ports().unwrap();
        let shown = directory.display();
        let client = format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n \
             dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n \
             kdc_timesync = 0\n\
             [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n\
             [domain_realm]\n localhost = {REALM}\n"
        );
        fs::write(directory.join("krb5.conf"), client).unwrap();
        let kdc = format!(
            "[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n\
             [realms]\n {REALM} = {{\n  database_name = {shown}/database\n  key_stash_file = {shown}/stash\n  \
             max_renewable_life = 1h\n  supported_enctypes = aes256-cts-hmac-sha1-96:normal\n }}\n\
             [logging]\n kdc = FILE:{shown}/kdc.log\n"
        );
        fs::write(directory.join("kdc.conf"), kdc).unwrap();
        fs::write(directory.join("port"), port.to_string()).unwrap();
    }

    /// What the processes of the realm are started with.
    pub(crate) fn environment(directory: &Path) -> [(&'static str, PathBuf); 2] {
        [
            ("KRB5_CONFIG", directory.join("krb5.conf")),
            ("KRB5_KDC_PROFILE", directory.join("kdc.conf")),
        ]
    }

    /// Makes the database, and starts the KDC.
    pub(crate) fn start(directory: &Path) -> Self {
        let port = fs::read_to_string(directory.join("port")).unwrap();
        let kdc = Kdc {
            directory: directory.to_owned(),
            port: port.parse().unwrap(),
            process: Mutex::new(None),
        };
        kdc.run("kdb5_util", &["create", "-s", "-r", REALM, "-P", "master"]);
        kdc.restart();
        kdc
    }

    pub(crate) fn restart(&self) {
        self.stop();
        // The janitor of the test directories looks for processes in files of this name.
        let directory = self.directory.join("kdc");
        fs::create_dir_all(&directory).unwrap();
        let process = self
            .command("krb5kdc")
            .args(["-n", "-r", REALM, "-P"])
            .arg(directory.join("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *self.process.lock().unwrap() = Some(process);
        poll("the KDC", || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }

    /// Ends the process; its port refuses connections then.
    pub(crate) fn stop(&self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Adds a principal with a random key. Its tickets live for `life`, such as `3s`.
    pub(crate) fn add(&self, principal: &str, life: &str) {
        self.admin(&format!(
            "addprinc -randkey -maxlife {life} -maxrenewlife 1h {principal}"
        ));
    }

    pub(crate) fn delete(&self, principal: &str) {
        self.admin(&format!("delprinc -force {principal}"));
    }

    /// Gives the principal a new key, and adds it to this keytab; keytabs with its older keys become useless.
    pub(crate) fn export(&self, principal: &str, keytab: &Path) {
        self.admin(&format!("ktadd -k {} {principal}", keytab.display()));
    }

    /// Fetches a ticket into the cache of this process.
    pub(crate) fn kinit(&self, principal: &str, keytab: &Path, options: &[&str]) {
        let keytab = keytab.to_str().unwrap();
        let arguments = [options, &["-k", "-t", keytab, principal]].concat();
        self.run("kinit", &arguments);
    }

    /// Whether the cache of this process has a ticket that is valid now.
    pub(crate) fn has_ticket(&self) -> bool {
        let status = self.command("klist").arg("-s").status();
        status.unwrap().success()
    }

    /// How many first tickets the KDC has issued to the principal.
    pub(crate) fn issued(&self, principal: &str) -> usize {
        let log = fs::read_to_string(self.directory.join("kdc.log")).unwrap_or_default();
        let of_principal = format!("{principal}@{REALM} for krbtgt/");
        log.lines()
            .filter(|line| line.contains("AS_REQ") && line.contains("ISSUE:"))
            .filter(|line| line.contains(&of_principal))
            .count()
    }

    fn admin(&self, query: &str) {
        self.run("kadmin.local", &["-r", REALM, "-q", query]);
    }

    fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command.env("PATH", format!("{path}:{PATH}"));
        // Found on the extended path, and not only on that of this process.
        let found = PATH
            .split(':')
            .map(|directory| Path::new(directory).join(program));
        if let Some(program) = found.into_iter().find(|file| file.is_file()) {
            let mut absolute = Command::new(program);
            absolute.env("PATH", format!("{path}:{PATH}"));
            return absolute;
        }
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| {
            panic!("{program}: {error}; install krb5-kdc, krb5-admin-server and krb5-user")
        });
        let said = String::from_utf8_lossy(&output.stderr);
        // kadmin.local ends with 0 also when the query failed.
        let failed = ["while", "rror"].iter().any(|word| said.contains(word));
        assert!(
            output.status.success() && !failed,
            "{program} {arguments:?}: {said}"
        );
    }
}

impl Drop for Kdc {
    fn drop(&mut self) {
        self.stop();
    }
}
