//! The README's example is one that compiles.

#[test]
fn the_example_of_the_readme_is_the_one_that_compiles() {
    let readme = include_str!("../../README.md");
    let example = include_str!("../../crates/zk-recipes/examples/readme.rs");
    let shown = readme
        .split("```rust\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let compiled = example
        .split("// README: begin\n")
        .nth(1)
        .unwrap()
        .split("    // README: end")
        .next()
        .unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    // The formatter breaks lines where a reader would not.
    let tight = |text: &str| words(text).replace(" .", ".");
    assert_eq!(tight(shown), tight(compiled));
}
