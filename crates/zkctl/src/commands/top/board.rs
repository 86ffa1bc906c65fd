//! What the keys have chosen: order, selection, overlays.

use std::time::Duration;

use super::model::Model;
use super::model::overview::role_name;
use super::model::server::Server;
use crate::cli::top::Sort;
use crate::commands::servers::Target;
use crate::screen::Key;

/// The intervals that `+` and `-` choose from, in milliseconds.
const INTERVALS: [u64; 10] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000,
];

/// The orders that `s` goes through.
const SORTS: [Sort; 10] = [
    Sort::Server,
    Sort::Role,
    Sort::State,
    Sort::Received,
    Sort::Sent,
    Sort::Latency,
    Sort::Outstanding,
    Sort::Connections,
    Sort::Watches,
    Sort::Lag,
];

/// What lies above the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Overlay {
    #[default]
    Nothing,
    Help,
    Detail(Detail),
}

/// All values of the selected server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Detail {
    /// The first line that is shown.
    pub(super) scroll: usize,
    /// Only the keys that contain this.
    pub(super) filter: String,
    /// Whether keys go to the filter.
    pub(super) typing: bool,
    /// Whether values that are zero are hidden.
    pub(super) without_zeros: bool,
    /// How many lines are visible, as of the last drawing.
    pub(super) page: usize,
    /// How many there are.
    pub(super) lines: usize,
}

/// What a key demands of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    Nothing,
    Quit,
    Interval(Duration),
    /// Freeze the screen, or let it go on.
    Pause,
    ResetMaxima,
}

/// The state of the screen.
#[derive(Clone, Debug)]
pub(super) struct Board {
    pub(super) interval: Duration,
    pub(super) sort: Sort,
    pub(super) reversed: bool,
    pub(super) paused: bool,
    pub(super) overlay: Overlay,
    /// `None` for the first.
    pub(super) selected: Option<Target>,
    /// The lines of the table, from the top of the screen, with the servers that they show: for the mouse.
    pub(super) lines: Vec<(u16, Target)>,
}

impl Board {
    pub(super) fn new(interval: Duration, sort: Sort) -> Self {
        Board {
            interval,
            sort,
            reversed: false,
            paused: false,
            overlay: Overlay::Nothing,
            selected: None,
            lines: Vec::new(),
        }
    }

    /// The places of the servers in the model, in the order of the table.
    pub(super) fn order(&self, model: &Model) -> Vec<usize> {
        let mut order: Vec<usize> = (0..model.servers.len()).collect();
        let value = |index: usize| {
            model
                .servers
                .get(index)
                .map(|it| self.sort_value(model, it, index))
        };
        order.sort_by(|&a, &b| {
            let (a, b) = (value(a), value(b));
            b.partial_cmp(&a).unwrap_or(std::cmp::Ordering::Equal)
        });
        if self.reversed {
            order.reverse();
        }
        order
    }

    /// The highest value comes first. Servers of the same value stay in the order of their names.
    fn sort_value(&self, model: &Model, server: &Server, index: usize) -> f64 {
        let report = server.sample.as_ref().map(|sample| &sample.report);
        let count = |value: Option<u64>| value.map_or(-1.0, |value| value as f64);
        match self.sort {
            Sort::Server => 0.0,
            Sort::Role => match role_name(server).as_str() {
                "leader" => 3.0,
                "follower" => 2.0,
                "observer" => 1.0,
                _ => 0.0,
            },
            Sort::State => {
                let problems = model.problems_of(index).len() as f64;
                problems + if server.is_up() { 0.0 } else { 100.0 }
            }
            Sort::Received => server.rates.received.unwrap_or(-1.0),
            Sort::Sent => server.rates.sent.unwrap_or(-1.0),
            Sort::Latency => server.rates.latency.unwrap_or(-1.0),
            Sort::Outstanding => count(report.and_then(|report| report.outstanding)),
            Sort::Connections => count(report.and_then(|report| report.connections)),
            Sort::Watches => count(report.and_then(|report| report.watches)),
            Sort::Lag => count(server.lag),
        }
    }

    /// The place of the selected server in the order.
    pub(super) fn selection(&self, model: &Model, order: &[usize]) -> usize {
        let selected = self.selected.as_ref();
        let is_selected = |index: &usize| {
            let server = model.servers.get(*index);
            server.is_some_and(|server| Some(&server.target) == selected)
        };
        order.iter().position(is_selected).unwrap_or(0)
    }

    pub(super) fn key(&mut self, key: Key, model: &Model) -> Demand {
        match &mut self.overlay {
            Overlay::Help => {
                self.overlay = Overlay::Nothing;
                // Any key leaves the help.
                return Demand::Nothing;
            }
            Overlay::Detail(detail) => {
                if !detail.key(key) {
                    return Demand::Nothing;
                }
                if matches!(key, Key::Escape | Key::Enter | Key::Backspace) {
                    self.overlay = Overlay::Nothing;
                    return Demand::Nothing;
                }
            }
            Overlay::Nothing => match key {
                Key::Down | Key::Char('j') => self.move_selection(model, 1),
                Key::Up | Key::Char('k') => self.move_selection(model, -1),
                Key::Home => self.move_selection(model, isize::MIN),
                Key::End => self.move_selection(model, isize::MAX),
                Key::Char('s') => self.sort = next_sort(self.sort),
                Key::Char('r') => self.reversed = !self.reversed,
                Key::Enter if !model.servers.is_empty() => {
                    self.overlay = Overlay::Detail(Detail::default());
                }
                _ => {}
            },
        }
        match key {
            Key::Char('q') => return Demand::Quit,
            Key::Char('?' | 'h') => self.overlay = Overlay::Help,
            Key::Char('p' | ' ') => return Demand::Pause,
            Key::Char('m') => return Demand::ResetMaxima,
            Key::Char('+' | '=') => return Demand::Interval(longer(self.interval)),
            Key::Char('-') => return Demand::Interval(shorter(self.interval)),
            _ => {}
        }
        Demand::Nothing
    }

    /// A click on a line of the screen selects the server there; on the selected one it shows its values.
    pub(super) fn click(&mut self, line: u16, model: &Model) {
        if self.overlay != Overlay::Nothing {
            return;
        }
        let Some((_, target)) = self.lines.iter().find(|(row, _)| *row == line) else {
            return;
        };
        let order = self.order(model);
        let selection = self.selection(model, &order);
        let selected = order
            .get(selection)
            .and_then(|index| model.servers.get(*index));
        if selected.is_some_and(|server| server.target == *target) {
            self.overlay = Overlay::Detail(Detail::default());
        }
        self.selected = Some(target.clone());
    }

    /// The wheel of the mouse.
    pub(super) fn scroll(&mut self, lines: isize, model: &Model) {
        match &mut self.overlay {
            Overlay::Nothing => self.move_selection(model, lines.signum()),
            Overlay::Detail(detail) => detail.move_by(lines),
            Overlay::Help => {}
        }
    }

    fn move_selection(&mut self, model: &Model, by: isize) {
        let order = self.order(model);
        let last = order.len().saturating_sub(1);
        let place = self
            .selection(model, &order)
            .saturating_add_signed(by)
            .min(last);
        let server = order.get(place).and_then(|index| model.servers.get(*index));
        self.selected = server.map(|server| server.target.clone());
    }
}

impl Detail {
    /// Returns whether the key is for the rest of the screen.
    fn key(&mut self, key: Key) -> bool {
        if self.typing {
            match key {
                Key::Enter => self.typing = false,
                Key::Escape => (self.typing, self.filter) = (false, String::new()),
                Key::Backspace => drop(self.filter.pop()),
                Key::Char(c) if !c.is_control() => self.filter.push(c),
                _ => {}
            }
            self.scroll = 0;
            return false;
        }
        let page = isize::try_from(self.page.max(1)).unwrap_or(1);
        match key {
            Key::Down | Key::Char('j') => self.move_by(1),
            Key::Up | Key::Char('k') => self.move_by(-1),
            Key::PageDown => self.move_by(page),
            Key::PageUp => self.move_by(-page),
            Key::Home => self.scroll = 0,
            Key::End => self.move_by(isize::MAX),
            Key::Char('/') => self.typing = true,
            Key::Char('z') => {
                self.without_zeros = !self.without_zeros;
                self.scroll = 0;
            }
            _ => return true,
        }
        false
    }

    fn move_by(&mut self, lines: isize) {
        let last = self.lines.saturating_sub(self.page);
        self.scroll = self.scroll.saturating_add_signed(lines).min(last);
    }
}

fn next_sort(sort: Sort) -> Sort {
    let place = SORTS.iter().position(|one| *one == sort).unwrap_or(0);
    SORTS.get(place + 1).copied().unwrap_or_default()
}

pub(super) fn sort_name(sort: Sort) -> &'static str {
    match sort {
        Sort::Server => "server",
        Sort::Role => "role",
        Sort::State => "state",
        Sort::Received => "in/s",
        Sort::Sent => "out/s",
        Sort::Latency => "latency",
        Sort::Outstanding => "outstanding",
        Sort::Connections => "connections",
        Sort::Watches => "watches",
        Sort::Lag => "lag",
    }
}

fn longer(interval: Duration) -> Duration {
    let all = INTERVALS.map(Duration::from_millis);
    let longer = all.iter().find(|one| **one > interval);
    longer.copied().unwrap_or(interval)
}

fn shorter(interval: Duration) -> Duration {
    let all = INTERVALS.map(Duration::from_millis);
    let shorter = all.iter().rev().find(|one| **one < interval);
    shorter.copied().unwrap_or(interval)
}
