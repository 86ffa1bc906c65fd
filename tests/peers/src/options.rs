//! What is to be compared, and for how long.

use crate::client::Outcome;
use crate::workload::{Runtime, WORKLOADS, Workload};

#[derive(Debug, PartialEq)]
pub struct Options {
    pub rounds: usize,
    /// The length of a measurement.
    pub seconds: f64,
    pub workloads: Vec<&'static Workload>,
    pub runtimes: Vec<Runtime>,
    pub kazoo: bool,
    pub real: bool,
    /// Whether `RESULTS.md` and the plot are to be written anew.
    pub write: bool,
}

pub fn usage() -> String {
    let names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
    format!(
        "\
usage: cargo xtask bench [OPTIONS] [WORKLOAD…]

options:
  --rounds N      how often every client is measured (5)
  --seconds S     how long each time (0.4)
  --quick         2 rounds of 0.1 s on the multi-thread runtime, of Rust's clients only
  --runtime NAME  multi-thread or current-thread, instead of both
  --no-kazoo      leaves out kazoo, which needs Python
  --no-server     leaves out what needs a real server
  --write         writes tests/peers/RESULTS.md and results.svg, which the README shows

workloads, all unless given: {}",
        names.join(" ")
    )
}

impl Options {
    /// `None` if help was requested.
    pub fn parse(arguments: &[&str]) -> Outcome<Option<Self>> {
        let mut options = Options {
            rounds: 5,
            seconds: 0.4,
            workloads: Vec::new(),
            runtimes: Runtime::ALL.to_vec(),
            kazoo: true,
            real: true,
            write: false,
        };
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next().copied();
                value.ok_or_else(|| format!("{argument} wants a value"))
            };
            match argument {
                "--rounds" => options.rounds = value()?.parse()?,
                "--seconds" => options.seconds = value()?.parse()?,
                "--quick" => {
                    options.rounds = 2;
                    options.seconds = 0.1;
                    options.runtimes = vec![Runtime::MultiThread];
                    options.kazoo = false;
                }
                "--runtime" => {
                    let name = value()?;
                    let runtime = Runtime::find(name);
                    let unknown = || format!("there is no runtime {name}");
                    options.runtimes = vec![runtime.ok_or_else(unknown)?];
                }
                "--no-kazoo" => options.kazoo = false,
                "--no-server" => options.real = false,
                "--write" => options.write = true,
                "--help" | "-h" | "help" => return Ok(None),
                name => {
                    let unknown = || format!("there is no {name}\n\n{}", usage());
                    let workload = Workload::find(name).ok_or_else(unknown)?;
                    options.workloads.push(workload);
                }
            }
        }
        if options.rounds == 0 || options.seconds <= 0.0 {
            return Err("nothing would be measured".into());
        }
        if options.workloads.is_empty() {
            options.workloads.extend(&WORKLOADS);
        }
        Ok(Some(options))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_selects_every_workload() {
        let all = Options::parse(&[]).unwrap().unwrap();
        assert_eq!(all.workloads.len(), WORKLOADS.len());
        let some = Options::parse(&["get64", "--quick", "lock"])
            .unwrap()
            .unwrap();
        let names: Vec<_> = some
            .workloads
            .iter()
            .map(|workload| workload.name)
            .collect();
        assert_eq!(names, ["get64", "lock"]);
        assert_eq!(some.rounds, 2);
        assert!(Options::parse(&["get65"]).is_err());
        assert!(Options::parse(&["--rounds"]).is_err());
        assert!(Options::parse(&["--rounds", "0"]).is_err());
        assert_eq!(Options::parse(&["get1", "--help"]).unwrap(), None);
    }
}
