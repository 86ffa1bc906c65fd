//! A test in a process of its own, whose environment names a realm, a keytab and a ticket cache.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use zk_client::{BackoffPolicy, Client, ClientBuilder, Disconnect, Error, ErrorKind, SaslError};
use zk_sasl_gssapi::Gssapi;
use zk_tests::run_directory::ServerDirectory;
use zk_tests::watchdog::Wait;
use zk_tests::{ServerOptions, Standalone};

use super::kdc::Kdc;

/// Names the scene that this process is to play, and where.
const SCENE: &str = "ZK_KERBEROS_SCENE";
const DIRECTORY: &str = "ZK_KERBEROS_DIRECTORY";

/// Longer than a busy machine keeps a client or a server from running.
pub(crate) const LONG_SESSION: Duration = Duration::from_secs(120);

/// Where the library finds tickets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tickets {
    /// It fetches them with the keytab [`Realm::keytab`], into caches in a directory.
    Keytab,
    /// In the file that `kinit` writes, [`Realm::cache`].
    Cache,
}

/// A KDC, and a directory for keytabs.
pub(crate) struct Realm {
    pub(crate) directory: PathBuf,
    pub(crate) kdc: Kdc,
}

/// Plays `scene` in a process of its own, started as the test of this name.
pub(crate) fn play<F: Future<Output = ()>>(
    test: &str,
    tickets: Tickets,
    scene: impl FnOnce(Realm) -> F,
) {
    if env::var(SCENE).is_ok_and(|name| name == test) {
        let directory = PathBuf::from(env::var_os(DIRECTORY).unwrap());
        let kdc = Kdc::start(&directory);
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(scene(Realm { directory, kdc }));
    }
    let directory = ServerDirectory::create("kerberos").unwrap();
    let path = directory.path();
    Kdc::configure(path);
    let cache = match tickets {
        Tickets::Keytab => {
            let caches = path.join("caches");
            std::fs::create_dir(&caches).unwrap();
            format!("DIR:{}", caches.display())
        }
        Tickets::Cache => format!("FILE:{}", cache(path).display()),
    };
    let status = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .envs(Kdc::environment(path))
        .env("KRB5CCNAME", cache)
        .env("KRB5_CLIENT_KTNAME", keytab(path))
        .env(SCENE, test)
        .env(DIRECTORY, path)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(
        status.success(),
        "the process of {test} has failed, see above"
    );
}

fn cache(directory: &Path) -> PathBuf {
    directory.join("tickets")
}

fn keytab(directory: &Path) -> PathBuf {
    directory.join("client.keytab")
}

impl Realm {
    /// The keytab of the clients.
    pub(crate) fn keytab(&self) -> PathBuf {
        keytab(&self.directory)
    }

    /// The ticket cache of the clients, if it is a file.
    pub(crate) fn cache(&self) -> PathBuf {
        cache(&self.directory)
    }

    /// The keytab of the server.
    pub(crate) fn server_keytab(&self) -> PathBuf {
        self.directory.join("server.keytab")
    }

    /// A server that serves clients with a login only, as `zookeeper/localhost`.
    pub(crate) fn server(&self) -> Standalone {
        let keytab = self.server_keytab();
        self.kdc.add("zookeeper/localhost", "1h");
        self.kdc.export("zookeeper/localhost", &keytab);
        let jaas = self.directory.join("jaas.conf");
        let section = format!(
            "Server {{\n com.sun.security.auth.module.Krb5LoginModule required\n useKeyTab=true storeKey=true \
             useTicketCache=false\n keyTab=\"{}\"\n principal=\"zookeeper/localhost@ZK.TEST\";\n}};\n",
            keytab.display()
        );
        std::fs::write(&jaas, section).unwrap();
        let options = ServerOptions::default()
            .config(
                "authProvider.1",
                "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
            )
            .config("sessionRequireClientSASLAuth", "true")
            .system_property(
                "java.security.auth.login.config",
                jaas.display().to_string(),
            )
            .system_property(
                "java.security.krb5.conf",
                self.directory.join("krb5.conf").display().to_string(),
            );
        Standalone::start(options).unwrap()
    }
}

/// By the name in the server's principal.
pub(crate) fn localhost(port: u16) -> String {
    format!("localhost:{port}")
}

pub(crate) fn builder(hosts: &str) -> ClientBuilder {
    Client::builder(hosts)
        .session_timeout(LONG_SESSION)
        .connect_timeout(Duration::from_secs(3600))
        .deadline(Duration::from_secs(3600))
        .backoff(BackoffPolicy::new(
            Duration::from_millis(20),
            Duration::from_millis(200),
        ))
}

/// Connects as the default principal.
pub(crate) async fn connect(hosts: &str) -> Client {
    let builder = builder(hosts).sasl(Gssapi::new());
    soon("a connection", builder.connect()).await.unwrap()
}

/// Waits for as long as anything happens.
pub(crate) async fn soon<T>(what: &str, future: impl IntoFuture<Output = T>) -> T {
    Wait::begin(what).on(future.into_future()).await
}

/// Waits until `fact` is true, for as long as anything happens.
pub(crate) async fn until(what: &str, mut fact: impl AsyncFnMut() -> bool) {
    let facts = async {
        while !fact().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(&format!("the fact that {what}"), facts).await;
}

/// Why a login failed for ever.
pub(crate) fn cause(error: &Error) -> SaslError {
    assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
    match error.disconnect() {
        Some(Disconnect::LoginFailed { mechanism, cause }) => {
            assert_eq!(mechanism, "GSSAPI");
            cause.clone()
        }
        other => panic!("not about a login: {other:?}: {error}"),
    }
}

/// The error's text, if a login that the client tries again is why there is no connection.
pub(crate) fn login_failure(error: &Error) -> Option<String> {
    let text = error.to_string();
    let is_about_it = text.contains("GSSAPI") && text.contains("tries again");
    is_about_it.then_some(text)
}
