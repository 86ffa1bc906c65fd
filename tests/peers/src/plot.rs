//! The same, to be looked at: bars in multiples of the fastest peer.

use std::fmt::Write;

use crate::report::{Report, show};
use crate::workload::Contender;

const BAR: usize = 14;
const GAP: usize = 16;
const LEFT: usize = 190;
/// The width of a bar that is as long as the fastest peer's.
const UNIT: f64 = 130.0;
/// Longer bars are cut, and have their length written on them.
const MOST: f64 = 4.0;
const WIDTH: usize = 860;
const TOP: usize = 56;

pub fn svg(report: &Report) -> String {
    let mut bars = String::new();
    let mut y = TOP;
    // One runtime is enough to look at; the table has both.
    let runtime = report.rows.first().map(|row| row.runtime);
    for row in report
        .rows
        .iter()
        .filter(|row| Some(row.runtime) == runtime)
    {
        let Some(peer) = row.fastest_peer() else {
            continue;
        };
        let title = row.workload.title;
        let _ = writeln!(
            bars,
            r#"<text x="{}" y="{}" text-anchor="end">{title}</text>"#,
            LEFT - 10,
            y + BAR - 3
        );
        for contender in Contender::ALL {
            let Some(median) = row
                .median(contender)
                .filter(|_| contender != Contender::Bare)
            else {
                continue;
            };
            let times = row.workload.ratio(median, peer);
            let width = times.min(MOST) * UNIT;
            let unit = if row.workload.is_time() { "µs" } else { "k/s" };
            let _ = writeln!(
                bars,
                r#"<rect x="{LEFT}" y="{y}" width="{width:.1}" height="{BAR}" fill="{}"/><text x="{:.1}" y="{}" class="figure">{} {unit}{}</text>"#,
                colour(contender),
                LEFT as f64 + width + 5.0,
                y + BAR - 3,
                show(row.workload, median),
                if contender == Contender::Ours {
                    format!(", ×{times:.1}")
                } else {
                    String::new()
                },
            );
            y += BAR + 1;
        }
        y += GAP;
    }
    let mut legend = String::new();
    let mut x = LEFT;
    for contender in Contender::ALL
        .into_iter()
        .filter(|it| *it != Contender::Bare)
    {
        let _ = writeln!(
            legend,
            r#"<rect x="{x}" y="14" width="{BAR}" height="{BAR}" fill="{}"/><text x="{}" y="25">{}</text>"#,
            colour(contender),
            x + BAR + 5,
            contender.name()
        );
        x += 150;
    }
    let line = LEFT as f64 + UNIT;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}">
<style>text {{ font: 12px sans-serif; fill: #24292f }} .figure {{ font-size: 11px; fill: #57606a }}</style>
<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>
{legend}<text x="{line:.1}" y="46" text-anchor="middle" class="figure">the fastest other client</text>
<line x1="{line:.1}" y1="50" x2="{line:.1}" y2="{y}" stroke="#d0d7de"/>
{bars}</svg>
"##
    )
}

fn colour(contender: Contender) -> &'static str {
    match contender {
        Contender::Ours => "#0969da",
        Contender::ZookeeperClient => "#8c959f",
        Contender::TokioZookeeper => "#afb8c1",
        Contender::Kazoo => "#d8dee4",
        Contender::Bare => "#24292f",
    }
}
