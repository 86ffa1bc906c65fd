//! Changing the ensemble.

use super::node::GetDataResponse;
use crate::jute::record::record;

record! {
    /// `reconfig`: either `joining` and `leaving`, or `new_members`.
    #[derive(Copy)]
    pub struct ReconfigRequest<'a> {
        /// Servers to add or change, as `server.N=…` lines separated by commas.
        pub joining: Option<&'a str>,
        /// Ids of servers to remove, separated by commas.
        pub leaving: Option<&'a str>,
        /// The whole new ensemble, as `server.N=…` lines separated by commas.
        pub new_members: Option<&'a str>,
        /// The version of the configuration this changes; −1 for any.
        pub cur_config_id: i64,
    }
}

/// Answers `reconfig` with the new configuration's text and the config node's metadata.
pub type ReconfigResponse = GetDataResponse;
