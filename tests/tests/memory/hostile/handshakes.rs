//! What a hostile server says instead of granting a session.

use std::time::Duration;

use zk_proto::records::ConnectResponse;
use zk_proto::{SessionId, SessionPassword, xid};

use super::scripts::{Ask, Expect, LIMIT, Script, not_connected, works};
use super::server::Act::{Dribble, Hold, Receive, Repeat, Say};
use super::server::{encoded, framed, grant, reply};

const FOREIGN: &str = "does not speak the ZooKeeper protocol";
const UNANSWERED: &str = "without answering the handshake";
const LATE: &str = "the handshake was not answered within 1000 ms";

/// The first frame is `answer`.
fn answered(name: &'static str, answer: &ConnectResponse, said: &'static str) -> Script {
    delivered(name, framed(&encoded(answer)), said)
}

/// The first bytes are these.
fn delivered(name: &'static str, bytes: Vec<u8>, said: &'static str) -> Script {
    not_connected(name, vec![Receive, Say(bytes), Hold], said)
}

/// The first bytes are these, and say that no other will do.
fn hopeless(name: &'static str, bytes: Vec<u8>, said: &'static str) -> Script {
    let mut script = delivered(name, bytes, said);
    script.expect = Expect::Hopeless(said);
    script
}

/// A session is granted with these bytes, and works.
fn granted(name: &'static str, bytes: Vec<u8>) -> Script {
    let script = vec![Receive, Say(bytes)];
    works(name, Ask::Set, script)
}

/// A connect response with this instead of the password, length included.
fn password(bytes: &[u8]) -> Vec<u8> {
    let whole = encoded(&grant());
    framed(&[&whole[..16], bytes, &[0]].concat())
}

pub fn scripts() -> Vec<Script> {
    let whole = encoded(&grant());
    let timeout = |timeout_ms| ConnectResponse {
        timeout_ms,
        ..grant()
    };
    let refused = "it refused a new session";
    let mut scripts = vec![
        delivered("a frame of 2 GiB", vec![0x7f, 0xff, 0xff, 0xff], FOREIGN),
        delivered("a frame of -1 bytes", vec![0xff; 4], "negative length -1"),
        delivered(
            "a frame of the least length",
            vec![0x80, 0, 0, 0],
            "negative length -2147483648",
        ),
        delivered("an empty frame", vec![0; 4], FOREIGN),
        not_connected("half a length", vec![Receive, Say(vec![0; 2])], UNANSWERED),
        not_connected(
            "half a frame",
            vec![Receive, Say(framed(&whole)[..20].to_vec())],
            UNANSWERED,
        ),
        delivered("a short record", framed(&whole[..30]), FOREIGN),
        delivered("a reply first", reply(1, 1, 0, &[]), FOREIGN),
        delivered(
            "a notification first",
            reply(xid::NOTIFICATION, 1, 0, &[0; 12]),
            FOREIGN,
        ),
        delivered("a pong first", reply(xid::PING, 1, 0, &[]), FOREIGN),
        delivered(
            "a verdict on credentials first",
            reply(xid::AUTH, 0, 0, &[]),
            FOREIGN,
        ),
        answered(
            "session 0",
            &ConnectResponse {
                session_id: SessionId::NONE,
                ..grant()
            },
            refused,
        ),
        answered("a session of 0 ms", &timeout(0), refused),
        answered("a session of -1 ms", &timeout(-1), refused),
        answered("a session of the least time", &timeout(i32::MIN), refused),
        answered(
            "a session of 1 ms",
            &timeout(1),
            "it granted a session of 1 ms",
        ),
        answered(
            "a session of 24 days",
            &timeout(i32::MAX),
            "it granted a session of 2147483647 ms",
        ),
        answered(
            "a read-only session",
            &ConnectResponse {
                read_only: true,
                ..grant()
            },
            "it is read-only",
        ),
        delivered("no password", password(&[0xff; 4]), "unexpected null"),
        answered(
            "a password of 1 MiB",
            &ConnectResponse {
                password: SessionPassword::new(vec![7; 1 << 20].into()),
                ..grant()
            },
            FOREIGN,
        ),
        answered(
            "a password of as much as a handshake may have",
            &ConnectResponse {
                password: SessionPassword::new(vec![7; 64 << 10].into()),
                ..grant()
            },
            "its handshake is 65557 bytes long",
        ),
        delivered(
            "a password longer than the frame",
            password(&[0x7f, 0xff, 0xff, 0xff]),
            "needs 2147483647 bytes",
        ),
        delivered(
            "a password of -2 bytes",
            password(&[0xff, 0xff, 0xff, 0xfe]),
            "impossible length -2",
        ),
        delivered(
            "a web page",
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            "HTTP/1.1 400",
        ),
        hopeless("an alert of TLS", vec![21, 3, 3, 0, 2, 2, 70], "TLS"),
        not_connected(
            "text without end, as of a four-letter word",
            vec![
                Receive,
                Repeat(b"zk_version\t3.9.5\n".repeat(4096), 16 * 1024),
            ],
            "begins with \"zk_version",
        ),
        delivered(
            "one byte more than the limit",
            (u32::try_from(LIMIT).unwrap() + 1).to_be_bytes().to_vec(),
            FOREIGN,
        ),
        delivered(
            "a frame of the limit",
            framed(&vec![0; LIMIT]),
            "its handshake is 262144 bytes long",
        ),
        not_connected("nothing, and closes", vec![], UNANSWERED),
        not_connected("closes on the request", vec![Receive], UNANSWERED),
        not_connected("never a word", vec![Hold], LATE),
        granted("no word on read-only", framed(&whole[..36])),
        granted(
            "a field more than known",
            framed(&[&whole[..], &[0; 4]].concat()),
        ),
        granted("an empty password", password(&[0; 4])),
        granted(
            "another version of the protocol",
            framed(&encoded(&ConnectResponse {
                protocol_version: i32::MAX,
                ..grant()
            })),
        ),
        granted("a session with a negative id", {
            framed(&encoded(&ConnectResponse {
                session_id: SessionId(i64::MIN),
                ..grant()
            }))
        }),
    ];
    // A frame that never comes to an end, a byte at a time.
    let mut dribble = framed(&vec![0; LIMIT]);
    dribble.truncate(64);
    scripts.push(not_connected(
        "a handshake without end",
        vec![
            Receive,
            Say(dribble),
            Dribble(vec![0], Duration::from_millis(10)),
        ],
        LATE,
    ));
    scripts
}
