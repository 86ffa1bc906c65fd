//! The lines at the top and at the bottom.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::board::{Board, Overlay, sort_name};
use super::super::model::Model;
use super::super::model::overview::Overview;
use super::super::numbers::{rate, whole};
use super::lines::draw_lines;
use super::style::{self, cells};
use super::table::cut;
use crate::commands::health::quorum::Quorum;

/// What separates the parts of a line.
const GAP: &str = "   ";

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, board: &Board, clock: &str) {
    let overview = model.overview();
    let [top, rest] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    title(frame, top, model, board, clock);
    let lines = [ensemble(&overview), totals(&overview)];
    let lines = lines.map(|parts| fitting(parts, rest.width));
    draw_lines(frame, rest, lines);
}

fn title(frame: &mut Frame<'_>, area: Rect, model: &Model, board: &Board, clock: &str) {
    let interval = humantime::format_duration(board.interval).to_string();
    let right = match board.paused {
        true => format!("PAUSED at {clock}"),
        false => format!("every {interval}  {clock}"),
    };
    let width = u16::try_from(cells(&right))
        .unwrap_or_default()
        .min(area.width);
    let [left, right_area] =
        Layout::horizontal([Constraint::Min(0), Constraint::Length(width)]).areas(area);
    let status = model.status();
    let name = status.map_or("asking the servers", |status| status.name());
    let mut spans = vec![
        Span::styled("zkctl top", style::TITLE),
        Span::raw("  "),
        Span::styled(name, style::of_status(status)),
    ];
    if !model.problems().is_empty() {
        // A column separates it from the time.
        let used: usize = spans.iter().map(|span| cells(&span.content)).sum();
        let space = usize::from(left.width).saturating_sub(used + 1);
        let problems = format!(": {}", model.problems().join("; "));
        spans.push(Span::raw(cut(&problems, space)));
    }
    frame.render_widget(Line::from(spans), left);
    let style = if board.paused {
        style::WARNING
    } else {
        Style::new()
    };
    frame.render_widget(Span::styled(right, style), right_area);
}

/// The parts of a line, each a label and a value.
type Parts = Vec<(String, String)>;

fn ensemble(overview: &Overview) -> Parts {
    let number: usize = overview.roles.iter().map(|(_, count)| count).sum();
    let servers = if number == 1 { "server" } else { "servers" };
    let roles: Vec<_> = overview
        .roles
        .iter()
        .map(|(role, count)| match (role.as_str(), count) {
            ("leader" | "follower" | "observer", 2..) => format!("{count} {role}s"),
            _ => format!("{count} {role}"),
        })
        .collect();
    let mut parts = vec![(format!("{number} {servers}:"), roles.join(", "))];
    let mut add = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            parts.push((label.to_owned(), value));
        }
    };
    add("quorum", overview.quorum.map(quorum));
    add("epoch", overview.epoch.map(|epoch| format!("{epoch:#x}")));
    add("leader", overview.leader.clone());
    parts
}

pub(crate) fn quorum(quorum: Quorum) -> String {
    match quorum.voters {
        Some(voters) => format!("{} of {voters}", quorum.in_sync),
        None => format!("{} in sync", quorum.in_sync),
    }
}

fn totals(overview: &Overview) -> Parts {
    let values = [
        ("in/s", overview.received.map(rate)),
        ("out/s", overview.sent.map(rate)),
        ("outstanding", overview.outstanding.map(whole)),
        ("connections", overview.connections.map(whole)),
        ("watches", overview.watches.map(whole)),
        ("znodes", overview.znodes.map(whole)),
    ];
    let known = values
        .into_iter()
        .filter_map(|(label, value)| Some((label, value?)));
    known
        .map(|(label, value)| (label.to_owned(), value))
        .collect()
}

/// As many parts as fit.
fn fitting(parts: Parts, width: u16) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut left = usize::from(width);
    for (label, value) in parts {
        let gap = if spans.is_empty() { "" } else { GAP };
        let needed = gap.len() + cells(&label) + 1 + cells(&value);
        // The first part is cut if it is too long.
        if needed > left && !spans.is_empty() {
            break;
        }
        left = left.saturating_sub(needed);
        spans.push(Span::raw(gap));
        spans.push(Span::styled(format!("{label} "), style::DIM));
        spans.push(Span::raw(value));
    }
    Line::from(spans)
}

/// The line at the bottom.
pub(super) fn keys(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    if let Overlay::Detail(detail) = &board.overlay
        && detail.typing
    {
        let line = Line::from(vec![
            Span::styled("filter: ", style::DIM),
            Span::raw(detail.filter.clone()),
            Span::styled(" ", style::SELECTED),
        ]);
        frame.render_widget(line, area);
        return;
    }
    let keys: Vec<(&str, String)> = match &board.overlay {
        Overlay::Detail(detail) => vec![
            ("Esc", "back".to_owned()),
            ("/", "filter".to_owned()),
            (
                "z",
                match detail.without_zeros {
                    true => "show zeros".to_owned(),
                    false => "hide zeros".to_owned(),
                },
            ),
            ("↑↓", "scroll".to_owned()),
            ("p", "pause".to_owned()),
            ("q", "quit".to_owned()),
        ],
        _ => vec![
            ("q", "quit".to_owned()),
            ("?", "help".to_owned()),
            ("Enter", "all values".to_owned()),
            ("s", format!("sort: {}", sort_name(board.sort))),
            ("p", if board.paused { "go on" } else { "pause" }.to_owned()),
            ("+-", "interval".to_owned()),
            ("m", "reset maxima".to_owned()),
        ],
    };
    let mut spans = Vec::new();
    let mut left = usize::from(area.width);
    for (key, what) in keys {
        let needed = cells(key) + 1 + cells(&what) + GAP.len();
        let Some(rest) = left.checked_sub(needed) else {
            break;
        };
        left = rest;
        spans.push(Span::styled(key, style::TITLE));
        spans.push(Span::styled(format!(" {what}{GAP}"), style::DIM));
    }
    frame.render_widget(Line::from(spans), area);
}
