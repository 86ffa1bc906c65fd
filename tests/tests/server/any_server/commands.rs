//! Four-letter words: every word that a server may answer, read by its reader.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::net::SocketAddr;
use std::time::Duration;

use zk_client::admin::{self, AdminError, ServerMode, ServerStatus, SessionDump};
use zk_client::{Client, ErrorKind, HostPort, Outcome};

use crate::common::server::is_keeper;
use crate::common::{client, soon};

async fn answer_to(zk: &Client, word: &str) -> String {
    soon(word, async { zk.command(word).await.unwrap().text }).await
}

#[tokio::test]
async fn every_word_has_a_reader() {
    let zk = client().await;
    let session = zk.session().id;
    zk.create("/e", "").ephemeral().await.unwrap();
    let _watch = zk.get("/e").watch().await.unwrap();
    let full = format!("{}/e", zk.root());
    let has_mine = |sessions: &[zk_client::SessionId]| sessions.contains(&session);

    assert_eq!(admin::ruok(&answer_to(&zk, "ruok").await), Ok(()));
    assert_eq!(admin::isro(&answer_to(&zk, "isro").await), Ok(false));
    for word in ["srvr", "stat"] {
        let status: ServerStatus = answer_to(&zk, word).await.parse().unwrap();
        assert!(status.release().is_some(), "{status:?}");
        assert!(!matches!(status.mode, None | Some(ServerMode::Other(_))));
        assert_eq!(status.unreadable, []);
    }
    let metrics = admin::mntr(&answer_to(&zk, "mntr").await).unwrap();
    assert!(metrics.get("zk_znode_count").is_some());
    assert_eq!(metrics.unreadable(), []);
    for word in ["conf", "envi"] {
        let read = admin::properties(&answer_to(&zk, word).await).unwrap();
        assert_eq!(read.unreadable(), [], "{word}");
    }
    let connections = admin::connections(&answer_to(&zk, "cons").await).unwrap();
    let sessions: Vec<_> = connections.iter().filter_map(|c| c.session()).collect();
    assert!(has_mine(&sessions), "{connections:?}");
    assert_eq!(connections.unreadable(), []);

    let dump: SessionDump = answer_to(&zk, "dump").await.parse().unwrap();
    let sessions: Vec<_> = dump.sessions.iter().map(|s| s.session).collect();
    assert!(has_mine(&sessions), "{dump:?}");
    let mine = dump.ephemerals.iter().find(|of| of.session == session);
    assert_eq!(mine.unwrap().paths, [&*full]);
    // Another test has a path with a line feed, whose rest the server writes on a line of its own.
    assert!(admin::wchs(&answer_to(&zk, "wchs").await).unwrap().watches >= 1);
    let by_session = admin::wchc(&answer_to(&zk, "wchc").await).unwrap();
    let mine = by_session.iter().find(|of| of.session == session);
    assert!(mine.unwrap().paths.contains(&full));
    let by_path = admin::wchp(&answer_to(&zk, "wchp").await).unwrap();
    let watchers = by_path.iter().find(|of| of.path == full);
    assert!(has_mine(&watchers.unwrap().sessions));
    zk.close().await.unwrap();
}

#[tokio::test]
async fn words_of_some_servers() {
    let zk = client().await;
    if is_keeper() {
        let version = admin::apiv(&answer_to(&zk, "apiv").await);
        let features = admin::mntr(&answer_to(&zk, "ftfl").await);
        // Keeper of 2022 knows neither word.
        if zk.server_version().await.unwrap().major > 22 {
            assert!(version.is_ok(), "{version:?}");
            assert!(features.unwrap().get("multi_read").is_some());
        } else {
            assert_eq!(version, Err(AdminError::Empty));
        }
    } else {
        assert!(admin::trace_mask(&answer_to(&zk, "gtmk").await).is_ok());
        let version = zk.server_version().await.unwrap();
        // Older servers do not know the word and end the connection.
        if (version.major, version.minor) >= (3, 5) {
            admin::dirs(&answer_to(&zk, "dirs").await).unwrap();
        }
    }
    zk.close().await.unwrap();
}

#[tokio::test]
async fn all_servers_answer_at_once() {
    let zk = client().await;
    let served: HostPort = zk.server().unwrap();
    let answers = zk.command("srvr").all().await.unwrap();
    let own = answers.iter().find(|one| one.server == served).unwrap();
    let status: ServerStatus = own.answer.as_ref().unwrap().parse().unwrap();
    assert_eq!(status.release(), Some(zk.server_version().await.unwrap()));
    let same = zk.command("ruok").at(served.clone()).await.unwrap();
    assert_eq!(admin::ruok(&same), Ok(()));
    let address: SocketAddr = served.to_string().parse().unwrap();
    let same = zk.command("ruok").at(served.clone()).address(address).await;
    assert_eq!(admin::ruok(&same.unwrap()), Ok(()));
    // An address that the name does not have.
    let other = SocketAddr::from(([127, 9, 9, 9], served.port));
    let error = zk
        .command("ruok")
        .at(served)
        .address(other)
        .await
        .unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent);

    // A port that refuses: the word has not been sent.
    let refusing = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let at = refusing.to_string().parse().unwrap();
    let error = zk.command("ruok").at(at).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert!(error.to_string().contains(&refusing.to_string()), "{error}");
    // One that accepts connections and writes nothing.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = mute.local_addr().unwrap().to_string().parse().unwrap();
    let command = zk
        .command("ruok")
        .at(at)
        .deadline(Duration::from_millis(50));
    let error = command.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    for invalid in ["", "srv", "srvrs", "SRVR", "sr r", "stmk"] {
        let error = zk.command(invalid).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{invalid}");
        assert!(zk.command(invalid).all().await.is_err());
    }
    assert_eq!(admin::ruok(""), Err(AdminError::Empty));
    zk.close().await.unwrap();
}
