//! Znodes whose data are values of a type.

#[cfg(feature = "tree-cache")]
mod cache;
mod children;
#[cfg(feature = "tree-cache")]
mod children_cache;
mod model;
mod node;
mod options;
mod template;
mod value;

#[cfg(feature = "tree-cache")]
pub use cache::TypedCache;
pub use children::{ChildrenRead, ChildrenWithData};
#[cfg(feature = "tree-cache")]
pub use children_cache::{ChildrenCache, TypedChildren};
pub use model::Model;
pub use node::TypedNode;
pub use options::NodeOptions;
pub use template::PathTemplate;
pub use value::TypedValue;
