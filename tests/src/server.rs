//! One server process: start, kill, pause, ask.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::four_letter::{self, Mode, Srvr};
use crate::installation::Installation;
use crate::options::ServerOptions;
use crate::run_directory::PID_FILE;
use crate::signal::{self, Signal};
use crate::site::Site;
use crate::watchdog::try_poll;

const MAIN_CLASS: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
/// After which a query is repeated on another connection: a server that starts may accept one
/// and forget it.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// The same while it starts, doubled up to the last whenever it was too short.
const FIRST_TIMEOUT: Duration = Duration::from_millis(500);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
const LOG_TAIL_BYTES: u64 = 4096;

/// A ZooKeeper server: alone or a member of an [`Ensemble`](crate::Ensemble).
///
/// All methods take `&self`, so one thread can break a server while others use it.
#[derive(Debug)]
pub struct Server {
    id: usize,
    dir: PathBuf,
    site: Site,
    client_address: SocketAddr,
    secure_address: Option<SocketAddr>,
    installation: Installation,
    options: ServerOptions,
    process: Mutex<Option<Child>>,
}

impl Server {
    /// Writes the server's directory; [`spawn`](Self::spawn) is next. `lines` end its `zoo.cfg`.
    pub(crate) fn prepare(
        id: usize,
        parent: &Path,
        site: Site,
        lines: &[String],
        installation: &Installation,
        options: &ServerOptions,
    ) -> Result<Self> {
        let dir = parent.join(format!("server-{id}"));
        let data = dir.join("data");
        fs::create_dir_all(&data)
            .map_err(|source| Error::io(format!("create {}", data.display()), source))?;

        let mut lines = lines.to_vec();
        let secure_address = options.secure_port.then(|| site.address(site.secure));
        if let Some(secure) = secure_address {
            lines.push(format!("secureClientPort={}", secure.port()));
            lines.push(format!("secureClientPortAddress={}", secure.ip()));
        }
        write(&dir.join("zoo.cfg"), &options.zoo_cfg(&data, &lines))?;
        write(&data.join("myid"), &id.to_string())?;
        for (name, contents) in ServerOptions::files() {
            write(&dir.join(name), contents)?;
        }
        Ok(Self {
            id,
            dir,
            client_address: site.address(site.client),
            secure_address,
            site,
            installation: installation.clone(),
            options: options.clone(),
            process: Mutex::new(None),
        })
    }

    /// Its number in the ensemble (`server.N`), from 1.
    #[must_use]
    pub fn id(&self) -> usize {
        self.id
    }

    /// The address clients connect to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.client_address
    }

    /// The port clients connect to.
    #[must_use]
    pub fn client_port(&self) -> u16 {
        self.client_address.port()
    }

    /// The address for TLS clients, if started with [`ServerOptions::secure_port`].
    #[must_use]
    pub fn secure_address(&self) -> Option<SocketAddr> {
        self.secure_address
    }

    /// `127.0.0.1:port`, or the address of its [`Host`](crate::Host).
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.client_address.to_string()
    }

    /// Its directory: `zoo.cfg`, `data`, `server.log`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All it has written since its first start.
    #[must_use]
    pub fn log_path(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// Its process, if it runs (or is paused).
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let mut process = self.process();
        let child = process.as_mut()?;
        matches!(child.try_wait(), Ok(None)).then(|| child.id())
    }

    /// Kills it at once (SIGKILL), paused or not, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// If it was not running: a test that kills a server must notice that the server had died before.
    pub fn kill(&self) -> Result<()> {
        let mut process = self.process();
        let mut child = self.take_running(&mut process)?;
        child
            .kill()
            .map_err(|source| Error::io(format!("kill server-{}", self.id), source))?;
        self.reap(&mut child)
    }

    /// Ends it in order (SIGTERM) and waits until it is gone.
    ///
    /// # Errors
    ///
    /// If it was not running, or had to be killed because it did nothing any more.
    pub fn stop(&self) -> Result<()> {
        let mut process = self.process();
        let mut child = self.take_running(&mut process)?;
        let asked = signal::send(child.id(), Signal::Term)
            // A paused process sees SIGTERM only once it continues.
            .and_then(|()| signal::send(child.id(), Signal::Continue));
        let what = format!("server-{} to end on SIGTERM", self.id);
        let gone = asked.is_ok().then(|| {
            try_poll(&what, || {
                matches!(child.try_wait(), Ok(Some(_))).then_some(())
            })
        });
        if !matches!(gone, Some(Ok(()))) {
            child
                .kill()
                .map_err(|source| Error::io(format!("kill server-{}", self.id), source))?;
        }
        self.reap(&mut child)?;
        asked?;
        match gone {
            Some(Err(verdict)) => Err(self.failure(format!("was killed: {verdict}"))),
            _ => Ok(()),
        }
    }

    /// Freezes it (SIGSTOP): sockets stay open, nothing is answered. Returns once every thread
    /// stands still.
    ///
    /// # Errors
    ///
    /// If it is not running or does not stop.
    pub fn pause(&self) -> Result<()> {
        let pid = self.running_pid()?;
        signal::send(pid, Signal::Stop)?;
        try_poll("every thread to stand still", || {
            signal::is_stopped(pid).unwrap_or(true).then_some(())
        })
        .map_err(|verdict| self.failure(format!("did not stop on SIGSTOP: {verdict}")))
    }

    /// Lets it continue after [`pause`](Self::pause).
    ///
    /// # Errors
    ///
    /// If it is not running.
    pub fn resume(&self) -> Result<()> {
        signal::send(self.running_pid()?, Signal::Continue)
    }

    /// Starts it again with nothing but its id: as a member of an ensemble it gets all data from
    /// the leader.
    ///
    /// # Errors
    ///
    /// As [`restart`](Self::restart), and if its data cannot be removed.
    pub fn restart_empty(&self) -> Result<Srvr> {
        self.kill()?;
        let log = self.dir().join("data").join("version-2");
        match fs::remove_dir_all(&log) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::io(format!("remove {}", log.display()), source))
            }
            _ => self.restart(),
        }
    }

    /// Starts it again on the same ports with the same data, killing it first if it runs, and
    /// waits until it serves. A member of an ensemble without a quorum never does:
    /// [`spawn`](Self::spawn) it instead.
    ///
    /// # Errors
    ///
    /// As [`wait_until_serving`](Self::wait_until_serving).
    pub fn restart(&self) -> Result<Srvr> {
        if self.pid().is_some() {
            self.kill()?;
        }
        self.spawn()?;
        self.wait_until_serving()
    }

    /// Starts the process and does not wait for it to serve.
    ///
    /// # Errors
    ///
    /// If it already runs, or Java cannot be started.
    pub fn spawn(&self) -> Result<()> {
        let mut process = self.process();
        if let Some(child) = process.as_mut()
            && matches!(child.try_wait(), Ok(None))
        {
            return Err(self.failure("is already running"));
        }
        let log_path = self.log_path();
        let log = || {
            File::options()
                .create(true)
                .append(true)
                .open(&log_path)
                .map_err(|source| Error::io(format!("open {}", log_path.display()), source))
        };
        let java = self.installation.java();
        let child = self
            .site
            .command(java)
            .args(self.options.java_arguments(&self.dir))
            .arg("-cp")
            .arg(self.installation.classpath())
            .arg(MAIN_CLASS)
            .arg(self.dir.join("zoo.cfg"))
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log()?)
            .stderr(log()?)
            .spawn()
            .map_err(|source| Error::io(format!("start {}", java.display()), source))?;
        let pid = child.id();
        *process = Some(child);
        write(&self.dir.join(PID_FILE), &pid.to_string())
    }

    /// Waits until it answers `srvr` as a serving server, alone or in a quorum, and its TLS port,
    /// if it has one, is open.
    ///
    /// # Errors
    ///
    /// If its process ends, or does nothing any more.
    pub fn wait_until_serving(&self) -> Result<Srvr> {
        let mut last = Ok(());
        let mut time_limit = FIRST_TIMEOUT;
        let what = format!("server-{} to serve", self.id);
        let answer = try_poll(&what, || {
            if self.pid().is_none() {
                return Some(Err(self.failure(self.how_it_ended())));
            }
            let asked = Instant::now();
            match self
                .srvr_within(time_limit)
                .and_then(|srvr| self.with_secure_port(srvr))
            {
                Ok(srvr) => Some(Ok(srvr)),
                Err(reason) => {
                    last = Err(reason);
                    if asked.elapsed() >= time_limit {
                        time_limit = (time_limit * 2).min(LONGEST_TIMEOUT);
                    }
                    None
                }
            }
        });
        answer.unwrap_or_else(|verdict| {
            let reason = last.err().unwrap_or_else(|| "it was not asked".to_owned());
            Err(self.failure(format!("does not serve ({reason}): {verdict}")))
        })
    }

    /// Asks a four-letter word, until it is answered.
    ///
    /// # Errors
    ///
    /// If it is down or [paused](Self::pause), or does nothing any more.
    pub fn four_letter(&self, word: &str) -> Result<String> {
        self.ask(word)
            .map_err(|error| self.failure(format!("did not answer `{word}`: {error}")))
    }

    /// Asks `srvr`.
    ///
    /// # Errors
    ///
    /// As [`four_letter`](Self::four_letter), and if it is not serving.
    pub fn srvr(&self) -> Result<Srvr> {
        let reply = self.four_letter("srvr")?;
        let srvr = reply.parse::<Srvr>();
        srvr.map_err(|error| self.failure(error.to_string()))
    }

    /// The part it plays.
    ///
    /// # Errors
    ///
    /// As [`srvr`](Self::srvr).
    pub fn mode(&self) -> Result<Mode> {
        Ok(self.srvr()?.mode)
    }

    /// Whether it says that it leads. One that is down, paused or without a quorum does not.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        let reply = self.ask("srvr").ok();
        let srvr = reply.and_then(|reply| reply.parse::<Srvr>().ok());
        srvr.is_some_and(|srvr| srvr.mode == Mode::Leader)
    }

    /// Asks for as long as the process is one that can answer.
    fn ask(&self, word: &str) -> std::result::Result<String, String> {
        let what = format!("server-{} to answer `{word}`", self.id);
        let answer = try_poll(&what, || {
            let frozen = |pid| signal::is_stopped(pid) == Some(true);
            if self.pid().is_none_or(frozen) {
                return Some(Err("it is down or paused".to_owned()));
            }
            let ask = || four_letter::ask(self.client_address, word, ASK_AGAIN);
            match self.site.run(ask) {
                Ok(Err(error)) if is_timeout(&error) => None,
                Ok(answer) => Some(answer.map_err(|error| error.to_string())),
                Err(error) => Some(Err(error.to_string())),
            }
        });
        answer.unwrap_or_else(Err)
    }

    /// The end of its log, for messages.
    #[must_use]
    pub fn log_tail(&self) -> String {
        tail(&self.log_path()).unwrap_or_else(|error| format!("(no log: {error})"))
    }

    pub(crate) fn failure(&self, what: impl AsRef<str>) -> Error {
        Error::Server {
            what: format!(
                "server-{} ({}) {}",
                self.id,
                self.client_address,
                what.as_ref()
            ),
            log_path: self.log_path(),
            log_tail: self.log_tail(),
        }
    }

    fn srvr_within(&self, timeout: Duration) -> std::result::Result<Srvr, String> {
        self.site
            .run(|| four_letter::ask(self.client_address, "srvr", timeout))
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("it does not answer `srvr`: {error}"))?
            .parse()
            .map_err(|error: four_letter::UnreadableSrvr| error.to_string())
    }

    /// The TLS port opens a moment after the plain one.
    fn with_secure_port(&self, srvr: Srvr) -> std::result::Result<Srvr, String> {
        if let Some(address) = self.secure_address {
            self.site
                .run(|| TcpStream::connect_timeout(&address, ASK_AGAIN))
                .map_err(|error| error.to_string())?
                .map_err(|error| format!("its TLS port {address} does not answer: {error}"))?;
        }
        Ok(srvr)
    }

    fn process(&self) -> MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_running(&self, process: &mut Option<Child>) -> Result<Child> {
        let running = process
            .as_mut()
            .is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        match process.take_if(|_| running) {
            Some(child) => Ok(child),
            None => Err(self.failure("is not running")),
        }
    }

    fn running_pid(&self) -> Result<u32> {
        self.pid().ok_or_else(|| self.failure("is not running"))
    }

    fn how_it_ended(&self) -> String {
        match self.process().as_mut().map(Child::try_wait) {
            Some(Ok(Some(status))) => format!("ended by itself: {status}"),
            _ => "is not running".to_owned(),
        }
    }

    fn reap(&self, child: &mut Child) -> Result<()> {
        child
            .wait()
            .map_err(|source| Error::io(format!("wait for server-{}", self.id), source))?;
        // The number is free for another process now; the janitor must not kill that one.
        let pid_file = self.dir.join(PID_FILE);
        fs::remove_file(&pid_file)
            .map_err(|source| Error::io(format!("remove {}", pid_file.display()), source))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.process().take() {
            // Both fail only for a process that has already ended.
            let _ = child.kill();
            let _ = self.reap(&mut child);
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn write(path: &Path, contents: &str) -> Result<()> {
    fs::write(path, contents)
        .map_err(|source| Error::io(format!("write {}", path.display()), source))
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
