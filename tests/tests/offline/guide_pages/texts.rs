//! Each text of an error on the page about troubleshooting is provoked, and each that is provoked is on
//! the page.

#![allow(
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test"
)]

use std::pin::Pin;

use tokio::task::JoinSet;

use super::page::{blocks, normal};
use super::symptoms;

const PAGE: &str = include_str!("../../../../crates/zk-recipes/src/guide/troubleshooting.md");

/// How often a scene is played: on a busy machine an attempt to connect can fail for another reason than
/// the one that the scene is about.
const ATTEMPTS: usize = 5;

/// Provokes an error and returns its text.
pub(super) type Scene = Box<dyn Fn() -> Pin<Box<dyn Future<Output = String> + Send>> + Send>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn symptoms_have_the_texts_of_errors() {
    let shown: Vec<_> = blocks(PAGE, "text").iter().map(|it| normal(it)).collect();
    let mut playing = JoinSet::new();
    for scene in symptoms::all() {
        let shown = shown.clone();
        playing.spawn(async move {
            let mut text = String::new();
            for _ in 0..ATTEMPTS {
                text = scene().await;
                let provoked = normal(&text);
                let is_in = |(at, block): (usize, &String)| provoked.contains(block).then_some(at);
                let blocks: Vec<_> = shown.iter().enumerate().filter_map(is_in).collect();
                if !blocks.is_empty() {
                    return Ok(blocks);
                }
            }
            Err(text)
        });
    }
    let (mut provoked, mut missing) = (vec![false; shown.len()], Vec::new());
    for played in playing.join_all().await {
        match played {
            Ok(blocks) => blocks.into_iter().for_each(|at| provoked[at] = true),
            Err(text) => missing.push(text),
        }
    }
    let unprovoked: Vec<_> = (shown.iter().zip(&provoked))
        .filter_map(|(text, provoked)| (!provoked).then_some(text.as_str()))
        .collect();
    assert!(
        missing.is_empty() && unprovoked.is_empty(),
        "not on the page:\n\n{}\n\nnot provoked:\n\n{}",
        missing.join("\n\n"),
        unprovoked.join("\n\n")
    );
}
