//! What one server has answered at one moment.

use std::time::Duration;

use crate::commands::health::metrics::Metrics;
use crate::commands::health::report::Report;
use crate::commands::health::values::Source;

/// What a server has answered, or why it has not.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) report: Report,
    pub(super) metrics: Metrics,
    pub(super) source: Source,
    /// How long the answer to `srvr` took, connecting included.
    pub(super) took: Duration,
}
