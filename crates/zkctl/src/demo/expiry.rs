//! A session that expires, and the recovery.

use std::time::Duration;

use zk_client::State;
use zk_recipes::DataWatch;

use super::context::{Context, check};
use super::watches::data;
use crate::output::failure::Failure;

pub(super) async fn show(context: &Context) -> Result<(), Failure> {
    context
        .narration
        .title("A session expires, and everything recovers");
    let mut session = context.short_session;
    while !scene(context, session).await? {
        session *= 2;
        context.report_restart("client", session);
    }
    Ok(())
}

/// Returns whether the session lasted until its connection was cut.
async fn scene(context: &Context, session: Duration) -> Result<bool, Failure> {
    let narration = &context.narration;
    let (zk, dial) = context.client_with(session).await?;
    let (other, _dial) = context.client().await?;
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
    narration.say(
        "client",
        &format!("has session {id} and an ephemeral znode"),
    );

    dial.unplug();
    narration.say("client", "loses its connection");
    let mut expired = false;
    while !expired {
        let state = states.next().await;
        if let Some(State::Suspended { .. }) = state {
            narration.say(
                "client",
                "knows that it has no connection; the session may still be alive",
            );
        }
        expired = matches!(state, Some(State::Expired { .. }));
    }
    narration.say(
        "client",
        "knows by its own clock that its session has expired",
    );
    let (_, gone) = other.exists(root).watch().await?;
    if other.exists(root).await?.is_some() {
        gone.await;
    }
    narration.say("ensemble", "has removed the ephemeral znode");
    other.set("/config", "v3").await?;

    dial.plug();
    while !zk.state().is_connected() {
        states.next().await;
    }
    narration.say("client", &format!("has a new session, {}", zk.session().id));
    check(zk.session().epoch > 1, "the new session has another epoch")?;
    let seen = data(&mut config).await?;
    check(
        seen.as_deref() == Some("v3"),
        "the watch sees what was missed",
    )?;
    narration.say(
        "DataWatch",
        "/config is \"v3\": written meanwhile, and not missed",
    );
    zk.close().await?;
    other.close().await?;
    Ok(true)
}
