//! `export --resume`.

use std::fs;

use crate::common::Served;
use crate::support::{Scratch, block_on, odd_tree, operand, paths};

/// Wherever it was cut, it is continued to the end, and no znode is missing or there twice.
/// Guards: P62.
#[test]
fn a_cut_export_goes_on() {
    let zk = Served::start();
    let client = block_on(odd_tree(&zk));
    zk.done(&["create", "/app/a/secret", "v", "--acl", "ip:10.9.9.9:r"]);
    zk.done(&["create", "-p", "/app/a/z/z", "v"]);
    let (_, whole, _) = zk.run(&["export", "/app"]);
    let whole: Vec<_> = whole.lines().collect();
    let scratch = Scratch::new("resume");
    for cut in 1..whole.len() {
        let text: String = whole[..cut]
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        let rest = &whole[cut][..whole[cut].len() / 2];
        let file = scratch.file("tree", &format!("{text}{rest}"));
        let begun = zk.run(&["export", "/app", "--resume", &file]);
        assert_eq!((begun.0, &*begun.1), (Some(1), ""), "{cut}: {}", begun.2);
        assert!(begun.2.contains("/app/a/secret: "), "{cut}: {}", begun.2);
        let written = fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = written.lines().collect();
        // The first line has the time.
        assert_eq!(lines[1..], whole[1..], "{cut}");
        let (code, _, stderr) = zk.run(&["export", "--resume", &file]);
        assert_eq!(code, Some(1));
        assert!(stderr.contains("the export is complete"), "{stderr}");
        assert_eq!(fs::read_to_string(&file).unwrap(), written);
    }
    drop(client);
}

/// What is below a znode with unread data is there, also if the cut is behind its line; of one whose children cannot
/// be listed, nothing is.
#[test]
fn a_resumed_export_lists_an_unread_znode() {
    let zk = Served::start();
    for path in ["/app/a", "/app/big/b/c", "/app/secret/d", "/app/z"] {
        zk.done(&["create", "-p", path, "v"]);
    }
    zk.done(&["set", "/app/big", &"x".repeat(5000)]);
    zk.done(&["acl", "set", "/app/secret", "ip:10.9.9.9:r"]);
    zk.fill("/app/wide", (0..300).map(|n| format!("a-long-name-{n}")));
    let export = ["--max-reply-bytes", "4K", "export", "/app"];
    let (code, whole, stderr) = zk.run(&export);
    assert_eq!(code, Some(1), "{stderr}");
    let all = ["/app", "/app/a", "/app/big", "/app/big/b", "/app/big/b/c"];
    let all = [&all[..], &["/app/secret", "/app/wide", "/app/z"]].concat();
    assert_eq!(paths(&whole), all);
    let whole: Vec<_> = whole.lines().collect();
    let scratch = Scratch::new("unread-resumed");
    for cut in 1..whole.len() {
        let text = whole[..cut].join("\n");
        let file = scratch.file("tree", &format!("{text}\n"));
        let (code, _, stderr) = zk.run(&[&export[..], &["--resume", &file]].concat());
        assert_eq!(code, Some(1), "{cut}: {stderr}");
        let written = fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = written.lines().collect();
        assert_eq!(lines[1..], whole[1..], "{cut}");
    }
}

#[test]
fn another_file_is_not_continued() {
    let zk = Served::start();
    zk.done(&["create", "-p", "/app/a/b", "v"]);
    let scratch = Scratch::new("not-continued");
    let export = zk.done(&["export", "/app"]);
    let cut: String = export.lines().take(2).map(|it| format!("{it}\n")).collect();
    for (content, word) in [
        (&*cut, "of /app, not of /app/a"),
        ("notes\n", "line 1"),
        ("notes", "not the beginning of an export"),
    ] {
        let file = scratch.file("other", content);
        let (code, stdout, stderr) = zk.run(&["export", "/app/a", "--resume", &file]);
        assert_eq!((code, &*stdout), (Some(1), ""), "{stderr}");
        assert!(stderr.contains(&file) && stderr.contains(word), "{stderr}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
    let new = scratch.0.join("new");
    let new = new.to_str().unwrap();
    assert_eq!(zk.done(&["export", "/app", "--resume", new]), "");
    let lines = fs::read_to_string(new).unwrap();
    assert!(lines.lines().skip(1).eq(export.lines().skip(1)), "{lines}");
    let no_place = scratch.0.join("no/place");
    let (code, _, stderr) = zk.run(&["export", "--resume", no_place.to_str().unwrap()]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("no/place"), "{stderr}");
}

/// After a cut, what changes below the znodes that are there already is not seen, and the rest is as it is then.
#[test]
fn a_resumed_export_has_the_rest_as_it_is() {
    let zk = Served::start();
    for path in ["/app/a/1", "/app/b/1", "/app/c/1"] {
        zk.done(&["create", "-p", path, "old"]);
    }
    let export = zk.done(&["export", "/app"]);
    let cut: String = export.lines().take(5).map(|it| format!("{it}\n")).collect();
    assert!(
        cut.contains("/app/b\"") && !cut.contains("/app/b/1"),
        "{cut}"
    );
    let scratch = Scratch::new("rest");
    let file = scratch.file("tree", &cut);
    zk.done(&["delete", "-r", "/app/b"]);
    zk.done(&["set", "/app/c/1", "new"]);
    zk.done(&["create", "/app/d", "new"]);
    zk.done(&["create", "/app/a/2", "unseen"]);
    zk.done(&["export", "--resume", &file]);
    let paths = paths(&fs::read_to_string(&file).unwrap());
    let expected = [
        "/app", "/app/a", "/app/a/1", "/app/b", "/app/c", "/app/c/1", "/app/d",
    ];
    assert_eq!(paths, expected);
    assert_eq!(zk.run(&["diff", &operand(&file), "/app"]).0, Some(1));
}
