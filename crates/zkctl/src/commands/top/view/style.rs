//! How wide texts are, and colours, of the sixteen that each terminal has a choice of its own for.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;
use zk_client::admin::ServerMode;

use super::columns::Urgency;
use crate::commands::health::report::Role;
use crate::commands::health::verdict::Status;

pub(super) const TITLE: Style = Style::new().add_modifier(Modifier::BOLD);
pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);
pub(super) const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);
pub(super) const RATE: Style = Style::new().fg(Color::Cyan);
pub(super) const LATENCY: Style = Style::new().fg(Color::Yellow);
pub(super) const BAD: Style = Style::new().fg(Color::Red);
pub(super) const WARNING: Style = Style::new().fg(Color::Yellow);

pub(super) fn of_status(status: Option<Status>) -> Style {
    let colour = match status {
        None => return TITLE,
        Some(Status::Healthy) => Color::Green,
        Some(Status::Degraded | Status::Unknown) => Color::Yellow,
        Some(Status::Critical) => Color::Red,
    };
    Style::new().fg(colour).add_modifier(Modifier::BOLD)
}

pub(super) fn of_urgency(urgency: Urgency) -> Style {
    match urgency {
        Urgency::Good => Style::new().fg(Color::Green),
        Urgency::Note => DIM,
        Urgency::Problem => WARNING,
        Urgency::Down => BAD,
    }
}

pub(super) fn of_role(role: Option<&Role>) -> Style {
    match role {
        Some(Role::Mode(ServerMode::Leader)) => {
            Style::new().fg(Color::Green).add_modifier(Modifier::BOLD)
        }
        Some(Role::Mode(ServerMode::ReadOnly) | Role::NotServing) => WARNING,
        Some(_) => Style::new(),
        None => BAD,
    }
}

/// How many cells of the terminal a text takes.
pub(super) fn cells(text: &str) -> usize {
    Span::raw(text).width()
}
