//! One leader at a time, and who it is.

use std::ops::Deref;

use bytes::Bytes;
use zk_client::Client;

use crate::error::Result;
use crate::guard::{Guard, Token};
use crate::line::Line;

/// An election among all programs on the ensemble that campaign under the same path.
///
/// Leadership is a scope, not a flag: a [`Term`], with a token that grows from term to term. The
/// znodes are those of a [`Lock`](crate::Lock).
///
/// # Losing the session
///
/// While campaigning, the place in the line is lost, and a new one is taken at its end. While
/// leading, the term is over: see [`Guard`]. It is over on this side before the ensemble can let
/// another lead.
#[derive(Debug, Clone)]
pub struct Election {
    line: Line,
}

/// A program that leads or wants to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// What it calls itself.
    pub identifier: Bytes,
    /// The token of its term, should it lead.
    pub token: Token,
}

impl Election {
    /// The election that `path` stands for.
    pub fn new(client: &Client, path: &str) -> Self {
        Election {
            line: Line::new(client, path),
        }
    }

    /// What this candidate calls itself.
    #[must_use]
    pub fn identifier(mut self, identifier: impl AsRef<[u8]>) -> Self {
        self.line.set_identifier(identifier.as_ref());
        self
    }

    /// Waits until this candidate leads.
    ///
    /// # Errors
    /// The client is over, or the ensemble refuses the election's znodes.
    ///
    /// # Cancel safety
    /// Dropping the future withdraws the candidacy.
    pub async fn campaign(&self) -> Result<Term> {
        loop {
            if let Some(guard) = self.line.stand(true).await? {
                return Ok(Term { guard });
            }
        }
    }

    /// Who leads, if anyone does. What it says is past when it is said.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn leader(&self) -> Result<Option<Candidate>> {
        Ok(self.candidates().await?.into_iter().next())
    }

    /// The leader and those who want to succeed it, in order.
    ///
    /// # Errors
    /// A read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn candidates(&self) -> Result<Vec<Candidate>> {
        let candidates = self.line.identified().await?;
        Ok(candidates
            .into_iter()
            .map(|(identifier, token)| Candidate { identifier, token })
            .collect())
    }
}

/// A term of leadership. Everything about it is said at [`Guard`].
#[derive(Debug)]
#[must_use = "dropping a term resigns"]
pub struct Term {
    guard: Guard,
}

impl Term {
    /// Resigns: when this returns, the next candidate can lead.
    ///
    /// # Errors
    /// The client is over. The term then ends with the session.
    ///
    /// # Cancel safety
    /// Dropping the future resigns in the background.
    pub async fn resign(self) -> Result<()> {
        self.guard.give_up().await
    }
}

impl Deref for Term {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        &self.guard
    }
}
