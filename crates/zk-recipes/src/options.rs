//! What all who stand in a line can be told, and what all locks can do.

/// The options of whoever stands in the line that is its field `line`.
macro_rules! line_options {
    ($name:ident) => {
        impl $name {
            /// Who is asking: the contents of the contender's znode, for people and other contenders
            /// to read.
            #[must_use]
            pub fn identifier(mut self, identifier: impl AsRef<[u8]>) -> Self {
                self.line.set_identifier(identifier.as_ref());
                self
            }

            /// Whose names its znodes have; [`Layout::Default`](crate::Layout::Default) unless given.
            #[must_use]
            pub fn layout(mut self, layout: $crate::Layout) -> Self {
                self.line.set_layout(layout);
                self
            }

            /// Takes also children with `pattern` before their number for contenders that want it
            /// for themselves: kazoo's `extra_lock_patterns`. May be called several times.
            #[must_use]
            pub fn extra_pattern(mut self, pattern: &str) -> Self {
                self.line.add_pattern(pattern);
                self
            }

            /// What the guard's deadline rests on; [`Trust::Quorum`](crate::Trust::Quorum) unless
            /// given.
            #[must_use]
            pub fn trust(mut self, trust: $crate::Trust) -> Self {
                self.line.set_trust(trust);
                self
            }
        }
    };
}

/// What can be done with a lock whose line is its field `line`.
macro_rules! lock {
    ($name:ident -> $guard:ident) => {
        impl $name {
            /// Waits for the lock, however long it takes.
            ///
            /// # Errors
            /// The client is over, or the ensemble refuses the lock's znodes. An invalid path, or
            /// the root of the ensemble, is an error before anything is sent
            /// ([`InvalidPath`](zk_client::ErrorKind::InvalidPath)). Where one session is lost after
            /// the other, the wait ends with [`PlacesLost`](crate::Error::PlacesLost).
            ///
            /// # Cancel safety
            /// Dropping the future leaves the line; neither a znode nor a watch stays.
            pub async fn acquire(&self) -> $crate::Result<$guard> {
                Ok($guard::new(self.line.wait().await?))
            }

            /// Takes the lock if nobody has to be waited for. Waits for a connection, not for the
            /// lock.
            ///
            /// # Errors
            /// As [`acquire`](Self::acquire).
            ///
            /// # Cancel safety
            /// As [`acquire`](Self::acquire).
            pub async fn try_acquire(&self) -> $crate::Result<Option<$guard>> {
                Ok(self.line.stand(false).await?.map($guard::new))
            }

            /// Waits for the lock, all in all no longer than `timeout`.
            ///
            /// # Errors
            /// As [`acquire`](Self::acquire).
            ///
            /// # Cancel safety
            /// As [`acquire`](Self::acquire).
            pub async fn acquire_timeout(
                &self,
                timeout: std::time::Duration,
            ) -> $crate::Result<Option<$guard>> {
                match tokio::time::timeout(timeout, self.acquire()).await {
                    Ok(acquired) => acquired.map(Some),
                    Err(_elapsed) => Ok(None),
                }
            }

            /// Those who hold it and those who wait for it, in the order of their arrival.
            ///
            /// # Errors
            /// A read failed.
            ///
            /// # Cancel safety
            /// Dropping the future has no effect.
            pub async fn contenders(&self) -> $crate::Result<Vec<$crate::Contender>> {
                self.line.contenders().await
            }
        }
    };
}

pub(crate) use {line_options, lock};
