//! The live view.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::board::{Board, Demand};
use super::feed::{Feed, News};
use super::model::Model;
use super::view;
use crate::cli::top::Top;
use crate::output::failure::Failure;
use crate::output::timestamp;
use crate::screen::{Button, Event, MouseAct, Screen};
use crate::signals::Signals;

/// How often the times on the screen are brought up to date.
const CLOCK: Duration = Duration::from_secs(1);
/// How many lines the wheel of the mouse moves.
const WHEEL: isize = 3;

/// What is shown while the screen is frozen.
struct Frozen {
    model: Model,
    now: Duration,
    clock: String,
}

/// Ends when a key or a signal demands it, or after the iterations.
pub(super) async fn run(
    args: &Top,
    mut feed: Feed,
    colours: bool,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let mut screen = Screen::enter(signals, colours, true)?;
    let mut board = Board::new(args.interval, args.sort);
    let mut frozen: Option<Frozen> = None;
    let mut clock = tokio::time::interval(CLOCK);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        feed.judge();
        let is_last = args.iterations.is_some_and(|number| feed.round >= number);
        if is_last && feed.model.is_answered(feed.round) {
            return Ok(());
        }
        match &frozen {
            Some(frozen) => screen.draw(|frame| {
                view::draw(frame, &frozen.model, &mut board, frozen.now, &frozen.clock);
            })?,
            None => screen.draw(|frame| {
                view::draw(frame, &feed.model, &mut board, feed.now(), &time_of_day());
            })?,
        };
        tokio::select! {
            biased;
            event = screen.next() => {
                let shown = frozen.as_ref().map_or(&feed.model, |frozen| &frozen.model);
                let demand = match event? {
                    Event::End(signal) => return end(signal),
                    Event::Key(key) => board.key(key, shown),
                    Event::Mouse(mouse) => {
                        match mouse.act {
                            MouseAct::Press(Button::Left) => board.click(mouse.row, shown),
                            MouseAct::WheelUp => board.scroll(-WHEEL, shown),
                            MouseAct::WheelDown => board.scroll(WHEEL, shown),
                            _ => {}
                        }
                        Demand::Nothing
                    }
                    Event::Paste(_) | Event::Draw => Demand::Nothing,
                };
                match demand {
                    Demand::Nothing => {}
                    Demand::Quit => return Ok(()),
                    Demand::Interval(interval) => {
                        board.interval = interval;
                        feed.set_interval(interval);
                    }
                    Demand::Pause => {
                        frozen = match frozen {
                            Some(_) => None,
                            None => Some(Frozen {
                                model: feed.model.clone(),
                                now: feed.now(),
                                clock: time_of_day(),
                            }),
                        };
                        board.paused = frozen.is_some();
                    }
                    Demand::ResetMaxima => {
                        feed.model.reset_maxima();
                        if let Some(frozen) = &mut frozen {
                            frozen.model.reset_maxima();
                        }
                    }
                }
            }
            news = feed.next() => {
                // The last round has no other after it.
                if news? == News::Round && is_last {
                    return Ok(());
                }
            }
            _ = clock.tick() => {}
        }
    }
}

/// Ctrl-C is how people leave such a program.
fn end(signal: crate::signals::Signal) -> Result<(), Failure> {
    match signal {
        crate::signals::Signal::Interrupt => Ok(()),
        signal => Err(Failure::Signalled(signal)),
    }
}

/// The time of day, in UTC.
fn time_of_day() -> String {
    let now = timestamp::now();
    let time = now.split('T').nth(1).and_then(|time| time.get(..8));
    format!("{}Z", time.unwrap_or(&now))
}
