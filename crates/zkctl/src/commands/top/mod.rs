//! `top`: a live view of the ensemble, or its samples one after the other.
//!
//! - [`sample`], [`sampler`]: what servers answer; each is asked in a task of its own.
//! - [`model`]: rates, histories, what is wrong.
//! - [`board`], [`view`]: keys, and the screen.
//! - [`live`], [`batch`]: the two kinds of output. [`feed`] brings samples into the model for both.
//! - [`numbers`]: numbers in a few columns.

mod batch;
mod board;
mod feed;
mod live;
mod model;
mod numbers;
mod sample;
mod sampler;
mod view;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::time::Duration;

use zk_client::Client;

use crate::cli::top::Top;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::signals::Signals;
use feed::Feed;
use sampler::Questions;

/// `limit` is how long a server may take to answer. Needs no session, and so no quorum.
pub(crate) async fn top(
    args: &Top,
    client: &Client,
    limit: Duration,
    colours: bool,
    output: &mut Output,
    signals: &mut Signals,
) -> Result<ExitCode, Failure> {
    let questions = Questions {
        client: client.clone(),
        limit,
        admin_port: (args.admin_port > 0).then_some(args.admin_port),
    };
    let feed = Feed::new(questions, args.interval, args.limits);
    if args.batch || output.is_json() || !io::stdout().is_terminal() {
        tokio::select! {
            biased;
            signal = signals.next() => return Err(Failure::Signalled(signal)),
            done = batch::run(args, feed, output) => done?,
        }
    } else {
        live::run(args, feed, colours, signals).await?;
    }
    Ok(ExitCode::SUCCESS)
}
