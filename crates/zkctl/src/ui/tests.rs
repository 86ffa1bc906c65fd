//! A browser one of whose tasks panics.

#![cfg(target_os = "linux")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is the end that is tested"
)]

use std::env;
use std::process::{self, Command};

use zk_client::Client;

use super::tasks::tests::start_panic;
use super::*;
use crate::output::failure::Codes;
use crate::screen::tests::terminal::{LARGE, Terminal};

/// The variable that makes this program the browser.
const PROGRAM: &str = "ZKCTL_TASK_PANICS";

#[test]
fn a_panic_of_a_task_keeps_the_texts() {
    if env::var_os(PROGRAM).is_some() {
        process::exit(browse_and_panic());
    }
    let kept = env::temp_dir().join(format!("zkctl-task-panics-{}", process::id()));
    std::fs::create_dir_all(&kept).unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    let test = "ui::tests::a_panic_of_a_task_keeps_the_texts";
    command
        .args(["--exact", "--nocapture", test])
        .env("PATH", env::var_os("PATH").unwrap())
        .env("TMPDIR", &kept)
        .env(PROGRAM, "1");
    let mut terminal = Terminal::start(&command, LARGE);
    assert_eq!(terminal.ends().code(), Some(1));
    terminal.shows("a seeded panic");
    terminal.shows("your data of /a are not written; they are in ");
    terminal.shows("the command is ended by a fault of zkctl");
    let file = std::fs::read_dir(&kept).unwrap().next().unwrap().unwrap();
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "mine");
    std::fs::remove_dir_all(kept).unwrap();
}

fn browse_and_panic() -> i32 {
    let runtime = crate::runtime::build().unwrap();
    runtime.block_on(async {
        let (notices, writer) = Notices::start();
        let mut signals = Signals::catch().unwrap();
        let client = Client::builder("127.0.0.1:1").start().unwrap();
        let mut model = Model::new("127.0.0.1:1".to_owned(), true, false, now());
        let unwritten = Unwritten {
            data: Bytes::from("mine"),
            version: 0,
            write: Write::None,
        };
        model.unwritten.insert("/a".to_owned(), unwritten);
        let mut tasks = Tasks::new(client.clone());
        start_panic(&mut tasks.0);
        let editor = Editor {
            command: None,
            secrets: Vec::new(),
        };
        let Ok(screen) = Screen::enter(&mut signals, true, true) else {
            panic!("this is no terminal");
        };
        let ended = show(&mut model, screen, &client, &editor, tasks, &notices).await;
        let Err(failure) = ended else {
            panic!("the browser has quit");
        };
        drop(notices);
        writer.finish().await;
        i32::from(failure.report(Codes::of(Some("ui"))) != ExitCode::SUCCESS)
    })
}
