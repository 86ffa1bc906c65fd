//! The model's reaction to keys and the mouse.

use bytes::Bytes;
use ratatui::layout::Position;
use zk_client::path;

use super::document::{Document, one_line};
use super::line::Line;
use super::model::{Find, Focus, Mode, Model, Prompt, Purpose, Tab, tab_columns};
use super::request::Request;
use super::tree::{Id, Pattern, Tree};
use crate::screen::{Button, Event, Key, Mouse, MouseAct};

/// How many rows the wheel moves.
const WHEEL: isize = 3;

impl Model {
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Key(key) => {
                let mode = std::mem::replace(&mut self.mode, Mode::Browse);
                match mode {
                    Mode::Browse => self.browse(key),
                    Mode::Help => {}
                    Mode::Prompt(prompt) => self.prompt(prompt, key),
                    Mode::Delete {
                        path,
                        version,
                        below,
                    } => self.confirm(key, path, version, below),
                    Mode::Conflict { path, mine, theirs } => self.resolve(key, path, mine, theirs),
                    Mode::Find(find) => self.find(find, key),
                }
            }
            Event::Paste(text) => {
                if let Mode::Prompt(prompt) = &mut self.mode {
                    prompt.line.insert(&text);
                    self.typed();
                }
            }
            Event::Mouse(mouse) => self.mouse(mouse),
            Event::Draw | Event::End(_) => {}
        }
        self.open_conflict();
    }

    fn browse(&mut self, key: Key) {
        self.message = None;
        if key != Key::Char('q') {
            self.other_key();
        }
        match key {
            Key::Char('q') => self.quit(),
            Key::Char('?') | Key::F(1) => self.mode = Mode::Help,
            Key::Tab => {
                self.focus = match self.focus {
                    Focus::Tree => Focus::Details,
                    Focus::Details => Focus::Tree,
                }
            }
            Key::Char('1') => self.show(Tab::Data),
            Key::Char('2') => self.show(Tab::Stat),
            Key::Char('3') => self.show(Tab::Acl),
            Key::BackTab | Key::Char('t') => self.show(self.tab.next()),
            Key::Char('v') => self.change_format(),
            Key::Char('/') => self.ask(Purpose::Search(self.selected), ""),
            Key::Char('n') => self.search_next(false),
            Key::Char('N') => self.search_next(true),
            Key::Char('f') => {
                let text = self.tree.filter().map(|filter| filter.text().to_owned());
                self.ask(Purpose::Filter, &text.unwrap_or_default());
            }
            Key::Char('F') => self.ask(Purpose::Find(self.shown.path.clone()), ""),
            Key::Char('r') | Key::Ctrl('l') => {
                self.shown.changed = false;
                self.refresh();
            }
            Key::Char('y') => {
                self.request(Request::Copy(self.shown.path.clone()));
                self.say(format!(
                    "{} is copied, if the terminal permits it",
                    one_line(&self.shown.path)
                ));
            }
            Key::Char('e' | 'c' | 'd') | Key::Delete if !self.writable => {
                self.fail("read-only: start zkctl ui with --write to change znodes");
            }
            Key::Char('e') => self.edit(),
            Key::Char('c') => self.ask(Purpose::CreateName(self.shown.path.clone()), ""),
            Key::Char('d') | Key::Delete => self.delete(),
            Key::Escape if self.tree.filter().is_some() => self.set_filter(""),
            _ => match self.focus {
                Focus::Tree => self.move_in_tree(key),
                Focus::Details => self.move_in_details(key),
            },
        }
    }

    fn move_in_tree(&mut self, key: Key) {
        match key {
            Key::Up | Key::Char('k') => self.move_selected(-1),
            Key::Down | Key::Char('j') => self.move_selected(1),
            Key::PageUp => self.move_selected(-self.page()),
            Key::PageDown => self.move_selected(self.page()),
            Key::Home | Key::Char('g') => self.select_row(0),
            Key::End | Key::Char('G') => self.select_row(usize::MAX),
            Key::Right | Key::Char('l') => match self.tree.is_expanded(self.selected) {
                false => self.expand(self.selected),
                true if self
                    .tree
                    .count(self.selected)
                    .is_some_and(|count| count > 0) =>
                {
                    self.move_selected(1)
                }
                true => {}
            },
            Key::Left | Key::Char('h') => match self.tree.is_expanded(self.selected) {
                true => self.collapse(self.selected),
                false => self.select(self.tree.parent(self.selected)),
            },
            Key::Enter | Key::Char(' ') => self.toggle(self.selected),
            _ => {}
        }
    }

    fn toggle(&mut self, id: Id) {
        match self.tree.is_expanded(id) {
            true => self.collapse(id),
            false => self.expand(id),
        }
    }

    fn move_in_details(&mut self, key: Key) {
        match key {
            Key::Up | Key::Char('k') => self.scroll(-1),
            Key::Down | Key::Char('j') => self.scroll(1),
            Key::PageUp => self.scroll(-self.page()),
            Key::PageDown | Key::Char(' ') => self.scroll(self.page()),
            Key::Home | Key::Char('g') => self.shown.top = 0,
            Key::End | Key::Char('G') => self.scroll(isize::MAX),
            Key::Left | Key::Char('h') | Key::Escape => self.focus = Focus::Tree,
            _ => {}
        }
    }

    fn scroll(&mut self, rows: isize) {
        let length = match (self.tab, &self.shown.document) {
            (Tab::Data, Some(document)) => document.len(),
            _ => 0,
        };
        let height = usize::from(self.areas.detail_rows().height);
        let last = length.saturating_sub(height);
        self.shown.top = self.shown.top.saturating_add_signed(rows).min(last);
    }

    fn show(&mut self, tab: Tab) {
        self.tab = tab;
        self.shown.top = 0;
    }

    fn change_format(&mut self) {
        self.tab = Tab::Data;
        self.format = self.format.next();
        self.shown.top = 0;
        self.shown.document = self
            .shown
            .data()
            .map(|data| Document::new(data, self.format));
        self.fit(self.screen);
    }

    pub(super) fn ask(&mut self, purpose: Purpose, text: &str) {
        self.message = None;
        self.mode = Mode::Prompt(Prompt {
            purpose,
            line: Line::new(text),
        });
    }

    fn prompt(&mut self, mut prompt: Prompt, key: Key) {
        match key {
            Key::Escape => match prompt.purpose {
                Purpose::Search(from) => self.select(from),
                Purpose::Filter => self.set_filter(""),
                _ => {}
            },
            Key::Enter => self.entered(prompt),
            key => {
                let typed = prompt.line.key(key);
                self.mode = Mode::Prompt(prompt);
                if typed {
                    self.typed();
                }
            }
        }
    }

    /// What happens while a line is typed.
    fn typed(&mut self) {
        let Mode::Prompt(prompt) = &self.mode else {
            return;
        };
        let text = prompt.line.text().to_owned();
        match prompt.purpose {
            Purpose::Search(from) => {
                self.search = Pattern::new(&text);
                let found = self
                    .search
                    .as_ref()
                    .and_then(|pattern| self.tree.search(pattern, from, false, true));
                match found {
                    Some(id) => self.go_to(id),
                    None if text.is_empty() => self.select(from),
                    None => self.fail("no such name among the znodes that have been read; F reads what is below one"),
                }
            }
            Purpose::Filter => self.set_filter(&text),
            _ => {}
        }
    }

    fn go_to(&mut self, id: Id) {
        self.message = None;
        let path = self.tree.path(id);
        self.reveal(&path);
    }

    fn search_next(&mut self, backwards: bool) {
        let Some(pattern) = &self.search else {
            self.fail("nothing was searched for yet: /");
            return;
        };
        match self.tree.search(pattern, self.selected, backwards, false) {
            Some(id) => self.go_to(id),
            None => self.fail(format!("no name contains {}", one_line(pattern.text()))),
        }
    }

    fn set_filter(&mut self, text: &str) {
        let row = self.tree.row_of(self.selected);
        self.tree.set_filter(Pattern::new(text));
        self.keep_selected(row);
    }

    fn entered(&mut self, prompt: Prompt) {
        let text = prompt.line.text();
        match prompt.purpose {
            Purpose::Search(_) | Purpose::Filter => {}
            Purpose::Find(below) if !text.is_empty() => {
                self.finds += 1;
                self.request(Request::Find {
                    number: self.finds,
                    below: below.clone(),
                    word: text.to_owned(),
                });
                self.mode = Mode::Find(Find {
                    number: self.finds,
                    below,
                    word: text.to_owned(),
                    found: Vec::new(),
                    visited: 0,
                    ended: None,
                    selected: 0,
                });
            }
            Purpose::CreateName(parent) if !text.is_empty() => {
                let path = Tree::join(&parent, text.trim_start_matches('/'));
                match path::validate(&path) {
                    Ok(()) => self.ask(Purpose::CreateData(path), ""),
                    Err(error) => self.fail(error.to_string()),
                }
            }
            Purpose::CreateData(path) => {
                let data = Bytes::copy_from_slice(text.as_bytes());
                self.request(Request::Create { path, data });
            }
            Purpose::Data { path, version } => {
                let data = Bytes::copy_from_slice(text.as_bytes());
                self.write(path, data, version);
            }
            Purpose::Find(_) | Purpose::CreateName(_) => {}
        }
    }

    fn find(&mut self, mut find: Find, key: Key) {
        let last = find.found.len().saturating_sub(1);
        let page = usize::from(self.areas.tree_rows().height).max(1);
        match key {
            Key::Escape if find.ended.is_none() => {
                self.request(Request::StopFind);
                find.ended = Some(Err("stopped".to_owned()));
            }
            Key::Escape | Key::Char('q') => {
                self.request(Request::StopFind);
                return;
            }
            Key::Enter => {
                if let Some(path) = find.found.get(find.selected) {
                    self.request(Request::StopFind);
                    self.reveal(path);
                    return;
                }
            }
            Key::Up | Key::Char('k') => find.selected = find.selected.saturating_sub(1),
            Key::Down | Key::Char('j') => find.selected = (find.selected + 1).min(last),
            Key::PageUp => find.selected = find.selected.saturating_sub(page),
            Key::PageDown => find.selected = (find.selected + page).min(last),
            Key::Home | Key::Char('g') => find.selected = 0,
            Key::End | Key::Char('G') => find.selected = last,
            _ => {}
        }
        self.mode = Mode::Find(find);
    }

    fn mouse(&mut self, mouse: Mouse) {
        let at = Position::new(mouse.column, mouse.row);
        let rows = match mouse.act {
            MouseAct::WheelUp => -WHEEL,
            MouseAct::WheelDown => WHEEL,
            MouseAct::Press(Button::Left) => 0,
            _ => return,
        };
        match &mut self.mode {
            Mode::Browse => {}
            Mode::Help if rows == 0 => {
                self.mode = Mode::Browse;
                return;
            }
            Mode::Find(find) => {
                let last = find.found.len().saturating_sub(1);
                find.selected = find.selected.saturating_add_signed(rows).min(last);
                return;
            }
            _ => return,
        }
        if self.areas.tree.contains(at) {
            self.focus = Focus::Tree;
            if rows != 0 {
                self.move_selected(rows);
            } else if self.areas.tree_rows().contains(at) {
                self.click_row(usize::from(mouse.row - self.areas.tree_rows().y));
            }
        } else if self.areas.details.contains(at) {
            self.focus = Focus::Details;
            if rows != 0 {
                self.scroll(rows);
            } else if mouse.row == self.areas.details.y {
                let column = mouse.column - self.areas.details.x;
                let tab = Tab::ALL
                    .into_iter()
                    .find(|tab| tab_columns(*tab).contains(&column));
                if let Some(tab) = tab {
                    self.show(tab);
                }
            }
        }
    }

    fn click_row(&mut self, row: usize) {
        let Some(&id) = self.tree.rows().get(self.top + row) else {
            return;
        };
        // A click on what is selected opens or closes it.
        if id == self.selected {
            self.toggle(id);
        } else {
            self.select(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::replies::tests::{browser, children, type_keys};
    use super::super::request::Reply;
    use super::*;

    fn said(model: &Model) -> &str {
        model.message.as_ref().map_or("", |message| &message.text)
    }

    #[test]
    fn a_search_moves_while_it_is_typed() {
        let mut model = browser(false);
        model.reply(children("/", &["apple", "banana", "bandana"]));
        type_keys(&mut model, "/ban");
        assert_eq!(model.shown.path, "/banana");
        type_keys(&mut model, "d");
        assert_eq!(model.shown.path, "/bandana");
        type_keys(&mut model, "x");
        assert!(said(&model).contains("F reads"), "{}", said(&model));
        model.event(Event::Key(Key::Escape));
        assert_eq!(model.shown.path, "/");
        type_keys(&mut model, "/an\nn");
        assert_eq!(model.shown.path, "/bandana");
        type_keys(&mut model, "N");
        assert_eq!(model.shown.path, "/banana");
    }

    #[test]
    fn a_filter_hides_the_others() {
        let mut model = browser(false);
        type_keys(&mut model, "fb\n");
        assert_eq!(model.tree.rows().len(), 2);
        model.event(Event::Key(Key::Escape));
        assert_eq!(model.tree.rows().len(), 3);
    }

    #[test]
    fn a_find_is_stopped_and_followed() {
        let mut model = browser(false);
        type_keys(&mut model, "Fx\n");
        let requests = model.requests();
        let Some(&Request::Find { number, .. }) = requests.first() else {
            panic!("{requests:?}");
        };
        let found = |number| Reply::Found {
            number,
            paths: vec!["/a/x".to_owned()],
            visited: 9,
        };
        // Those of an earlier search are left out.
        model.reply(found(number - 1));
        model.reply(found(number));
        let Mode::Find(find) = &model.mode else {
            panic!("{:?}", model.mode);
        };
        assert_eq!((find.found.len(), find.visited), (1, 9));
        model.event(Event::Key(Key::Escape));
        assert_eq!(model.requests(), [Request::StopFind]);
        model.event(Event::Key(Key::Enter));
        assert!(
            model
                .requests()
                .contains(&Request::Children("/a".to_owned()))
        );
        model.reply(children("/a", &["x"]));
        assert_eq!(model.shown.path, "/a/x");
    }

    #[test]
    fn clicks_select_open_and_change_tabs() {
        let mut model = browser(false);
        let click = |column, row| {
            Event::Mouse(Mouse {
                act: MouseAct::Press(Button::Left),
                column,
                row,
            })
        };
        model.event(click(5, 3));
        assert_eq!(model.shown.path, "/a");
        model.event(click(5, 3));
        assert!(model.tree.is_expanded(model.selected));
        let details = model.areas().details;
        model.event(click(
            details.x + tab_columns(Tab::Stat).start + 1,
            details.y,
        ));
        assert_eq!((model.tab, model.focus), (Tab::Stat, Focus::Details));
        model.event(Event::Mouse(Mouse {
            act: MouseAct::WheelDown,
            column: 5,
            row: 10,
        }));
        assert_eq!(model.shown.path, "/b");
    }
}
