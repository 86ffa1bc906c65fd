//! A command that panics while it fills a terminal.

#![cfg(target_os = "linux")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is the end that is tested"
)]

#[allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, of which this needs a part"
)]
#[path = "../../tests/common/terminal.rs"]
pub(crate) mod terminal;

use std::env;
use std::process::Command;

use ratatui::widgets::Paragraph;

use self::terminal::{SMALL, Terminal};
use super::*;

/// The variable that makes this program the one that panics.
const PROGRAM: &str = "ZKCTL_PANICS";

#[test]
fn a_panic_restores_the_terminal() {
    if env::var_os(PROGRAM).is_some() {
        panic_when_a_key_is_pressed();
    }
    let mut command = Command::new(env::current_exe().unwrap());
    let test = "screen::tests::a_panic_restores_the_terminal";
    command
        .args(["--exact", "--nocapture", test])
        .env("PATH", env::var_os("PATH").unwrap())
        .env(PROGRAM, "1");
    let mut terminal = Terminal::start(&command, SMALL);
    terminal.shows("a screen");
    assert!(terminal.cells().alternate_screen());
    terminal.send("x");
    assert_eq!(terminal.ends().code(), Some(101));
    let screen = terminal.shows("a seeded panic");
    assert!(!screen.contains("a screen"), "{screen}");
}

fn panic_when_a_key_is_pressed() {
    let runtime = crate::runtime::build().unwrap();
    runtime.block_on(async {
        let mut signals = Signals::catch().unwrap();
        let Ok(mut screen) = Screen::enter(&mut signals, true, true) else {
            panic!("this is no terminal");
        };
        let text = Paragraph::new("a screen");
        let drawn = screen.draw(|frame| frame.render_widget(text, frame.area()));
        assert!(drawn.is_ok_and(|drawn| drawn));
        while !matches!(screen.next().await, Ok(Event::Key(_))) {}
        panic!("a seeded panic");
    });
}
