//! A server on its own.

use std::ops::Deref;

use crate::error::Result;
use crate::installation::Installation;
use crate::options::ServerOptions;
use crate::ports::free_ports;
use crate::run_directory::ServerDirectory;
use crate::server::Server;
use crate::site::Site;

pub(crate) const START_ATTEMPTS: usize = 5;

/// A standalone server with its directory; both go when it is dropped.
#[derive(Debug)]
pub struct Standalone {
    // Fields drop in order: the process ends before its directory goes.
    server: Server,
    _directory: ServerDirectory,
}

impl Standalone {
    /// Starts a server and waits until it serves.
    ///
    /// # Errors
    ///
    /// If ZooKeeper is not installed, or the server does not come to serve; the message has the
    /// end of its log.
    pub fn start(options: ServerOptions) -> Result<Self> {
        Self::start_from(&Installation::find()?, options)
    }

    /// Starts a server of this installation and waits until it serves.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_from(installation: &Installation, options: ServerOptions) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::attempt(installation, &options) {
                Err(error) if error.is_port_conflict() && attempt < START_ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    fn attempt(installation: &Installation, options: &ServerOptions) -> Result<Self> {
        let directory = ServerDirectory::create("standalone")?;
        let [client, secure] =
            free_ports().map_err(|source| crate::Error::io("find free ports", source))?;
        let lines = [
            format!("clientPort={client}"),
            "clientPortAddress=127.0.0.1".to_owned(),
        ];
        let site = Site {
            host: None,
            client,
            secure,
        };
        let server = Server::prepare(1, directory.path(), site, &lines, installation, options)?;
        server.spawn()?;
        server.wait_until_serving()?;
        Ok(Self {
            server,
            _directory: directory,
        })
    }
}

impl Deref for Standalone {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}
