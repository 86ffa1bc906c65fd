//! What came of it, as a table in Markdown.

use std::fmt::Write;

use crate::workload::{Contender, Runtime, Workload};

#[derive(Debug, Default)]
pub struct Report {
    pub rows: Vec<Row>,
}

#[derive(Debug)]
pub struct Row {
    pub workload: &'static Workload,
    pub runtime: Runtime,
    pub cells: Vec<Cell>,
}

#[derive(Debug)]
pub struct Cell {
    pub contender: Contender,
    /// One of each round.
    pub figures: Vec<f64>,
}

impl Row {
    pub fn new(
        workload: &'static Workload,
        runtime: Runtime,
        contenders: impl Iterator<Item = Contender>,
    ) -> Self {
        let cell = |contender| Cell {
            contender,
            figures: Vec::new(),
        };
        Row {
            workload,
            runtime,
            cells: contenders.map(cell).collect(),
        }
    }

    pub fn median(&self, contender: Contender) -> Option<f64> {
        let cell = self.cells.iter().find(|cell| cell.contender == contender)?;
        cell.median()
    }

    /// The fastest peer's median.
    pub fn fastest_peer(&self) -> Option<f64> {
        let medians = self.peers().filter_map(Cell::median);
        self.best(medians)
    }

    /// The best run of any peer.
    fn best_run(&self) -> Option<f64> {
        self.best(self.peers().flat_map(|cell| cell.figures.iter().copied()))
    }

    fn peers(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(|cell| cell.contender.is_peer())
    }

    fn best(&self, figures: impl Iterator<Item = f64>) -> Option<f64> {
        match self.workload.is_time() {
            true => figures.min_by(f64::total_cmp),
            false => figures.max_by(f64::total_cmp),
        }
    }
}

impl Cell {
    fn median(&self) -> Option<f64> {
        let figures = self.sorted();
        let (low, high) = (figures.len().checked_sub(1)? / 2, figures.len() / 2);
        Some((figures.get(low)? + figures.get(high)?) / 2.0)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut figures = self.figures.clone();
        figures.sort_by(f64::total_cmp);
        figures
    }

    /// The median, and the range it was taken from.
    fn show(&self, workload: &Workload) -> String {
        let figures = self.sorted();
        match (self.median(), figures.as_slice()) {
            (Some(median), [least, .., most]) => format!(
                "{} ({}–{})",
                show(workload, median),
                show(workload, *least),
                show(workload, *most)
            ),
            (Some(median), _) => show(workload, median),
            (None, _) => String::new(),
        }
    }
}

/// A rate in thousands a second, a time in microseconds.
pub fn show(workload: &Workload, figure: f64) -> String {
    let scaled = match workload.is_time() {
        true => figure * 1e6,
        false => figure / 1e3,
    };
    match scaled {
        100.0.. => format!("{scaled:.0}"),
        10.0.. => format!("{scaled:.1}"),
        _ => format!("{scaled:.2}"),
    }
}

/// The table, and what there is to know about it.
pub fn text(report: &Report, circumstances: &str) -> String {
    format!(
        "\
# Beside other clients

Made by `cargo xtask bench --write`: {circumstances} Locks are taken on a
real server that does not wait for its disk, and not pinned; all else, where it does not say so, is
asked of one that answers from a constant as fast as requests arrive, so that the client is what is
measured. Trust the ratios, not the figures: all clients took turns on one machine.

zookeeper-client {}, tokio-zookeeper {}, kazoo {}. zookeeper-client and tokio-zookeeper do not say when
a session has ended, nor zookeeper-client when a lock is released: it is not waited for, where we wait
for ours. kazoo sets its watch again after
each event. The bare socket writes frames encoded before and counts the bytes that come back.

{}",
        version("zookeeper-client"),
        version("tokio-zookeeper"),
        zk_tests::kazoo::VERSION,
        table(report)
    )
}

/// That of another client, as it is built here.
fn version(package: &str) -> &'static str {
    let lines = include_str!("../Cargo.lock").lines();
    let named = format!("name = \"{package}\"");
    let mut behind = lines.skip_while(|line| *line != named).skip(1);
    let version = behind
        .next()
        .and_then(|line| line.strip_prefix("version = "));
    version.unwrap_or_default().trim_matches('"')
}

fn table(report: &Report) -> String {
    let present = |contender: &Contender| {
        let mut cells = report.rows.iter().flat_map(|row| &row.cells);
        cells.any(|cell| cell.contender == *contender)
    };
    let contenders: Vec<_> = Contender::ALL.into_iter().filter(present).collect();
    let mut out = String::from(
        "Thousands a second; handoff in µs. Medians, with the range in brackets. The ratios are of \
         zk-client to the fastest other client, to the best run of any, and to the bare socket.\n\n\
         | workload | runtime |",
    );
    for contender in &contenders {
        let _ = write!(out, " {} |", contender.name());
    }
    out.push_str(" to fastest | to best run | to bare |\n|---|---|");
    out.push_str(&"---|".repeat(contenders.len() + 3));
    out.push('\n');
    for row in &report.rows {
        let _ = write!(out, "| {} | {} |", row.workload.title, row.runtime.name());
        for contender in &contenders {
            let mut cells = row.cells.iter();
            let cell = cells.find(|cell| cell.contender == *contender);
            let text = cell.map(|cell| cell.show(row.workload)).unwrap_or_default();
            let _ = write!(out, " {text} |");
        }
        let ours = row.median(Contender::Ours);
        let others = [
            row.fastest_peer(),
            row.best_run(),
            row.median(Contender::Bare),
        ];
        for other in others {
            let ratio = ours
                .zip(other)
                .map(|(one, other)| row.workload.ratio(one, other));
            let text = ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
            let _ = write!(out, " {text} |");
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, figures: &[(Contender, &[f64])]) -> Row {
        let cells = figures.iter().map(|(contender, figures)| Cell {
            contender: *contender,
            figures: figures.to_vec(),
        });
        Row {
            workload: Workload::find(name).unwrap(),
            runtime: Runtime::MultiThread,
            cells: cells.collect(),
        }
    }

    #[test]
    fn the_others_have_versions() {
        for package in ["zookeeper-client", "tokio-zookeeper"] {
            assert!(version(package).starts_with("0."), "{package}");
        }
    }

    #[test]
    fn ratios_are_to_the_fastest_peer() {
        let rows = vec![
            row(
                "get64",
                &[
                    (Contender::Ours, &[3e6, 1e6, 2e6]),
                    (Contender::ZookeeperClient, &[1e6, 4e5, 4e5]),
                    (Contender::TokioZookeeper, &[5e5, 5e5, 5e5]),
                    (Contender::Bare, &[4e6, 4e6, 4e6]),
                ],
            ),
            row(
                "handoff",
                &[
                    (Contender::Ours, &[1e-4, 3e-4]),
                    (Contender::ZookeeperClient, &[3e-4, 5e-4]),
                ],
            ),
        ];
        let table = table(&Report { rows });
        assert!(
            table.contains("| 2000 (1000–3000) | 400 (400–1000) |"),
            "{table}"
        );
        assert!(table.contains("| 4.00 | 2.00 | 0.50 |\n"), "{table}");
        assert!(
            table.contains("| 200 (100–300) | 400 (300–500) |"),
            "{table}"
        );
        assert!(table.ends_with("| 2.00 | 1.50 |  |\n"), "{table}");
    }
}
