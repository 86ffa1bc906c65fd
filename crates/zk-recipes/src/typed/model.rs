//! Znodes of one kind, at paths with parameters.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use zk_client::Client;

use super::node::TypedNode;
use super::options::NodeOptions;
use super::template::PathTemplate;
use super::value::TypedValue;
use crate::codec::Codec;
use crate::error::{Error, Result};

/// What all znodes of one kind share: a path with parameters, a codec, and how they are created.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::{Model, NodeOptions, PathTemplate, Text};
///
/// let path = PathTemplate::new("/users/{id}/email")?;
/// let emails = Model::<String>::new(path, Text).options(NodeOptions::new().container());
/// emails.at(&zk, &[&7])?.set(&"seven@example.com".to_owned()).await?;
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// Those of the [`TypedNode`]s that it makes; the cost and the rest are theirs, too. The counterpart is
/// Curator's `ModelSpec`. Its schemas have no counterpart: whatever validates a value belongs into
/// the codec. Neither have its `MigrationManager`s, whose metadata contain hashes of Java's
/// representation of the requests, which no other program can compute: hold a `Lock`, and write the
/// steps and a znode for what was done in one `fenced` transaction of its guard.
#[doc(alias = "ModelSpec")]
#[doc(alias = "MigrationManager")]
pub struct Model<T> {
    template: PathTemplate,
    codec: Arc<dyn Codec<T>>,
    options: NodeOptions,
}

impl<T: 'static> Model<T> {
    /// A model of the znodes at `template`.
    pub fn new(template: PathTemplate, codec: impl Codec<T>) -> Self {
        Model {
            template,
            codec: Arc::new(codec),
            options: NodeOptions::new(),
        }
    }

    /// How the znodes are created.
    pub fn options(mut self, options: NodeOptions) -> Self {
        self.options = options;
        self
    }

    /// The path with parameters.
    pub fn template(&self) -> &PathTemplate {
        &self.template
    }

    /// The znode with these values of the parameters.
    ///
    /// # Errors
    /// Those of [`PathTemplate::resolve`].
    pub fn at(&self, client: &Client, values: &[&dyn fmt::Display]) -> Result<TypedNode<T>> {
        Ok(self.node(client, self.template.resolve(values)?))
    }

    /// All znodes that have these values in all parameters but the last, by the value of the last, which
    /// is the last name of the path.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the last name is not a parameter; those of [`PathTemplate::resolve`]
    /// and of [`TypedNode::children`].
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn list(
        &self,
        client: &Client,
        values: &[&dyn fmt::Display],
    ) -> Result<BTreeMap<String, TypedValue<T>>> {
        let parent = self
            .template
            .parent()
            .filter(|_| self.template.ends_in_parameter());
        let parent = parent.ok_or(Error::Unsupported(
            "a list of a model whose path does not end in a parameter",
        ))?;
        let path = parent.resolve(values)?;
        self.node(client, path).children().await
    }

    fn node(&self, client: &Client, path: String) -> TypedNode<T> {
        TypedNode::with(client, path, self.codec.clone(), self.options.clone())
    }
}

impl<T> Clone for Model<T> {
    fn clone(&self) -> Self {
        Model {
            template: self.template.clone(),
            codec: self.codec.clone(),
            options: self.options.clone(),
        }
    }
}

impl<T> fmt::Debug for Model<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("template", &self.template)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
