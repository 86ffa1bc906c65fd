//! The cost of queues in requests and round trips, alone and among many consumers; and the example.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::common::{Memory, address, memory, received, server, soon, start, until};
use super::round_trips::{TRIP, cost};
use tokio::task::JoinSet;
use zk_client::Client;
use zk_recipes::Queue;

#[path = "../../examples/queues.rs"]
#[allow(dead_code, unreachable_pub, reason = "the example is a program")]
mod example;

/// An ensemble with a queue whose znodes exist, and whose answers have a delay.
async fn distant() -> (Memory, Client) {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let queue = Queue::new(&zk, "/q");
    queue.put("a").await.unwrap();
    let claim = soon("it", queue.take()).await.unwrap();
    claim.ack().await.unwrap();
    memory.server.faults().delay_replies(TRIP);
    (memory, zk)
}

/// The page of `Queue` states these numbers.
#[tokio::test(start_paused = true)]
async fn an_item_takes_few_requests() {
    let (memory, zk) = distant().await;
    let queue = Queue::new(&zk, "/q");
    for item in ["a", "b", "c"] {
        let put = async {
            queue.put(item).await.unwrap();
            zk.sync("/").await.unwrap();
        };
        let ((), requests, trips) = cost(&memory, put).await;
        let what = "the items, the deletion of the mark; and the sync";
        assert_eq!((requests, trips), (2 + 1, 1 + 1), "{what}");
    }
    let (claim, requests, trips) = cost(&memory, queue.take()).await;
    assert_eq!((requests, trips), (4, 3), "two lists; a claim; a read");
    let (done, requests, trips) = cost(&memory, claim.unwrap().ack()).await;
    done.unwrap();
    assert_eq!((requests, trips), (1, 1));
    let (claim, requests, trips) = cost(&memory, queue.take()).await;
    assert_eq!((requests, trips), (2, 2), "a claim; a read");
    let (done, requests, trips) = cost(&memory, claim.unwrap().release()).await;
    done.unwrap();
    assert_eq!((requests, trips), (1, 1));

    let bounded = Queue::new(&zk, "/q").max_items(10);
    let (put, requests, trips) = cost(&memory, bounded.put("d").into_future()).await;
    put.unwrap();
    // And the deletion of the mark, which is not waited for.
    assert!((2..=3).contains(&requests) && trips == 2, "{requests}");
    zk.sync("/").await.unwrap();
    let counted = Queue::new(&zk, "/q").max_deliveries(10);
    let claim = soon("it", counted.take()).await.unwrap();
    claim.release().await.unwrap();
    let again = Queue::new(&zk, "/q").max_deliveries(10);
    let (claim, requests, trips) = cost(&memory, again.take()).await;
    assert_eq!(claim.as_ref().unwrap().deliveries(), Some(2));
    assert_eq!(
        (requests, trips),
        (6, 5),
        "and a read and a write of the count"
    );
    let (done, requests, trips) = cost(&memory, claim.unwrap().reject()).await;
    done.unwrap();
    // Without the directory of the dead letters: an attempt, a creation, and an attempt.
    assert_eq!((requests, trips), (3, 3));
    let (none, requests, trips) = cost(&memory, Queue::new(&zk, "/p").try_take()).await;
    assert!(none.unwrap().is_none());
    assert!(
        requests <= 9 && trips <= 7,
        "the znodes: {requests}, {trips}"
    );
    let empty = Queue::new(&zk, "/p");
    let (none, requests, trips) = cost(&memory, empty.try_take()).await;
    assert!(none.unwrap().is_none());
    assert_eq!((requests, trips), (2, 1), "two lists");
}

/// Consumers with a client each, that take and acknowledge until they are aborted.
struct Consumers {
    _tasks: JoinSet<()>,
    acknowledged: Arc<AtomicUsize>,
    clients: Vec<Client>,
}

impl Consumers {
    /// Each works on an item for this time.
    async fn start(memory: &Memory, count: usize, work: Duration) -> Self {
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let (mut tasks, mut clients) = (JoinSet::new(), Vec::new());
        for _ in 0..count {
            let zk = memory.any().await;
            clients.push(zk.clone());
            let acknowledged = acknowledged.clone();
            tasks.spawn(async move {
                let queue = Queue::new(&zk, "/q");
                loop {
                    let claim = queue.take().await.unwrap();
                    tokio::time::sleep(work).await;
                    claim.ack().await.unwrap();
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Consumers {
            _tasks: tasks,
            acknowledged,
            clients,
        }
    }

    async fn until_acknowledged(&self, items: usize) {
        until("all are acknowledged", || {
            self.acknowledged.load(Ordering::Relaxed) >= items
        })
        .await;
    }

    /// Waits until all wait for an item: one with watches on the items, and each other one for the one
    /// before it.
    async fn until_idle(&self) {
        until("all wait", || {
            let mut watches = self.clients.iter().map(|zk| zk.statistics().watches);
            watches.all(|count| count == 1)
        })
        .await;
    }
}

/// Runs a workload with 1, 10 and 50 consumers; the requests per item of each.
async fn requests_per_item(is_full: bool) -> [f64; 3] {
    const ITEMS: usize = 1200;
    let mut figures = [0.0; 3];
    for (consumers, figure) in [1, 10, 50].into_iter().zip(&mut figures) {
        let (memory, zk) = distant().await;
        memory
            .server
            .faults()
            .delay_replies(Duration::from_millis(1));
        let queue = Queue::new(&zk, "/q");
        let (before, counted);
        if is_full {
            for item in 0..ITEMS {
                queue.put(item.to_string()).await.unwrap();
            }
            let work = Duration::from_millis(5);
            let consumers = Consumers::start(&memory, consumers, work).await;
            // Not the start, at which all list the same items, and not the end.
            consumers.until_acknowledged(ITEMS / 4).await;
            before = received(&memory).await;
            consumers.until_acknowledged(ITEMS / 4 * 3).await;
            counted = ITEMS / 2;
        } else {
            let consumers = Consumers::start(&memory, consumers, Duration::ZERO).await;
            consumers.until_idle().await;
            before = received(&memory).await;
            counted = 40;
            for item in 0..counted {
                queue.put(item.to_string()).await.unwrap();
                consumers.until_acknowledged(item + 1).await;
                consumers.until_idle().await;
            }
        }
        let requests = received(&memory).await - before;
        *figure = f64::from(u32::try_from(requests).unwrap()) / counted as f64;
    }
    figures
}

/// With items for all, the claims and the lists are few.
#[tokio::test(start_paused = true)]
async fn a_full_queue_has_no_herd() {
    let [alone, ten, fifty] = requests_per_item(true).await;
    println!("requests per item: {alone:.1}, {ten:.1}, {fifty:.1}");
    assert!(alone < 3.2, "a claim, a read, an acknowledgement: {alone}");
    assert!(ten < 6.0 && fifty < 6.0, "{ten}, {fifty}");
}

/// With one item at a time for all that wait, one consumer is woken.
#[tokio::test(start_paused = true)]
async fn an_empty_queue_has_no_herd() {
    let [alone, ten, fifty] = requests_per_item(false).await;
    println!("requests per item: {alone:.1}, {ten:.1}, {fifty:.1}");
    assert!(alone < 20.0, "{alone}");
    assert!(ten < 25.0 && fifty < 25.0, "{ten}, {fifty}");
}

/// Puts that wait for room go on one after the other, and the queue never has more than its maximum.
#[tokio::test(start_paused = true)]
async fn puts_that_wait_are_no_herd() {
    const PUTS: usize = 40;
    const MAX: u32 = 5;
    let (memory, zk) = distant().await;
    memory
        .server
        .faults()
        .delay_replies(Duration::from_millis(1));
    let queue = Queue::new(&zk, "/q").max_items(MAX);
    for _ in 0..MAX {
        queue.put("first").await.unwrap();
    }
    let mut puts = JoinSet::new();
    for item in 0..PUTS {
        let queue = Queue::new(&memory.any().await, "/q").max_items(MAX);
        puts.spawn(async move { queue.put(item.to_string()).await });
    }
    until("all wait", || memory.names("/q/waiting/puts").len() == PUTS).await;
    let before = received(&memory).await;
    for taken in 1..=PUTS {
        let claim = soon("an item", queue.take()).await.unwrap();
        claim.ack().await.unwrap();
        until("one of them is put", || {
            memory.names("/q/waiting/puts").len() == PUTS - taken
        })
        .await;
        assert_eq!(memory.names("/q/entries").len(), MAX as usize);
    }
    while let Some(put) = soon("a put", puts.join_next()).await {
        put.unwrap().unwrap();
    }
    let requests = (received(&memory).await - before) / PUTS as u64;
    println!("requests per put that waited: {requests}");
    assert!(requests < 20, "{requests} for each");
}

/// A consumer that is the first in the line and does not run does not stop the others.
#[tokio::test(start_paused = true)]
async fn a_stopped_first_stops_no_others() {
    let (memory, zk) = distant().await;
    memory.server.faults().clear();
    let queue = Queue::new(&zk, "/q");
    let mut stopped = Box::pin(queue.take());
    // Polled until it waits, and not again.
    let watches = tokio::time::timeout(Duration::from_secs(1), &mut stopped);
    assert!(watches.await.is_err());
    let other = Queue::new(&memory.any().await, "/q");
    let others = start(async move { other.take().await });
    until("it waits in the line", || {
        memory.names("/q/waiting/consumers").len() == 2
    })
    .await;
    queue.put("a").await.unwrap();
    let claim = soon("the item", others).await.unwrap().unwrap();
    claim.ack().await.unwrap();
    drop(stopped);
    memory.until_names("/q/waiting/consumers", 0).await;
}

#[tokio::test]
async fn the_example_works_off_its_queue() {
    let server = server().start().await.unwrap();
    let hosts = address(&server);
    soon("the example", example::work(&hosts)).await.unwrap();
    assert!(server.node("/example/jobs/entries").is_some());
    let left: Vec<_> = (server.paths().into_iter())
        .filter(|path| path.starts_with("/example/jobs/entries/"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
