//! `elect --observe`: reports the leaders of an election until interrupted.

use std::pin::pin;
use std::process::ExitCode;

use serde_json::{Map, Value};
use zk_client::Client;
use zk_recipes::{Contender, Election};

use crate::cli::guarded::Guarded;
use crate::output::failure::Failure;
use crate::output::node_text::add_text;
use crate::output::notices::Notices;
use crate::output::session_changes::Changes;
use crate::output::terminal::{visible_data, visible_line};
use crate::output::{Output, reader_gone, timestamp};

/// The mark in the names of Curator's `LeaderLatch`.
const LATCH: &str = "latch-";

pub(super) async fn observe(
    args: &Guarded,
    client: &Client,
    output: &mut Output,
    notices: &Notices,
) -> Result<ExitCode, Failure> {
    let election = Election::new(client, &args.path).layout(args.layout.into());
    let mut leaders = election.extra_pattern(LATCH).observe();
    let mut states = client.states();
    let mut changes = Changes::default();
    let mut reader = pin!(reader_gone());
    loop {
        let leader = tokio::select! {
            biased;
            leader = leaders.next() => match leader {
                Some(leader) => leader?,
                None => {
                    // Fails with the reason.
                    client.connected().await?;
                    return Err(Failure::Failed("the observation has ended".to_owned()));
                }
            },
            Some(state) = states.next() => {
                if let Some(change) = changes.next(state) {
                    notices.say(change.text());
                }
                continue;
            }
            failure = &mut reader => return Err(failure),
        };
        if output.is_json() {
            output.json(&as_json(&args.path, leader.as_ref())).await?;
        } else {
            let text = as_text(&args.path, leader.as_ref());
            let now = timestamp::now();
            output.line(format_args!("{now}  {text}")).await?;
        }
        output.flush().await?;
    }
}

fn as_text(path: &str, leader: Option<&Contender>) -> String {
    let path = visible_line(path);
    match leader {
        Some(leader) => {
            let identifier = visible_data(&leader.identifier);
            let identifier = visible_line(identifier.trim_end_matches('\n')).into_owned();
            format!("{path}  led with token {}  {identifier}", leader.token)
        }
        None => format!("{path}  no leader"),
    }
}

fn as_json(path: &str, leader: Option<&Contender>) -> Value {
    let mut object = Map::new();
    let mut set = |key: &str, value: Value| object.insert(key.to_owned(), value);
    set("time", timestamp::now().into());
    set("path", path.into());
    set("leader", leader.is_some().into());
    set("znode", leader.map(|leader| &*leader.path).into());
    set(
        "token",
        leader.map(|leader| leader.token.to_string()).into(),
    );
    match leader {
        Some(leader) => add_text(&mut object, "identifier", &leader.identifier),
        None => {
            object.insert("identifier".to_owned(), Value::Null);
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vacancy_has_the_keys_of_a_leader() {
        let object = as_json("/e", None);
        assert_eq!(object["leader"], false);
        for key in ["znode", "token", "identifier"] {
            assert_eq!(object.get(key), Some(&Value::Null), "{key}");
        }
        assert_eq!(as_text("/e\n", None), "/e\\n  no leader");
    }
}
