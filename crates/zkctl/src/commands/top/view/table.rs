//! The table: a line for each server.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table};

use super::super::board::Board;
use super::super::model::Model;
use super::super::model::server::Server;
use super::columns::{self, Column, Highest, Urgency};
use super::style::{self, cells};

/// Draws the lines of the servers, and returns whether the state of one is cut.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    model: &Model,
    board: &mut Board,
    order: &[usize],
    now: Duration,
) -> bool {
    let names = model.servers.iter().map(|server| server.target.to_string());
    let longest = names.map(|name| cells(&name)).max().unwrap_or_default();
    let fitting = columns::fitting(area.width, longest);
    let highest = Highest::of(model, area.width.into());
    let selection = board.selection(model, order);
    let lines = usize::from(area.height.saturating_sub(1));
    // The selected server is always visible.
    let first = (selection + 1).saturating_sub(lines);
    let mut is_cut = false;
    let mut rows = Vec::new();
    let shown = (0..).zip(order).skip(first).take(lines);
    for ((place, &index), y) in shown.zip(area.y + 1..) {
        let Some(server) = model.servers.get(index) else {
            continue;
        };
        let (urgency, state) = columns::state(model, index, server, now);
        let columns = fitting.iter().map(|&(column, width)| {
            let text = match column {
                Column::State => {
                    is_cut |= cells(&state) > usize::from(width);
                    state.clone()
                }
                column => columns::text(column, width, server, highest),
            };
            cell(column, width, text, server, urgency, place == selection)
        });
        let columns: Vec<_> = columns.collect();
        let mark = if place == selection {
            style::TITLE
        } else {
            Style::new()
        };
        rows.push(Row::new(columns).style(mark));
        board.lines.push((y, server.target.clone()));
    }
    let titles = fitting.iter().map(|&(column, _)| {
        let title = match column {
            Column::Server => "  SERVER",
            column => column.title(),
        };
        aligned(column, title.to_owned(), style::DIM)
    });
    let widths = fitting.iter().map(|&(_, width)| Constraint::Length(width));
    let table = Table::new(rows, widths).header(Row::new(titles).style(style::DIM));
    frame.render_widget(table, area);
    is_cut
}

fn cell(
    column: Column,
    width: u16,
    text: String,
    server: &Server,
    urgency: Urgency,
    is_selected: bool,
) -> Cell<'static> {
    let role = server
        .sample
        .as_ref()
        .and_then(|sample| sample.report.role.as_ref());
    let cell_style = match column {
        Column::Role if server.sample.is_some() => style::of_role(role),
        Column::State => style::of_urgency(urgency),
        Column::RateTrend => style::RATE,
        Column::LatencyTrend => style::LATENCY,
        _ => Style::new(),
    };
    let text = match column {
        Column::Server => {
            let mark = if is_selected { "> " } else { "  " };
            format!(
                "{mark}{}",
                cut_left(&text, usize::from(width).saturating_sub(2))
            )
        }
        Column::State | Column::Role => cut(&text, width.into()),
        _ => text,
    };
    aligned(column, text, cell_style)
}

fn aligned(column: Column, text: String, style: Style) -> Cell<'static> {
    let line = Line::styled(text, style);
    Cell::from(match column.is_right_aligned() {
        true => line.right_aligned(),
        false => line,
    })
}

/// The beginning of a text that is too long.
pub(super) fn cut(text: &str, width: usize) -> String {
    if cells(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The end of a name that is too long: those of an ensemble differ in the port, or have one domain.
fn cut_left(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(length + 1 - width.max(1)).collect();
    format!("…{kept}")
}
