//! Rounds of questions, whose answers go into the model.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::model::Model;
use super::sampler::{Questions, Samplers, Update};
use crate::cli::status::Limits;
use crate::commands::servers::{self, Target};
use crate::output::failure::Failure;
use crate::runtime::panic_failure;

/// How often the names of the servers are resolved again.
const RESOLVE: Duration = Duration::from_secs(30);
/// How long a server may take until it counts as down, at least.
const LIMIT: Duration = Duration::from_secs(1);
/// How long after the beginning of a round a server may be asked: at the end of the round, it has had less time.
const DELAY: Duration = Duration::from_millis(100);

pub(super) struct Feed {
    pub(super) model: Model,
    /// The number of the latest round, from 1 on.
    pub(super) round: u64,
    interval: Duration,
    questions: Questions,
    samplers: Samplers,
    updates: mpsc::Receiver<Update>,
    began: Instant,
    ticks: Interval,
    resolved: Option<Instant>,
    /// The result of a resolution that is under way.
    resolving: Option<tokio::task::JoinHandle<Vec<Target>>>,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A round has begun.
    Round,
    /// The model is another.
    Update,
}

impl Feed {
    pub(super) fn new(questions: Questions, interval: Duration, limits: Limits) -> Self {
        let (samplers, updates) = Samplers::new(questions.clone());
        Feed {
            model: Model::new(limits),
            round: 0,
            interval,
            questions,
            samplers,
            updates,
            began: Instant::now(),
            ticks: ticks(interval, Instant::now()),
            resolved: None,
            resolving: None,
        }
    }

    /// The time since the program began.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn set_interval(&mut self, interval: Duration) {
        self.interval = interval;
        self.ticks = ticks(interval, Instant::now() + interval);
    }

    /// Decides what is wrong, with what is known now.
    pub(super) fn judge(&mut self) {
        let now = self.now();
        let limit = self.interval.max(LIMIT).saturating_sub(DELAY);
        self.model.judge(now, limit);
    }

    /// # Errors
    /// A task has panicked: what it reports would be missing.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<News, Failure> {
        if self.resolving.is_none() && self.resolved.is_none_or(|at| at.elapsed() >= RESOLVE) {
            let (client, limit) = (self.questions.client.clone(), self.questions.limit);
            let before: Vec<_> = self
                .model
                .servers
                .iter()
                .map(|it| it.target.clone())
                .collect();
            let task = tokio::spawn(async move { servers::targets(&client, &before, limit).await });
            self.resolving = Some(task);
        }
        let news = tokio::select! {
            biased;
            failure = self.samplers.panicked() => return Err(failure),
            targets = joined(&mut self.resolving) => {
                self.resolving = None;
                self.resolved = Some(Instant::now());
                let targets = targets.map_err(|error| panic_failure(&error))?;
                self.samplers.set_targets(&targets);
                let now = self.now();
                self.model.set_targets(targets, now);
                News::Update
            }
            update = self.updates.recv() => {
                let now = self.now();
                match update {
                    Some(Update::Asked(target, round)) => self.model.asked(&target, round, now),
                    Some(Update::Answered(target, round, sample)) => {
                        self.model.answered(&target, round, now, *sample);
                    }
                    // The samplers live as long as this.
                    None => std::future::pending().await,
                }
                News::Update
            }
            _ = self.ticks.tick(), if self.resolved.is_some() => {
                self.round += 1;
                self.samplers.begin(self.round);
                News::Round
            }
        };
        Ok(news)
    }
}

fn ticks(interval: Duration, first: Instant) -> Interval {
    let mut ticks = tokio::time::interval_at(first, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The output of the task; never without one.
async fn joined(
    task: &mut Option<tokio::task::JoinHandle<Vec<Target>>>,
) -> Result<Vec<Target>, JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}
