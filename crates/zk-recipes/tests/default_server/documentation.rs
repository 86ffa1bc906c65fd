//! Each recipe's page has the sections that its users look for.

/// The recipes and their sources.
pub(crate) const RECIPES: &[(&str, &str)] = &[
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
    ("Barrier", include_str!("../../src/barrier/gate.rs")),
    ("DoubleBarrier", include_str!("../../src/barrier/double.rs")),
    ("DataWatch", include_str!("../../src/watch/data_watch.rs")),
    (
        "ChildrenWatch",
        include_str!("../../src/watch/children_watch.rs"),
    ),
    (
        "PatientChildrenWatch",
        include_str!("../../src/watch/patient_children_watch.rs"),
    ),
    ("TypedNode", include_str!("../../src/typed/node.rs")),
    ("TypedCache", include_str!("../../src/typed/cache.rs")),
    (
        "ChildrenCache",
        include_str!("../../src/typed/children_cache.rs"),
    ),
    (
        "ChildrenWithData",
        include_str!("../../src/typed/children.rs"),
    ),
    (
        "PersistentWatch",
        include_str!("../../src/watch/persistent_watch.rs"),
    ),
    ("TreeCache", include_str!("../../src/tree_cache/mod.rs")),
    (
        "PersistentNode",
        include_str!("../../src/membership/persistent_node.rs"),
    ),
    (
        "PersistentTtlNode",
        include_str!("../../src/membership/persistent_ttl_node.rs"),
    ),
    (
        "GroupMember",
        include_str!("../../src/membership/group_member.rs"),
    ),
    ("Party", include_str!("../../src/membership/party.rs")),
    (
        "ShallowParty",
        include_str!("../../src/membership/party.rs"),
    ),
    ("SetPartitioner", include_str!("../../src/partition/mod.rs")),
    (
        "NonBlockingLease",
        include_str!("../../src/leases/non_blocking_lease.rs"),
    ),
    (
        "MultiNonBlockingLease",
        include_str!("../../src/leases/multi_lease.rs"),
    ),
    ("Counter", include_str!("../../src/counters/counter.rs")),
    (
        "AtomicInteger",
        include_str!("../../src/counters/atomic.rs"),
    ),
    ("AtomicLong", include_str!("../../src/counters/atomic.rs")),
    (
        "AtomicValue",
        include_str!("../../src/counters/atomic_value.rs"),
    ),
    (
        "SharedValue",
        include_str!("../../src/counters/shared_value.rs"),
    ),
    (
        "SharedCount",
        include_str!("../../src/counters/shared_count.rs"),
    ),
    ("IdBlocks", include_str!("../../src/counters/id_blocks.rs")),
    (
        "ServiceDiscovery",
        include_str!("../../src/discovery/service_discovery.rs"),
    ),
    (
        "ServiceCache",
        include_str!("../../src/discovery/service_cache.rs"),
    ),
    (
        "ServerSet",
        include_str!("../../src/discovery/server_set.rs"),
    ),
    ("Queue", include_str!("../../src/queues/queue.rs")),
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
            if line.starts_with("impl") && line.ends_with(" {") {
                let name = line.trim_end_matches(" {").rsplit(' ').next();
                of = name
                    .and_then(|name| name.split('<').next())
                    .unwrap_or_default();
            }
            if line.starts_with("    pub fn new(client: &Client") {
                made += 1;
                assert!(RECIPES.iter().any(|(recipe, _)| *recipe == of), "{of}");
            }
        }
    }
    assert!(made > 10, "{made} recipes");
}
