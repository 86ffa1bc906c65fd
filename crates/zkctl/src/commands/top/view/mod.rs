//! The screen: the model and what the keys have chosen become a frame.
//!
//! - [`header`]: the ensemble, and the keys at the bottom.
//! - [`columns`], [`table`], [`trend`]: a line for each server.
//! - [`below`]: what is wrong, what has happened, graphs.
//! - [`detail`], [`help`]: what lies above them.
//! - [`mod@style`] has the colours, [`lines`] draws lines.

mod below;
pub(super) mod columns;
mod detail;
pub(super) mod header;
mod help;
mod lines;
mod style;
mod table;
mod trend;

#[cfg(test)]
mod tests;

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};

use super::board::{Board, Overlay};
use super::model::Model;

/// Smaller terminals have no room for anything that is of use.
const MIN_WIDTH: u16 = 30;
const MIN_HEIGHT: u16 = 6;

/// Draws the frame. `clock` is the time of day.
pub(super) fn draw(
    frame: &mut Frame<'_>,
    model: &Model,
    board: &mut Board,
    now: Duration,
    clock: &str,
) {
    let area = frame.area();
    if area.width < MIN_WIDTH || area.height < MIN_HEIGHT {
        frame.render_widget("The terminal is too small.", area);
        return;
    }
    let order = board.order(model);
    let is_low = area.height < 16;
    let header_height = if is_low { 2 } else { 4 };
    let [header, middle, footer] = Layout::vertical([
        Constraint::Length(header_height),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    header::draw(frame, header, model, board, clock);
    header::keys(frame, footer, board);
    board.lines.clear();
    if let Overlay::Detail(_) = board.overlay {
        detail::draw(frame, middle, model, board, &order, now);
    } else {
        let servers = u16::try_from(order.len()).unwrap_or(u16::MAX);
        // One line for the titles. Of many servers, some are below the edge of the table.
        let wanted = servers.saturating_add(1);
        let most = match is_low {
            true => middle.height,
            false => (middle.height / 2).max(6),
        };
        let [table, below] = Layout::vertical([
            Constraint::Length(wanted.min(most).min(middle.height)),
            Constraint::Min(0),
        ])
        .areas(middle);
        let is_state_cut = table::draw(frame, table, model, board, &order, now);
        below::draw(frame, below, model, board, &order, is_state_cut, now);
    }
    if board.overlay == Overlay::Help {
        help::draw(frame, area);
    }
}
