//! The first line and the last one.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use zk_client::State;

use super::pieces::{BAD, BOLD, CHANGED, DIM, GOOD, PLAIN, put, put_right};
use crate::ui::document::{columns, end_of, one_line};
use crate::ui::model::{Mode, Model, Prompt};

pub(super) fn header(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (state, style) = session(model);
    let taken = put_right(buffer, area, &format!(" {state} "), style);
    let left = Rect {
        width: area.width - taken,
        ..area
    };
    let (mode, mode_style) = match model.writable {
        true => (" WRITE ", CHANGED.add_modifier(Modifier::REVERSED)),
        false => (" read-only ", DIM),
    };
    let servers = match model.session.server.as_deref() == Some(&model.servers) {
        true => Cow::Borrowed(""),
        false => one_line(&model.servers),
    };
    put(
        buffer,
        left,
        0,
        &[
            (" zkctl ui ", BOLD),
            (mode, mode_style),
            (" ", PLAIN),
            (&servers, DIM),
        ],
    );
}

/// The state of the session, in words.
fn session(model: &Model) -> (String, Style) {
    let server = model.session.server.as_deref().unwrap_or("a server");
    match model.session.state {
        State::Connected { session, .. } => (format!("● {server} session {session}"), GOOD),
        State::ConnectedReadOnly { .. } => (
            format!("● {server} has no quorum: data may be old"),
            CHANGED,
        ),
        State::Suspended { until } => {
            let left = until.saturating_duration_since(model.now.0).as_secs();
            (
                format!("○ connection lost; session lives {left} s at most"),
                BAD,
            )
        }
        State::Expired { .. } => (
            "✗ session expired; a new one is being opened".to_owned(),
            BAD,
        ),
        State::AuthFailed => ("✗ the credentials are refused".to_owned(), BAD),
        State::Closed => ("✗ closed".to_owned(), BAD),
        _ => ("○ connecting".to_owned(), CHANGED),
    }
}

/// Draws the last line, and returns where the cursor is.
pub(super) fn footer(model: &Model, area: Rect, buffer: &mut Buffer) -> Option<(u16, u16)> {
    if let Mode::Prompt(prompt) = &model.mode {
        return Some(typing(prompt, model, area, buffer));
    }
    if let Some(message) = &model.message {
        let style = if message.is_error { BAD } else { BOLD };
        put(
            buffer,
            area,
            0,
            &[(" ", PLAIN), (&one_line(&message.text), style)],
        );
        return None;
    }
    let change = match model.writable {
        true => " e edit  c create  d delete ",
        false => "",
    };
    let keys = format!(
        " ? help  q quit  ↑↓→← move  Tab details  / search  F find  f filter  v format {change}"
    );
    put(buffer, area, 0, &[(&keys, DIM)]);
    None
}

fn typing(prompt: &Prompt, model: &Model, area: Rect, buffer: &mut Buffer) -> (u16, u16) {
    let (before, after) = prompt.line.parts();
    let (before, after) = (one_line(before), one_line(after));
    let half = usize::from(area.width) / 2;
    let purpose = prompt.purpose.text();
    let purpose = end_of(&purpose, half);
    let room = usize::from(area.width).saturating_sub(columns(&purpose) + 2);
    let before = end_of(&before, room);
    let x = put(
        buffer,
        area,
        0,
        &[(" ", PLAIN), (&purpose, BOLD), (&before, PLAIN)],
    );
    let why = match &model.message {
        Some(message) => format!("  {}", message.text),
        None => String::new(),
    };
    let rest = Rect {
        x,
        width: area.right() - x,
        ..area
    };
    put(buffer, rest, 0, &[(&after, PLAIN), (&one_line(&why), BAD)]);
    (x.min(area.right().saturating_sub(1)), area.y)
}
