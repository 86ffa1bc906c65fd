//! A member is listed within a session timeout of the last fault, in the session of its client and with its
//! latest data; and nothing is left of a member that has left.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zk_client::{Client, CreateMode, SessionId};
use zk_recipes::{DataWrite, NodeState, Party, PersistentNode, ShallowParty};

use super::{Stage, hold};

const GROUP: &str = "/group";

#[test]
fn a_member_is_listed_and_no_ghost() {
    let counted = [
        "joined",
        "left",
        "dropped",
        "written",
        "pending",
        "conflict",
        "created again",
        "X12 expired",
    ];
    hold(20, &counted, play);
}

/// The members that stay, by the path of their znodes on the server.
type Members = Arc<Mutex<BTreeMap<String, Member>>>;

#[derive(Debug)]
struct Member {
    client: Client,
    node: PersistentNode,
}

async fn play(stage: Arc<Stage>) {
    let members = Members::default();
    let mut work = JoinSet::new();
    for (number, client) in stage.clients().enumerate() {
        work.spawn(keep(stage.clone(), client.clone(), number, members.clone()));
        work.spawn(come_and_go(stage.clone(), client.clone()));
    }
    // Two programs with the same id.
    let rivals: Vec<_> = stage.clients().take(2).cloned().collect();
    let rivals: Vec<_> = (rivals.iter())
        .map(|client| PersistentNode::new(client, "/rival", "rival"))
        .collect();
    stage.calm().await;
    let calm = Instant::now();
    let joined = async { while work.join_next().await.is_some() {} };
    stage.soon("the last join", joined).await;
    // Half-open connections are found dead within this time, and the last session is resumed or lost; in
    // the time of another the members are listed.
    let listed = stage.session_timeout() * 3;
    loop {
        let missing = missing(&stage, &members);
        if missing.is_empty() {
            break;
        }
        if Instant::now() > calm + listed + Duration::from_secs(6) {
            stage.violation(format!("not as it should be: {missing:?}"));
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    compare_rivals(&stage, &rivals).await;
    for rival in rivals {
        stage.soon("the end of a rival", rival.close()).await;
    }
    let members = std::mem::take(&mut *members.lock().unwrap());
    for (path, member) in members {
        match stage.soon("the end of a member", member.node.close()).await {
            Some(Ok(())) => {}
            closed => stage.violation(format!("{path} cannot be closed: {closed:?}")),
        }
        if let Some(node) = stage.server().node(&path) {
            stage.violation(format!("{path} is there after its end: {:?}", node.stat));
        }
    }
    sleep(Duration::from_secs(10)).await;
    let left: Vec<_> = (stage.server().paths().into_iter())
        .filter(|path| path.starts_with(&format!("/app{GROUP}/")))
        .collect();
    if !left.is_empty() {
        stage.violation(format!("left in the group: {left:?}"));
    }
}

/// What is not as it should be of the members that stay, and the znodes of no member.
fn missing(stage: &Stage, members: &Members) -> Vec<String> {
    let members = members.lock().unwrap();
    let mut missing = Vec::new();
    for (path, member) in &*members {
        let session = member.client.session().id;
        let Some(found) = stage.server().node(path) else {
            missing.push(format!("{path} is not there, {}", member.node.state()));
            continue;
        };
        let persistent = path.contains("/lasting-");
        let is_own = found.stat.owner() == (!persistent).then_some(session);
        let is_latest = found.data.as_deref() == Some(&*member.node.data());
        let is_known = matches!(member.node.state(), NodeState::Present { czxid, .. }
            if czxid == found.stat.czxid);
        if !is_own || !is_latest || !is_known {
            missing.push(format!(
                "{path}: own {is_own}, latest data {is_latest}, known {is_known}, {}",
                member.node.state()
            ));
        }
    }
    let group = format!("/app{GROUP}/");
    for path in stage.server().paths() {
        if path.starts_with(&group) && !members.contains_key(&path) {
            missing.push(format!("{path} is no member's"));
        }
    }
    missing
}

/// One of the rivals has the znode, and the other one reports that.
async fn compare_rivals(stage: &Stage, rivals: &[PersistentNode]) {
    let settled = async {
        loop {
            let owner = stage
                .server()
                .node("/app/rival")
                .and_then(|n| n.stat.owner());
            let states: Vec<_> = rivals.iter().map(PersistentNode::state).collect();
            let holds = |owner: SessionId| {
                let present = states.iter().any(
                    |state| matches!(state, NodeState::Present { session, .. } if *session == Some(owner)),
                );
                let conflict = states.iter().any(
                    |state| matches!(state, NodeState::Conflict { owner: known, .. } if *known == Some(owner)),
                );
                present && conflict
            };
            if owner.is_some_and(holds) {
                stage.count("conflict");
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    stage.soon("the rivals", settled).await;
}

/// A member that stays, of a kind that depends on the number, and changes its data.
async fn keep(stage: Arc<Stage>, client: Client, number: usize, members: Members) {
    let mut rng = stage.rng();
    let modes = [
        CreateMode::Ephemeral,
        CreateMode::EphemeralSequential,
        CreateMode::Ephemeral,
        CreateMode::Persistent,
    ];
    let mode = modes[number % modes.len()];
    let name = match mode {
        CreateMode::Persistent => "lasting-",
        _ => "member-",
    };
    let path = format!("{GROUP}/{name}{number}");
    let builder = PersistentNode::builder(&client, &path).mode(mode).data("0");
    let node = match number % 3 {
        2 => builder.protected().start(),
        _ => builder.start(),
    };
    let mut states = node.states();
    let watching = stage.clone();
    let watcher = tokio::spawn(async move {
        let mut first = None;
        while let Some(state) = states.next().await {
            if let NodeState::Present { czxid, path, .. } = state {
                if first
                    .as_ref()
                    .is_some_and(|first| *first != (czxid, path.clone()))
                {
                    watching.count("created again");
                }
                first = Some((czxid, path));
            }
        }
    });
    let mut write = 0;
    while Instant::now() < stage.end() {
        write += 1;
        let limit = Duration::from_millis(rng.u64(1..3_000));
        match timeout(limit, node.set_data(format!("{write}"))).await {
            Ok(Ok(DataWrite::Written(_))) => stage.count("written"),
            Ok(Ok(DataWrite::Pending)) => stage.count("pending"),
            Ok(Err(error)) => stage.note(format_args!("{path}: {error}")),
            Err(_) => stage.count("given up"),
        }
        sleep(Duration::from_millis(rng.u64(1..1_000))).await;
    }
    if let Some(Ok(path)) = stage.soon("a member", wait_created(&node)).await {
        members
            .lock()
            .unwrap()
            .insert(format!("/app{path}"), Member { client, node });
    }
    drop(watcher);
}

/// Refusals pass: servers without a quorum refuse, too.
async fn wait_created(node: &PersistentNode) -> zk_recipes::Result<String> {
    loop {
        match node.wait_created().await {
            Err(error) if error.path().is_some() => sleep(Duration::from_millis(100)).await,
            created => return created,
        }
    }
}

/// Members that join and leave, in every way.
async fn come_and_go(stage: Arc<Stage>, client: Client) {
    let mut rng = stage.rng();
    let party = Party::new(&client, GROUP).identifier("party");
    let shallow = ShallowParty::new(&client, GROUP).identifier("shallow");
    while Instant::now() < stage.end() {
        let limit = Duration::from_millis(rng.u64(1..3_000));
        let joining = async {
            match rng.bool() {
                true => party.join().await,
                false => shallow.join().await,
            }
        };
        let Ok(joined) = timeout(limit, joining).await else {
            stage.count("given up");
            continue;
        };
        let Ok(membership) = joined else {
            stage.count("refused");
            continue;
        };
        stage.count("joined");
        sleep(Duration::from_millis(rng.u64(1..2_000))).await;
        match rng.u8(0..3) {
            0 => stage.count("dropped"),
            1 => {
                let limit = Duration::from_millis(rng.u64(1..500));
                drop(timeout(limit, membership.leave()).await);
                stage.count("dropped");
            }
            _ => match membership.leave().await {
                Ok(()) => stage.count("left"),
                Err(error) => stage.violation(format!("a member cannot leave: {error}")),
            },
        }
    }
}
