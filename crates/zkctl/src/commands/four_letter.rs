//! `four-letter` and `version`: what servers answer to four-letter words. Needs no session, and so no quorum.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value, json};
use zk_client::admin::{self, AdminError, ServerStatus};
use zk_client::{Answer, Client};

use crate::cli::status::{FourLetter, Version};
use crate::commands::servers::{self, Asked, Target};
use crate::output::Output;
use crate::output::explain::without_advice;
use crate::output::failure::Failure;
use crate::output::notices::Notices;
use crate::output::terminal::visible_line;

pub(crate) async fn four_letter(
    args: &FourLetter,
    client: &Client,
    limit: Duration,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let answers = ask(&args.word, args.all, client, limit, notices).await?;
    let mut failed = false;
    for one in &answers {
        let refused = one.answer.as_ref().err().map(without_advice).or_else(|| {
            let refused = one.answer.as_ref().ok().and_then(refusal);
            refused.map(|error| format!("{}: {error}", args.word))
        });
        failed |= refused.is_some();
        if output.is_json() {
            let answer = one.answer.as_ref().ok();
            let object = json!({
                "server": one.target.server.to_string(),
                "address": one.target.address.map(|address| address.to_string()),
                "word": args.word,
                "answer": answer.map(|answer| &*answer.text),
                "values": answer.and_then(|answer| values(&args.word, answer)),
                "error": refused,
            });
            output.json(&object).await?;
            continue;
        }
        if args.all {
            output.line(format_args!("== {}", one.target)).await?;
        }
        match (&one.answer, refused) {
            (_, Some(refused)) => {
                output.flush().await?;
                notices.say(of_server(one, &refused));
            }
            (Ok(answer), None) => {
                output.data(answer.text.as_bytes()).await?;
                if !answer.text.is_empty() && !answer.text.ends_with('\n') {
                    output.raw(b"\n").await?;
                }
                if let Some(error) = &answer.interrupted {
                    notices.say(format_args!(
                        "{}: the answer may be incomplete: {error}",
                        one.target
                    ));
                }
            }
            (Err(_), None) => {}
        }
    }
    match failed {
        true if output.is_json() => {
            output.flush().await?;
            Err(Failure::Failed(
                "not every server has answered; see `error`".to_owned(),
            ))
        }
        true => Err(Failure::Reported),
        false => Ok(ExitCode::SUCCESS),
    }
}

pub(crate) async fn version(
    args: &Version,
    client: &Client,
    limit: Duration,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let mut failed = false;
    for one in ask("srvr", args.all, client, limit, notices).await? {
        let status = match &one.answer {
            Ok(answer) => answer
                .parse::<ServerStatus>()
                .map_err(|error| error.to_string()),
            Err(error) => Err(without_advice(error)),
        };
        let status = match status {
            Ok(status) => status,
            Err(error) => {
                failed = true;
                notices.say(of_server(&one, &error));
                continue;
            }
        };
        if output.is_json() {
            let object = json!({
                "server": one.target.server.to_string(),
                "address": one.target.address.map(|address| address.to_string()),
                "software": status.software,
                "version": status.release().map(|release| release.to_string()),
                "text": status.version,
            });
            output.json(&object).await?;
        } else {
            let text = format!(
                "{}  {} {}",
                one.target,
                status.software.as_deref().unwrap_or("?"),
                status.version.as_deref().unwrap_or("?")
            );
            output.line(visible_line(&text)).await?;
        }
    }
    match failed {
        true => Err(Failure::Reported),
        false => Ok(ExitCode::SUCCESS),
    }
}

/// The answers of all servers of the list, or that of the first which answers.
async fn ask(
    word: &str,
    all: bool,
    client: &Client,
    limit: Duration,
    notices: &Notices,
) -> Result<Vec<Asked>, Failure> {
    if all {
        return Ok(servers::ask_all(client, word, limit).await);
    }
    for host in client.hosts() {
        let target = Target {
            server: host.host,
            address: None,
        };
        match target.ask(client, word, limit).await {
            Err(error) => notices.say(without_advice(&error)),
            answer => return Ok(vec![Asked { target, answer }]),
        }
    }
    Err(Failure::Reported)
}

/// A message about a server. The client's errors name it themselves, without its address.
fn of_server(one: &Asked, message: &str) -> String {
    match (&one.answer, one.target.address) {
        (Err(_), None) => message.to_owned(),
        _ => format!("{}: {message}", one.target),
    }
}

/// Why the server does not answer this word, if its answer says so.
fn refusal(answer: &Answer) -> Option<AdminError> {
    // Every reader of answers finds these; the others depend on the word.
    match admin::ruok(answer) {
        Err(error @ (AdminError::NotAllowed | AdminError::NotServing | AdminError::Empty)) => {
            Some(error)
        }
        _ => None,
    }
}

/// The keys and values of the answers that consist of them.
fn values(word: &str, answer: &Answer) -> Option<Value> {
    let pairs = match word {
        "mntr" => admin::mntr(answer),
        "conf" | "envi" => admin::properties(answer),
        _ => return None,
    };
    let pairs = pairs.ok()?.into_iter();
    let object: Map<_, _> = pairs.map(|(key, value)| (key, value.into())).collect();
    Some(Value::Object(object))
}
