//! All measurements, in turns.

use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use zk_tests::{Installation, Kazoo, ServerOptions, Standalone};

use crate::client::Outcome;
use crate::options::Options;
use crate::report::{Report, Row};
use crate::workload::{Contender, Runtime, Workload};
use crate::{plot, report};

const RESULTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md");
const PLOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results.svg");
const KAZOO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/with_kazoo.py");

pub fn compare(options: &Options) -> Outcome<()> {
    let place = Place::find()?;
    let kazoo = match options.kazoo {
        true => kazoo(&place),
        false => None,
    };
    let real = match options.real && options.workloads.iter().any(|workload| workload.real) {
        true => real(),
        false => None,
    };
    let mut report = Report::default();
    for &workload in &options.workloads {
        if workload.real && real.is_none() {
            continue;
        }
        for &runtime in &options.runtimes {
            let contenders = Contender::ALL.into_iter().filter(|contender| {
                contender.can(workload, runtime)
                    && (*contender != Contender::Kazoo || kazoo.is_some())
            });
            let mut row = Row::new(workload, runtime, contenders);
            let served;
            let address = match &real {
                Some(server) if workload.real => {
                    place.put(server.pid(), workload);
                    server.connect_string()
                }
                _ => {
                    served = Served::start(&place, workload)?;
                    served.address.clone()
                }
            };
            // A JVM becomes faster while it answers, so its first answers do not count.
            let warm_up = usize::from(workload.real);
            for round in 0..warm_up + options.rounds {
                progress(&format!(
                    "{} on {}: round {} of {}",
                    workload.title,
                    runtime.name(),
                    round + 1,
                    warm_up + options.rounds
                ));
                for turn in 0..row.cells.len() {
                    // Each client is first once.
                    let index = (round + turn) % row.cells.len();
                    let Some(cell) = row.cells.get_mut(index) else {
                        continue;
                    };
                    let measuring = Measuring {
                        contender: cell.contender,
                        workload,
                        runtime,
                        address: &address,
                        seconds: options.seconds,
                    };
                    let figure = measuring.run(&place, kazoo.as_ref())?;
                    if round >= warm_up {
                        cell.figures.push(figure);
                    }
                }
            }
            report.rows.push(row);
        }
    }
    progress("");
    let text = report::text(&report, &place.describe(options));
    print!("{text}");
    if options.write {
        fs::write(RESULTS, text)?;
        fs::write(PLOT, plot::svg(&report))?;
    }
    Ok(())
}

/// Prints the progress in one line, on a terminal.
fn progress(text: &str) {
    let mut output = std::io::stderr();
    if output.is_terminal() {
        // The terminal may be gone.
        let _ = write!(output, "\r\x1b[K{text}");
    }
}

fn kazoo(place: &Place) -> Option<Kazoo> {
    match Kazoo::find_or_install(&place.program.with_file_name("kazoo")) {
        Ok(kazoo) => Some(kazoo),
        Err(error) => {
            eprintln!("without kazoo: {error:?}");
            None
        }
    }
}

fn real() -> Option<Standalone> {
    let started =
        Installation::find_or_install().and_then(|_| Standalone::start(ServerOptions::default()));
    match started {
        Ok(server) => Some(server),
        Err(error) => {
            eprintln!("without a real server: {error:?}");
            None
        }
    }
}

/// Where measurements run.
struct Place {
    program: PathBuf,
    /// All that they may use, as the kernel lists them.
    cpus: String,
    /// The one of them that they are pinned to, if they can be.
    cpu: Option<String>,
}

impl Place {
    fn find() -> Outcome<Self> {
        let program = std::env::current_exe()?;
        // The last that this process may use: interrupts are mostly served by the first.
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let cpus = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .unwrap_or_default()
            .trim()
            .to_owned();
        let cpu = cpus.rsplit([',', '-']).next().filter(|cpu| !cpu.is_empty());
        let cpu = cpu.map(str::to_owned);
        let mut taskset = Command::new("taskset");
        taskset
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let can_pin = taskset.status().is_ok_and(|status| status.success());
        Ok(Place {
            program,
            cpus,
            cpu: cpu.filter(|_| can_pin),
        })
    }

    /// A command that is to share a CPU with the others.
    fn pinned(&self, program: &Path) -> Command {
        match &self.cpu {
            Some(cpu) => {
                let mut command = Command::new("taskset");
                command.args(["-c", cpu]).arg(program);
                command
            }
            None => Command::new(program),
        }
    }

    /// Where all share a CPU, it is the work that is compared. What a recipe takes is round trips,
    /// and two CPUs to be seen on.
    fn pins(&self, workload: &Workload) -> bool {
        self.cpu.is_some() && !workload.kind.is_recipe()
    }

    /// Puts the threads of a real server where the workload wants them. Free to choose, they would be
    /// on the clients' CPU for one connection and beside it for the next, which is twice as fast.
    fn put(&self, server: Option<u32>, workload: &Workload) {
        let (Some(cpu), Some(server)) = (&self.cpu, server) else {
            return;
        };
        let cpus = match self.pins(workload) {
            true => cpu,
            false => &self.cpus,
        };
        let mut taskset = Command::new("taskset");
        taskset.args(["-a", "-p", "-c", cpus, &server.to_string()]);
        // It says why not; then the figures are further apart.
        let _ = taskset.stdout(Stdio::null()).status();
    }

    fn describe(&self, options: &Options) -> String {
        let processor = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        let processor = processor.unwrap_or_else(|| "an unknown processor".to_owned());
        let pinned = match &self.cpu {
            Some(_) => "clients and servers pinned to one of its CPUs",
            None => "nothing pinned, for want of `taskset`",
        };
        format!(
            "{} rounds of {} s, on {processor}; {pinned}.",
            options.rounds, options.seconds
        )
    }
}

/// A constant-answer server. It ends when its standard input does.
struct Served {
    process: Child,
    address: String,
}

impl Served {
    fn start(place: &Place, workload: &Workload) -> Outcome<Self> {
        let mut process = place
            .pinned(&place.program)
            .args(["serve", &workload.size.to_string()])
            .args(workload.tls.then_some("tls"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("it has no output")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        Ok(Served {
            process,
            address: address.trim().to_owned(),
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It says itself why it failed, if it did.
        let _ = self.process.wait();
    }
}

struct Measuring<'a> {
    contender: Contender,
    workload: &'a Workload,
    runtime: Runtime,
    address: &'a str,
    seconds: f64,
}

impl Measuring<'_> {
    fn run(&self, place: &Place, kazoo: Option<&Kazoo>) -> Outcome<f64> {
        let program = match (self.contender, kazoo) {
            (Contender::Kazoo, Some(kazoo)) => kazoo.python(),
            _ => &place.program,
        };
        let mut command = match place.pins(self.workload) {
            true => place.pinned(program),
            false => Command::new(program),
        };
        let seconds = self.seconds.to_string();
        match self.contender {
            Contender::Kazoo => command.args([
                KAZOO,
                self.workload.name,
                &self.workload.in_flight.to_string(),
                self.address,
                &seconds,
            ]),
            contender => command.args([
                "measure",
                contender.name(),
                self.workload.name,
                self.runtime.name(),
                self.address,
                &seconds,
            ]),
        };
        let output = command.stderr(Stdio::inherit()).output()?;
        let text = String::from_utf8(output.stdout)?;
        match (output.status.success(), text.trim().parse()) {
            (true, Ok(figure)) => Ok(figure),
            _ => Err(format!("{command:?} failed: {text}").into()),
        }
    }
}
