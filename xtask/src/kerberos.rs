//! The package `zk-sasl-gssapi`: outside the workspace, because its build needs the C headers of Kerberos. Its tests start a KDC.

use std::path::Path;

use zk_tests::kerberos::find_or_install;

use crate::outside::GSSAPI;
use crate::report::Suite;
use crate::workspace::is_ci;

/// Why the package cannot be built or tested here, as a suite that was skipped.
pub(crate) fn missing() -> Option<Suite> {
    let reason = find_or_install().err()?;
    debug_assert!(
        Path::new(GSSAPI.manifest).is_file(),
        "the directory is the workspace's"
    );
    let mut suite = Suite {
        name: GSSAPI.name.to_owned(),
        remarks: vec![format!("SKIPPED logins with Kerberos: {reason:?}")],
        skipped: 1,
        ..Suite::default()
    };
    if is_ci() {
        suite.failed = 1;
        suite
            .remarks
            .push("which counts as a failure because CI=true".to_owned());
    }
    Some(suite)
}
