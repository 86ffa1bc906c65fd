//! Words and phrases that the prose rule of `CONTRIBUTING.md` excludes, and the names of tests.

use std::fs;
use std::io;
use std::path::Path;

const WORDS: &str = "somebody nobody whoever whom anybody everybody told tells owe owes owed hear \
                     hears heard silence silent patience";
/// Words that begin with a listed word of this length count as well, such as its adverb.
const STEM: usize = 6;
/// Words in this order.
const PHRASES: [&str; 2] = ["in vain", "goes on"];

/// Names these words, and is not counted.
const THIS: &str = "structure/prose.rs";

/// Lines with such words or phrases.
#[derive(Debug, Default)]
pub(crate) struct Count {
    pub(crate) lines: usize,
    pub(crate) files: Vec<(String, usize)>,
}

/// Counts in a file, or in all files of a directory, and measures the names of its tests.
pub(crate) fn read(root: &Path) -> io::Result<(Count, Vec<usize>)> {
    let mut count = Count::default();
    let mut names = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(path)? {
                let path = entry?.path();
                open.extend((!path.ends_with("target")).then_some(path));
            }
        } else if is_prose(&path) {
            let source = fs::read_to_string(&path)?;
            let lines = match path.ends_with(THIS) {
                true => 0,
                false => source.lines().filter(|line| has_word(line)).count(),
            };
            if lines > 0 {
                count.files.push((path.display().to_string(), lines));
            }
            count.lines += lines;
            names.extend(names_of_tests(&source).map(str::len));
        }
    }
    count
        .files
        .sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok((count, names))
}

/// Sources, the pages of the guide, and all other texts.
fn is_prose(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "rs" || extension == "md")
}

fn has_word(line: &str) -> bool {
    let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
    // A word in capitals is the name of a constant, maybe another library's.
    let words = words.filter(|word| word.chars().any(|c| !c.is_uppercase()));
    let words: Vec<_> = words.map(str::to_lowercase).collect();
    let has_phrase = |phrase: &str| {
        let phrase: Vec<_> = phrase.split(' ').collect();
        words.windows(phrase.len()).any(|words| words == phrase)
    };
    let is_listed = |word: &String| {
        WORDS.split_whitespace().any(|listed| match listed.len() {
            ..STEM => word == listed,
            _ => word.starts_with(listed),
        })
    };
    words.iter().any(is_listed) || PHRASES.iter().any(|phrase| has_phrase(phrase))
}

fn names_of_tests(source: &str) -> impl Iterator<Item = &str> {
    let mut marked = false;
    source.lines().filter_map(move |line| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        if line.starts_with("#[test") || line.starts_with("#[tokio::test") {
            marked = true;
            return None;
        }
        let function = line.strip_prefix("fn ").filter(|_| marked)?;
        marked = false;
        function.split('(').next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole() {
        assert!(has_word("// Nobody waits."));
        assert!(has_word("owed: usize,"));
        assert!(has_word("It is replaced silently."));
        assert!(!has_word("// The mode `SILENT`."));
        assert!(!has_word("let allowed = was_told_to(); // stolid"));
    }

    #[test]
    fn texts_are_read() {
        let is_read = |path: &str| is_prose(Path::new(path));
        assert!(is_read("src/guide/migration/kazoo.md"));
        assert!(is_read("src/lib.rs"));
        assert!(is_read("README.md"));
        assert!(is_read("tests/CATALOGUE.md"));
        assert!(!is_read("src/guide/kazoo.txt"));
    }

    #[test]
    fn phrases_are_whole() {
        assert!(has_word("// It goes on."));
        assert!(has_word("// In vain."));
        assert!(!has_word("// in vainer terms: it goes once"));
    }

    #[test]
    fn names_follow_their_marks() {
        let source = "#[test]\nfn a() {}\nfn b() {}\n#[tokio::test]\nasync fn cd() {}\n";
        assert_eq!(names_of_tests(source).collect::<Vec<_>>(), ["a", "cd"]);
    }
}
