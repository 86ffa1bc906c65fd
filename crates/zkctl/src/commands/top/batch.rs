//! Samples one after the other, for scripts.

use std::pin::pin;
use std::time::Duration;

use serde_json::{Value, json};

use super::board::Board;
use super::feed::{Feed, News};
use super::model::Model;
use super::model::server::Server;
use super::sample::Sample;
use super::view::columns::{self, Column, Highest, ORDER};
use super::view::header;
use crate::cli::top::Top;
use crate::commands::health::{quorum_json, server_json};
use crate::output::failure::Failure;
use crate::output::terminal::visible_line;
use crate::output::{Output, reader_gone, timestamp};

/// Ends after the iterations, or when standard output is not read any more.
pub(super) async fn run(args: &Top, feed: Feed, output: &mut Output) -> Result<(), Failure> {
    let mut reader = pin!(reader_gone());
    tokio::select! {
        biased;
        gone = &mut reader => Err(gone),
        done = samples(args, feed, output) => done,
    }
}

async fn samples(args: &Top, mut feed: Feed, output: &mut Output) -> Result<(), Failure> {
    let board = Board::new(args.interval, args.sort);
    let mut number = 0;
    loop {
        // A sample is complete when each server has answered. One that has not when the next round begins
        // counts as down.
        let news = feed.next().await?;
        let (round, is_over) = match news {
            News::Round => (feed.round.saturating_sub(1), true),
            News::Update => (feed.round, false),
        };
        if round == number || !(is_over || feed.model.is_answered(round)) {
            continue;
        }
        number = round;
        feed.judge();
        print(&feed, &board, number, output).await?;
        if args
            .iterations
            .is_some_and(|iterations| number >= iterations)
        {
            return Ok(());
        }
    }
}

async fn print(
    feed: &Feed,
    board: &Board,
    number: u64,
    output: &mut Output,
) -> Result<(), Failure> {
    let (model, now) = (&feed.model, feed.now());
    let order = board.order(model);
    if output.is_json() {
        output
            .json(&sample_json(model, &order, number, now))
            .await?;
    } else {
        for line in sample_text(model, &order, now) {
            output.line(visible_line(&line)).await?;
        }
    }
    output.flush().await
}

fn sample_json(model: &Model, order: &[usize], number: u64, now: Duration) -> Value {
    let overview = model.overview();
    let reports: Vec<_> = order
        .iter()
        .filter_map(|&index| Some((index, model.servers.get(index)?)))
        .map(|(index, server)| match &server.sample {
            Some(sample) => of_server(server, sample, model.problems_of(index), now),
            None => {
                let sample = server.unanswered(now);
                of_server(server, &sample, sample.report.failure.as_slice(), now)
            }
        })
        .collect();
    json!({
        "type": "sample",
        "number": number,
        "time": timestamp::now(),
        "status": model.status().map_or("unknown", |status| status.name()),
        "problems": model.problems(),
        "leader": overview.leader,
        "epoch": overview.epoch,
        "quorum": quorum_json(overview.quorum),
        "received_per_second": overview.received,
        "sent_per_second": overview.sent,
        "reports": reports,
    })
}

/// The object of `health`, and what follows from several samples.
fn of_server(server: &Server, sample: &Sample, problems: &[String], now: Duration) -> Value {
    let mut object = server_json(&sample.report, &sample.source, server.lag, problems);
    let metrics = &sample.metrics;
    let percentiles = |kind: &str| metrics.number(&format!("zk_p99_{kind}latency"));
    let more = json!({
        "received_per_second": server.rates.received,
        "sent_per_second": server.rates.sent,
        "interval_latency_ms": server.rates.latency,
        "p99_ms": { "read": percentiles("read"), "update": percentiles("update") },
        "answer_ms": sample.report.role.as_ref().map(|_| sample.took.as_secs_f64() * 1000.0),
        "ephemerals": metrics.count("zk_ephemerals_count"),
        "data_bytes": metrics.count("zk_approximate_data_size"),
        "uptime_ms": metrics.count("zk_uptime"),
        "restarted": server.restarted(now).is_some(),
    });
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

/// A line for the ensemble, titles, and a line for each server, with all columns.
fn sample_text(model: &Model, order: &[usize], now: Duration) -> Vec<String> {
    let overview = model.overview();
    let status = model.status().map_or("unknown", |status| status.name());
    let mut first = format!("{}  {status}", timestamp::now());
    let mut add = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            first += &format!("  {label} {value}");
        }
    };
    add("leader", overview.leader);
    add("epoch", overview.epoch.map(|epoch| format!("{epoch:#x}")));
    add("quorum", overview.quorum.map(header::quorum));
    for problem in model.problems() {
        first += &format!("  {problem}");
    }
    let shown = ORDER
        .iter()
        .copied()
        .filter(|column| !matches!(column, Column::RateTrend | Column::LatencyTrend));
    let columns: Vec<Column> = shown.collect();
    let mut rows = vec![
        columns
            .iter()
            .map(|column| column.title().to_owned())
            .collect(),
    ];
    for &index in order {
        let Some(server) = model.servers.get(index) else {
            continue;
        };
        let cells = columns.iter().map(|&column| match column {
            Column::State => columns::state(model, index, server, now).1,
            column => columns::text(column, 0, server, Highest::default()),
        });
        rows.push(cells.collect::<Vec<_>>());
    }
    let widths: Vec<usize> = (0..columns.len())
        .map(|place| {
            let cells = rows.iter().filter_map(|row| row.get(place));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let mut lines = vec![first];
    lines.extend(rows.iter().map(|row| {
        let cells = row.iter().zip(&columns).zip(&widths);
        let padded = cells.map(|((cell, column), &width)| match column.is_right_aligned() {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        let padded: Vec<_> = padded.collect();
        padded.join("  ").trim_end().to_owned()
    }));
    lines
}
