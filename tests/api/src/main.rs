//! Lists the public API of a crate, one item a line, from what rustdoc describes as JSON.

use std::collections::HashSet;
use std::process::ExitCode;

use public_api::{Builder, PublicApi};

/// No part of the API: for fuzzing, and pages of the documentation.
const OTHERS: [&str; 2] = ["zk_client::testkit", "zk_recipes::guide"];
/// What a type keeps or loses without a line of code about it.
const AUTO_TRAITS: [&str; 3] = ["marker::Send", "marker::Sync", "marker::Unpin"];

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: zk-api-list FILE.json");
        return ExitCode::from(2);
    };
    match list(&path) {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list(path: &str) -> public_api::Result<Vec<String>> {
    let items = |api: PublicApi| api.items().map(ToString::to_string).collect::<Vec<_>>();
    let builder = || {
        Builder::from_rustdoc_json(path)
            .sorted(true)
            .omit_blanket_impls(true)
    };
    let written = builder()
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true);
    let written: HashSet<_> = items(written.build()?).into_iter().collect();
    let mut lines = items(builder().build()?);
    lines.retain(|line| {
        !OTHERS.iter().any(|other| line.contains(other))
            && (written.contains(line) || is_notable(line))
    });
    Ok(lines)
}

/// Of a derived trait the line that says so, and not its methods; of an auto trait only that a type lacks it, or
/// has it under a condition.
fn is_notable(line: &str) -> bool {
    if !line.starts_with("impl") {
        return false;
    }
    let is_auto = AUTO_TRAITS.iter().any(|name| line.contains(name));
    let is_other_auto = ["UnwindSafe", "marker::Freeze"]
        .iter()
        .any(|name| line.contains(name));
    match is_auto {
        true => line.contains('!') || line.contains(" where "),
        false => !is_other_auto && !line.contains("marker::StructuralPartialEq"),
    }
}
