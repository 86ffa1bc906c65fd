//! `health`: what each server of the list reports, and what is wrong with it and with the ensemble.
//!
//! - [`metrics`]: the values of `mntr`; [`admin_server`] has the same over HTTP. [`values`] asks both.
//! - [`report`]: what a server reports. [`quorum`]: how many take part.
//! - [`verdict`]: what is wrong.

mod admin_server;
pub(crate) mod metrics;
pub(crate) mod quorum;
pub(crate) mod report;
pub(crate) mod values;
pub(crate) mod verdict;

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use zk_client::Client;

use crate::cli::status::Health;
use crate::commands::servers;
use crate::output::Output;
use crate::output::failure::Failure;
use crate::output::terminal::visible_line;
use quorum::Quorum;
use report::Report;
use values::Source;
use verdict::Verdict;

/// Needs no session, and so no quorum. The exit codes are those of the plugins of monitoring systems: 0 if all
/// is well, 1 if something is wrong, 2 if no server serves, and 3, as for all failures, if that is unknown.
pub(crate) async fn health(
    args: &Health,
    client: &Client,
    limit: Duration,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let admin_port = (args.admin_port > 0).then_some(args.admin_port);
    // All at the same time, so that the zxids can be compared.
    let asked = servers::each(client, limit, move |client, target| async move {
        let srvr = target.ask(&client, "srvr", limit);
        let values = values::values(&client, &target, limit, admin_port);
        let (srvr, (metrics, source)) = tokio::join!(srvr, values);
        let mut report = Report::new(&target, &srvr);
        report.read_metrics(&metrics);
        match report.role {
            Some(_) => (report, source),
            // The report says why.
            None => (report, Source::Nothing(String::new())),
        }
    });
    let (reports, sources): (Vec<_>, Vec<_>) = asked.await.into_iter().unzip();
    let lag = |report| verdict::lag(report, &reports);
    let lags: Vec<_> = reports.iter().map(lag).collect();
    let verdict = Verdict::of(&reports, &lags, args.limits);
    let servers = reports.iter().zip(&sources).zip(lags);
    for (((report, source), lag), problems) in servers.zip(&verdict.problems) {
        let written = if output.is_json() {
            let object = server_json(report, source, lag, problems);
            output.json(&object).await
        } else {
            let text = server_text(report, lag, problems);
            output.line(visible_line(&text)).await
        };
        Failure::unless_reader_gone(written)?;
    }
    if let Some(text) = missing_text(&reports, &sources)
        && !output.is_json()
    {
        Failure::unless_reader_gone(output.line(visible_line(&text)).await)?;
    }
    let written = if output.is_json() {
        let object = json!({
            "type": "ensemble",
            "status": verdict.status.name(),
            "quorum": quorum_json(Quorum::of(&reports)),
            "problems": verdict.ensemble,
        });
        output.json(&object).await
    } else {
        let mut text = verdict.status.name().to_owned();
        if !verdict.ensemble.is_empty() {
            text += &format!(": {}", verdict.ensemble.join("; "));
        }
        output.line(visible_line(&text)).await
    };
    Failure::unless_reader_gone(written)?;
    Failure::unless_reader_gone(output.flush().await)?;
    Ok(ExitCode::from(verdict.status.code()))
}

/// The quorum, as an object of the output.
pub(crate) fn quorum_json(quorum: Option<Quorum>) -> Value {
    quorum.map_or(Value::Null, |quorum| {
        json!({
            "in_sync": quorum.in_sync,
            "voters": quorum.voters,
            "needed": quorum.majority(),
        })
    })
}

/// A server, as an object of the output.
pub(crate) fn server_json(
    report: &Report,
    source: &Source,
    lag: Option<u64>,
    problems: &[String],
) -> Value {
    json!({
        "type": "server",
        "server": report.server,
        "address": report.address,
        "role": report.role.as_ref().map(|role| role.name()),
        "version": report.version,
        "latency_ms": report.latency.map(|latency| json!({
            "min": latency.min,
            "avg": latency.avg,
            "max": latency.max,
        })),
        "connections": report.connections,
        "outstanding": report.outstanding,
        "zxid": report.zxid.map(|zxid| zxid.to_string()),
        "lag": lag,
        "znodes": report.znodes,
        "watches": report.watches,
        "source": source.name(),
        "missing": source.missing(),
        "problems": problems,
    })
}

fn server_text(report: &Report, lag: Option<u64>, problems: &[String]) -> String {
    let name = report.name();
    let Some(role) = &report.role else {
        return format!("{name}  down  {}", problems.join("; "));
    };
    let mut text = format!("{name}  {}", role.name());
    let mut add = |what: &str, value: Option<String>| {
        if let Some(value) = value {
            text += &format!("  {what}{value}");
        }
    };
    add("", report.version.clone());
    let latency = report.latency;
    add(
        "latency ",
        latency.map(|latency| format!("{} ms (max {})", latency.avg, latency.max)),
    );
    add("connections ", report.connections.map(|n| n.to_string()));
    add("outstanding ", report.outstanding.map(|n| n.to_string()));
    add("zxid ", report.zxid.map(|zxid| zxid.to_string()));
    add("lag ", lag.map(|lag| lag.to_string()));
    if !problems.is_empty() {
        text += &format!("  PROBLEM: {}", problems.join("; "));
    }
    text
}

/// What is not known of servers that answer `srvr` only, and what to do.
fn missing_text(reports: &[Report], sources: &[Source]) -> Option<String> {
    let missing =
        |(report, source): (&Report, &Source)| Some((report.name(), source.missing()?.to_owned()));
    let mut without = reports.iter().zip(sources).filter_map(missing);
    let (server, reason) = without.next()?;
    let others = match without.count() {
        0 => String::new(),
        1 => " (and another server)".to_owned(),
        others => format!(" (and {others} more servers)"),
    };
    let advice = match reason.starts_with(values::REFUSED) {
        true => {
            ". Set 4lw.commands.whitelist=srvr,mntr in its zoo.cfg, or give the port of its AdminServer with \
             --admin-port"
        }
        false => "",
    };
    Some(format!(
        "not known of {server}{others}: followers in sync, voters, file descriptors, watches. {reason}{advice}"
    ))
}
