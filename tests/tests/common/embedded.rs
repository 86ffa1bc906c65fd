//! The embedded server on a thread of its own, behind real sockets. That it never panics is checked
//! when it goes: tokio would keep a task's panic to itself.

use std::net::SocketAddr;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;
use zk_embedded::Options;

const THREAD: &str = "embedded server";
static PANICS: AtomicUsize = AtomicUsize::new(0);

pub(crate) struct Embedded {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Embedded {
    pub(crate) fn start(options: Options) -> Self {
        count_panics();
        let (stop, stopped) = oneshot::channel();
        let (started, address) = mpsc::channel();
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let builder = zk_embedded::Server::builder().options(options);
                let server = builder.start().await.unwrap();
                started.send(server.addresses()[0]).unwrap();
                // Sent or dropped: either way the server ends.
                let _ = stopped.await;
            });
        };
        let thread = thread::Builder::new().name(THREAD.to_owned()).spawn(serve);
        Self {
            address: address.recv().unwrap(),
            stop: Some(stop),
            thread: Some(thread.unwrap()),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.stop.take());
        let outcome = self.thread.take().map(thread::JoinHandle::join);
        if !thread::panicking() {
            assert!(outcome.is_some_and(|outcome| outcome.is_ok()));
            assert_eq!(PANICS.load(Ordering::SeqCst), 0, "the server panicked");
        }
    }
}

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() == Some(THREAD) {
                PANICS.fetch_add(1, Ordering::SeqCst);
            }
            before(info);
        }));
    });
}
