//! What holders write and all workers read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use zk_client::{Client, ErrorKind, Outcome};
use zk_recipes::{Error, Guard};
use zk_tests::lincheck::Recorder;
use zk_tests::lincheck::models::{RegisterInput, RegisterOutput};

/// What holders write with their guard's transaction, and what others read.
#[derive(Clone, Default)]
pub(crate) struct Written {
    pub(crate) recorder: Recorder<RegisterInput, RegisterOutput>,
    pub(crate) next: Arc<AtomicU64>,
    pub(crate) unknown: Arc<AtomicU64>,
}

/// Each write of unknown outcome doubles the search.
pub(crate) const UNKNOWN_MAX: u64 = 4;

impl Written {
    pub(crate) async fn write(&self, guard: &Guard) {
        if self.unknown.load(Ordering::Relaxed) >= UNKNOWN_MAX {
            return;
        }
        let value = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let called = self.recorder.call(RegisterInput::Write(value, None));
        let write = guard.fenced().set("/written", value.to_string());
        match write.commit().await {
            Ok(results) => {
                let Some(zk_client::OpResult::Set(stat)) = results.first() else {
                    panic!("{results:?}");
                };
                called.returned(RegisterOutput::Written(stat.version));
            }
            Err(Error::Client(error)) if error.outcome() == Outcome::Unknown => {
                self.unknown.fetch_add(1, Ordering::Relaxed);
                called.is_unknown();
            }
            Err(_without_effect) => called.is_void(),
        }
    }

    /// The version, if it could be read.
    pub(crate) async fn read(&self, zk: &Client) -> Option<i32> {
        let called = self.recorder.call(RegisterInput::Read);
        match zk.get("/written").linearizable().await {
            Ok((data, stat)) => {
                let value = std::str::from_utf8(&data).unwrap().parse().unwrap();
                called.returned(RegisterOutput::Value(value, stat.version));
                Some(stat.version)
            }
            Err(error) => {
                let passes = error.outcome() != Outcome::Rejected
                    || matches!(error.kind(), ErrorKind::SessionExpired);
                assert!(passes, "{error}");
                called.is_void();
                None
            }
        }
    }
}
