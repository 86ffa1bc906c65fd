//! A session that expires, and what goes on.

use std::time::Duration;

use zk_client::State;
use zk_recipes::DataWatch;

use super::watches::data;
use super::{Stage, again, demand};
use crate::failure::Failure;

pub(super) async fn play(stage: &Stage) -> Result<(), Failure> {
    stage
        .story
        .title("A session expires, and everything recovers");
    let mut session = stage.session_timeout;
    while !scene(stage, session).await? {
        session *= 2;
        again(stage, "client", session);
    }
    Ok(())
}

/// Whether the session lasted until the cable was pulled.
async fn scene(stage: &Stage, session: Duration) -> Result<bool, Failure> {
    let story = &stage.story;
    let (zk, cable) = stage.client_with(session).await?;
    let (other, _cable) = stage.client().await?;
    let (id, root) = (zk.session().id, "/presence");
    zk.create(root, "").ephemeral().await?;
    let mut config = DataWatch::new(&zk, "/config");
    data(&mut config).await?;
    let mut states = zk.states();
    states.next().await;
    if zk.session().epoch > 1 {
        zk.close().await?;
        other.close().await?;
        return Ok(false);
    }
    story.say(
        "client",
        &format!("has session {id} and an ephemeral znode"),
    );

    cable.pull();
    story.say("client", "is cut off");
    let mut expired = false;
    while !expired {
        let state = states.next().await;
        if let Some(State::Suspended { .. }) = state {
            story.say(
                "client",
                "knows that it has no connection; the session may live on",
            );
        }
        expired = matches!(state, Some(State::Expired { .. }));
    }
    story.say(
        "client",
        "knows that its session is over, without having heard so",
    );
    let (_, gone) = other.exists(root).watch().await?;
    if other.exists(root).await?.is_some() {
        gone.await;
    }
    story.say("ensemble", "has removed the ephemeral znode");
    other.set("/config", "v3").await?;

    cable.plug();
    while !zk.state().is_connected() {
        states.next().await;
    }
    story.say("client", &format!("has a new session, {}", zk.session().id));
    demand(
        zk.session().epoch > 1,
        "the new session is told from the old",
    )?;
    let seen = data(&mut config).await?;
    demand(
        seen.as_deref() == Some("v3"),
        "the watch sees what was missed",
    )?;
    story.say(
        "DataWatch",
        "/config is \"v3\": written meanwhile, and not missed",
    );
    zk.close().await?;
    other.close().await?;
    Ok(true)
}
