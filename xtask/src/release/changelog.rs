//! The changelog, and the notes of changes that are not in it yet.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(super) const CHANGELOG: &str = "CHANGELOG.md";
/// The directory with a file for each change that has no place in the changelog yet.
pub(super) const NOTES: &str = "changes";

/// The parts of a version's text, which notes have as well.
const KINDS: [&str; 6] = [
    "Added",
    "Changed",
    "Deprecated",
    "Removed",
    "Fixed",
    "Security",
];
const UNRELEASED: &str = "## Unreleased\n";

/// A file with changes.
#[derive(Debug)]
pub(super) struct Note {
    pub(super) path: PathBuf,
    parts: Vec<Part>,
}

/// Changes of one kind.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    heading: String,
    text: String,
}

/// All notes in a directory but its README, in the order of their names.
pub(super) fn notes(directory: &Path) -> Result<Vec<Note>, Box<dyn Error>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.file_name().is_some_and(|name| name != "README.md"));
    paths.sort_unstable();
    paths.into_iter().map(|path| Ok(note(path)?)).collect()
}

fn note(path: PathBuf) -> Result<Note, String> {
    let wrong = |what: &str| format!("{}: {what}", path.display());
    let text = fs::read_to_string(&path).map_err(|error| wrong(&error.to_string()))?;
    let (before, parts) = parts(&text);
    if !before.trim().is_empty() || parts.is_empty() {
        return Err(wrong("begins without a heading such as ### Fixed"));
    }
    for part in &parts {
        if !KINDS.contains(&&*part.heading) {
            return Err(wrong(&format!(
                "{} is none of {}",
                part.heading,
                KINDS.join(", ")
            )));
        }
        if !part.text.starts_with("- ") {
            return Err(wrong("has no list below a heading"));
        }
    }
    Ok(Note { path, parts })
}

/// The text before the first heading, and the parts.
fn parts(text: &str) -> (&str, Vec<Part>) {
    let (before, rest) = match text.strip_prefix("### ") {
        Some(rest) => ("", rest),
        None => match text.split_once("\n### ") {
            Some(parted) => parted,
            None => return (text, Vec::new()),
        },
    };
    let parts = rest.split("\n### ").map(|part| {
        let (heading, text) = part.split_once('\n').unwrap_or((part, ""));
        Part {
            heading: heading.trim().to_owned(),
            text: text.trim().to_owned(),
        }
    });
    (before, parts.collect())
}

/// The changelog in which what was unreleased, and the notes, are the text of this version.
pub(super) fn release(
    changelog: &str,
    notes: &[Note],
    version: &str,
    today: &str,
) -> Result<String, String> {
    let (before, rest) = changelog
        .split_once(UNRELEASED)
        .ok_or("the changelog has no part `Unreleased`")?;
    let (unreleased, after) = match rest.split_once("\n## ") {
        Some((unreleased, after)) => (unreleased, format!("\n\n## {after}")),
        None => (rest, String::new()),
    };
    let (introduction, mut parts) = parts(unreleased);
    for part in notes.iter().flat_map(|note| &note.parts) {
        match parts.iter_mut().find(|known| known.heading == part.heading) {
            Some(known) => known.text = format!("{}\n{}", known.text, part.text),
            None => parts.push(Part {
                heading: part.heading.clone(),
                text: part.text.clone(),
            }),
        }
    }
    let introduction = introduction.trim();
    if introduction.is_empty() && parts.is_empty() {
        return Err(
            "nothing has changed: no note, and nothing unreleased in the changelog".to_owned(),
        );
    }
    let mut text = format!("{before}{UNRELEASED}\n{} ({today})\n", heading(version));
    if !introduction.is_empty() {
        text += &format!("\n{introduction}\n");
    }
    for part in parts {
        text += &format!("\n### {}\n\n{}\n", part.heading, part.text);
    }
    Ok(format!("{}{after}\n", text.trim_end())
        .trim_end()
        .to_owned()
        + "\n")
}

/// Whether the changelog has a text for the version.
pub(super) fn has(changelog: &str, version: &str) -> bool {
    let heading = format!("\n{} (", heading(version));
    let Some((_, rest)) = changelog.split_once(&heading) else {
        return false;
    };
    let text = rest.split("\n## ").next().unwrap_or_default();
    text.lines().skip(1).any(|line| !line.trim().is_empty())
}

fn heading(version: &str) -> String {
    format!("## {version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "# Changelog\n\n## Unreleased\n\nOne word.\n\n### Fixed\n\n- A.\n\n### Renamed\n\n| a | b |\n\n\
                       ## 0.1.0 (2026-01-01)\n\nFirst.\n";

    fn noted(text: &str) -> Note {
        let (_, parts) = parts(text);
        Note {
            path: PathBuf::new(),
            parts,
        }
    }

    #[test]
    fn notes_join_what_is_unreleased() {
        let notes = [
            noted("### Fixed\n\n- B.\n"),
            noted("### Added\n\n- C.\n- D.\n"),
        ];
        let expected = "# Changelog\n\n## Unreleased\n\n## 0.2.0 (2027-01-31)\n\nOne word.\n\n### Fixed\n\n- A.\n- B.\n\n\
                        ### Renamed\n\n| a | b |\n\n### Added\n\n- C.\n- D.\n\n## 0.1.0 (2026-01-01)\n\nFirst.\n";
        let released = release(LOG, &notes, "0.2.0", "2027-01-31").unwrap();
        assert_eq!(released, expected);
        assert!(has(&released, "0.2.0") && has(&released, "0.1.0") && !has(&released, "0.2"));
        let again = release(&released, &[], "0.3.0", "2027-02-01").unwrap_err();
        assert!(again.contains("nothing has changed"), "{again}");
    }

    #[test]
    fn an_empty_text_is_none() {
        assert!(!has(
            "# C\n\n## 0.2.0 (2027-01-31)\n\n## 0.1.0 (2026-01-01)\n\nFirst.\n",
            "0.2.0"
        ));
    }

    #[test]
    fn notes_without_a_known_heading_fail() {
        let directory = std::env::temp_dir().join(format!("zk-notes-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        for (text, part) in [
            ("- A.\n", "without a heading"),
            ("### Mended\n\n- A.\n", "Mended is none of"),
            ("### Fixed\n\nA.\n", "no list"),
        ] {
            fs::write(directory.join("a.md"), text).unwrap();
            let error = notes(&directory).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn the_notes_of_this_repository_are_valid() {
        crate::workspace::enter_workspace().unwrap();
        notes(Path::new(NOTES)).unwrap();
    }
}
