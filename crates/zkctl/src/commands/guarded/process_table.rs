//! The descendants of a process, as Linux lists them in `/proc`. On other systems the table is empty.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::str::FromStr;

use rustix::process::Pid;

/// A process. The start time distinguishes it from a later process with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: Pid,
    pub(crate) parent: i32,
    started: u64,
    /// The process has ended, and its parent has not waited for it.
    pub(crate) is_zombie: bool,
}

impl Process {
    /// Whether both are the same process. Its parent may have changed.
    pub(crate) fn is(&self, other: &Process) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}

/// `pid:start`: the parts that do not change.
impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pid.as_raw_nonzero(), self.started)
    }
}

impl FromStr for Process {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (pid, started) = text.split_once(':').ok_or(())?;
        Ok(Process {
            pid: pid.parse().ok().and_then(Pid::from_raw).ok_or(())?,
            parent: 0,
            started: started.parse().map_err(|_| ())?,
            is_zombie: false,
        })
    }
}

/// All processes at one moment.
pub(crate) struct Table(Vec<Process>);

impl Table {
    pub(crate) fn read() -> Self {
        // Without `/proc` the table is empty, and callers know only the process group of a command.
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Table(numbers.filter_map(process).collect())
    }

    /// Whether the system lists no process.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The descendants of `root`, except the processes `except` and their descendants.
    pub(crate) fn below(&self, root: Pid, except: &[Process]) -> Vec<Process> {
        let mut children = HashMap::<i32, Vec<&Process>>::new();
        for process in &self.0 {
            children.entry(process.parent).or_default().push(process);
        }
        let mut found = Vec::new();
        let mut parents = vec![root.as_raw_nonzero().get()];
        while let Some(parent) = parents.pop() {
            for &process in children.remove(&parent).iter().flatten() {
                if !except.iter().any(|other| other.is(process)) {
                    parents.push(process.pid.as_raw_nonzero().get());
                    found.push(*process);
                }
            }
        }
        found
    }

    pub(crate) fn find(&self, pid: Pid) -> Option<Process> {
        self.0.iter().find(|process| process.pid == pid).copied()
    }

    /// Whether the process is running.
    pub(crate) fn has(&self, process: &Process) -> bool {
        let mut all = self.0.iter();
        all.any(|other| other.is(process) && !other.is_zombie)
    }
}

/// `None` if the process has ended.
fn process(number: i32) -> Option<Process> {
    let pid = Pid::from_raw(number)?;
    parse(
        pid,
        &fs::read_to_string(format!("/proc/{number}/stat")).ok()?,
    )
}

fn parse(pid: Pid, stat: &str) -> Option<Process> {
    // The name may contain any character, parentheses too.
    let mut fields = stat.rsplit_once(") ")?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some(Process {
        pid,
        parent,
        started,
        is_zombie: matches!(state, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: i32, parent: i32) -> Process {
        let rest = "1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0";
        let text = format!("{pid} (a) Z (b) S {parent} {rest} {} 8192", pid * 10);
        parse(Pid::from_raw(pid).unwrap(), &text).unwrap()
    }

    #[test]
    fn a_line_of_proc_is_parsed_for_any_name() {
        let process = stat(7, 5);
        assert_eq!((process.parent, process.started), (5, 70));
        assert!(!process.is_zombie);
        let written = process.to_string();
        assert!(
            written.parse::<Process>().unwrap().is(&process),
            "{written}"
        );
    }

    #[test]
    fn descendants_are_found_in_any_order() {
        let table = Table(vec![
            stat(9, 3),
            stat(3, 2),
            stat(2, 1),
            stat(4, 2),
            stat(8, 6),
        ]);
        let below = |except: &[Process]| {
            let found = table.below(Pid::from_raw(2).unwrap(), except);
            let mut found: Vec<_> = found.iter().map(|p| p.pid.as_raw_nonzero().get()).collect();
            found.sort_unstable();
            found
        };
        assert_eq!(below(&[]), [3, 4, 9]);
        assert_eq!(below(&[stat(3, 2)]), [4]);
    }

    #[test]
    fn a_cycle_of_parents_has_an_end() {
        let table = Table(vec![stat(2, 3), stat(3, 2)]);
        assert_eq!(table.below(Pid::from_raw(2).unwrap(), &[]).len(), 2);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_below_its_parent() {
        let me = rustix::process::getpid();
        let parent = rustix::process::getppid().unwrap();
        let found = Table::read().below(parent, &[]);
        assert!(found.iter().any(|process| process.pid == me));
    }
}
