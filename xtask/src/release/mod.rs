//! `cargo xtask release`: one version of all published crates, as RELEASING.md describes.

mod changelog;
mod manifests;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use changelog::{CHANGELOG, NOTES};

use crate::check::succeeds;
use crate::outside::GSSAPI;
use crate::package::PACKAGES;
use crate::workspace::{Outcome, cargo, enter_workspace, git};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Prepare,
    DryRun,
    Publish,
}

pub(crate) fn main(arguments: &[String]) -> Outcome {
    let (mode, version) = parse(arguments)?;
    enter_workspace()?;
    let root = Path::new(".");
    if mode == Mode::Prepare {
        for file in prepare(root, &version, &today()?)? {
            println!("{file}");
        }
        println!("review these files, commit them, and have the commit merged");
        return Ok(ExitCode::SUCCESS);
    }
    let problems = problems(root, &version)?;
    if !problems.is_empty() {
        problems.iter().for_each(|problem| println!("{problem}"));
        println!("nothing was published");
        return Ok(ExitCode::FAILURE);
    }
    let is_tagged = tag(root, &version)? == Tag::Head;
    for step in steps(&version, mode, is_tagged, is_published) {
        println!("\n──── {} ────", step.join(" "));
        let (program, arguments) = step.split_first().ok_or("a step without a program")?;
        let mut command = match program.as_str() {
            "cargo" => cargo(),
            other => Command::new(other),
        };
        if !command.args(arguments).status()?.success() {
            println!("failed; after the cause is removed, the same command continues here");
            return Ok(ExitCode::FAILURE);
        }
    }
    println!(
        "\n{} is {}",
        version,
        match mode {
            Mode::Publish => "published",
            Mode::Prepare | Mode::DryRun => "ready; nothing was published, and no tag was made",
        }
    );
    Ok(ExitCode::SUCCESS)
}

fn parse(arguments: &[String]) -> Result<(Mode, String), String> {
    let mut mode = Mode::Publish;
    let mut versions = Vec::new();
    for argument in arguments {
        match argument.as_str() {
            "--prepare" => mode = Mode::Prepare,
            "--dry-run" => mode = Mode::DryRun,
            flag if flag.starts_with('-') => {
                return Err(format!(
                    "`release` has no option {flag}; see cargo xtask help"
                ));
            }
            version => versions.push(version),
        }
    }
    let [version] = versions[..] else {
        return Err("`release` wants one version, such as 0.2.0".to_owned());
    };
    let numbers: Vec<_> = version.split('.').collect();
    let is_number = |text: &&str| {
        text.parse::<u32>()
            .is_ok_and(|number| number.to_string() == **text)
    };
    if numbers.len() != 3 || !numbers.iter().all(is_number) {
        return Err(format!("{version} is not a version of three numbers"));
    }
    Ok((mode, version.to_owned()))
}

/// Writes the version into all manifests, lock files and instructions, and the notes into the changelog. Returns
/// the files that are different.
fn prepare(root: &Path, version: &str, today: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let notes = changelog::notes(&root.join(NOTES))?;
    let path = root.join(CHANGELOG);
    let released = changelog::release(&fs::read_to_string(&path)?, &notes, version, today)?;
    let mut changed = manifests::set(root, version)?;
    fs::write(path, released)?;
    changed.push(CHANGELOG.to_owned());
    for note in notes {
        fs::remove_file(&note.path)?;
        changed.push(note.path.display().to_string());
    }
    Ok(changed)
}

/// Why this version cannot be published from here.
fn problems(root: &Path, version: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let mut problems = Vec::new();
    if !git(root, &["status", "--porcelain"])?.is_empty() {
        problems.push("the working copy has changes that are not committed".to_owned());
    }
    if tag(root, version)? == Tag::AnotherCommit {
        problems.push(format!("there is a tag v{version} of another commit"));
    }
    problems.extend(manifests::others(root, version)?);
    if !changelog::has(&fs::read_to_string(root.join(CHANGELOG))?, version) {
        problems.push(format!("{CHANGELOG} has no text for {version}"));
    }
    for note in changelog::notes(&root.join(NOTES))? {
        problems.push(format!("{} is not in {CHANGELOG} yet", note.path.display()));
    }
    Ok(problems)
}

/// What the tag of a version points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Missing,
    /// As after a release that failed behind this step, which continues.
    Head,
    AnotherCommit,
}

fn tag(root: &Path, version: &str) -> Result<Tag, Box<dyn Error>> {
    let name = format!("v{version}");
    if git(root, &["tag", "--list", &name])?.is_empty() {
        return Ok(Tag::Missing);
    }
    let commit = |name: &str| {
        git(
            root,
            &["rev-parse", "--verify", &format!("{name}^{{commit}}")],
        )
    };
    Ok(
        match commit(&format!("refs/tags/{name}"))? == commit("HEAD")? {
            true => Tag::Head,
            false => Tag::AnotherCommit,
        },
    )
}

/// The commands that publish it. A dry run leaves out what has an effect elsewhere.
fn steps(
    version: &str,
    mode: Mode,
    is_tagged: bool,
    is_published: impl Fn(&str, &str) -> bool,
) -> Vec<Vec<String>> {
    let is_dry = mode != Mode::Publish;
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut steps = Vec::new();
    let left: Vec<_> = (PACKAGES.iter())
        .filter(|package| is_dry || !is_published(package, version))
        .collect();
    if !left.is_empty() {
        // Cargo builds each from the packaged files of the others, before it publishes any.
        let mut publish = words("cargo publish --locked");
        left.iter()
            .for_each(|package| publish.extend(words(&format!("-p {package}"))));
        if is_dry {
            publish.push("--dry-run".to_owned());
        }
        steps.push(publish);
    }
    let (package, manifest) = (GSSAPI.name, GSSAPI.manifest);
    if is_dry {
        // It is packaged against published crates only, and this version of them is not.
        steps.push(words(&format!(
            "cargo package --list --manifest-path {manifest}"
        )));
        return steps;
    }
    if !is_published(package, version) {
        let publish = format!("cargo publish --locked --all-features --manifest-path {manifest}");
        steps.push(words(&publish));
    }
    if !is_tagged {
        let mut tag = words(&format!("git tag --annotate v{version} --message"));
        tag.push(format!("Release {version}"));
        steps.push(tag);
    }
    // Without effect if it was pushed before.
    steps.push(words(&format!("git push origin v{version}")));
    steps
}

/// Whether the registry has it: a release that failed half-way continues with the rest.
fn is_published(package: &str, version: &str) -> bool {
    let name = format!("{package}@{version}");
    succeeds(cargo().args(["info", "--quiet", "--registry", "crates-io", &name]))
}

/// In the form of the changelog.
fn today() -> Result<String, Box<dyn Error>> {
    let output = Command::new("date").args(["-u", "+%F"]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::workspace::{copy, sources, strings};

    const NEXT: &str = "7.3.0";

    /// A repository of its own with the files of this one.
    struct Repository(PathBuf);

    impl Repository {
        fn new(name: &str) -> Self {
            enter_workspace().unwrap();
            let path =
                std::env::temp_dir().join(format!("zk-release-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            for source in sources().unwrap() {
                copy(&source, &path.join(&source)).unwrap();
            }
            let repository = Repository(path);
            for manifest in ["Cargo.toml", GSSAPI.manifest] {
                let path = repository.0.join(manifest);
                let text = fs::read_to_string(&path).unwrap();
                fs::write(path, text.replace(manifests::PLACEHOLDER, ".example/")).unwrap();
            }
            repository.git(&["init", "--quiet"]);
            repository.commit();
            repository
        }

        fn git(&self, arguments: &[&str]) {
            let author = ["-c", "user.name=a", "-c", "user.email=a@a.example"];
            git(&self.0, &[&author[..], arguments].concat()).unwrap();
        }

        fn commit(&self) {
            self.git(&["add", "--all"]);
            self.git(&["commit", "--quiet", "--message", "all", "--no-verify"]);
        }

        fn replace(&self, file: &str, old: &str, new: &str) {
            let path = self.0.join(file);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(old), "{file}: {old}");
            fs::write(path, text.replacen(old, new, 1)).unwrap();
        }

        fn problems(&self) -> Vec<String> {
            problems(&self.0, NEXT).unwrap()
        }
    }

    impl Drop for Repository {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_prepared_version_can_be_published() {
        let repository = Repository::new("prepared");
        let before = repository.problems();
        assert!(
            before
                .iter()
                .any(|problem| problem.contains("CHANGELOG.md")),
            "{before:?}"
        );
        assert!(
            before.iter().any(|problem| problem.contains("Cargo.toml")),
            "{before:?}"
        );

        let note = repository.0.join(NOTES).join("one-more.md");
        fs::write(&note, "### Fixed\n\n- `zk-proto`: a note of this test.\n").unwrap();
        prepare(&repository.0, NEXT, "2027-01-31").unwrap();
        assert_eq!(
            repository.problems(),
            ["the working copy has changes that are not committed"]
        );
        repository.commit();
        assert!(
            repository.problems().is_empty(),
            "{:?}",
            repository.problems()
        );
        assert!(!note.exists());
        let changelog = fs::read_to_string(repository.0.join(CHANGELOG)).unwrap();
        assert!(changelog.contains("## Unreleased\n\n## 7.3.0 (2027-01-31)\n"));
        assert!(changelog.contains("- `zk-proto`: a note of this test.\n"));

        // Cargo agrees that the lock file needs no change.
        let mut metadata = cargo();
        metadata.args([
            "metadata",
            "--locked",
            "--offline",
            "--no-deps",
            "--format-version=1",
        ]);
        let described = metadata.current_dir(&repository.0).output().unwrap();
        let described = String::from_utf8_lossy(&described.stdout);
        assert!(described.contains("\"version\":\"7.3.0\""), "{described}");
    }

    #[test]
    fn a_tag_is_kept_if_it_is_of_this_commit() {
        let repository = Repository::new("tagged");
        prepare(&repository.0, NEXT, "2027-01-31").unwrap();
        repository.commit();
        let tagged = || tag(&repository.0, NEXT).unwrap();
        assert_eq!(tagged(), Tag::Missing);
        repository.git(&["tag", "--annotate", "v7.3.0", "--message", "Release 7.3.0"]);
        assert_eq!(tagged(), Tag::Head);
        assert_eq!(repository.problems(), [""; 0]);
        repository.git(&[
            "commit",
            "--quiet",
            "--allow-empty",
            "--message",
            "later",
            "--no-verify",
        ]);
        assert_eq!(tagged(), Tag::AnotherCommit);
        assert_eq!(
            repository.problems(),
            ["there is a tag v7.3.0 of another commit"]
        );
    }

    #[test]
    fn what_was_forgotten_is_named() {
        let repository = Repository::new("forgotten");
        prepare(&repository.0, NEXT, "2027-01-31").unwrap();
        repository.replace(GSSAPI.manifest, ".example/", manifests::PLACEHOLDER);
        let old = "{ path = \"crates/zk-client\", version = \"7.3.0\"";
        repository.replace(
            "Cargo.toml",
            old,
            "{ path = \"crates/zk-client\", version = \"7.2.0\"",
        );
        repository.replace(
            "crates/zk-sasl-gssapi/Cargo.toml",
            "\nversion = \"7.3.0\"",
            "\nversion = \"7.2.9\"",
        );
        fs::write(
            repository.0.join(NOTES).join("late.md"),
            "### Added\n\n- Late.\n",
        )
        .unwrap();
        repository.commit();
        let problems = repository.problems().join("\n");
        for part in [
            "Cargo.toml: zk-client is 7.2.0",
            "gssapi/Cargo.toml: zk-sasl-gssapi is 7.2.9",
            "late.md is not",
            "the repository is a placeholder",
        ] {
            assert!(problems.contains(part), "{problems}");
        }
    }

    #[test]
    fn crates_come_after_what_they_need() {
        enter_workspace().unwrap();
        let mut published: Vec<&str> = Vec::new();
        for package in PACKAGES {
            let manifest = fs::read_to_string(format!("crates/{package}/Cargo.toml")).unwrap();
            for line in manifest.lines() {
                let named = PACKAGES.iter().find(|name| line.starts_with(*name));
                // A path without a version is not published.
                if let Some(needed) = named
                    && (line.contains("workspace = true") || line.contains("version = "))
                {
                    assert!(published.contains(needed), "{package} needs {needed}");
                }
            }
            published.push(package);
        }
    }

    #[test]
    fn a_dry_run_publishes_nothing() {
        let dry = steps(NEXT, Mode::DryRun, false, |_, _| true);
        let lines: Vec<_> = dry.iter().map(|step| step.join(" ")).collect();
        assert!(
            lines[0].starts_with("cargo publish ") && lines[0].ends_with(" --dry-run"),
            "{lines:?}"
        );
        assert!(
            lines[1..].iter().all(|line| !line.contains("publish")),
            "{lines:?}"
        );
        assert!(
            lines.iter().all(|line| !line.starts_with("git")),
            "{lines:?}"
        );
    }

    #[test]
    fn a_release_continues_where_it_failed() {
        let is_published = |package: &str, _: &str| package != "zkctl" && package != GSSAPI.name;
        let lines = |is_tagged| {
            let steps = steps(NEXT, Mode::Publish, is_tagged, is_published);
            steps.iter().map(|step| step.join(" ")).collect::<Vec<_>>()
        };
        let expected = [
            "cargo publish --locked -p zkctl",
            "cargo publish --locked --all-features --manifest-path crates/zk-sasl-gssapi/Cargo.toml",
            "git tag --annotate v7.3.0 --message Release 7.3.0",
            "git push origin v7.3.0",
        ];
        assert_eq!(lines(false), expected);
        let behind_the_tag = [&expected[..2], &expected[3..]].concat();
        assert_eq!(lines(true), behind_the_tag);
    }

    #[test]
    fn versions_are_three_numbers() {
        let parsed = |arguments: &[&str]| parse(&strings(arguments));
        assert_eq!(
            parsed(&["--dry-run", "0.2.0"]),
            Ok((Mode::DryRun, "0.2.0".to_owned()))
        );
        for wrong in ["v0.2.0", "0.2", "0.2.0-rc.1", "0.02.0", ""] {
            assert!(parsed(&[wrong]).is_err(), "{wrong}");
        }
        assert!(parsed(&[]).is_err() && parsed(&["1.0.0", "2.0.0"]).is_err());
        assert!(parsed(&["--dry", "1.0.0"]).is_err());
    }
}
