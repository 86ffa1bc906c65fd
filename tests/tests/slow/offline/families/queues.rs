//! Every item that was put is processed at least once, and an acknowledged item never again.

mod ledger;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zk_client::{Client, Outcome};
use zk_proto::Zxid;
use zk_recipes::{Claim, Error, Queue, QueueLayout};

use super::{Stage, hold};
use ledger::{Claims, End, Ledger};

const PATH: &str = "/jobs";
const LAYOUTS: [QueueLayout; 4] = [
    QueueLayout::KazooLocking,
    QueueLayout::CuratorPriority,
    QueueLayout::CuratorId,
    QueueLayout::Simple,
];

#[test]
fn no_item_is_lost_or_acknowledged_twice() {
    let counted = [
        "put",
        "put unknown",
        "acknowledged",
        "acknowledgement refused",
        "acknowledgement unknown",
        "given up",
        "released",
        "dropped",
        "X12 expired",
    ];
    hold(20, &counted, play);
}

async fn play(stage: Arc<Stage>) {
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let layout = stage.rng().choice(LAYOUTS).unwrap_or_default();
    let mut work = JoinSet::new();
    for (number, client) in stage.clients().enumerate() {
        let (stage, client) = (stage.clone(), client.clone());
        work.spawn(produce(
            stage.clone(),
            client.clone(),
            ledger.clone(),
            layout,
            number,
        ));
        work.spawn(consume(stage, client, ledger.clone(), layout, number));
    }
    stage.calm().await;
    let joined = async { while work.join_next().await.is_some() {} };
    stage.soon("the last item", joined).await;
    let admin = stage.admin().await.chroot("/app").unwrap();
    stage
        .soon("the rest", drain(&stage, &admin, &ledger, layout))
        .await;
    admin.close().await.unwrap();
    let directory = match layout {
        QueueLayout::KazooLocking => format!("/app{PATH}/taken/"),
        _ => format!("/app{PATH}-claims/"),
    };
    let log = stage.server().log_after(Zxid(0));
    let claims = Claims::of(log.iter().map(|txn| &**txn), &directory);
    let ledger = ledger.lock().unwrap();
    for violation in ledger.violations(&claims, |session| stage.ended_early(session)) {
        stage.violation(violation);
    }
}

async fn produce(
    stage: Arc<Stage>,
    client: Client,
    ledger: Arc<Mutex<Ledger>>,
    layout: QueueLayout,
    producer: usize,
) {
    let mut rng = stage.rng();
    let mut queue = Queue::new(&client, PATH).layout(layout);
    if rng.bool() {
        queue = queue.max_items(rng.u32(1..10));
    }
    for number in 0.. {
        if Instant::now() >= stage.end() {
            break;
        }
        let item = format!("{producer}-{number}");
        let put = timeout(
            Duration::from_millis(rng.u64(1..20_000)),
            queue.put(item.clone()).into_future(),
        );
        match put.await {
            Ok(Ok(())) => {
                stage.count("put");
                ledger.lock().unwrap().put(item);
            }
            Ok(Err(error)) if error.outcome() == Outcome::Unknown => stage.count("put unknown"),
            Ok(Err(_)) => stage.count("put refused"),
            Err(_) => stage.count("put dropped"),
        }
        sleep(Duration::from_millis(rng.u64(1..400))).await;
    }
}

async fn consume(
    stage: Arc<Stage>,
    client: Client,
    ledger: Arc<Mutex<Ledger>>,
    layout: QueueLayout,
    consumer: usize,
) {
    let mut rng = stage.rng();
    let queue = Queue::new(&client, PATH).layout(layout);
    while Instant::now() < stage.end() {
        let limit = Duration::from_millis(rng.u64(1..8_000));
        let Ok(taken) = timeout(limit, queue.take()).await else {
            stage.count("given up");
            continue;
        };
        let Ok(claim) = taken else {
            stage.count("refused");
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let delivery = deliver(&stage, &ledger, &client, &claim);
        let path = claim.path().to_owned();
        stage.note(format_args!("{consumer} gets {path}: delivery {delivery}"));
        let end = |end| ledger.lock().unwrap().end(delivery, end);
        sleep(Duration::from_millis(rng.u64(0..300))).await;
        match rng.u32(0..10) {
            0 => {
                stage.count("dropped");
                drop(claim);
                end(End::Unfinished);
            }
            1 => {
                stage.count("released");
                drop(claim.release().await);
                end(End::Unfinished);
            }
            _ => {
                let acknowledged = claim.ack().await;
                stage.note(format_args!("{consumer} acks {path}: {acknowledged:?}"));
                match acknowledged {
                    Ok(()) => {
                        stage.count("acknowledged");
                        end(End::Acknowledged);
                    }
                    Err(error @ Error::ItemRemoved { .. }) => stage.violation(error.to_string()),
                    Err(error) if error.outcome() == Outcome::Unknown => {
                        stage.count("acknowledgement unknown");
                        end(End::Unknown);
                    }
                    Err(_) => {
                        stage.count("acknowledgement refused");
                        end(End::Unfinished);
                    }
                }
            }
        }
    }
}

/// Notes a delivery, and returns its number.
fn deliver(stage: &Stage, ledger: &Mutex<Ledger>, client: &Client, claim: &Claim) -> usize {
    let item = claim.items().unwrap().concat();
    let item = String::from_utf8(item).unwrap();
    // Not the next one: a claim is not returned after its session has ended.
    let (session, zxid) = (client.session().id, stage.server().zxid());
    let mut ledger = ledger.lock().unwrap();
    ledger.deliver(&item, claim.path(), session, zxid)
}

/// Takes what is left, after the last fault.
async fn drain(stage: &Stage, admin: &Client, ledger: &Mutex<Ledger>, layout: QueueLayout) {
    let queue = Queue::new(admin, PATH).layout(layout);
    while !queue.is_empty().await.unwrap() {
        if let Some(claim) = queue.take_timeout(Duration::from_secs(1)).await.unwrap() {
            let delivery = deliver(stage, ledger, admin, &claim);
            if claim.ack().await.is_ok() {
                ledger.lock().unwrap().end(delivery, End::Acknowledged);
            }
        }
    }
}
