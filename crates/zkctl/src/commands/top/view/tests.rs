//! Screens, compared with those in `screens`, and keys.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};

use super::super::board::{Board, Demand, Overlay};
use super::super::model::Model;
use super::super::model::tests::{ALWAYS, answers, at, down, model, round, target};
use super::columns::{Column, fitting};
use crate::cli::top::Sort;
use crate::screen::Key;

const INTERVAL: Duration = Duration::from_secs(2);
const ROUNDS: u64 = 40;

/// A leader under load, a follower that is behind, and a server that stops.
fn scene() -> Model {
    let mut model = model(&[2181, 2182, 2183]);
    let (mut received, mut reads, mut writes) = (0, (0, 0), (0, 0));
    for number in 1..=ROUNDS {
        let load = 200 + 150 * (number % 7);
        received += load;
        reads = (reads.0 + load * (1 + number % 3), reads.1 + load);
        writes = (writes.0 + 5 * load, writes.1 + load / 4);
        let busy = |mode, packets: u64| {
            answers(mode)
                .packets(packets, packets)
                .latencies(reads, writes)
                .value("zk_uptime", 93_784_000 + 2_000 * number)
                .value("zk_watch_count", 4_302)
                .value("zk_ephemerals_count", 120)
                .value("zk_approximate_data_size", 1_258_291)
                .value("zk_p99_readlatency", 2)
                .value("zk_p99_updatelatency", 15)
        };
        let leader = busy("leader", received)
            .zxid("0x500001000")
            .value("zk_synced_followers", 1)
            .value("zk_quorum_size", 3);
        let follower = busy("follower", received / 3).max(7);
        let mut all = vec![(2181, leader), (2182, follower)];
        if number < ROUNDS - 5 {
            all.push((2183, answers("follower").packets(number * 20, number * 20)));
        }
        round(&mut model, number, at(2 * number), &all);
        if number >= ROUNDS - 5 {
            let gone = target(2183);
            model.asked(&gone, number, at(2 * number));
            model.answered(&gone, number, at(2 * number), down(&gone));
            model.judge(at(2 * number), ALWAYS);
        }
    }
    model
}

fn drawn(model: &Model, board: &mut Board, size: (u16, u16)) -> Terminal<TestBackend> {
    let (width, height) = size;
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let now = at(2 * ROUNDS);
    terminal
        .draw(|frame| super::draw(frame, model, board, now, "12:00:00Z"))
        .unwrap();
    terminal
}

fn text(terminal: &Terminal<TestBackend>) -> String {
    let buffer = terminal.backend().buffer();
    let lines = buffer
        .content()
        .chunks(buffer.area.width.into())
        .map(|row| {
            let line: String = row.iter().map(|cell| cell.symbol()).collect();
            line.trim_end().to_owned()
        });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn screen(model: &Model, board: &mut Board, size: (u16, u16)) -> String {
    text(&drawn(model, board, size))
}

fn board() -> Board {
    Board::new(INTERVAL, Sort::Server)
}

fn assert_screen(actual: &str, expected: &str) {
    assert!(
        actual == expected,
        "the screen is\n{actual}\nand should be\n{expected}"
    );
}

#[test]
fn a_small_terminal() {
    let screen = screen(&scene(), &mut board(), (80, 24));
    assert_screen(&screen, include_str!("screens/small.txt"));
}

#[test]
fn a_large_terminal() {
    let screen = screen(&scene(), &mut board(), (200, 50));
    assert_screen(&screen, include_str!("screens/large.txt"));
}

#[test]
fn all_values_of_a_server() {
    let (model, mut board) = (scene(), board());
    board.key(Key::Enter, &model);
    let shown = screen(&model, &mut board, (80, 24));
    assert_screen(&shown, include_str!("screens/detail.txt"));
    for key in "/latency".chars().map(Key::Char) {
        assert_eq!(board.key(key, &model), Demand::Nothing);
    }
    assert!(screen(&model, &mut board, (80, 24)).contains("filter: latency"));
    board.key(Key::Enter, &model);
    let filtered = screen(&model, &mut board, (80, 24));
    assert!(
        filtered.contains("sum_readlatency") && !filtered.contains("uptime"),
        "{filtered}"
    );
    // A key that has another meaning in a filter.
    assert_eq!(board.key(Key::Char('q'), &model), Demand::Quit);
    board.key(Key::Escape, &model);
    assert_eq!(board.overlay, Overlay::Nothing);
}

#[test]
fn the_help_lies_above_the_table() {
    let (model, mut board) = (scene(), board());
    board.key(Key::Char('?'), &model);
    let shown = screen(&model, &mut board, (80, 24));
    assert_screen(&shown, include_str!("screens/help.txt"));
    board.key(Key::Char('q'), &model);
    assert_eq!(board.overlay, Overlay::Nothing);
}

#[test]
fn what_is_wrong_has_a_colour() {
    let terminal = drawn(&scene(), &mut board(), (80, 24));
    let buffer = terminal.backend().buffer();
    let style_of = |word: &str| {
        let width = usize::from(buffer.area.width);
        let text = text(&terminal);
        let (row, line) = text
            .lines()
            .enumerate()
            .find(|(_, line)| line.contains(word))
            .unwrap();
        let before = line.split(word).next().unwrap().chars().count();
        buffer.content()[row * width + before].style()
    };
    assert_eq!(style_of("degraded").fg, Some(Color::Yellow));
    assert_eq!(style_of("leader      ").fg, Some(Color::Green));
    assert_eq!(style_of("down 10 s").fg, Some(Color::Red));
    assert!(style_of("zkctl top").add_modifier.contains(Modifier::BOLD));
}

#[test]
fn narrow_tables_lose_the_least_columns() {
    let titles = |width| {
        let columns = fitting(width, 14);
        let sum: u16 = columns.iter().map(|(_, width)| width).sum();
        let gaps = u16::try_from(columns.len()).unwrap() - 1;
        assert!(sum + gaps <= width, "{width}: {columns:?}");
        columns
            .into_iter()
            .map(|(column, _)| column)
            .collect::<Vec<_>>()
    };
    let mut before = titles(30);
    for width in 31..300 {
        let now = titles(width);
        assert!(now.len() >= before.len(), "{width}");
        before = now;
    }
    assert_eq!(titles(250).len(), 21);
    let narrow = titles(60);
    assert!(
        narrow.contains(&Column::State) && narrow.contains(&Column::Received),
        "{narrow:?}"
    );
    assert!(!narrow.contains(&Column::Version));
}

#[test]
fn every_size_is_drawn() {
    let (model, mut board) = (scene(), board());
    for overlay in [Key::Char('x'), Key::Char('?'), Key::Enter] {
        board.overlay = Overlay::Nothing;
        board.key(overlay, &model);
        for size in [
            (1, 1),
            (30, 6),
            (20, 50),
            (200, 5),
            (79, 15),
            (81, 17),
            (500, 9),
            (40, 100),
        ] {
            drawn(&model, &mut board, size);
        }
    }
    let empty = self::model(&[]);
    let mut board = self::board();
    board.key(Key::Enter, &empty);
    drawn(&empty, &mut board, (80, 24));
}

#[test]
fn the_selected_server_is_visible() {
    let ports: Vec<u16> = (1..=99).collect();
    let mut model = model(&ports);
    let all: Vec<_> = ports
        .iter()
        .map(|&port| (port, answers("follower")))
        .collect();
    round(&mut model, 1, at(0), &all);
    let mut board = board();
    assert!(screen(&model, &mut board, (80, 24)).contains("> zk:1 "));
    board.key(Key::End, &model);
    let last = screen(&model, &mut board, (80, 24));
    assert!(
        last.contains("> zk:99") && !last.contains("  zk:1 "),
        "{last}"
    );
    // The mouse selects what is on its line.
    let (row, _) = last
        .lines()
        .enumerate()
        .find(|(_, line)| line.contains("  zk:97"))
        .unwrap();
    board.click(u16::try_from(row).unwrap(), &model);
    assert_eq!(board.selected, Some(target(97)));
    assert_eq!(board.overlay, Overlay::Nothing);
    let shown = screen(&model, &mut board, (80, 24));
    let (row, _) = shown
        .lines()
        .enumerate()
        .find(|(_, line)| line.contains("> zk:97"))
        .unwrap();
    board.click(u16::try_from(row).unwrap(), &model);
    assert!(matches!(board.overlay, Overlay::Detail(_)));
}

#[test]
fn servers_are_sorted_by_a_column() {
    let (model, mut board) = (scene(), board());
    let ports = |board: &Board| {
        let order = board.order(&model).into_iter();
        order
            .map(|index| model.servers[index].target.server.port)
            .collect::<Vec<_>>()
    };
    assert_eq!(ports(&board), [2181, 2182, 2183]);
    board.key(Key::Char('r'), &model);
    assert_eq!(ports(&board), [2183, 2182, 2181]);
    board.key(Key::Char('r'), &model);
    let mut seen = Vec::new();
    for _ in 0..10 {
        board.key(Key::Char('s'), &model);
        seen.push(board.sort);
        if board.sort == Sort::State {
            // The one that is down, then the one that is behind.
            assert_eq!(ports(&board), [2183, 2182, 2181]);
        }
    }
    assert!(seen.contains(&Sort::Lag));
    assert_eq!(seen.last(), Some(&Sort::Server));
}

#[test]
fn keys_change_the_interval() {
    let (model, mut board) = (scene(), board());
    let mut seen = Vec::new();
    for key in "----++".chars() {
        let Demand::Interval(interval) = board.key(Key::Char(key), &model) else {
            panic!("no interval");
        };
        board.interval = interval;
        seen.push(interval.as_millis());
    }
    assert_eq!(seen, [1000, 500, 200, 100, 200, 500]);
    board.interval = Duration::from_secs(3);
    let longer = Demand::Interval(Duration::from_secs(5));
    assert_eq!(board.key(Key::Char('+'), &model), longer);
}
