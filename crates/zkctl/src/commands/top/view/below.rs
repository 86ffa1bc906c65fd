//! Below the table: what is wrong, what has happened, and graphs of the servers from the selected one on.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Sparkline;

use super::super::board::Board;
use super::super::model::Model;
use super::super::model::overview::role_name;
use super::super::model::server::Server;
use super::super::numbers::{bytes, duration, millis, rate, whole};
use super::columns::{self, Highest};
use super::lines::draw_lines;
use super::style;
use super::table::cut;

/// Terminals of this height have room for several events.
const TALL: u16 = 25;
const EVENTS: usize = 8;
/// A title and a line for each graph.
const MIN_GRAPH: u16 = 3;
const MAX_GRAPH: u16 = 13;
/// The column of the labels, left of the graphs.
const LABELS: u16 = 18;
/// From this width on, the two graphs of a server are side by side.
const WIDE: u16 = 120;
/// The scale of the graphs, which draw whole numbers.
const SCALE: u32 = 10_000;

/// `is_state_cut`: the table has no room for what is wrong with the servers.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Model,
    board: &Board,
    order: &[usize],
    is_state_cut: bool,
    now: Duration,
) {
    let messages = messages(model, board, is_state_cut, area, now);
    let height = u16::try_from(messages.len()).unwrap_or(u16::MAX);
    let [_, lines, graphs] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(height),
        Constraint::Min(0),
    ])
    .areas(area);
    draw_lines(frame, lines, messages);
    let selection = board.selection(model, order);
    let gap = u16::from(height > 0 && graphs.height > MIN_GRAPH);
    let graphs = Rect {
        y: graphs.y + gap,
        height: graphs.height - gap,
        ..graphs
    };
    strips(frame, graphs, model, order, selection);
}

fn messages(
    model: &Model,
    board: &Board,
    is_state_cut: bool,
    area: Rect,
    now: Duration,
) -> Vec<Line<'static>> {
    let width = usize::from(area.width);
    let mut lines = Vec::new();
    let mut add = |text: String, style: Style| lines.push(Line::styled(cut(&text, width), style));
    for problem in model.problems() {
        add(format!("! {problem}"), style::WARNING);
    }
    if is_state_cut {
        for (index, server) in (0..).zip(&model.servers) {
            let style = if server.is_up() {
                style::WARNING
            } else {
                style::BAD
            };
            for problem in model.problems_of(index) {
                let name = server.target.to_string();
                // Many reasons begin with the name.
                let text = match problem.strip_prefix(&name) {
                    Some(rest) => format!("! {name}{rest}"),
                    None => format!("! {name}: {problem}"),
                };
                add(text, style);
            }
        }
    }
    let selected = board.selected.as_ref();
    let selected = model
        .servers
        .iter()
        .find(|server| selected.is_none_or(|target| *target == server.target));
    if let Some(server) = selected
        && let Some(reason) = server.lacks()
    {
        add(format!("{}: {reason}", server.target), style::DIM);
    }
    // Half of the area, so that graphs remain.
    let most = usize::from(area.height / 2);
    lines.truncate(most.max(1));
    let events = match area.height >= TALL {
        true => EVENTS,
        false => usize::from(lines.len() < most),
    };
    for event in model.events.iter().rev().take(events) {
        let ago = duration(now.saturating_sub(event.at));
        let text = format!("{ago} ago: {}", event.text);
        lines.push(Line::styled(cut(&text, width), style::DIM));
    }
    lines
}

/// A strip for each server, from the selected one on, as many as have room.
fn strips(frame: &mut Frame<'_>, area: Rect, model: &Model, order: &[usize], selection: usize) {
    let fitting = usize::from(area.height / MIN_GRAPH).min(order.len());
    let Ok(number) = u16::try_from(fitting) else {
        return;
    };
    if number == 0 {
        return;
    }
    let height = (area.height / number).min(MAX_GRAPH);
    // All servers if they fit, otherwise those from the selected one on.
    let first = match fitting == order.len() {
        true => 0,
        false => selection.min(order.len() - fitting),
    };
    let highest = Highest::of(model, area.width.into());
    let shown = order.iter().skip(first).take(fitting);
    for (&index, place) in shown.zip(0_u16..) {
        let Some(server) = model.servers.get(index) else {
            continue;
        };
        let strip = Rect {
            y: area.y + place * height,
            height,
            ..area
        };
        draw_strip(frame, strip, server, highest);
    }
}

fn draw_strip(frame: &mut Frame<'_>, area: Rect, server: &Server, highest: Highest) {
    // A line remains free below strips that are high enough.
    let gap = u16::from(area.height > MIN_GRAPH + 1);
    let [title, graphs, _] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(gap),
    ])
    .areas(area);
    frame.render_widget(title_line(server, area.width), title);
    let halves = [Constraint::Fill(1), Constraint::Fill(1)];
    let [upper, lower] = match area.width >= WIDE {
        true => Layout::horizontal(halves).spacing(2).areas(graphs),
        false => Layout::vertical(halves).areas(graphs),
    };
    let width = usize::from(area.width);
    let received = server.history.latest(width, |point| point.rates.received);
    let peak = server.peaks.received;
    let now = server.rates.received;
    let labels = labels("in/s", now.map(rate), peak.map(rate));
    graph(frame, upper, labels, &received, highest.rate, style::RATE);
    let (name, now, peak) = match server.has_latencies() {
        true => ("latency ms", server.rates.latency, server.peaks.latency),
        false => {
            let sample = server.sample.as_ref().filter(|_| server.is_up());
            let took = sample.map(|sample| sample.took.as_secs_f64() * 1000.0);
            ("answer ms", took, None)
        }
    };
    let labels = self::labels(name, now.map(millis), peak.map(millis));
    let latencies = columns::latencies(server, width);
    graph(
        frame,
        lower,
        labels,
        &latencies,
        highest.latency,
        style::LATENCY,
    );
}

/// The name, and what narrow tables have no column for.
fn title_line(server: &Server, width: u16) -> Line<'static> {
    let mut text = role_name(server);
    let mut add = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            text += &format!("  {label}{value}");
        }
    };
    if let Some(sample) = &server.sample
        && server.is_up()
    {
        let (report, metrics) = (&sample.report, &sample.metrics);
        add("", report.version.clone());
        add("up ", server.uptime().map(duration));
        add("znodes ", report.znodes.map(whole));
        add("watches ", report.watches.map(whole));
        add(
            "ephemerals ",
            metrics.count("zk_ephemerals_count").map(whole),
        );
        add(
            "data ",
            metrics.count("zk_approximate_data_size").map(bytes),
        );
        let latency = report.latency;
        add(
            "ms avg/max ",
            latency.map(|latency| format!("{}/{}", millis(latency.avg), latency.max)),
        );
        add("from ", Some(sample.source.name().to_owned()));
    }
    let name = server.target.to_string();
    let left = usize::from(width).saturating_sub(name.chars().count() + 2);
    Line::from(vec![
        Span::styled(name, style::TITLE),
        Span::styled(format!("  {}", cut(&text, left)), style::DIM),
    ])
}

/// The lines left of a graph: the present value, and the highest one.
fn labels(name: &str, now: Option<String>, peak: Option<String>) -> [String; 2] {
    let now = now.unwrap_or_else(|| "-".to_owned());
    let peak = peak.map_or_else(String::new, |peak| format!("{:<10} {peak:>6}", "highest"));
    [format!("{name:<10} {now:>6}"), peak]
}

fn graph(
    frame: &mut Frame<'_>,
    area: Rect,
    labels: [String; 2],
    values: &[Option<f64>],
    highest: f64,
    style: Style,
) {
    let [left, right] =
        Layout::horizontal([Constraint::Length(LABELS), Constraint::Min(0)]).areas(area);
    draw_lines(frame, left, labels.map(Line::raw));
    let width = usize::from(right.width);
    let skipped = values.len().saturating_sub(width);
    let latest = values.get(skipped..).unwrap_or_default();
    // The latest value is at the right end.
    let mut bars: Vec<Option<u64>> = vec![None; width - latest.len()];
    bars.extend(
        latest
            .iter()
            .map(|value| value.map(|value| share(value, highest))),
    );
    let sparkline = Sparkline::default()
        .data(bars)
        .max(SCALE.into())
        .style(style)
        .absent_value_symbol(" ");
    frame.render_widget(sparkline, right);
}

/// The share of the highest value, of [`SCALE`]; at least enough to be visible unless it is zero.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and the scale"
)]
fn share(value: f64, highest: f64) -> u64 {
    if highest <= 0.0 {
        return 0;
    }
    ((value / highest).clamp(0.0, 1.0) * f64::from(SCALE)) as u64
}
