//! A session that goes from kazoo to this client, and the other way.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use zk_client::{SessionId, SessionToken};

use crate::common::{blocking, builder, client_of, shared_server, soon, until};
use crate::mixed_fleets::foreigner::kazoo_script;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_moves_between_kazoo_and_ours() {
    let hosts = blocking(|| shared_server().connect_string());
    let witness = client_of(&hosts).await;
    let root = format!("{hosts}{}", witness.root());
    let mut theirs = kazoo_script("session.py", &[&*root]);
    let line = theirs.line().await;
    let words: Vec<_> = line.split(' ').collect();
    let ["session", id, password] = words[..] else {
        panic!("{line}");
    };
    let id = SessionId(id.parse().unwrap());
    let password: Vec<u8> = (0..password.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&password[at..at + 2], 16).unwrap())
        .collect();
    theirs.kill().await;
    let token = SessionToken::new(id, password);
    let resuming = builder(&*root).resume(token);
    let zk = soon("kazoo's session", resuming).await.unwrap();
    let stat = zk.exists("/theirs").synced().await.unwrap().unwrap();
    assert_eq!((zk.session().id, stat.owner()), (id, Some(id)));

    zk.create("/ours", "").ephemeral().await.unwrap();
    let token = zk.session_token().unwrap();
    zk.detach().unwrap();
    let password = token.expose_password().iter();
    let password: String = password.map(|byte| format!("{byte:02x}")).collect();
    let arguments = [root, token.session().0.to_string(), password];
    let mut theirs = kazoo_script("session.py", &arguments);
    theirs.receive("resumed").await;
    assert!(witness.exists("/theirs").synced().await.unwrap().is_some());
    theirs.go();
    theirs.receive("done").await;
    until("the session has ended", || async {
        let theirs = witness.exists("/theirs").synced().await.unwrap();
        let ours = witness.exists("/ours").synced().await.unwrap();
        theirs.is_none() && ours.is_none()
    })
    .await;
}
