//! The znode of the ensemble's configuration.

use zk_proto::config::EnsembleConfig;
use zk_proto::records::GetDataRequest;

/// The znode that holds the configuration, whatever the chroot.
pub(crate) const CONFIG: &str = "/zookeeper/config";

pub(crate) fn read_config(watch: bool) -> GetDataRequest<'static> {
    GetDataRequest {
        path: CONFIG.into(),
        watch,
    }
}

/// Reads the text of a configuration. Bytes that are no UTF-8 cost the line they are in.
pub(crate) fn parse(data: &[u8]) -> EnsembleConfig {
    let Ok(config) = String::from_utf8_lossy(data).parse();
    config
}
