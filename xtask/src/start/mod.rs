//! `cargo xtask bench start`: from the start of a command line tool to the first byte of the data that it
//! prints, of `zkctl` and others.
//!
//! - [`tools`]: what is measured, and the servers for it.

mod tools;

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use zk_tests::{Installation, ServerOptions, Standalone};

use crate::workspace::Outcome;
use tools::{DATA, Tool, Tools};

const ROUNDS: usize = 30;

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let Options { rounds, zkctl } = parse(arguments)?;
    let installation = Installation::find_or_install()?;
    let server = Standalone::start_from(&installation, ServerOptions::default())?;
    let Tools { found, missing, .. } =
        &Tools::find(zkctl, &installation, &server.connect_string())?;
    // The first round reads the programs from the disk.
    for tool in found {
        first_byte(tool)?;
    }
    let mut times = vec![Vec::new(); found.len()];
    for _ in 0..rounds {
        for (tool, times) in found.iter().zip(&mut times) {
            times.push(first_byte(tool)?);
        }
    }
    println!("{}", table(found, times));
    println!("{rounds} rounds, in turns, after one that is not counted.");
    for missing in missing {
        println!("Left out: {missing}.");
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, PartialEq, Eq)]
struct Options {
    rounds: usize,
    /// Where zkctl is, if it is not to be built.
    zkctl: Option<PathBuf>,
}

fn parse(arguments: &[String]) -> Result<Options, String> {
    let mut options = Options {
        rounds: ROUNDS,
        zkctl: None,
    };
    for pair in arguments.chunks(2) {
        match pair {
            [flag, rounds] if flag == "--rounds" => match rounds.parse() {
                Ok(rounds @ 1..) => options.rounds = rounds,
                _ => return Err(format!("--rounds {rounds:?} is not a number from 1 on")),
            },
            [flag, program] if flag == "--zkctl" => options.zkctl = Some(program.into()),
            _ => {
                return Err(
                    "`bench start` takes --rounds N and --zkctl PROGRAM; see cargo xtask help"
                        .to_owned(),
                );
            }
        }
    }
    Ok(options)
}

/// How long it takes until a tool has written the data. Waits until it has ended.
fn first_byte(tool: &Tool) -> Result<Duration, String> {
    let failed = |error: io::Error| format!("{}: {error}", tool.name);
    let mut command = tool.command();
    command.stdout(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().map_err(failed)?;
    let mut stdout = child.stdout.take().ok_or("there is no standard output")?;
    let (mut written, mut found) = (Vec::new(), None);
    let mut buffer = [0; 4096];
    loop {
        let count = stdout.read(&mut buffer).map_err(failed)?;
        let elapsed = begun.elapsed();
        written.extend_from_slice(buffer.get(..count).unwrap_or_default());
        // Other text, such as zkCli's "Connecting to", may come before.
        if found.is_none() && holds(&written, DATA.as_bytes()) {
            found = Some(elapsed);
        }
        if count == 0 {
            break;
        }
    }
    let status = child.wait().map_err(failed)?;
    found.ok_or_else(|| {
        let written = String::from_utf8_lossy(&written);
        format!(
            "{} has not printed the data, {status}: {written}",
            tool.name
        )
    })
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// A row for each tool, with the ratio to the first one.
fn table(tools: &[Tool], times: Vec<Vec<Duration>>) -> String {
    let mut rows =
        vec!["| program | first byte, ms | range | ratio |\n|---|---|---|---|".to_owned()];
    let mut first = None;
    for (tool, mut times) in tools.iter().zip(times) {
        times.sort_unstable();
        let at = |index: usize| {
            let time = times.get(index).copied().unwrap_or_default();
            time.as_secs_f64() * 1000.0
        };
        let median = at(times.len() / 2);
        let ratio = median / *first.get_or_insert(median);
        rows.push(format!(
            "| {} | {median:.1} | {:.1}–{:.1} | {ratio:.1} |",
            tool.name,
            at(0),
            at(times.len().saturating_sub(1)),
        ));
    }
    rows.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, script: &str) -> Tool {
        Tool::new(name, "sh", ["-c", script])
    }

    #[test]
    fn the_data_may_follow_other_text() {
        let shown = tool("a", &format!("echo Connecting; printf {DATA}"));
        first_byte(&shown).unwrap();
        let error = first_byte(&tool("b", "echo Connecting; exit 3")).unwrap_err();
        assert!(
            error.starts_with("b has not printed") && error.contains("3: Conn"),
            "{error}"
        );
        let error = first_byte(&Tool::new("c", "/no/such/program", ["x"])).unwrap_err();
        assert!(error.starts_with("c: "), "{error}");
    }

    #[test]
    fn medians_are_compared_with_the_first() {
        let tools = [tool("zkctl", ""), tool("other", "")];
        let millis = |times: &[u64]| times.iter().copied().map(Duration::from_millis).collect();
        let table = table(&tools, vec![millis(&[6, 5, 90]), millis(&[60, 600, 59])]);
        assert!(
            table.contains("| zkctl | 6.0 | 5.0–90.0 | 1.0 |"),
            "{table}"
        );
        assert!(
            table.ends_with("| other | 60.0 | 59.0–600.0 | 10.0 |"),
            "{table}"
        );
    }

    #[test]
    fn rounds_are_a_number_from_one_on() {
        let parse =
            |words: &[&str]| parse(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        let options = |rounds, zkctl: Option<&str>| {
            let zkctl = zkctl.map(PathBuf::from);
            Ok(Options { rounds, zkctl })
        };
        assert_eq!(parse(&[]), options(ROUNDS, None));
        let both = ["--zkctl", "z", "--rounds", "3"];
        assert_eq!(parse(&both), options(3, Some("z")));
        for words in [
            &["--rounds"][..],
            &["--rounds", "0"],
            &["--rounds", "x"],
            &["--zkctl"],
            &["3"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
