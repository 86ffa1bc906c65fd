//! Curator's `DistributedDoubleBarrier` beside ours.

use crate::mixed_fleets::barrier_fleet::{Passing, pass};
use crate::mixed_fleets::foreigner::curator_program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curator_double_barrier() {
    pass(false, &|passing: &Passing| {
        let (rounds, members) = (passing.rounds.to_string(), passing.members.to_string());
        let timeout = passing.session_timeout.as_millis().to_string();
        let arguments = [&*passing.root, &rounds, &members, passing.last, &timeout];
        curator_program("CuratorDoubleBarrier.java", &arguments)
    })
    .await;
}
