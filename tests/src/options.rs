//! What a server is started with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// `user:password` of the superuser, as `addauth digest` takes it. Every server that the harness
/// starts accepts it, and grants these rights to no other credentials.
pub const SUPER_CREDENTIALS: &str = "super:secret";

// base64(sha1(SUPER_CREDENTIALS)), in the form of ZooKeeper's system property.
const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";

// Standard output and error of the server are its log file.
const LOGBACK: &str = r#"<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss.SSS} %-5level %logger{0} [%thread] - %msg%n</pattern></encoder>
  </appender>
  <logger name="org.apache.zookeeper.Environment" level="WARN"/>
  <logger name="org.apache.zookeeper.server.NIOServerCnxn" level="WARN"/>
  <logger name="org.apache.zookeeper.server.NettyServerCnxn" level="WARN"/>
  <root level="INFO"><appender-ref ref="OUT"/></root>
</configuration>
"#;

const LOG4J2: &str = r#"<Configuration status="error">
  <Appenders>
    <Console name="OUT">
      <PatternLayout pattern="%d{HH:mm:ss.SSS} %-5level %logger{1} [%thread] - %msg%n"/>
    </Console>
  </Appenders>
  <Loggers>
    <Logger name="org.apache.zookeeper.Environment" level="warn"/>
    <Logger name="org.apache.zookeeper.server.NIOServerCnxn" level="warn"/>
    <Logger name="org.apache.zookeeper.server.NettyServerCnxn" level="warn"/>
    <Root level="info"><AppenderRef ref="OUT"/></Root>
  </Loggers>
</Configuration>
"#;

/// How a server is configured; the defaults suit tests.
///
/// Ticks of 500 ms, sessions between 1 s and 120 s, every four-letter word, TTL nodes,
/// reconfiguration and the superuser ([`SUPER_CREDENTIALS`]) enabled, transactions not forced to
/// the disk (a killed server loses nothing by that; a machine that loses power would).
#[derive(Clone, Debug)]
pub struct ServerOptions {
    pub(crate) secure_port: bool,
    config: BTreeMap<String, String>,
    system_properties: BTreeMap<String, String>,
    jvm_arguments: Vec<String>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|&(key, value)| (key.to_owned(), value.to_owned()))
                .collect()
        };
        Self {
            secure_port: false,
            config: pairs(&[
                ("tickTime", "500"),
                ("maxSessionTimeout", "120000"),
                ("initLimit", "120"),
                ("syncLimit", "10"),
                ("maxClientCnxns", "0"),
                ("admin.enableServer", "false"),
                ("4lw.commands.whitelist", "*"),
                ("reconfigEnabled", "true"),
                ("extendedTypesEnabled", "true"),
                ("forceSync", "no"),
            ]),
            system_properties: pairs(&[
                (
                    "zookeeper.DigestAuthenticationProvider.superDigest",
                    SUPER_DIGEST,
                ),
                // Unanswered votes are repeated at intervals that double up to a minute.
                ("zookeeper.fastleader.maxNotificationInterval", "1000"),
                ("java.net.preferIPv4Stack", "true"),
            ]),
            jvm_arguments: ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

impl ServerOptions {
    /// ZooKeeper's unit of time, in whole milliseconds. Sessions last two ticks at least.
    #[must_use]
    pub fn tick_time(self, tick: Duration) -> Self {
        self.config("tickTime", tick.as_millis().to_string())
    }

    /// Whether a transaction is on the disk before it is acknowledged.
    #[must_use]
    pub fn force_sync(self, force: bool) -> Self {
        self.config("forceSync", if force { "yes" } else { "no" })
    }

    /// Another superuser: `user:base64(sha1("user:password"))`.
    #[must_use]
    pub fn super_digest(self, digest: impl Into<String>) -> Self {
        self.system_property("zookeeper.DigestAuthenticationProvider.superDigest", digest)
    }

    /// Also listens for TLS, with Netty; key and trust stores are the caller's to set with
    /// [`config`](Self::config). See [`Server::secure_address`](crate::Server::secure_address).
    #[must_use]
    pub fn secure_port(mut self) -> Self {
        self.secure_port = true;
        self.config(
            "serverCnxnFactory",
            "org.apache.zookeeper.server.NettyServerCnxnFactory",
        )
    }

    /// A line of `zoo.cfg`, in place of the default with that key.
    #[must_use]
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(key.into(), value.into());
        self
    }

    /// A Java system property (`-Dkey=value`).
    #[must_use]
    pub fn system_property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.system_properties.insert(key.into(), value.into());
        self
    }

    /// A further argument for the Java virtual machine.
    #[must_use]
    pub fn jvm_argument(mut self, argument: impl Into<String>) -> Self {
        self.jvm_arguments.push(argument.into());
        self
    }

    /// The `zoo.cfg` of a server that keeps its data in `data_dir`; `lines` come last.
    pub(crate) fn zoo_cfg(&self, data_dir: &Path, lines: &[String]) -> String {
        let mut text = format!("dataDir={}\n", data_dir.display());
        for (key, value) in &self.config {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{key}={value}");
        }
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// The files a server needs beside its `zoo.cfg`.
    pub(crate) fn files() -> [(&'static str, &'static str); 2] {
        [("logback.xml", LOGBACK), ("log4j2.xml", LOG4J2)]
    }

    /// What goes between `java` and the class path.
    pub(crate) fn java_arguments(&self, server_dir: &Path) -> Vec<String> {
        let mut arguments = self.jvm_arguments.clone();
        // Debian logs by slf4j-simple, Apache's releases by logback, and other collections of its jars
        // by log4j2; each ignores what configures the others.
        let simple = "-Dorg.slf4j.simpleLogger.";
        arguments.extend([
            format!("{simple}showDateTime=true"),
            format!("{simple}dateTimeFormat=HH:mm:ss.SSS"),
            format!("{simple}showShortLogName=true"),
            format!("{simple}log.org.apache.zookeeper.Environment=warn"),
            format!("{simple}log.org.apache.zookeeper.server.NIOServerCnxn=warn"),
            format!("{simple}log.org.apache.zookeeper.server.NettyServerCnxn=warn"),
            format!(
                "-Dlogback.configurationFile={}",
                server_dir.join("logback.xml").display()
            ),
            format!(
                "-Dlog4j2.configurationFile={}",
                server_dir.join("log4j2.xml").display()
            ),
        ]);
        let properties = &self.system_properties;
        arguments.extend(
            properties
                .iter()
                .map(|(key, value)| format!("-D{key}={value}")),
        );
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_replaces_its_default() {
        let options = ServerOptions::default()
            .tick_time(Duration::from_secs(2))
            .force_sync(true)
            .super_digest("super:other");
        let text = options.zoo_cfg(Path::new("/d"), &["clientPort=1".into()]);
        assert!(text.starts_with("dataDir=/d\n"), "{text}");
        assert!(text.ends_with("clientPort=1\n"), "{text}");
        assert_eq!(text.matches("tickTime=").count(), 1, "{text}");
        assert!(
            text.contains("tickTime=2000\n") && text.contains("forceSync=yes\n"),
            "{text}"
        );
        let arguments = options.java_arguments(Path::new("/d"));
        let digests: Vec<_> = arguments
            .iter()
            .filter(|a| a.contains("superDigest"))
            .collect();
        assert_eq!(
            digests,
            ["-Dzookeeper.DigestAuthenticationProvider.superDigest=super:other"]
        );
    }
}
