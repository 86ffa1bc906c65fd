//! The YAML of the repository: workflows, forms for issues, and what the guide gives to operators.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use yaml_rust2::{Yaml, YamlLoader};

use crate::check::succeeds;
use crate::workspace::{enter_workspace, sources};

const WORKFLOWS: &str = ".github/workflows";
const PRODUCTION: &str = "crates/zk-recipes/src/guide/production.md";

/// The documents in a text. A key that a mapping has twice is an error, too.
fn parsed(name: &str, text: &str) -> Vec<Yaml> {
    match YamlLoader::load_from_str(text) {
        Ok(documents) => documents,
        Err(error) => panic!("{name}: {error}"),
    }
}

fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| wanted.contains(&extension))
}

/// The entries of a mapping with names.
fn entries(yaml: &Yaml) -> Vec<(&str, &Yaml)> {
    let hash = yaml.as_hash().into_iter().flatten();
    hash.filter_map(|(key, value)| Some((key.as_str()?, value)))
        .collect()
}

/// The names that follow `prefix` in a text.
fn names_after<'a>(text: &'a str, prefix: &str) -> Vec<&'a str> {
    let rests = text.split(prefix).skip(1);
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    rests
        .map(|rest| rest.split(|c| !is_part(c)).next().unwrap_or_default())
        .collect()
}

/// What is wrong with a job of a workflow, whose source is given.
fn problems(job: &Yaml) -> Vec<String> {
    let mut problems = Vec::new();
    for key in ["runs-on", "timeout-minutes"] {
        if job[key].is_badvalue() {
            problems.push(format!("has no {key}"));
        }
    }
    let matrix = &job["strategy"]["matrix"];
    let mut keys: BTreeSet<&str> = entries(matrix).into_iter().map(|(key, _)| key).collect();
    let included = matrix["include"].as_vec().into_iter().flatten();
    keys.extend(included.flat_map(|one| entries(one).into_iter().map(|(key, _)| key)));
    let steps = job["steps"].as_vec().map_or(&[][..], Vec::as_slice);
    if steps.is_empty() {
        problems.push("has no steps".to_owned());
    }
    for step in steps {
        match (step["uses"].as_str(), step["run"].as_str()) {
            (Some(action), None) if action.contains('@') || action.starts_with("docker://") => {}
            (None, Some(_)) => {}
            _ => problems.push(format!("neither runs nor uses something: {step:?}")),
        }
    }
    let texts = texts(job);
    for name in texts.iter().flat_map(|text| names_after(text, "matrix.")) {
        if !keys.contains(name) {
            problems.push(format!("its matrix has no {name}"));
        }
    }
    let commands = texts
        .iter()
        .flat_map(|text| names_after(text, "cargo xtask "));
    for name in commands.filter(|name| !name.is_empty()) {
        if !crate::USAGE.contains(&format!("\n  {name}")) {
            problems.push(format!("runs cargo xtask {name}, which does not exist"));
        }
    }
    problems
}

/// All strings in a value.
fn texts(yaml: &Yaml) -> Vec<&str> {
    match yaml {
        Yaml::String(text) => vec![text],
        Yaml::Array(values) => values.iter().flat_map(texts).collect(),
        Yaml::Hash(hash) => hash.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// The blocks of a page in this language.
fn blocks(page: &str) -> impl Iterator<Item = &str> {
    let blocks = page.split("\n```yaml\n").skip(1);
    blocks.map(|block| block.split("\n```").next().unwrap_or_default())
}

#[test]
fn every_yaml_file_is_valid() {
    enter_workspace().unwrap();
    let mut files = sources().unwrap();
    files.retain(|file| has_extension(file, &["yml", "yaml"]));
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(parsed(&file.display().to_string(), &text).len(), 1);
    }
}

#[test]
fn a_broken_text_is_no_yaml() {
    let broken = "with:\n  tool: a      - run: b\n";
    assert!(YamlLoader::load_from_str(broken).is_err());
    assert!(YamlLoader::load_from_str("a: 1\na: 2\n").is_err());
}

#[test]
fn every_job_has_a_limit_and_steps() {
    enter_workspace().unwrap();
    let mut jobs = 0;
    for entry in fs::read_dir(WORKFLOWS).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        let workflow = parsed(&name, &fs::read_to_string(&path).unwrap()).remove(0);
        assert!(!workflow["on"].is_badvalue(), "{name} never runs");
        assert!(!workflow["permissions"].is_badvalue(), "{name}");
        for (job, definition) in entries(&workflow["jobs"]) {
            let problems = problems(definition);
            assert!(problems.is_empty(), "{name}: {job}: {problems:#?}");
            jobs += 1;
        }
    }
    assert!(jobs >= 10, "{jobs} jobs");
}

#[test]
fn a_wrong_job_is_named() {
    let job = "runs-on: here\nstrategy: {matrix: {os: [a], include: [{b: c}]}}\nsteps:\n\
               - uses: action\n- run: cargo xtask nothing ${{ matrix.os }} ${{ matrix.b }} ${{ matrix.d }}\n";
    let found = problems(&parsed("a job", job)[0]).join("\n");
    for part in ["timeout-minutes", "neither", "no d", "cargo xtask nothing"] {
        assert!(found.contains(part), "{part}: {found}");
    }
    assert_eq!(found.lines().count(), 4, "{found}");
}

#[test]
fn manifests_of_the_guide_are_valid() {
    enter_workspace().unwrap();
    let mut kinds = BTreeSet::new();
    for file in sources().unwrap() {
        if !has_extension(&file, &["md"]) {
            continue;
        }
        let (name, page) = (
            file.display().to_string(),
            fs::read_to_string(&file).unwrap(),
        );
        for block in blocks(&page) {
            let documents = parsed(&name, block);
            let kind = |document: &Yaml| document["kind"].as_str().map(str::to_owned);
            kinds.extend(documents.iter().filter_map(kind));
        }
    }
    let wanted = ["Deployment", "Service"].map(str::to_owned);
    assert!(wanted.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
}

#[test]
fn every_alert_has_a_severity_and_a_text() {
    enter_workspace().unwrap();
    let page = fs::read_to_string(PRODUCTION).unwrap();
    let rules = blocks(&page).find(|block| block.contains("alert:"));
    let rules = rules.unwrap();
    let mut names = BTreeSet::new();
    for group in parsed(PRODUCTION, rules)[0]["groups"].as_vec().unwrap() {
        for rule in group["rules"].as_vec().unwrap() {
            let name = rule["alert"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} twice");
            let severity = rule["labels"]["severity"].as_str();
            assert!(
                matches!(severity, Some("critical" | "warning" | "info")),
                "{name}: {severity:?}"
            );
            assert!(rule["annotations"]["summary"].as_str().is_some(), "{name}");
            let expression = rule["expr"].as_str().unwrap();
            for (open, close) in [('(', ')'), ('[', ']'), ('{', '}')] {
                let count = |c| expression.matches(c).count();
                assert_eq!(count(open), count(close), "{name}: {expression}");
            }
        }
    }
    assert!(names.len() > 5, "{names:?}");
    // Its own parser of expressions, where it is installed.
    if succeeds(Command::new("promtool").arg("--version")) {
        let file = std::env::temp_dir().join(format!("zk-alerts-{}.yml", std::process::id()));
        fs::write(&file, rules).unwrap();
        let mut check = Command::new("promtool");
        let output = check.args(["check", "rules"]).arg(&file);
        let output = output.stdin(Stdio::null()).output().unwrap();
        fs::remove_file(file).unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}
