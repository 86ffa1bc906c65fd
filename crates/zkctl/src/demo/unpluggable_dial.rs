//! A [`Dial`] whose connections can be cut, as by pulling the network cable.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;
use zk_client::{Dial, DialError, Dialing, TcpDial, Transport};
use zk_proto::HostPort;

/// Dials TCP while it is plugged in. Unplugging it ends its connections.
#[derive(Debug, Clone)]
pub(super) struct UnpluggableDial {
    plugged: Arc<watch::Sender<bool>>,
}

impl UnpluggableDial {
    pub(super) fn new() -> Self {
        UnpluggableDial {
            plugged: Arc::new(watch::Sender::new(true)),
        }
    }

    pub(super) fn unplug(&self) {
        self.plugged.send_replace(false);
    }

    pub(super) fn plug(&self) {
        self.plugged.send_replace(true);
    }
}

impl Dial for UnpluggableDial {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        let mut plugged = self.plugged.subscribe();
        Box::pin(async move {
            if !*plugged.borrow() {
                let unplugged = io::Error::new(io::ErrorKind::NetworkDown, "unplugged");
                return Err(DialError::Other(unplugged));
            }
            let mut wire = TcpDial::default().connect(host).await?;
            let (near, mut far) = tokio::io::duplex(64 * 1024);
            tokio::spawn(async move {
                tokio::select! {
                    // Dropping both ends at the end of the task closes the connection on both sides.
                    _ = tokio::io::copy_bidirectional(&mut wire, &mut far) => {}
                    _ = plugged.wait_for(|plugged| !plugged) => {}
                }
            });
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}
