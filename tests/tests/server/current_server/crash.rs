//! A program that is killed and started again, and continues its session.

use std::time::Duration;

use crate::common::child;
use crate::common::crashing::{is_killed, run};
use crate::common::{blocking, unless_starved};

const SESSION: Duration = Duration::from_secs(4);
const KILLS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_program_keeps_its_place() {
    if let Some(orders) = child::orders() {
        return run(&orders).await;
    }
    let this = (module_path!(), "a_killed_program_keeps_its_place");
    unless_starved(SESSION, |session| async move {
        let ensemble = blocking(crate::common::ensemble);
        is_killed(this, ensemble.connect_string(), session, KILLS).await;
    })
    .await;
}
