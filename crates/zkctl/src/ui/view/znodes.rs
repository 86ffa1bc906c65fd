//! The tree.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::widgets::{Block, Widget};

use super::pieces::{
    BOLD, CHANGED, DIM, FRAME, NEW, PLAIN, SELECTED, bottom, frame_style, put, put_right,
    title_area,
};
use crate::ui::document::one_line;
use crate::ui::layout::inner;
use crate::ui::model::{Focus, Model};
use crate::ui::tree::{Id, Mark};

pub(super) fn tree(model: &Model, area: Rect, buffer: &mut Buffer) {
    let focused = model.focus == Focus::Tree;
    Block::bordered()
        .border_style(frame_style(focused))
        .render(area, buffer);
    let rows = model.tree.rows();
    let title = match model.tree.filter() {
        Some(filter) => format!(" only {} ", one_line(filter.text())),
        None => " znodes ".to_owned(),
    };
    put(buffer, title_area(area), 0, &[(&title, BOLD)]);
    let inside = inner(area);
    for (index, &id) in rows
        .iter()
        .skip(model.top)
        .take(usize::from(inside.height))
        .enumerate()
    {
        let row = u16::try_from(index).unwrap_or(u16::MAX);
        znode(model, id, inside, row, buffer);
    }
    let position = format!(" {}/{} ", model.tree.row_of(model.selected) + 1, rows.len());
    put_right(buffer, bottom(area), &position, DIM);
}

fn znode(model: &Model, id: Id, area: Rect, row: u16, buffer: &mut Buffer) {
    let tree = &model.tree;
    let indent = " ".repeat((tree.depth(id) * 2).min(usize::from(area.width) / 2));
    let symbol = match (tree.is_expanded(id), tree.count(id)) {
        (_, Some(0)) => "  ",
        (true, _) => "▾ ",
        (false, _) => "▸ ",
    };
    let (mark, mark_style) = match tree.mark(id) {
        Some(Mark::New) => ("+ ", NEW),
        Some(Mark::Changed) => ("~ ", CHANGED),
        None if id == model.selected && model.shown.changed => ("~ ", CHANGED),
        None => ("", PLAIN),
    };
    let more = match (tree.unread(id), tree.count(id), tree.is_expanded(id)) {
        (Some(_), _, _) => " (not read)".to_owned(),
        (None, None, true) => " …".to_owned(),
        (None, Some(count), true) if count > 0 => format!(" ({count})"),
        _ => String::new(),
    };
    let style = match tree.mark(id) {
        Some(Mark::New) => NEW,
        Some(Mark::Changed) => CHANGED,
        None => PLAIN,
    };
    let name = one_line(tree.name(id));
    put(
        buffer,
        area,
        row,
        &[
            (&indent, PLAIN),
            (symbol, FRAME),
            (mark, mark_style),
            (&name, style),
            (&more, DIM),
        ],
    );
    if id == model.selected {
        let style = match model.focus {
            Focus::Tree => SELECTED,
            Focus::Details => BOLD.add_modifier(Modifier::UNDERLINED),
        };
        let line = Rect {
            y: area.y + row,
            height: 1,
            ..area
        };
        buffer.set_style(line, style);
    }
}
