//! kazoo's `DoubleBarrier` beside ours.

use crate::mixed_fleets::barrier_fleet::{Passing, pass};
use crate::mixed_fleets::foreigner::kazoo_script;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kazoo_double_barrier() {
    pass(true, &|passing: &Passing| {
        let (rounds, members) = (passing.rounds.to_string(), passing.members.to_string());
        let timeout = passing.session_timeout.as_secs().to_string();
        let arguments = [&*passing.root, &rounds, &members, passing.last, &timeout];
        kazoo_script("double_barrier.py", &arguments)
    })
    .await;
}
