//! Asks the servers, each in a task of its own: a server that is slow delays no other.

use std::collections::HashMap;
use std::panic;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::Instant;
use zk_client::Client;

use super::sample::Sample;
use crate::commands::health::metrics::Metrics;
use crate::commands::health::report::Report;
use crate::commands::health::values::{self, Source};
use crate::commands::servers::Target;
use crate::output::failure::Failure;
use crate::runtime::panicked;

/// How long an AdminServer may take, at most.
const ADMIN_LIMIT: Duration = Duration::from_secs(5);
/// After how long a server that has refused a word, or has no AdminServer, is asked again.
const RETRY: Duration = Duration::from_secs(30);
/// How much longer than for `srvr` a sample waits for the values of `mntr` or the AdminServer.
const GRACE: Duration = Duration::from_millis(250);
/// How many updates the tasks may be ahead of the screen.
const QUEUE: usize = 64;

/// What a task reports.
#[derive(Debug)]
pub(super) enum Update {
    Asked(Target, u64),
    Answered(Target, u64, Box<Sample>),
}

/// How servers are asked.
#[derive(Clone, Debug)]
pub(super) struct Questions {
    pub(super) client: Client,
    /// How long a server may take.
    pub(super) limit: Duration,
    /// The port of the AdminServers, unless they are not to be asked.
    pub(super) admin_port: Option<u16>,
}

/// The tasks. Dropping them ends them.
#[derive(Debug)]
pub(super) struct Samplers {
    questions: Questions,
    rounds: watch::Sender<u64>,
    updates: mpsc::Sender<Update>,
    tasks: JoinSet<()>,
    running: HashMap<Target, AbortHandle>,
}

impl Samplers {
    pub(super) fn new(questions: Questions) -> (Self, mpsc::Receiver<Update>) {
        let (updates, received) = mpsc::channel(QUEUE);
        let samplers = Samplers {
            questions,
            rounds: watch::Sender::new(0),
            updates,
            tasks: JoinSet::new(),
            running: HashMap::new(),
        };
        (samplers, received)
    }

    /// Waits until a task panics.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub(super) async fn panicked(&mut self) -> Failure {
        panicked(&mut self.tasks).await
    }

    /// Begins a round: each server is asked that is not being asked.
    pub(super) fn begin(&self, round: u64) {
        self.rounds.send_replace(round);
    }

    /// Asks these servers from the next round on.
    pub(super) fn set_targets(&mut self, targets: &[Target]) {
        self.running.retain(|target, task| {
            let stays = targets.contains(target);
            if !stays {
                task.abort();
            }
            stays
        });
        for target in targets {
            if self.running.contains_key(target) {
                continue;
            }
            let sampler = Sampler::new(target.clone(), self.questions.clone());
            let task = self
                .tasks
                .spawn(sampler.run(self.rounds.subscribe(), self.updates.clone()));
            self.running.insert(target.clone(), task);
        }
    }
}

struct Sampler {
    target: Target,
    client: Client,
    limit: Duration,
    /// The values that `srvr` does not have, as of the last time that the server gave them.
    metrics: Metrics,
    source: Source,
    /// The question for them, while it is not answered.
    asking: Option<JoinHandle<Values>>,
    values: Option<Values>,
}

impl Sampler {
    fn new(target: Target, questions: Questions) -> Self {
        Sampler {
            target: target.clone(),
            client: questions.client.clone(),
            limit: questions.limit,
            metrics: Metrics::default(),
            source: Source::Nothing(String::new()),
            asking: None,
            values: Some(Values {
                target,
                questions,
                found: Err(String::new()),
                mntr_refused: None,
                admin_failed: None,
            }),
        }
    }

    /// Ends when the receiver of the updates or the sender of the rounds is dropped.
    async fn run(mut self, mut rounds: watch::Receiver<u64>, updates: mpsc::Sender<Update>) {
        // A server that is added during a round is asked at once.
        if *rounds.borrow() > 0 {
            rounds.mark_changed();
        }
        while rounds.changed().await.is_ok() {
            let round = *rounds.borrow_and_update();
            let asked = Update::Asked(self.target.clone(), round);
            if updates.send(asked).await.is_err() {
                return;
            }
            let sample = Box::new(self.sample().await);
            let answered = Update::Answered(self.target.clone(), round, sample);
            if updates.send(answered).await.is_err() {
                return;
            }
        }
    }

    async fn sample(&mut self) -> Sample {
        if let Some(values) = self.values.take() {
            self.asking = Some(tokio::spawn(values.ask()));
        }
        let began = Instant::now();
        let srvr = self.target.ask(&self.client, "srvr", self.limit).await;
        let took = began.elapsed();
        self.take_values().await;
        let mut report = Report::new(&self.target, &srvr);
        if srvr.is_err() {
            // A server that was started again may have other settings.
            self.metrics = Metrics::default();
            self.source = Source::Nothing(String::new());
            if let Some(values) = &mut self.values {
                (values.mntr_refused, values.admin_failed) = (None, None);
            }
        }
        report.read_metrics(&self.metrics);
        Sample {
            report,
            metrics: self.metrics.clone(),
            source: self.source.clone(),
            took,
        }
    }

    /// A slow AdminServer does not make the server seem slow: after a while, the values before count.
    async fn take_values(&mut self) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        let Ok(done) = tokio::time::timeout(GRACE, asking).await else {
            return;
        };
        self.asking = None;
        match done {
            Ok(mut values) => {
                (self.metrics, self.source) =
                    match std::mem::replace(&mut values.found, Err(String::new())) {
                        Ok((metrics, source)) => (metrics, source),
                        Err(reason) => (Metrics::default(), Source::Nothing(reason)),
                    };
                self.values = Some(values);
            }
            // Without the values the server would not be asked for them again.
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            // The runtime is shutting down.
            Err(_) => {}
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        if let Some(asking) = &self.asking {
            asking.abort();
        }
    }
}

/// Asks for the values that `srvr` does not have.
struct Values {
    target: Target,
    questions: Questions,
    /// The values, or why there are none.
    found: Result<(Metrics, Source), String>,
    /// When the server refused `mntr`.
    mntr_refused: Option<Instant>,
    /// When its AdminServer did not answer, and why.
    admin_failed: Option<(Instant, String)>,
}

impl Values {
    async fn ask(mut self) -> Self {
        self.found = self.find().await;
        self
    }

    async fn find(&mut self) -> Result<(Metrics, Source), String> {
        let is_recent = |at: Instant| at.elapsed() < RETRY;
        let Questions {
            client,
            limit,
            admin_port,
        } = &self.questions;
        if !self.mntr_refused.is_some_and(is_recent) {
            match values::mntr(client, &self.target, *limit).await? {
                Some(metrics) => return Ok((metrics, Source::Mntr)),
                None => self.mntr_refused = Some(Instant::now()),
            }
        }
        let Some(port) = *admin_port else {
            return Err(values::REFUSED.to_owned());
        };
        if let Some((at, reason)) = &self.admin_failed
            && is_recent(*at)
        {
            return Err(reason.clone());
        }
        let found = values::admin_server(&self.target, port, (*limit).min(ADMIN_LIMIT)).await;
        let failed = found.as_ref().err();
        self.admin_failed = failed.map(|reason| (Instant::now(), reason.clone()));
        found
    }
}

#[cfg(test)]
#[allow(clippy::panic, reason = "a panic is what is tested")]
mod tests {
    use super::*;

    fn questions() -> Questions {
        Questions {
            client: Client::builder("127.0.0.1:1").start().unwrap(),
            limit: Duration::from_secs(1),
            admin_port: None,
        }
    }

    fn assert_panicked(failure: Failure) {
        let Failure::Failed(why) = failure else {
            panic!("another failure");
        };
        assert!(why.contains("panicked"), "{why}");
    }

    #[tokio::test]
    async fn a_panic_of_a_sampler_is_noticed() {
        let (mut samplers, _updates) = Samplers::new(questions());
        samplers.tasks.spawn(async { panic!("a seeded panic") });
        assert_panicked(samplers.panicked().await);
    }

    #[tokio::test]
    async fn a_panic_of_a_question_is_passed_on() {
        let (mut samplers, _updates) = Samplers::new(questions());
        let target = crate::commands::top::model::tests::target(1);
        let mut sampler = Sampler::new(target, questions());
        sampler.asking = Some(tokio::spawn(async { panic!("a seeded panic") }));
        samplers
            .tasks
            .spawn(async move { sampler.take_values().await });
        assert_panicked(samplers.panicked().await);
    }
}
