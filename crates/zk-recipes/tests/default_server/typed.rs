//! The cost of typed data in requests and round trips, and the example.

use super::common::{address, fill, has_root, memory, server, soon};
use super::round_trips::{TRIP, cost};
use zk_client::Client;
use zk_recipes::{ChildrenWithData, Text, TypedNode};

#[expect(dead_code, unreachable_pub, reason = "as an example it has a `main`")]
#[path = "../../examples/typed.rs"]
mod example;

#[tokio::test(start_paused = true)]
async fn a_typed_node_costs_what_it_says() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    memory.server.faults().delay_replies(TRIP);
    let node = TypedNode::<u32>::new(&zk, "/n", Text);
    let (found, requests, trips) = cost(&memory, node.get()).await;
    assert_eq!((found.unwrap(), requests, trips), (None, 1, 1));
    let (stat, requests, trips) = cost(&memory, node.set(&1)).await;
    assert_eq!((requests, trips), (2, 2), "set, create");
    let (set, requests, trips) = cost(&memory, node.compare_and_set(&stat.unwrap(), &2)).await;
    assert_eq!((requests, trips), (1, 1));
    set.unwrap();
    let (set, requests, trips) = cost(&memory, node.set(&3)).await;
    assert_eq!((requests, trips), (1, 1));
    set.unwrap();
    let (found, requests, trips) = cost(&memory, node.get_or_insert(&9)).await;
    assert_eq!((found.unwrap().value, requests, trips), (3, 1, 1));
    let (found, requests, trips) = cost(&memory, node.update(|n| Some(n? + 1))).await;
    assert_eq!((found.unwrap().unwrap().value, requests, trips), (4, 2, 2));
    let (deleted, requests, trips) = cost(&memory, node.delete()).await;
    assert_eq!((requests, trips), (1, 1));
    deleted.unwrap();
    let (found, requests, trips) = cost(&memory, node.get_or_insert(&9)).await;
    assert_eq!((found.unwrap().value, requests, trips), (9, 2, 2));
}

/// As many requests as children, and a window of them in each round trip.
#[tokio::test(start_paused = true)]
async fn children_cost_one_request_each() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.create("/all", "").await.unwrap();
    fill(&zk, 1000, |n| format!("/all/{n}")).await;
    memory.server.faults().delay_replies(TRIP);
    let read = ChildrenWithData::new(&zk, "/all").window(100);
    let (found, requests, trips) = cost(&memory, read.clone().read()).await;
    assert_eq!(found.unwrap().children.len(), 1000);
    assert_eq!((requests, trips), (1001, 11));
    let (found, requests, trips) = cost(&memory, read.consistent().read()).await;
    assert_eq!(found.unwrap().children.len(), 1000);
    assert_eq!((requests, trips), (1002, 12));
}

#[tokio::test]
async fn the_example_of_typed_data_runs() {
    let server = server().start().await.unwrap();
    let hosts = address(&server);
    has_root(&Client::connect(&hosts).await.unwrap()).await;
    soon("the example", example::run(&hosts)).await.unwrap();
}
