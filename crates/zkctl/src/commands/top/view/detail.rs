//! All values of one server.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::super::board::{Board, Overlay};
use super::super::model::Model;
use super::super::model::server::Server;
use super::super::numbers::rate;
use super::columns;
use super::lines::draw_lines;
use super::style;
use super::table::cut;

/// The least width of a key with its value and change.
const COLUMN: u16 = 64;
const VALUE: usize = 14;
const CHANGE: usize = 9;

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Model,
    board: &mut Board,
    order: &[usize],
    now: Duration,
) {
    let selection = board.selection(model, order);
    let found = order
        .get(selection)
        .and_then(|&index| Some((index, model.servers.get(index)?)));
    let (Some((index, server)), Overlay::Detail(detail)) = (found, &mut board.overlay) else {
        return;
    };
    let values = values(server, &detail.filter, detail.without_zeros);
    let [title, titles, list] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
    ])
    .areas(area);
    let (urgency, state) = columns::state(model, index, server, now);
    let filtered = match detail.filter.as_str() {
        "" => String::new(),
        filter => format!("  /{filter}"),
    };
    let source = match &server.sample {
        Some(sample) => sample.source.name(),
        None => "",
    };
    let heading = Line::from(vec![
        Span::styled(server.target.to_string(), style::TITLE),
        Span::styled(
            format!("  {} values from {source}{filtered}  ", values.len()),
            style::DIM,
        ),
        Span::styled(state, style::of_urgency(urgency)),
    ]);
    frame.render_widget(heading, title);
    // Columns as in a newspaper.
    let number = (area.width / COLUMN).max(1);
    let rows = usize::from(list.height);
    let lines = values.len().div_ceil(number.into());
    (detail.lines, detail.page) = (lines, rows);
    detail.scroll = detail.scroll.min(lines.saturating_sub(rows));
    let fill: Vec<_> = (0..number).map(|_| Constraint::Fill(1)).collect();
    let heads = Layout::horizontal(&fill).spacing(3).split(titles);
    let bodies = Layout::horizontal(&fill).spacing(3).split(list);
    for (place, (head, body)) in heads.iter().zip(bodies.iter()).enumerate() {
        let width = usize::from(body.width);
        let text = row("KEY", "VALUE", "CHANGE/s", width);
        frame.render_widget(Line::styled(text, style::DIM), *head);
        let column = values.iter().skip(place * lines).take(lines);
        let lines = column.skip(detail.scroll).map(|(key, value, change)| {
            let style = if change.is_empty() {
                style::DIM
            } else {
                style::TITLE
            };
            Line::styled(row(key, value, change, width), style)
        });
        draw_lines(frame, *body, lines);
    }
    if values.is_empty() {
        let text = match server.lacks() {
            None => "There are no values.".to_owned(),
            Some(reason) => format!("There are no values: {reason}"),
        };
        frame.render_widget(cut(&text, area.width.into()), list);
    }
}

fn row(key: &str, value: &str, change: &str, width: usize) -> String {
    let room = width.saturating_sub(VALUE + CHANGE + 2);
    // The value may take the room of its key, as a version does.
    let key = cut(key, room);
    let value = cut(
        value,
        width.saturating_sub(key.chars().count() + CHANGE + 2),
    );
    let gap = width.saturating_sub(key.chars().count() + CHANGE + 1);
    format!("{key}{value:>gap$} {change:>CHANGE$}")
}

/// Keys, values, and the changes of those that have changed.
fn values(server: &Server, filter: &str, without_zeros: bool) -> Vec<(String, String, String)> {
    let Some(sample) = &server.sample else {
        return Vec::new();
    };
    let changes = server
        .changes
        .iter()
        .copied()
        .chain(std::iter::repeat(None));
    let is_zero = |value: &str| value.parse::<f64>().is_ok_and(|number| number == 0.0);
    sample
        .metrics
        .iter()
        .zip(changes)
        .map(|((key, value), change)| (key.strip_prefix("zk_").unwrap_or(key), value, change))
        .filter(|(key, value, _)| key.contains(filter) && !(without_zeros && is_zero(value)))
        .map(|(key, value, change)| {
            let change = change.filter(|change| *change != 0.0);
            let change = change.map_or_else(String::new, |it| format!("{}{}", sign(it), rate(it)));
            (key.to_owned(), value.to_owned(), change)
        })
        .collect()
}

fn sign(change: f64) -> &'static str {
    if change > 0.0 { "+" } else { "" }
}
