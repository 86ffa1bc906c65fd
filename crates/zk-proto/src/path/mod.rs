//! Paths of nodes: what the server accepts, chroots, and the numbers of sequential nodes.

mod chroot;
mod sequence;
mod validate;
mod wire;

pub use chroot::Chroot;
pub use sequence::{cmp_sequence, sequence, sequence_after};
pub use validate::{
    PathError, PathProblem, join, name, names, parent, validate, validate_sequential,
};
pub use wire::WirePath;
