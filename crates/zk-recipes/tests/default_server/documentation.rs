//! Each recipe's page has the sections that its users look for.

/// The recipes and their sources.
const RECIPES: [(&str, &str); 12] = [
    ("Lock", include_str!("../../src/locks/lock.rs")),
    ("ReadLock", include_str!("../../src/locks/rw_lock.rs")),
    ("WriteLock", include_str!("../../src/locks/rw_lock.rs")),
    ("Semaphore", include_str!("../../src/locks/semaphore.rs")),
    ("MultiLock", include_str!("../../src/locks/multi_lock.rs")),
    ("Election", include_str!("../../src/election/mod.rs")),
    (
        "LeaderLatch",
        include_str!("../../src/election/leader_latch.rs"),
    ),
    ("Barrier", include_str!("../../src/barrier.rs")),
    ("DataWatch", include_str!("../../src/watch/data_watch.rs")),
    (
        "ChildrenWatch",
        include_str!("../../src/watch/children_watch.rs"),
    ),
    (
        "PatientChildrenWatch",
        include_str!("../../src/watch/patient_children_watch.rs"),
    ),
    ("TreeCache", include_str!("../../src/tree_cache/mod.rs")),
];

/// The documentation and attributes of a public type.
fn page(recipe: &str, source: &str) -> String {
    let lines: Vec<&str> = source.lines().collect();
    let is_it = |line: &&str| {
        let name = line.strip_prefix("pub struct ").unwrap_or_default();
        name.split(|c: char| !c.is_alphanumeric()).next() == Some(recipe)
    };
    let at = lines.iter().position(is_it);
    let above = lines.iter().take(at.unwrap_or_default()).rev();
    let page = above.take_while(|line| line.starts_with("///") || line.starts_with("#["));
    let mut page: Vec<_> = page.copied().collect();
    page.reverse();
    page.join("\n")
}

#[test]
fn every_recipe_has_the_usual_sections() {
    let wanted = [
        "/// ```no_run",
        "/// # Znodes",
        "/// # Cost",
        "/// # Losing the ",
        "/// # Cancel safety",
        "kazoo",
        "Curator",
    ];
    for (recipe, source) in RECIPES {
        let page = page(recipe, source);
        for wanted in wanted {
            assert!(page.contains(wanted), "{recipe} does not say {wanted:?}");
        }
    }
}

/// A recipe is a type that is made with a client.
#[test]
fn every_recipe_is_in_the_list() {
    let mut made = 0;
    let mut unread = vec![std::path::PathBuf::from("src")];
    while let Some(path) = unread.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(path).unwrap();
            unread.extend(entries.map(|entry| entry.unwrap().path()));
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        let mut of = "";
        for line in source.lines() {
            if let Some(name) = line.strip_prefix("impl ") {
                of = name.trim_end_matches(" {");
            }
            if line.starts_with("    pub fn new(client: &Client") {
                made += 1;
                assert!(RECIPES.iter().any(|(recipe, _)| *recipe == of), "{of}");
            }
        }
    }
    assert!(made > 10, "{made} recipes");
}
