//! A client on a host of its own.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use zk_client::{Client, ClientBuilder};
use zk_tests::Host;

/// The thread that runs a client's connection, in the client's namespace. The client itself can be
/// used from any thread.
pub struct Seat {
    pub host: Arc<Host>,
    pub zk: Client,
    over: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Seat {
    pub async fn connect(host: &Arc<Host>, builder: ClientBuilder) -> Self {
        let (over, is_over) = oneshot::channel();
        let (connected, client) = oneshot::channel();
        let thread = std::thread::spawn({
            let host = host.clone();
            move || {
                host.enter().unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_all().build().unwrap();
                runtime.block_on(async {
                    let zk = builder.connect().await.unwrap();
                    if connected.send(zk).is_ok() {
                        // The sender is used, or dropped by a test that fails.
                        let _ = is_over.await;
                    }
                });
            }
        });
        Seat {
            host: host.clone(),
            zk: client.await.unwrap(),
            over,
            thread,
        }
    }

    pub fn number(&self) -> u8 {
        self.host.number()
    }

    /// The number of the server that it is connected to.
    pub fn server(&self) -> Option<u8> {
        if !self.zk.state().is_connected() {
            return None;
        }
        let server = self.zk.server()?;
        let (_, number) = server.host.rsplit_once('.')?;
        number.parse().ok()
    }

    /// Ends the thread of a client that is closed.
    pub fn end(self) {
        self.over.send(()).unwrap();
        self.thread.join().unwrap();
    }
}
