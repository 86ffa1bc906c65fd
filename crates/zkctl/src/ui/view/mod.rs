//! Draws the model. Only what is visible costs anything, however large the tree and the data are.

mod bars;
mod details;
mod pieces;
mod windows;
mod znodes;

use ratatui::Frame;

use super::layout::MINIMUM;
use super::model::{Mode, Model};
use bars::{footer, header};
use details::details;
use pieces::{PLAIN, put};
use windows::{confirmation, conflict, found, help};
use znodes::tree;

/// Draws a frame, of the size that [`Model::fit`] was last called with.
pub(super) fn draw(model: &Model, frame: &mut Frame<'_>) {
    let screen = frame.area();
    let buffer = frame.buffer_mut();
    if screen.width < MINIMUM.0 || screen.height < MINIMUM.1 {
        let text = format!("at least {}×{}", MINIMUM.0, MINIMUM.1);
        put(buffer, screen, 0, &[(&text, PLAIN)]);
        return;
    }
    let areas = model.areas();
    header(model, areas.header, buffer);
    tree(model, areas.tree, buffer);
    details(model, areas.details, buffer);
    let cursor = footer(model, areas.footer, buffer);
    match &model.mode {
        Mode::Browse | Mode::Prompt(_) => {}
        Mode::Help => help(screen, buffer),
        Mode::Find(find) => found(find, screen, buffer),
        Mode::Delete { path, below, .. } => confirmation(path, below.as_ref(), screen, buffer),
        Mode::Conflict { path, mine, theirs } => {
            conflict(
                path,
                mine,
                theirs.as_ref().map(|(data, _)| &data[..]),
                screen,
                buffer,
            );
        }
    }
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::layout::Rect;
    use zk_client::{SessionId, State};

    use super::*;
    use crate::screen::{Event, Key};
    use crate::ui::document::columns;
    use crate::ui::replies::tests::{browser, children, content, read, type_keys};
    use crate::ui::request::{Refused, Reply};

    /// The screen as text.
    fn screen(model: &mut Model, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        model.fit(Rect::new(0, 0, width, height));
        terminal.draw(|frame| draw(model, frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(usize::from(width));
        let text = rows.map(|row| {
            let mut line = String::new();
            let mut skipped = 0;
            for cell in row {
                if skipped == 0 {
                    line.push_str(cell.symbol());
                    skipped = columns(cell.symbol()).max(1);
                }
                skipped -= 1;
            }
            line.trim_end().to_owned()
        });
        text.collect::<Vec<_>>().join("\n")
    }

    fn connected(model: &mut Model) {
        model.reply(Reply::State {
            state: State::Connected {
                session: SessionId(0x1_0000_0001),
                epoch: 1,
            },
            server: Some("zk1:2181".to_owned()),
        });
    }

    /// `/app` is selected, with JSON, and another client has created `/app/新`.
    fn app() -> Model {
        let mut model = browser(false);
        connected(&mut model);
        model.reply(children("/", &["app", "zookeeper"]));
        // What is looked at is not new any more.
        for key in [Key::End, Key::Up] {
            model.event(Event::Key(key));
        }
        model.event(Event::Key(Key::Right));
        model.reply(children("/app", &["config", "x\u{1b}[2J"]));
        model.reply(children("/app", &["config", "x\u{1b}[2J", "新"]));
        model.reply(read("/app", "{\"timeout\":30}", 4));
        model
    }

    #[test]
    fn a_small_screen_has_everything() {
        let expected = [
            " zkctl ui  read-only                             ● zk1:2181 session 0x100000001",
            "┌ znodes ──────────────────────┐┌ data  stat  ACL ─────────────────────── /app ┐",
            "│▾ / (2)                       ││{                                             │",
            "│  ▾ app (3)                   ││  \"timeout\": 30                               │",
            "│    ▸ config                  ││}                                             │",
            "│    ▸ x\\u{1b}[2J              ││                                              │",
            "│    ▸ + 新                    ││                                              │",
            "│  ▸ zookeeper                 ││                                              │",
            "│                              ││                                              │",
            "└───────────────────────── 2/6 ┘└────────────────────────────── JSON, 14 bytes ┘",
            " ? help  q quit  ↑↓→← move  Tab details  / search  F find  f filter  v format",
        ];
        assert_eq!(screen(&mut app(), 80, 11), expected.join("\n"));
    }

    #[test]
    fn a_large_screen_uses_its_width() {
        let shown = screen(&mut app(), 200, 50);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 50);
        assert!(
            lines[1].ends_with(" /app ┐") && columns(lines[1]) == 200,
            "{shown}"
        );
        assert_eq!(lines[1].chars().position(|c| c == '┐'), Some(69));
        assert!(lines[48].ends_with(" JSON, 14 bytes ┘"), "{shown}");
        for row in &lines[1..49] {
            assert_eq!(columns(row), 200, "{row}");
        }
    }

    #[test]
    fn no_size_is_too_small_or_large() {
        for (width, height) in [(1, 1), (10, 3), (39, 24), (40, 8), (80, 8), (500, 200)] {
            for keys in ["", "?", "Fx\n", "/x", "2", "3"] {
                let mut model = app();
                type_keys(&mut model, keys);
                screen(&mut model, width, height);
            }
        }
    }

    #[test]
    fn the_stat_has_ages_and_the_owner() {
        let mut model = app();
        let mut shown = content("", 4);
        let stat = shown.stat.as_mut().unwrap();
        stat.ctime = 1_800_000_000_000 - 90_061_000;
        stat.mtime = 1_800_000_000_000 - 61_000;
        stat.ephemeral_owner = 0x2a;
        model.reply(Reply::Read {
            path: "/app".to_owned(),
            content: Ok(shown),
        });
        type_keys(&mut model, "2");
        let text = screen(&mut model, 120, 20);
        for expected in [
            "created    2027-01-14T06:58:59.000Z, 1 d 1 h ago",
            "modified   2027-01-15T07:58:59.000Z, 1 min 1 s ago",
            "kind       ephemeral",
            "owner      session 0x2a",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        type_keys(&mut model, "3");
        assert!(screen(&mut model, 120, 20).contains("cdrwa  world:anyone"));
    }

    #[test]
    fn the_session_is_always_visible() {
        let mut model = app();
        let until = model.now.0 + Duration::from_secs(7);
        for (state, expected) in [
            (
                State::Suspended { until },
                "○ connection lost; session lives 7 s at most",
            ),
            (
                State::Expired { epoch: 1 },
                "✗ session expired; a new one is being opened",
            ),
            (
                State::ConnectedReadOnly { epoch: 0 },
                "● zk2:2181 has no quorum: data may be old",
            ),
            (State::Connecting, "○ connecting"),
        ] {
            model.reply(Reply::State {
                state,
                server: Some("zk2:2181".to_owned()),
            });
            let text = screen(&mut model, 80, 24);
            assert!(text.lines().next().unwrap().contains(expected), "{text}");
        }
    }

    #[test]
    fn windows_ask_and_show() {
        let mut model = browser(true);
        model.event(Event::Key(Key::Down));
        model.reply(read("/a", "old", 0));
        type_keys(&mut model, "d");
        model.reply(Reply::Counted {
            path: "/a".to_owned(),
            count: Ok(1234),
        });
        let text = screen(&mut model, 80, 24);
        assert!(text.contains("AND THE 1234 ZNODES BELOW IT"), "{text}");
        type_keys(&mut model, "n");
        model.reply(Reply::Set {
            path: "/a".to_owned(),
            data: Bytes::from("mine\u{1b}[2J"),
            done: Err(Refused::Version),
        });
        model.reply(read("/a", "theirs", 1));
        let text = screen(&mut model, 80, 24);
        let found = text.lines().find(|line| line.contains("mine\\u{1b}[2J"));
        assert!(found.is_some_and(|line| line.contains("theirs")), "{text}");
        model.event(Event::Key(Key::Escape));
        type_keys(&mut model, "?");
        let text = screen(&mut model, 80, 24);
        assert!(text.contains("zkctl ui --write"), "{text}");
    }

    /// A frame costs what is visible, and not what is there.
    #[test]
    fn a_frame_draws_the_visible_rows_only() {
        let mut model = browser(false);
        let names: Vec<String> = (0..100_000).map(|i| format!("n{i:06}")).collect();
        model.reply(Reply::Children {
            path: "/".to_owned(),
            names: Ok(names),
        });
        model.event(Event::Key(Key::End));
        let text = screen(&mut model, 80, 24);
        assert!(
            text.contains("100001/100001") && text.contains("n099999"),
            "{text}"
        );
    }
}
