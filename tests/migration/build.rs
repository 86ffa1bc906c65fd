//! Takes the programs from the pages of the guide, so that a page and what is compiled cannot differ: the
//! blocks of each page that are marked as `text`, one after the other, in one file.

use std::path::Path;
use std::{env, fs};

const PAGES: [&str; 4] = [
    "tokio_zookeeper",
    "zookeeper",
    "zookeeper_async",
    "zookeeper_client",
];

fn main() {
    let pages =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/zk-recipes/src/guide/migration");
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    for page in PAGES {
        let path = pages.join(format!("{page}.md"));
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read_to_string(&path).expect("a page of the guide");
        let blocks = text.split("\n```text\n").skip(1);
        let blocks: Vec<_> = blocks
            .filter_map(|rest| Some(rest.split_once("\n```")?.0))
            .collect();
        let count = blocks.len();
        let program = format!("{{\n{}\n{count}\n}}\n", blocks.join("\n\n"));
        fs::write(Path::new(&out).join(format!("{page}.rs")), program).expect("OUT_DIR");
    }
}
