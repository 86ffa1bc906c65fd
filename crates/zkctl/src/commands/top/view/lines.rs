//! Lines below each other.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Draws a line on each row of an area, as many as there are rows.
pub(super) fn draw_lines(
    frame: &mut Frame<'_>,
    area: Rect,
    lines: impl IntoIterator<Item = Line<'static>>,
) {
    for (line, row) in lines.into_iter().zip(area.rows()) {
        frame.render_widget(line, row);
    }
}
