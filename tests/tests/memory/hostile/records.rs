//! Replies whose records are wrong: the request fails, and no other.

use zk_proto::Stat;
use zk_proto::records::{MultiHeader, MultiResult, StatResponse};

use super::scripts::{Ask, Script, malformed};
use super::server::encoded;

fn stat() -> Vec<u8> {
    encoded(&StatResponse {
        stat: Stat::default(),
    })
}

/// This many, and then these bytes, and a stat.
fn counted(count: i32, bytes: &[u8]) -> Vec<u8> {
    [&count.to_be_bytes(), bytes, &stat()].concat()
}

/// One text of so many bytes.
fn text(len: i32, bytes: &[u8]) -> Vec<u8> {
    [&len.to_be_bytes(), bytes].concat()
}

/// These results, and an end.
fn results(results: &[MultiResult]) -> Vec<u8> {
    let mut out: Vec<u8> = results.iter().flat_map(|result| encoded(result)).collect();
    out.extend(encoded(&MultiHeader::END));
    out
}

fn of_strings() -> Vec<Script> {
    vec![
        malformed(
            "data longer than the frame",
            Ask::Get,
            counted(i32::MAX, b"x"),
        ),
        malformed("data of -2 bytes", Ask::Get, counted(-2, b"")),
        malformed("data in place of a stat", Ask::Get, text(5, b"hello")),
        malformed("2^31 - 1 children", Ask::Children, counted(i32::MAX, b"")),
        malformed("-2 children", Ask::Children, counted(-2, b"")),
        malformed(
            "more children than there is room for",
            Ask::Children,
            counted(5, &text(1, b"a")),
        ),
        malformed(
            "a child longer than the frame",
            Ask::Children,
            counted(1, &text(1 << 30, b"a")),
        ),
        malformed(
            "a child of -2 bytes",
            Ask::Children,
            counted(1, &text(-2, b"")),
        ),
        malformed("a null child", Ask::Children, counted(1, &text(-1, b""))),
        malformed(
            "a child that is no text",
            Ask::Children,
            counted(1, &text(2, &[0xc3, 0x28])),
        ),
        malformed(
            "a created path that is no text",
            Ask::Create,
            [text(4, &[b'/', 0xff, 0xfe, 0xfd]), stat()].concat(),
        ),
        malformed(
            "a created path longer than the frame",
            Ask::Create,
            text(i32::MAX, b"/a"),
        ),
        malformed(
            "no created path",
            Ask::Create,
            [text(-1, b""), stat()].concat(),
        ),
        malformed("2^31 - 1 ACLs", Ask::Acl, counted(i32::MAX, b"")),
        malformed(
            "an ACL of an id that is no text",
            Ask::Acl,
            counted(1, &[&[0, 0, 0, 31][..], &text(2, &[0xed, 0xa0])].concat()),
        ),
    ]
}

fn of_transactions() -> Vec<Script> {
    use MultiResult::{Check, Create, Delete, Error, SetData};
    let path = || "/a".to_owned();
    let good = || vec![Check, Create { path: path() }, Delete];
    let header = |op: i32| {
        let header = MultiHeader {
            op,
            done: false,
            err: 0,
        };
        encoded(&header)
    };
    let mut more = good();
    more.push(Check);
    let mut endless = results(&good());
    endless.truncate(endless.len() - MultiHeader::LEN);
    let set = SetData {
        stat: Stat::default(),
    };
    let data = MultiResult::GetData {
        data: None,
        stat: Stat::default(),
    };
    vec![
        malformed("no results", Ask::Multi, results(&[])),
        malformed("a result too few", Ask::Multi, results(&good()[..2])),
        malformed("a result too many", Ask::Multi, results(&more)),
        malformed(
            "a result of another kind",
            Ask::Multi,
            results(&[Check, set, Delete]),
        ),
        malformed(
            "results in another order",
            Ask::Multi,
            results(&[Delete, Create { path: path() }, Check]),
        ),
        malformed("results without end", Ask::Multi, endless),
        malformed(
            "results that never end",
            Ask::Multi,
            header(13).repeat(20_000),
        ),
        malformed("a result of an unknown kind", Ask::Multi, header(4711)),
        malformed(
            "the result of a read in a transaction",
            Ask::Multi,
            results(&[data.clone(), Create { path: path() }, Delete]),
        ),
        malformed(
            "a failure that is none",
            Ask::Multi,
            results(&[Error(0), Error(0), Error(0)]),
        ),
        malformed("a transaction without a body", Ask::Multi, vec![]),
        malformed(
            "the result of a write among reads",
            Ask::MultiRead,
            results(&[data.clone(), Delete]),
        ),
        malformed(
            "data in place of children",
            Ask::MultiRead,
            results(&[data.clone(), data]),
        ),
        malformed(
            "reads refused without a reason",
            Ask::MultiRead,
            results(&[Error(0), Error(0)]),
        ),
    ]
}

pub fn scripts() -> Vec<Script> {
    let mut scripts = of_strings();
    scripts.extend(of_transactions());
    scripts
}
