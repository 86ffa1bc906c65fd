//! The futures of typed data.

use zk_client::{Client, WatchMode};
use zk_recipes::{
    ChildrenCache, ChildrenWithData, Model, PathTemplate, PersistentWatch, Text, TypedNode,
};

use super::futures::{Entry, NONE, table};

fn number(zk: &Client, path: &str) -> TypedNode<u32> {
    TypedNode::new(zk, path, Text)
}

#[rustfmt::skip]
pub(super) fn entries() -> Vec<Entry> {
    table! {
        "a value" ["recipes/typed/node.rs get"] leaves NONE, |zk, _s| number(&zk, "/base").get().await;
        "a value set" ["recipes/typed/node.rs set"] leaves ["/new"], |zk, _s| number(&zk, "/new/a").set(&1).await;
        "a value inserted" ["recipes/typed/node.rs get_or_insert"] leaves ["/new"], |zk, _s| number(&zk, "/new/a").get_or_insert(&1).await;
        "a value updated" ["recipes/typed/node.rs update"] leaves ["/new"], |zk, _s| {
            number(&zk, "/new/a").update(|value| Some(value.unwrap_or(0) + 1)).await?;
            number(&zk, "/new/a").update(|value| Some(value.unwrap_or(0) + 1)).await
        };
        "a value compared and set" ["recipes/typed/node.rs compare_and_set"] leaves ["/new"], |zk, _s| {
            let written = number(&zk, "/new/a").set(&1).await?;
            number(&zk, "/new/a").compare_and_set(&written, &2).await
        };
        "a value deleted" ["recipes/typed/node.rs delete"] leaves ["/new"], |zk, _s| {
            number(&zk, "/new/a").set(&1).await?;
            number(&zk, "/new/a").delete().await
        };
        "a version of a value deleted" ["recipes/typed/node.rs delete_version"] leaves ["/new"], |zk, _s| {
            let written = number(&zk, "/new/a").set(&1).await?;
            number(&zk, "/new/a").delete_version(&written).await
        };
        "values of children" ["recipes/typed/node.rs children"] leaves NONE, |zk, _s| number(&zk, "/base").children().await;
        "values of a model" ["recipes/typed/model.rs list"] leaves NONE, |zk, _s| {
            let model = Model::<u32>::new(PathTemplate::new("/base/{id}")?, Text);
            model.list(&zk, &[]).await
        };
        "children with their data" ["recipes/typed/children.rs read"] leaves NONE, |zk, _s| ChildrenWithData::new(&zk, "/base").read().await;
        "children with their data at one time" [] leaves NONE, |zk, _s| ChildrenWithData::new(&zk, "/base").consistent().read().await;
        "a cache of children" ["recipes/typed/children_cache.rs next"] leaves NONE, |zk, _s| {
            let mut children = ChildrenCache::<u32>::new(&zk, "/base", Text);
            while children.next().await.is_some() {}
        };
        "a cache of children read again" ["recipes/typed/children_cache.rs rebuild"] leaves NONE, |zk, _s| ChildrenCache::<u32>::new(&zk, "/base", Text).rebuild().await;
        "a watch through sessions" ["recipes/watch/persistent_watch.rs next"] leaves NONE, |zk, _s| {
            let mut events = PersistentWatch::new(&zk, "/base", WatchMode::PersistentRecursive);
            while events.next().await.is_some() {}
        };
    }
}
