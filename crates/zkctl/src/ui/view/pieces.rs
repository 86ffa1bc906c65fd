//! Text, frames and windows, and their colours.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::{Block, Clear, Widget};

use crate::ui::document::{columns, one_line};
use crate::ui::layout::{centered, inner};

pub(super) const PLAIN: Style = Style::new().fg(Color::Reset);
pub(super) const DIM: Style = Style::new().fg(Color::Reset).add_modifier(Modifier::DIM);
/// Not the colour of the frame that it may be written over.
pub(super) const BOLD: Style = Style::new().fg(Color::Reset).add_modifier(Modifier::BOLD);
pub(super) const SELECTED: Style = Style::new()
    .fg(Color::Reset)
    .add_modifier(Modifier::REVERSED);
pub(super) const NEW: Style = Style::new().fg(Color::Green);
pub(super) const CHANGED: Style = Style::new().fg(Color::Yellow);
pub(super) const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
pub(super) const GOOD: Style = Style::new().fg(Color::Green);
pub(super) const FRAME: Style = Style::new().fg(Color::DarkGray);
pub(super) const FOCUSED: Style = Style::new().fg(Color::Cyan);

/// Puts pieces of text into a row, and returns the column after them.
pub(super) fn put(buffer: &mut Buffer, area: Rect, row: u16, pieces: &[(&str, Style)]) -> u16 {
    let (mut x, y) = (area.x, area.y + row);
    if row >= area.height {
        return x;
    }
    for (text, style) in pieces {
        let left = usize::from(area.right().saturating_sub(x));
        (x, _) = buffer.set_stringn(x, y, text, left, *style);
    }
    x
}

/// Puts text into the first row.
pub(super) fn line(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    put(buffer, area, 0, &[(text, style)]);
}

/// Puts text at the end of a row.
pub(super) fn put_right(buffer: &mut Buffer, area: Rect, text: &str, style: Style) -> u16 {
    let width = u16::try_from(columns(text))
        .unwrap_or(u16::MAX)
        .min(area.width);
    let x = area.right() - width;
    buffer.set_stringn(x, area.y, text, usize::from(width), style);
    width
}

pub(super) fn frame_style(focused: bool) -> Style {
    if focused { FOCUSED } else { FRAME }
}

pub(super) fn title_area(frame: Rect) -> Rect {
    Rect {
        x: frame.x + 1,
        width: frame.width.saturating_sub(2),
        height: 1,
        ..frame
    }
}

pub(super) fn bottom(frame: Rect) -> Rect {
    Rect {
        y: frame.bottom().saturating_sub(1),
        ..title_area(frame)
    }
}

/// Text of several lines, which are broken where they do not fit.
pub(super) fn paragraph(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    let width = usize::from(area.width).max(1);
    let mut row = 0;
    for line in text.lines() {
        let line = one_line(line);
        let mut rest = &*line;
        loop {
            let mut end = 0;
            let mut space = None;
            let mut used = 0;
            for (at, c) in rest.char_indices() {
                used += columns(c.encode_utf8(&mut [0; 4]));
                if used > width {
                    break;
                }
                end = at + c.len_utf8();
                if c == ' ' {
                    space = Some(end);
                }
            }
            if end < rest.len() {
                end = space.unwrap_or(end).max(1);
            }
            let Some((now, later)) = rest.split_at_checked(end) else {
                return;
            };
            put(buffer, area, row, &[(now, style)]);
            row += 1;
            rest = later;
            if rest.is_empty() || row >= area.height {
                break;
            }
        }
    }
}

/// An empty frame in the middle of the screen, for so many columns and rows inside.
pub(super) fn window(
    title: &str,
    screen: Rect,
    (width, height): (u16, u16),
    buffer: &mut Buffer,
) -> Rect {
    let area = centered(screen, width + 2, height + 2);
    Clear.render(area, buffer);
    Block::bordered().border_style(FOCUSED).render(area, buffer);
    put(buffer, title_area(area), 0, &[(title, BOLD)]);
    inner(area)
}
