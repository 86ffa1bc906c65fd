//! A leader that loses its connection, and its successor.

use std::time::Duration;

use zk_recipes::Election;

use super::context::{Context, check};
use crate::output::failure::Failure;

pub(super) async fn show(context: &Context) -> Result<(), Failure> {
    context
        .narration
        .title("Two candidates; the leader's network cable is pulled");
    let mut session = context.short_session;
    while !scene(context, session).await? {
        session *= 2;
        context.report_restart("node-1", session);
    }
    Ok(())
}

/// Returns whether the first session lasted until its connection was cut.
async fn scene(context: &Context, session: Duration) -> Result<bool, Failure> {
    let narration = &context.narration;
    let (first, dial) = context.client_with(session).await?;
    let (second, _dial) = context.client().await?;
    let term = Election::new(&first, "/election")
        .identifier("node-1")
        .campaign()
        .await?;
    narration.say("node-1", &format!("leads, term {}", term.token()));
    let candidate = Election::new(&second, "/election").identifier("node-2");
    let campaign = candidate.campaign();
    tokio::pin!(campaign);
    // Until the second candidate is in the queue.
    while candidate.candidates().await?.len() < 2 {
        tokio::select! {
            _ = &mut campaign => {
                check(term.check().is_err(), "there is one leader at a time")?;
                first.close().await?;
                second.close().await?;
                return Ok(false);
            }
            () = tokio::task::yield_now() => {}
        }
    }
    narration.say("node-2", "is in the queue");
    if term.check().is_err() {
        first.close().await?;
        second.close().await?;
        return Ok(false);
    }

    dial.unplug();
    narration.say("node-1", "loses its connection, and does not know yet");
    let mut stepped_down = false;
    let lost = term.lost();
    tokio::pin!(lost);
    let next = loop {
        tokio::select! {
            biased;
            lost = &mut lost, if !stepped_down => {
                stepped_down = true;
                narration.say("node-1", &format!("steps down: {lost}"));
            }
            next = &mut campaign => break next?,
        }
    };
    check(stepped_down, "a leader steps down before another leads")?;
    check(term.check().is_err(), "a term that was lost stays lost")?;
    check(next.token() > term.token(), "terms grow")?;
    narration.say(
        "node-2",
        &format!(
            "leads, term {}: only after node-1 had stepped down",
            next.token()
        ),
    );
    next.resign().await?;
    second.close().await?;
    Ok(true)
}
