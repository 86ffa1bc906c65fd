//! What other clients do after a lost connection, and after the end of a session.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use zk_client::SessionId;
use zk_embedded::Server;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Each behaviour, one after the other.
pub async fn all(server: &Server) -> Outcome {
    zookeeper_async(server).await?;
    println!("zookeeper-async arms no watch again");
    println!("zookeeper-async begins another session");
    tokio_zookeeper(server).await?;
    println!("tokio-zookeeper ends with its connection");
    zookeeper_client(server).await?;
    println!("zookeeper-client ends with its session");
    let hosts = server.connect_string();
    let theirs = tokio::task::spawn_blocking(move || zookeeper_watch(&hosts)).await??;
    lose_connection(server);
    let theirs = tokio::task::spawn_blocking(move || until_read(theirs)).await?;
    assert_eq!(watches(server), 0);
    println!("zookeeper arms no watch again");
    let ended = end_sessions(server);
    let mut theirs = theirs;
    while !has_other_session(server, &ended) {
        theirs = tokio::task::spawn_blocking(move || until_read(theirs)).await?;
    }
    println!("zookeeper begins another session");
    Ok(())
}

/// How many one-shot watches the server has on the path of these tests.
fn watches(server: &Server) -> usize {
    server.watches_on("/watched").data
}

fn lose_connection(server: &Server) {
    assert_eq!(watches(server), 1, "the watch was armed");
    server.faults().disconnect_all();
}

/// Ends all sessions, and returns them.
fn end_sessions(server: &Server) -> Vec<SessionId> {
    let ended: Vec<_> = server.sessions().iter().map(|session| session.id).collect();
    for session in &ended {
        server.expire_session(*session);
    }
    ended
}

/// Whether a client has begun another session than these.
fn has_other_session(server: &Server, ended: &[SessionId]) -> bool {
    (server.sessions().iter()).any(|session| !ended.contains(&session.id))
}

async fn zookeeper_async(server: &Server) -> Outcome {
    use zookeeper_async::{Acl, CreateMode, WatchedEvent, ZooKeeper};

    let hosts = server.connect_string();
    let zk = ZooKeeper::connect(&hosts, TIMEOUT, |_: WatchedEvent| ()).await?;
    let open = Acl::open_unsafe().clone();
    zk.create("/watched", Vec::new(), open, CreateMode::Persistent)
        .await?;
    zk.get_data_w("/watched", |_| ()).await?;
    lose_connection(server);
    while zk.get_data("/watched", false).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(watches(server), 0);
    let ended = end_sessions(server);
    while zk.get_data("/watched", false).await.is_err() || !has_other_session(server, &ended) {
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn tokio_zookeeper(server: &Server) -> Outcome {
    use tokio_zookeeper::ZooKeeper;

    let address = server.connect_string().parse()?;
    let (zk, _events) = ZooKeeper::connect(&address).await?;
    let _watch = zk.with_watcher().get_data("/watched").await?;
    let panicked = Arc::new(AtomicBool::new(false));
    let own = Arc::clone(&panicked);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let file = panic.location().map_or("", |location| location.file());
        own.store(file.contains("tokio-zookeeper"), Ordering::SeqCst);
    }));
    lose_connection(server);
    while !panicked.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    std::panic::set_hook(hook);
    while zk.get_data("/watched").await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(zk.get_data("/watched").await.is_err());
    end_sessions(server);
    Ok(())
}

async fn zookeeper_client(server: &Server) -> Outcome {
    use zookeeper_client::{Client, Error};

    let zk = Client::connect(&server.connect_string()).await?;
    let (_, _, watch) = zk.get_and_watch_data("/watched").await?;
    lose_connection(server);
    while zk.get_data("/watched").await.is_err() {
        tokio::task::yield_now().await;
    }
    // This one arms it again, as ours does.
    assert_eq!(watches(server), 1);
    drop(watch);
    end_sessions(server);
    while zk.get_data("/watched").await.is_ok() {
        tokio::task::yield_now().await;
    }
    loop {
        match zk.get_data("/watched").await {
            Err(Error::SessionExpired) => break,
            other => assert!(other.is_err()),
        }
        tokio::task::yield_now().await;
    }
    assert!(zk.state().is_terminated());
    Ok(())
}

fn zookeeper_watch(hosts: &str) -> Result<Arc<zookeeper::ZooKeeper>, zookeeper::ZkError> {
    use zookeeper::{WatchedEvent, ZooKeeper};

    let zk = ZooKeeper::connect(hosts, TIMEOUT, |_: WatchedEvent| ())?;
    zk.get_data_w("/watched", |_: WatchedEvent| ())?;
    Ok(Arc::new(zk))
}

fn until_read(zk: Arc<zookeeper::ZooKeeper>) -> Arc<zookeeper::ZooKeeper> {
    while zk.get_data("/watched", false).is_err() {
        std::thread::yield_now();
    }
    zk
}
