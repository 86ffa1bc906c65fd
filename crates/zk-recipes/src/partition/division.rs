//! Which items are whose, read from the names of the members.

/// Decides which of the items are one member's: `(member, members, items)`, with the members'
/// identifiers and the items in order. Every member must decide alike.
pub(super) type Divide = dyn Fn(&str, &[String], &[String]) -> Vec<String> + Send + Sync;

/// The members of a party, read from the names of its znodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Members {
    /// In the order of the identifiers, and then of the ids.
    sorted: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    identifier: String,
    name: String,
}

impl Members {
    /// As kazoo does: the identifier is what follows the first hyphen, or the whole name.
    pub(super) fn of(names: &[String]) -> Self {
        let member = |name: &String| Member {
            identifier: match name.split_once('-') {
                Some((_, identifier)) => identifier.to_owned(),
                None => name.clone(),
            },
            name: name.clone(),
        };
        let mut sorted: Vec<_> = names.iter().map(member).collect();
        sorted.sort_unstable();
        Members { sorted }
    }

    pub(super) fn identifiers(&self) -> Vec<String> {
        let identifiers = self.sorted.iter();
        identifiers
            .map(|member| member.identifier.clone())
            .collect()
    }

    /// The share of the member with this znode: each item after the ones of the members before it, in
    /// turn. `None` if it is not a member. kazoo gives members with equal identifiers equal shares;
    /// here they get different ones.
    pub(super) fn share(&self, name: &str, items: &[String]) -> Option<Vec<String>> {
        let at = self.sorted.iter().position(|member| member.name == name)?;
        let share = items.iter().skip(at).step_by(self.sorted.len().max(1));
        Some(share.cloned().collect())
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.sorted.iter().any(|member| member.name == name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn members_take_items_in_turn() {
        let members = Members::of(&owned(&["9-b", "1-c", "5-a-host"]));
        assert_eq!(members.identifiers(), ["a-host", "b", "c"]);
        let items = owned(&["1", "2", "3", "4"]);
        assert_eq!(members.share("5-a-host", &items).unwrap(), ["1", "4"]);
        assert_eq!(members.share("9-b", &items).unwrap(), ["2"]);
        assert_eq!(members.share("1-c", &items).unwrap(), ["3"]);
        assert_eq!(members.share("b", &items), None);
    }

    /// kazoo #392: there they get the same items.
    #[test]
    fn equal_identifiers_get_different_shares() {
        let members = Members::of(&owned(&["2-same", "1-same"]));
        let items = owned(&["1", "2", "3"]);
        assert_eq!(members.share("1-same", &items).unwrap(), ["1", "3"]);
        assert_eq!(members.share("2-same", &items).unwrap(), ["2"]);
    }

    proptest! {
        #[test]
        fn each_item_is_in_one_share(
            names in prop::collection::hash_set("[0-9a-f]{4}-[a-c]{1,2}", 1..8),
            items in prop::collection::btree_set("[a-z]{1,3}", 0..30),
        ) {
            let names: Vec<_> = names.into_iter().collect();
            let items: Vec<_> = items.into_iter().collect();
            let members = Members::of(&names);
            let shares = names.iter().map(|name| members.share(name, &items).unwrap());
            let shares: Vec<_> = shares.collect();
            let sizes: Vec<_> = shares.iter().map(Vec::len).collect();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
            let mut all = shares.concat();
            all.sort_unstable();
            prop_assert_eq!(all, items);
        }
    }
}
