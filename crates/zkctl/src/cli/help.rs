//! The texts below the lists of options.

pub(super) const MAIN: &str = "\
Exit codes:
    0  done; for `exists`: the znode exists
    1  failed; for `exists`: the znode does not exist
    2  usage; for `exists`: also any failure
  130  ended by SIGINT; 128+N by signal N
`lock` and `elect` exit with COMMAND's code, and otherwise:
   75  the lock was lost, or not obtained in time (--conflict-exit-code)
  125  zkctl itself failed, before COMMAND was started or while it was running; usage
  126  COMMAND cannot be run
  127  COMMAND was not found
  128+N  signal N ended COMMAND, or zkctl before COMMAND was started

Durations: 500ms, 10s, 2m, 1h, 1h30m; a bare number is seconds. Sizes: 1048576, 1024K, 1M (of 1024).
An empty environment variable counts as unset. The credentials of ZK_AUTH (one a line),
ZK_AUTH_FILE, --auth-file and --auth are all sent to the servers.";

pub(super) const GUARDED: &str = "\
Exit codes: COMMAND's, and otherwise
   75  the lock was lost, or not obtained in time (--conflict-exit-code)
  125  zkctl itself failed, before COMMAND was started or while it was running; usage
  126  COMMAND cannot be run
  127  COMMAND was not found
  128+N  signal N ended COMMAND, or zkctl before COMMAND was started";

pub(super) const EXISTS: &str =
    "Exit codes: 0 the znode exists, 1 it does not, 2 any failure, or usage.";
