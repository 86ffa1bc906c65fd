//! The simulation, from bytes to verdict.

pub(crate) mod checker;
pub(crate) mod faults;
pub(crate) mod followers;
pub(crate) mod guards;
pub(crate) mod history;
pub(crate) mod link;
pub(crate) mod load;
pub(crate) mod many;
pub(crate) mod network;
pub(crate) mod pipe;
pub(crate) mod restored;
pub(crate) mod rooted;
pub(crate) mod run;
pub(crate) mod scene;
pub(crate) mod sick;
pub(crate) mod split;
pub(crate) mod suspended;
pub(crate) mod wire;
pub(crate) mod workload;
pub(crate) mod world;
