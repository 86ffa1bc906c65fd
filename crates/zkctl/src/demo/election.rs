//! A leader that is cut off, and its successor.

use std::time::Duration;

use zk_recipes::Election;

use super::{Stage, again, demand};
use crate::failure::Failure;

pub(super) async fn play(stage: &Stage) -> Result<(), Failure> {
    stage
        .story
        .title("Two candidates; the leader's network cable is pulled");
    let mut session = stage.session_timeout;
    while !scene(stage, session).await? {
        session *= 2;
        again(stage, "node-1", session);
    }
    Ok(())
}

/// Whether the first session lasted until the cable was pulled.
async fn scene(stage: &Stage, session: Duration) -> Result<bool, Failure> {
    let story = &stage.story;
    let (first, cable) = stage.client_with(session).await?;
    let (second, _cable) = stage.client().await?;
    let term = Election::new(&first, "/election")
        .identifier("node-1")
        .campaign()
        .await?;
    story.say("node-1", &format!("leads, term {}", term.token()));
    let candidate = Election::new(&second, "/election").identifier("node-2");
    let campaign = candidate.campaign();
    tokio::pin!(campaign);
    // Until it stands in line.
    while candidate.candidates().await?.len() < 2 {
        tokio::select! {
            _ = &mut campaign => {
                demand(term.check().is_err(), "there is one leader at a time")?;
                first.close().await?;
                second.close().await?;
                return Ok(false);
            }
            () = tokio::task::yield_now() => {}
        }
    }
    story.say("node-2", "stands in line");
    if term.check().is_err() {
        first.close().await?;
        second.close().await?;
        return Ok(false);
    }

    cable.pull();
    story.say("node-1", "is cut off, without knowing");
    let mut stepped_down = false;
    let lost = term.lost();
    tokio::pin!(lost);
    let next = loop {
        tokio::select! {
            biased;
            lost = &mut lost, if !stepped_down => {
                stepped_down = true;
                story.say("node-1", &format!("steps down: {lost}"));
            }
            next = &mut campaign => break next?,
        }
    };
    demand(stepped_down, "a leader steps down before another leads")?;
    demand(term.check().is_err(), "a term that was lost stays lost")?;
    demand(next.token() > term.token(), "terms grow")?;
    story.say(
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
