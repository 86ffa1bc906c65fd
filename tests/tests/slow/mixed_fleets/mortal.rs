//! Clients of ours whose sessions end in the middle of a test.

use std::sync::Arc;
use std::time::Duration;

use zk_client::{Client, State};
use zk_tests::Proxy;

use crate::common::{builder, impatient, shared_server, soon, until};

/// Short, because a session ends after this time without its client.
const SESSION: Duration = Duration::from_secs(2);

/// A client behind a proxy. On a busy machine its session may also end before the test ends it.
#[derive(Debug, Clone)]
pub(crate) struct Mortal {
    pub(crate) zk: Client,
    pub(crate) proxy: Arc<Proxy>,
}

impl Mortal {
    /// A client of the shared server, in a session of its own, with the root of `zk`.
    pub(crate) async fn beside(zk: &Client) -> Self {
        let proxy = Proxy::start(shared_server().address()).unwrap();
        let connecting = builder(proxy.connect_string())
            .session_timeout(SESSION)
            .deadline(None)
            .backoff(impatient());
        let own = soon("a session", connecting.connect()).await.unwrap();
        Mortal {
            zk: own.chroot(zk.root().as_str()).unwrap(),
            proxy: Arc::new(proxy),
        }
    }

    /// Cuts the client off until its session is over, and waits for the next one.
    pub(crate) async fn expire(&self) {
        let Mortal { zk, proxy } = self;
        let mut states = zk.states();
        let epoch = zk.session().epoch;
        proxy.refuse(true).unwrap();
        proxy.cut_all();
        soon("the expiry", async {
            while let Some(state) = states.next().await {
                if matches!(state, State::Expired { .. }) || zk.session().epoch > epoch {
                    break;
                }
            }
        })
        .await;
        proxy.refuse(false).unwrap();
        until("there is another session", || async {
            zk.session().epoch > epoch && zk.state().is_connected()
        })
        .await;
    }
}
