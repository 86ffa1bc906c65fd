//! The words and signs of a Rust file, without comments, strings and unit tests.

/// Splits a source into identifiers, `::`, and single signs.
pub(crate) fn tokens(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if let Some(skipped) = comment(rest).or_else(|| literal(rest)) {
            skipped
        } else if is_word(first) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    without_tests(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of the comment that this begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let mut depth = 0;
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if depth == 0 {
            return None;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest.chars().next()?.len_utf8();
        }
    }
    None
}

/// The length of the string or character that this begins with.
fn literal(text: &str) -> Option<usize> {
    let raw = text.strip_prefix("br").or_else(|| text.strip_prefix('r'));
    if let Some(raw) = raw {
        let signs = raw.len() - raw.trim_start_matches('#').len();
        if raw[signs..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(signs));
            let begin = text.len() - raw.len() + signs + 1;
            let length = text[begin..].find(&end)?;
            return Some(begin + length + end.len());
        }
    }
    let plain = text.strip_prefix('b').unwrap_or(text);
    let prefix = text.len() - plain.len();
    let mut characters = plain.char_indices();
    match characters.next()?.1 {
        '"' => {
            let mut escaped = false;
            for (at, c) in characters {
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '"' => return Some(prefix + at + 1),
                    _ => {}
                }
            }
            None
        }
        // `'a'` or `'\n'`, and not the lifetime `'a`.
        '\'' => {
            let (_, second) = characters.next()?;
            if second == '\\' {
                characters.next()?;
                let (at, _) = characters.find(|(_, c)| *c == '\'')?;
                return Some(prefix + at + 1);
            }
            let (at, third) = characters.next()?;
            (third == '\'').then_some(prefix + at + 1)
        }
        _ => None,
    }
}

/// Leaves out the items that are marked `#[cfg(test)]`.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let is_test = tokens[at..].len() >= MARK.len()
            && tokens[at..]
                .iter()
                .zip(MARK)
                .all(|(token, mark)| token == mark);
        if is_test {
            at = end_of_item(&tokens, at + MARK.len());
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the item that begins here ends: behind its `;`, or behind its braces.
fn end_of_item(tokens: &[String], begin: usize) -> usize {
    let mut depth = 0_usize;
    let mut is_use = false;
    for (at, token) in tokens.iter().enumerate().skip(begin) {
        match token.as_str() {
            "use" if depth == 0 => is_use = true,
            ";" if depth == 0 => return at + 1,
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token == "}" && !is_use {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_left_out() {
        let source = "a/* b /* c */ */::d // e\n\"f\\\"\" r#\"g\"# 'h' 'i x'\\n' b\"j\" b'k'";
        assert_eq!(tokens(source), ["a", "::", "d", "'", "i", "x"]);
    }

    #[test]
    fn items_of_unit_tests_are_left_out() {
        let source =
            "fn a() {}\n#[cfg(test)]\nuse b::{c, d};\n#[cfg(test)]\nmod tests { fn e() {} }\nfn f";
        assert_eq!(tokens(source).join(" "), "fn a ( ) { } fn f");
    }
}
