//! The texts below the lists of options.

pub(super) const MAIN: &str = "\
Exit codes:
    0  done; for `exists`: the znode exists; for `diff`: no difference
    1  failed; for `exists`: the znode does not exist; for `diff`: a difference
    2  usage; for `exists` and `diff`: also any failure
  130  ended by SIGINT; 128+N by signal N
`watch` with COMMAND also: 126 COMMAND cannot be run, 127 it was not found
`health` exits with 1 if something is wrong, 2 if no server serves, 3 on any failure.
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
  128+N  signal N ended COMMAND, or zkctl before COMMAND was started
Without COMMAND: 75 when it is lost, 128+N when signal N ends zkctl and it is released";

pub(super) const EXISTS: &str =
    "Exit codes: 0 the znode exists, 1 it does not, 2 any failure, or usage.";

pub(super) const COMPLETIONS: &str = "\
Where shells look for it:
  bash        ~/.local/share/bash-completion/completions/zkctl
  zsh         _zkctl in a directory of $fpath, before compinit
  fish        ~/.config/fish/completions/zkctl.fish
  powershell  zkctl completions powershell | Out-String | Invoke-Expression, in $PROFILE";

pub(super) const MANUAL: &str = "\
  zkctl man | man -l -                                the page of zkctl
  zkctl man lock | man -l -                           that of a command
  zkctl man --dir ~/.local/share/man/man1             all of them, for `man zkctl-lock`";

pub(super) const DIFF: &str = "\
Lines begin with - (only in the first tree), + (only in the second), ~ (changed) or ? (one of the trees could not be
read there). Paths are relative to the roots.

Exit codes: 0 no difference, 1 a difference, 2 any failure, or usage.";

pub(super) const TXN: &str = r#"Each line is an operation:
    check PATH [VERSION]
    create [-s] [-c] [--ttl D] [--acl ACL] [-b] PATH [DATA]
    set [--version N] [-b] PATH DATA
    delete [--version N] PATH
With -b, DATA is base64. Quotes are as in a shell, and a line that begins with # is a comment:
    check /config 3
    set /config 'new value'
    create -s /log/entry- ""
The same as JSON, one object a line, or as an array of them:
    {"op":"check","path":"/config","version":3}
    {"op":"set","path":"/config","data":"new value"}
    {"op":"create","path":"/log/entry-","sequential":true}
The other fields are data_base64, container, ttl_ms and acl. An ephemeral znode would end with this
command, and cannot be created."#;

pub(super) const HEALTH: &str = "\
Exit codes, as of plugins for monitoring:
    0  every server of the list is well
    1  clients are served, and something is wrong
    2  no server serves
    3  unknown: no server allows srvr; any other failure, or usage
Servers answer srvr unless configured otherwise. With mntr in their 4lw.commands.whitelist, followers that
are not in sync and file descriptors are checked as well. Needs no session, and so no quorum.";

pub(super) const TOP: &str = "\
Keys: q quits, ? lists the keys, Enter shows all values of a server.
Rates are packets a second, pings and the words of this program included. Latency is that of the requests of
the interval, where servers report it (3.6 and later), and otherwise how long they took to answer srvr.
Servers answer srvr unless configured otherwise. What it lacks comes from mntr, and where the servers'
4lw.commands.whitelist does not have that, from their AdminServer (--admin-port).
With --batch, -o json, or when the output is no terminal, samples are printed one after the other; the first has
no rates. Needs no session, and so no quorum.";

pub(super) const UI: &str = "\
Keys: arrows, Enter, Tab, / search, F find by name on the server, f filter, v form of the data, ? for all.
Edits use the program in VISUAL or EDITOR, and are written only if the data were not changed meanwhile.
Exit codes: 0 after q, 1 any failure, 2 usage, 128+N signal N or the terminal's Ctrl-C ended it.";

pub(super) const SHELL: &str = "\
Each line has the commands of zkctl, with their options, and those of zkCli; `help` lists them. Paths may be
relative to the znode that `cd` entered. A semicolon ends a command, quotes are as in a shell, a line that
begins with # is a comment, and & at the end of a command lets it run while the next line is read.
Without a terminal, and with -c, the first command that fails ends the shell, with its exit code.
The history is $XDG_STATE_HOME/zkctl/history, or ~/.local/state/zkctl/history. Lines with credentials or
passwords, and lines that begin with a space, are not kept.";
