//! Links in Markdown: those to files and headings lead somewhere, those to other sites have the form of a URL.
//! Rustdoc checks the links between items.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::libraries::Checks;
use crate::check::Check;
use crate::workspace::sources;

pub(super) fn check() -> Checks {
    const NAME: &str = "links in Markdown";

    println!("\n──── {NAME} ────");
    let mut problems = Vec::new();
    let mut links = 0;
    for file in sources()? {
        if file.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&file)?;
            for target in targets(&text) {
                links += 1;
                if let Err(problem) = follow(&file, &target) {
                    problems.push(format!("{}: {target}: {problem}", file.display()));
                }
            }
        }
    }
    problems.iter().for_each(|problem| println!("{problem}"));
    println!("{links} links, {} of them broken", problems.len());
    Ok(vec![Check::judged(NAME, problems.is_empty())])
}

fn follow(file: &Path, target: &str) -> Result<(), String> {
    if let Some((scheme, rest)) = target.split_once("://") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_host = host.contains('.') && !host.starts_with('.') && !host.ends_with('.');
        return match scheme {
            "http" | "https" if is_host && !rest.contains(char::is_whitespace) => Ok(()),
            _ => Err("not a URL of the web".to_owned()),
        };
    }
    let (path, heading) = match target.split_once('#') {
        Some((path, heading)) => (path, Some(heading)),
        None => (target, None),
    };
    // A page of rustdoc, which checks its links to items. It has no files beside it.
    if file
        .components()
        .any(|part| part == Component::Normal("src".as_ref()))
    {
        return match path.ends_with(".md") {
            true => Err("rustdoc does not publish this file".to_owned()),
            false => Ok(()),
        };
    }
    let place = match path {
        "" => file.to_owned(),
        _ => resolved(file, path)?,
    };
    if !place.exists() {
        return Err("there is no such file".to_owned());
    }
    let Some(heading) = heading else {
        return Ok(());
    };
    let text = fs::read_to_string(&place).map_err(|error| error.to_string())?;
    match headings(&text).iter().any(|known| known == heading) {
        true => Ok(()),
        false => Err("there is no such heading".to_owned()),
    }
}

/// Below the root of the repository, in which the command runs.
fn resolved(file: &Path, path: &str) -> Result<PathBuf, String> {
    let mut place = file.parent().map(Path::to_owned).unwrap_or_default();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => place.push(name),
            Component::CurDir => {}
            Component::ParentDir if place.pop() => {}
            _ => return Err("outside the repository".to_owned()),
        }
    }
    match place.as_os_str().is_empty() {
        true => Ok(PathBuf::from(".")),
        false => Ok(place),
    }
}

/// The text without code, line by line.
fn prose(text: &str) -> impl Iterator<Item = String> {
    let mut is_code = false;
    text.lines().filter_map(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then(|| {
            // Backticks stay where they are, for the text of headings.
            let parts = line.split('`').enumerate();
            parts
                .map(|(at, part)| {
                    if at % 2 == 0 {
                        part.to_owned()
                    } else {
                        part.replace(['(', ')', '[', ']'], " ")
                    }
                })
                .collect::<Vec<_>>()
                .join("`")
        })
    })
}

/// Where the links of a text lead.
fn targets(text: &str) -> Vec<String> {
    // A link may begin in one line and end in the next.
    let lines: Vec<String> = prose(text).collect();
    let mut found: Vec<String> = lines.iter().filter_map(|line| definition(line)).collect();
    let text = lines.join("\n");
    for (at, _) in text.match_indices("](") {
        let rest = text.get(at + 2..).unwrap_or_default();
        let mut depth = 0_i32;
        let end = rest.find(|character| {
            depth += i32::from(character == '(') - i32::from(character == ')');
            depth < 0
        });
        let target = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        // Without a title.
        let target = target.split(" \"").next().unwrap_or_default().trim();
        found.push(target.trim_matches(['<', '>']).to_owned());
    }
    found
}

/// `[label]: target`
fn definition(line: &str) -> Option<String> {
    let (label, target) = line.strip_prefix('[')?.split_once("]: ")?;
    (!label.contains(']')).then(|| {
        target
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    })
}

/// The anchors of the headings, as GitHub makes them.
fn headings(text: &str) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let lines = prose(text).filter(|line| line.starts_with('#'));
    lines
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
            let anchor: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let count = seen.entry(anchor.clone()).or_default();
            *count += 1;
            match *count {
                1 => anchor,
                more => format!("{anchor}-{}", more - 1),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code() {
        let text = "See [a](A.md#b) and [`c(x)`](<https://c.example/(d)> \"title\").\n\n```\n[no](no.md)\n```\n\
                    `[no](no)` [two\nlines](e.md)\n\n[f]: g.md\n";
        let expected = ["g.md", "A.md#b", "https://c.example/(d)", "e.md"];
        assert_eq!(targets(text), expected);
    }

    #[test]
    fn headings_have_the_anchors_of_github() {
        let text = "# Where a `test` goes\n## A.b, c\n```\n# no\n```\n## A.b, c\n";
        assert_eq!(headings(text), ["where-a-test-goes", "ab-c", "ab-c-1"]);
    }

    #[test]
    fn broken_links_are_named() {
        crate::workspace::enter_workspace().unwrap();
        let follow = |target| follow(Path::new("tests/MUTANTS.md"), target);
        for target in [
            "../README.md",
            "../README.md#licence",
            "../crates",
            "https://a.example/b",
        ] {
            assert_eq!(follow(target), Ok(()), "{target}");
        }
        for target in [
            "README.md",
            "../README.md#licences",
            "../../README.md",
            "https://",
            "https://nowhere/",
            "ftp://a.example",
        ] {
            assert!(follow(target).is_err(), "{target}");
        }
    }

    #[test]
    fn pages_of_rustdoc_have_no_files() {
        let page = Path::new("crates/zk-recipes/src/guide/locks.md");
        assert_eq!(follow(page, "crate::Lock"), Ok(()));
        assert!(follow(page, "sessions.md").is_err());
    }
}
