//! `ui`: a browser of the tree in the terminal.
//!
//! - [`model`], [`keys`], [`replies`], [`changes`], [`quit`]: the browser without its terminal and its session.
//! - [`tree`], [`document`], [`line`], [`request`], [`layout`]: what the model consists of.
//! - [`view`]: how it is drawn.
//! - [`tasks`], [`editor`]: what it requests.

mod changes;
mod document;
mod editor;
mod keys;
mod layout;
mod line;
mod model;
mod quit;
mod replies;
mod request;
mod tasks;
#[cfg(all(test, feature = "testkit"))]
mod tests;
mod tree;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use zk_client::{Client, State};

use crate::cli::global::Global;
use crate::cli::ui::Ui;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::screen::{Event, Screen};
use crate::signals::Signals;
use editor::Private;
use model::{Model, Unwritten, Write};
use request::{Reply, Request, Unfinished};
use tasks::Tasks;

/// How often the ages on the screen are computed.
const TICK: Duration = Duration::from_secs(1);

/// Shows the tree until the user quits. At any other end, edited data that are not written are kept in files.
pub(crate) async fn ui(
    args: &Ui,
    client: &Client,
    global: &Global,
    notices: &Notices,
    signals: &mut Signals,
) -> Result<ExitCode, Failure> {
    let editor = Editor {
        command: editor::command(),
        secrets: global.secret_variables(),
    };
    let has_editor = editor.command.is_some();
    let mut model = Model::new(global.server.clone(), global.write, has_editor, now());
    model.reveal(&args.path);
    let screen = Screen::enter(signals, global.color.is_wanted(), !args.no_mouse)?;
    let tasks = Tasks::new(client.clone());
    show(&mut model, screen, client, &editor, tasks, notices).await
}

async fn show(
    model: &mut Model,
    screen: Screen<'_>,
    client: &Client,
    editor: &Editor,
    tasks: (Tasks, mpsc::UnboundedReceiver<Reply>),
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let ended = browse(model, screen, client, editor, tasks).await;
    if ended.is_err() {
        keep(&model.unwritten, notices);
    }
    ended
}

fn now() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

async fn browse(
    model: &mut Model,
    mut screen: Screen<'_>,
    client: &Client,
    editor: &Editor,
    (mut tasks, mut replies): (Tasks, mpsc::UnboundedReceiver<Reply>),
) -> Result<ExitCode, Failure> {
    let mut states = client.states();
    let mut clock = interval(TICK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // The reply of the editor requests a change, which must not wait for the next event.
        let mut requests = VecDeque::from(model.requests());
        while let Some(request) = requests.pop_front() {
            match request {
                Request::Quit => return Ok(ExitCode::SUCCESS),
                Request::Copy(text) => screen.copy(&text),
                Request::Edit { path, data } => {
                    let (data, failure) = edit(&mut screen, editor, &data).await;
                    model.reply(Reply::Edited { path, data });
                    if let Some(failure) = failure {
                        return Err(failure);
                    }
                    requests.extend(model.requests());
                }
                request => tasks.start(request),
            }
        }
        model.fit(screen.area());
        // A frame that is refused is drawn after the next event.
        screen.draw(|frame| view::draw(model, frame))?;
        tokio::select! {
            biased;
            event = screen.next() => match event? {
                Event::End(signal) => return Err(Failure::Signalled(signal)),
                event => model.event(event),
            },
            // A reply would be missing, and the panic has left the screen.
            failure = tasks.panicked() => return Err(failure),
            state = states.next() => match state {
                None | Some(State::AuthFailed | State::Closed) => {
                    // Fails with the reason.
                    return Err(match client.connected().await {
                        Err(error) => error.into(),
                        Ok(()) => Failure::Failed("the client is closed".to_owned()),
                    });
                }
                Some(state) => {
                    let server = client.server().map(|server| server.to_string());
                    model.reply(Reply::State { state, server });
                }
            },
            Some(reply) = replies.recv() => {
                model.reply(reply);
                // One frame for all that has come.
                for _ in 0..replies.len() {
                    if let Ok(reply) = replies.try_recv() {
                        model.reply(reply);
                    }
                }
            }
            _ = clock.tick() => model.now = now(),
        }
    }
}

/// The program that edits data, and the variables that it does not get.
struct Editor {
    command: Option<String>,
    secrets: Vec<String>,
}

/// The data after the editor, and why the browser must end.
async fn edit(
    screen: &mut Screen<'_>,
    editor: &Editor,
    data: &Bytes,
) -> (Result<Bytes, Unfinished>, Option<Failure>) {
    let unfinished = |why, data| Err(Unfinished { why, data });
    let file = match Private::create(data) {
        Ok(file) => file,
        Err(error) => {
            // The data may be those of an earlier edit.
            let why = format!("cannot write a file to edit: {error}");
            return (unfinished(why, Some(data.clone())), None);
        }
    };
    let command = editor.command.as_deref().unwrap_or_default();
    let lent = screen.lend(editor::edit(command, &editor.secrets, &file));
    let (ended, failure) = match lent.await {
        Ok(ended) => (ended, None),
        Err(failure) => (Err(format!("{command} was ended")), Some(failure)),
    };
    let left = file.read();
    let edited = match (ended, left) {
        (Ok(()), Ok(data)) => Ok(data),
        (Ok(()), Err(error)) => {
            let file = file.keep();
            let why = format!("cannot read the edited file {}: {error}", file.display());
            unfinished(why, None)
        }
        (Err(why), left) => unfinished(why, left.ok()),
    };
    (edited, failure)
}

/// Writes the data into files that only this user can read, and says where they are.
fn keep(unwritten: &BTreeMap<String, Unwritten>, notices: &Notices) {
    for (path, kept) in unwritten {
        let are = match kept.write {
            Write::None => "are not written",
            Write::Requested | Write::Unknown => "may or may not be written",
        };
        match Private::create(&kept.data) {
            Ok(file) => notices.say(format_args!(
                "your data of {path} {are}; they are in {}",
                file.keep().display()
            )),
            Err(error) => notices.say(format_args!(
                "your data of {path} {are}, and cannot be kept in a file: {error}"
            )),
        }
    }
}
