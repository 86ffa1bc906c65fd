//! A page of the guide, and what it shows.

/// The lines between the fences of a page's blocks in this language.
pub(super) fn blocks(page: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<Vec<&str>> = None;
    for line in page.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(of)) => open = Some(vec![of]),
            (Some(lines), Some(_)) => {
                if let Some((of, text)) = lines.split_first()
                    && *of == language
                {
                    blocks.push(text.join("\n"));
                }
                open = None;
            }
            (Some(lines), None) => lines.push(line),
            (None, None) => {}
        }
    }
    blocks
}

/// The text without what differs between two runs: line breaks, addresses and numbers.
pub(super) fn normal(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut out = String::new();
    for part in text.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        if rest.len() < part.len() {
            out.push('#');
        }
        out.push_str(rest);
    }
    for host in ["#.#.#.#:#", "localhost:#"] {
        out = out.replace(host, "zk#:#");
    }
    out.replace("\"localhost\"", "\"zk#\"")
}

#[test]
fn numbers_and_addresses_are_left_out() {
    assert_eq!(normal("a  127.0.0.1:4711:\n 30 ms"), "a zk#:#: # ms");
    assert_eq!(normal("\"localhost\" at zk1:2181"), "\"zk#\" at zk#:#");
}

#[test]
fn only_blocks_of_the_language_are_read() {
    let page = "a\n```text\nb\nc\n```\n```yaml\nd\n```\n";
    assert_eq!(blocks(page, "text"), ["b\nc"]);
    assert_eq!(blocks(page, "yaml"), ["d"]);
}
