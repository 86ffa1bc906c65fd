//! What an import does with a znode.

use super::difference::Difference;
use super::order::is_at_or_below;
use super::{Kind, Node};

/// The options of an import.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) existing: Existing,
    /// Ephemeral znodes are created as persistent ones, and not left out.
    pub(crate) keep_ephemerals: bool,
    /// Znodes with the name of a sequential one are left out, with everything below them.
    pub(crate) skip_sequences: bool,
    /// ACLs are neither compared nor set.
    pub(crate) ignore_acls: bool,
}

/// What is done with a znode that exists and differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Fail,
    Skip,
    Overwrite,
}

/// Why a znode is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftOut {
    Ephemeral,
    Sequence,
}

/// Decides which znodes of a tree are left out. The znodes come in order.
#[derive(Debug)]
pub(crate) struct Selection {
    options: Options,
    left_out: Option<String>,
}

impl Selection {
    pub(crate) fn new(options: Options) -> Self {
        Selection {
            options,
            left_out: None,
        }
    }

    pub(crate) fn leaves_out(&mut self, node: &Node) -> Option<LeftOut> {
        if node.kind == Kind::Ephemeral && !self.options.keep_ephemerals {
            return Some(LeftOut::Ephemeral);
        }
        if !self.options.skip_sequences {
            return None;
        }
        let is_below = |above: &String| is_at_or_below(&node.path, above);
        if self.left_out.as_ref().is_some_and(is_below) {
            return Some(LeftOut::Sequence);
        }
        if node.is_sequence() {
            self.left_out = Some(node.path.clone());
            return Some(LeftOut::Sequence);
        }
        None
    }
}

/// What is done with a znode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Create,
    /// What differs is replaced.
    Replace(Difference),
    /// It is there already.
    Nothing,
    /// It differs and stays.
    Keep(Difference),
    /// It differs, and the import ends.
    Conflict(Difference),
}

/// The step for a znode, given what is in its place. The kind of an existing znode cannot be changed, and is not
/// compared.
pub(crate) fn step(node: &Node, existing: Option<&Node>, options: Options) -> Step {
    let Some(existing) = existing else {
        return Step::Create;
    };
    let ignored = Difference {
        acl: options.ignore_acls,
        kind: true,
        data: false,
    };
    let difference = Difference::between(node, existing).without(ignored);
    if difference.is_none() {
        return Step::Nothing;
    }
    match options.existing {
        Existing::Fail => Step::Conflict(difference),
        Existing::Skip => Step::Keep(difference),
        Existing::Overwrite => Step::Replace(difference),
    }
}

#[cfg(test)]
mod tests {
    use zk_client::Acl;

    use super::super::samples::node;
    use super::*;

    const OPTIONS: Options = Options {
        existing: Existing::Fail,
        keep_ephemerals: false,
        skip_sequences: false,
        ignore_acls: false,
    };

    #[test]
    fn what_is_there_already_is_no_conflict() {
        let given = node("/a", "v");
        for existing in [Existing::Fail, Existing::Skip, Existing::Overwrite] {
            let options = Options {
                existing,
                ..OPTIONS
            };
            assert_eq!(step(&given, None, options), Step::Create);
            assert_eq!(step(&given, Some(&node("/a", "v")), options), Step::Nothing);
        }
    }

    #[test]
    fn a_difference_is_handled_by_the_option() {
        let (given, mut there) = (node("/a", "v"), node("/a", "w"));
        there.acl = Acl::read_only();
        let both = Difference {
            data: true,
            acl: true,
            kind: false,
        };
        let with = |existing| {
            step(
                &given,
                Some(&there),
                Options {
                    existing,
                    ..OPTIONS
                },
            )
        };
        assert_eq!(with(Existing::Fail), Step::Conflict(both));
        assert_eq!(with(Existing::Skip), Step::Keep(both));
        assert_eq!(with(Existing::Overwrite), Step::Replace(both));
        let options = Options {
            ignore_acls: true,
            ..OPTIONS
        };
        let data = Difference { acl: false, ..both };
        assert_eq!(step(&given, Some(&there), options), Step::Conflict(data));
    }

    #[test]
    fn an_ephemeral_node_is_left_out_or_kept() {
        let mut given = node("/a", "v");
        given.kind = Kind::Ephemeral;
        let left_out = Selection::new(OPTIONS).leaves_out(&given);
        assert_eq!(left_out, Some(LeftOut::Ephemeral));
        let options = Options {
            keep_ephemerals: true,
            ..OPTIONS
        };
        assert_eq!(Selection::new(options).leaves_out(&given), None);
        // Even though the one that is there is ephemeral no more.
        assert_eq!(step(&given, Some(&node("/a", "v")), options), Step::Nothing);
    }

    #[test]
    fn a_sequence_is_left_out_with_all_below_it() {
        let options = Options {
            skip_sequences: true,
            ..OPTIONS
        };
        let mut selection = Selection::new(options);
        let left_out = ["/q", "/q/n-0000000001", "/q/n-0000000001/x", "/q/x", "/r"]
            .map(|path| selection.leaves_out(&node(path, "")));
        let sequence = Some(LeftOut::Sequence);
        assert_eq!(left_out, [None, sequence, sequence, None, None]);
        let kept = Selection::new(OPTIONS).leaves_out(&node("/q/n-0000000001", ""));
        assert_eq!(kept, None);
    }
}
