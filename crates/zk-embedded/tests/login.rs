//! Authentication: the scheme `ensemble`, SASL, and servers with enforced schemes.

// Clippy exempts `#[test]` functions from these lints, but not their helpers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod raw;

use raw::{Raw, create};
use zk_embedded::{Options, Pose, SaslUsers, Server};
use zk_proto::records::*;
use zk_proto::*;
use zk_transport::sasl::{Digest, DigestMd5, Mechanism, Step};

async fn server(change: impl FnOnce(&mut Options)) -> Server {
    let mut options = Options::default();
    change(&mut options);
    let builder = Server::builder().options(options).in_memory();
    builder.start().await.unwrap()
}

/// Logs in with DIGEST-MD5. Returns the code of the server's last reply, and whether the reply was its
/// proof.
async fn login(raw: &mut Raw, user: &str, password: &str) -> (i32, bool) {
    let mut client = DigestMd5::new(&Digest::new(user, password), "cnonce");
    let mut challenge = None;
    loop {
        let token = match client.step(challenge.as_deref()) {
            Ok(Step::Respond(token)) => token,
            other => return (0, other == Ok(Step::Done)),
        };
        let token = Some(token.as_slice());
        let reply = raw.call(OpCode::Sasl, &SaslRequest { token }).await;
        if reply.err != 0 {
            assert_eq!(reply.body_len(), 4, "a null token");
            return (reply.err, false);
        }
        challenge = reply.body::<SaslResponse>().token;
    }
}

fn bob() -> Option<SaslUsers> {
    Some(SaslUsers::new([("bob", "canary"), ("eve", "other")]))
}

#[tokio::test]
async fn another_ensembles_name_closes() {
    let named = server(|options| options.ensemble_names = Some(vec!["a".into(), "b".into()])).await;
    let any = server(|options| options.ensemble_names = Some(Vec::new())).await;
    for (server, name) in [(&named, "a"), (&named, "b"), (&named, ""), (&any, "c")] {
        let mut raw = Raw::new(server).await;
        assert_eq!(raw.auth("ensemble", name.as_bytes()).await.err, 0, "{name}");
        // It adds no identity.
        let identities: WhoAmIResponse = raw.call(OpCode::WhoAmI, &raw::Nothing).await.body();
        assert_eq!(identities.clients.len(), 1);
    }
    let mut raw = Raw::new(&named).await;
    let request = AuthRequest {
        auth_type: 0,
        scheme: "ensemble",
        auth: Some(b"c"),
    };
    raw.send(xid::AUTH, OpCode::Auth.code(), &request).await;
    assert!(raw.closed().await, "without an answer");
    let unknown = server(|_| {}).await;
    let mut raw = Raw::new(&unknown).await;
    assert_eq!(
        raw.auth("ensemble", b"a").await.err,
        ErrorCode::AuthFailed.code()
    );
}

#[tokio::test]
async fn a_sasl_user_is_an_identity_for_acls() {
    let server = server(|options| options.sasl_users = bob()).await;
    let mut raw = Raw::new(&server).await;
    assert_eq!(login(&mut raw, "bob", "canary").await, (0, true));
    let acl = vec![Acl::new(Permissions::ALL, "sasl", "bob")];
    let request = CreateRequest {
        acl: acl.clone().into(),
        ..create("/bobs", CreateMode::Persistent)
    };
    assert_eq!(raw.call(OpCode::Create, &request).await.err, 0);
    assert_eq!(raw.get("/bobs", false).await.err, 0);
    let request = CreateRequest {
        acl: Acl::creator_all().into(),
        ..create("/creators", CreateMode::Persistent)
    };
    assert_eq!(raw.call(OpCode::Create, &request).await.err, 0);
    assert_eq!(server.node("/creators").unwrap().acl, acl);
    let mut eve = Raw::new(&server).await;
    assert_eq!(login(&mut eve, "eve", "other").await, (0, true));
    assert_eq!(eve.get("/bobs", false).await.err, ErrorCode::NoAuth.code());
}

#[tokio::test]
async fn a_failed_login_closes_the_connection() {
    for (enforced, code) in [
        (vec![], ErrorCode::AuthFailed),
        (
            vec!["sasl".to_owned()],
            ErrorCode::SessionClosedRequireSaslAuth,
        ),
    ] {
        let server = server(|options| {
            options.sasl_users = bob();
            options.enforce_auth = enforced;
        });
        let server = server.await;
        let mut raw = Raw::new(&server).await;
        assert_eq!(login(&mut raw, "bob", "wrong").await, (code.code(), false));
        assert!(raw.closed().await);
    }
}

#[tokio::test]
async fn enforced_schemes_refuse_other_clients() {
    for scheme in ["sasl", "digest"] {
        let server = server(|options| {
            options.sasl_users = bob();
            options.enforce_auth = vec![scheme.to_owned()];
        });
        let server = server.await;
        let refused = ErrorCode::SessionClosedRequireSaslAuth.code();
        let mut raw = Raw::new(&server).await;
        let reply = raw.get("/", false).await;
        assert_eq!((reply.err, reply.zxid), (refused, 0));
        assert!(raw.closed().await);
        let mut raw = Raw::new(&server).await;
        assert_eq!(raw.ping().await.unwrap().err, refused, "a ping too");
        let mut raw = Raw::new(&server).await;
        match scheme {
            "sasl" => assert_eq!(login(&mut raw, "bob", "canary").await, (0, true)),
            _ => assert_eq!(raw.auth("digest", b"a:b").await.err, 0),
        }
        assert_eq!(raw.get("/", false).await.err, 0);
    }
}

#[tokio::test]
async fn without_sasl_its_acls_are_invalid() {
    let server = server(|_| {}).await;
    let mut raw = Raw::new(&server).await;
    let request = CreateRequest {
        acl: vec![Acl::new(Permissions::ALL, "sasl", "bob")].into(),
        ..create("/bobs", CreateMode::Persistent)
    };
    let reply = raw.call(OpCode::Create, &request).await;
    assert_eq!(reply.err, ErrorCode::InvalidAcl.code());
    let token = Some(&b""[..]);
    let reply = raw.call(OpCode::Sasl, &SaslRequest { token }).await;
    assert_eq!(reply.body::<SaslResponse>().token, None);
    assert!(!format!("{:?}", bob()).contains("canary"));
}

#[tokio::test]
async fn acls_can_be_stored_unchecked() {
    for skip_acl in [false, true] {
        let server = server(|options| options.skip_acl = skip_acl).await;
        let mut bob = Raw::new(&server).await;
        bob.auth("digest", b"bob:secret").await;
        let request = CreateRequest {
            acl: Acl::creator_all().into(),
            ..create("/bobs", CreateMode::Persistent)
        };
        assert_eq!(bob.call(OpCode::Create, &request).await.err, 0);
        let mut anyone = Raw::new(&server).await;
        let reply = anyone.get("/bobs", false).await;
        assert_eq!(reply.err == 0, skip_acl);
        assert_eq!(anyone.set("/bobs", b"", -1).await.err == 0, skip_acl);
        assert_eq!(server.node("/bobs").unwrap().acl.len(), 1);
        let identities: WhoAmIResponse = anyone.call(OpCode::WhoAmI, &raw::Nothing).await.body();
        assert_eq!(identities.clients.len(), 1);
        // `auth` stands for no proven identity.
        let reply = anyone.call(OpCode::Create, &request).await;
        assert_eq!(reply.err, ErrorCode::InvalidAcl.code());
    }
}

#[tokio::test]
async fn skip_acl_proves_nothing_on_keeper() {
    for pose in [Pose::KeeperOld, Pose::KeeperNew] {
        let server = server(|options| {
            options.skip_acl = true;
            options.pose = pose;
        });
        let server = server.await;
        let mut raw = Raw::new(&server).await;
        let request = CreateRequest {
            acl: Acl::creator_all().into(),
            ..create("/bobs", CreateMode::Persistent)
        };
        let reply = raw.call(OpCode::Create, &request).await;
        assert_eq!(reply.err, ErrorCode::InvalidAcl.code());
        raw.auth("digest", b"bob:secret").await;
        assert_eq!(raw.call(OpCode::Create, &request).await.err, 0);
        let acl = server.node("/bobs").unwrap().acl;
        assert!(
            acl.iter().all(|entry| entry.id.scheme == "digest"),
            "{acl:?}"
        );
    }
}
