//! Watches that follow along.

use zk_recipes::{ChildrenState, ChildrenWatch, DataState, DataWatch};

use super::{Stage, demand};
use crate::failure::Failure;

pub(super) async fn play(stage: &Stage) -> Result<(), Failure> {
    stage
        .story
        .title("A watch on a znode that does not exist yet, and one on a list of members");
    let (zk, _cable) = stage.client().await?;
    let (other, _cable) = stage.client().await?;
    let mut config = DataWatch::new(&zk, "/config");
    let mut members = ChildrenWatch::new(&zk, "/members");

    demand(data(&mut config).await?.is_none(), "there is no /config")?;
    stage.story.say("DataWatch", "/config does not exist");
    for value in ["v1", "v2"] {
        if value == "v1" {
            other.create("/config", value).await?;
        } else {
            other.set("/config", value).await?;
        }
        let seen = data(&mut config).await?;
        demand(
            seen.as_deref() == Some(value),
            "the watch sees what was written",
        )?;
        stage
            .story
            .say("DataWatch", &format!("/config is {value:?}"));
    }

    demand(names(&mut members).await?.is_none(), "there is no /members")?;
    other.create("/members", "").await?;
    demand(
        names(&mut members).await?.is_some(),
        "the watch sees the list appear",
    )?;
    for count in 1..=2 {
        let member = format!("/members/node-{count}");
        other.create(&member, "").ephemeral().await?;
        let seen = names(&mut members).await?.unwrap_or_default();
        demand(seen.len() == count, "the watch sees each member")?;
        stage
            .story
            .say("Children", &format!("/members: {}", seen.join(", ")));
    }
    other.close().await?;
    // The members go together, or one after the other.
    loop {
        let seen = names(&mut members).await?.unwrap_or_default();
        if seen.is_empty() {
            break;
        }
    }
    stage.story.say(
        "Children",
        "/members: none; they were ephemeral, and their session was closed",
    );
    zk.close().await?;
    Ok(())
}

/// The next data that are seen.
pub(super) async fn data(watch: &mut DataWatch) -> Result<Option<String>, Failure> {
    match watch.next().await {
        Some(Ok(DataState::Absent)) => Ok(None),
        Some(Ok(DataState::Present { data, .. })) => {
            Ok(Some(String::from_utf8_lossy(&data).into_owned()))
        }
        Some(Err(error)) => Err(error.into()),
        None => Err(Failure::Failed("a DataWatch has ended".to_owned())),
    }
}

async fn names(watch: &mut ChildrenWatch) -> Result<Option<Vec<String>>, Failure> {
    match watch.next().await {
        Some(Ok(ChildrenState::Absent)) => Ok(None),
        Some(Ok(ChildrenState::Present { names, .. })) => Ok(Some(names)),
        Some(Err(error)) => Err(error.into()),
        None => Err(Failure::Failed("a ChildrenWatch has ended".to_owned())),
    }
}
