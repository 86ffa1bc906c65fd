//! Watches that report every change.

use zk_recipes::{ChildrenState, ChildrenWatch, DataState, DataWatch};

use super::context::{Context, check};
use crate::output::failure::Failure;

pub(super) async fn show(context: &Context) -> Result<(), Failure> {
    context
        .narration
        .title("A watch on a znode that does not exist yet, and one on a list of members");
    let (zk, _dial) = context.client().await?;
    let (other, _dial) = context.client().await?;
    let mut config = DataWatch::new(&zk, "/config");
    let mut members = ChildrenWatch::new(&zk, "/members");

    check(data(&mut config).await?.is_none(), "there is no /config")?;
    context.narration.say("DataWatch", "/config does not exist");
    for value in ["v1", "v2"] {
        if value == "v1" {
            other.create("/config", value).await?;
        } else {
            other.set("/config", value).await?;
        }
        let seen = data(&mut config).await?;
        check(
            seen.as_deref() == Some(value),
            "the watch sees what was written",
        )?;
        context
            .narration
            .say("DataWatch", &format!("/config is {value:?}"));
    }

    check(names(&mut members).await?.is_none(), "there is no /members")?;
    other.create("/members", "").await?;
    check(
        names(&mut members).await?.is_some(),
        "the watch sees the list appear",
    )?;
    for count in 1..=2 {
        let member = format!("/members/node-{count}");
        other.create(&member, "").ephemeral().await?;
        let seen = names(&mut members).await?.unwrap_or_default();
        check(seen.len() == count, "the watch sees each member")?;
        context
            .narration
            .say("Children", &format!("/members: {}", seen.join(", ")));
    }
    other.close().await?;
    // The members may be deleted one after the other.
    loop {
        let seen = names(&mut members).await?.unwrap_or_default();
        if seen.is_empty() {
            break;
        }
    }
    context.narration.say(
        "Children",
        "/members: none; they were ephemeral, and their session was closed",
    );
    zk.close().await?;
    Ok(())
}

/// The next data that the watch reports.
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
