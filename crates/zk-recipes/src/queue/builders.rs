//! The options and the methods that the users of a queue have in common. Each macro is invoked
//! directly below its type.

/// Gives a type whose field `queue` is a [`ContenderQueue`](super::ContenderQueue) the options
/// `identifier`, `layout`, `extra_pattern` and `lease_basis`.
macro_rules! queue_options {
    ($name:ident) => {
        impl $name {
            /// The contents of the contender's znode, by which people and other contenders recognize
            /// it; empty unless given.
            #[must_use]
            pub fn identifier(mut self, identifier: impl AsRef<[u8]>) -> Self {
                self.queue.set_identifier(identifier.as_ref());
                self
            }

            /// The naming scheme of its znodes; [`Layout::Default`](crate::Layout::Default) unless
            /// given.
            #[must_use]
            pub fn layout(mut self, layout: $crate::queue::Layout) -> Self {
                self.queue.set_layout(layout);
                self
            }

            /// Also counts children with `pattern` before their number as exclusive contenders:
            /// kazoo's `extra_lock_patterns`. May be called several times.
            #[must_use]
            pub fn extra_pattern(mut self, pattern: &str) -> Self {
                self.queue.add_pattern(pattern);
                self
            }

            /// What the guard's deadline depends on;
            /// [`LeaseBasis::Quorum`](crate::LeaseBasis::Quorum) unless given.
            #[must_use]
            pub fn lease_basis(mut self, lease_basis: $crate::guard::LeaseBasis) -> Self {
                self.queue.set_lease_basis(lease_basis);
                self
            }
        }
    };
}

/// Gives a lock whose field `queue` is a [`ContenderQueue`](super::ContenderQueue) the methods
/// `acquire`, `try_acquire`, `acquire_timeout` and `contenders`.
#[cfg(feature = "locks")]
macro_rules! lock_methods {
    ($name:ident -> $guard:ident) => {
        impl $name {
            /// Waits for the lock, without a limit.
            ///
            /// # Errors
            /// The client is closed, or the ensemble refuses the lock's znodes. An invalid path, or
            /// the root of the ensemble, is an error before anything is sent
            /// ([`InvalidPath`](zk_client::ErrorKind::InvalidPath)). Where one session is lost after
            /// the other, the wait ends with [`PlacesLost`](crate::Error::PlacesLost).
            ///
            /// # Cancel safety
            /// Dropping the future leaves the queue; neither a znode nor a watch stays.
            pub async fn acquire(&self) -> $crate::error::Result<$guard> {
                Ok($guard::new(self.queue.wait().await?))
            }

            /// Takes the lock if no other contender is ahead. Waits for a connection, not for the
            /// lock.
            ///
            /// # Errors
            /// As [`acquire`](Self::acquire).
            ///
            /// # Cancel safety
            /// As [`acquire`](Self::acquire).
            pub async fn try_acquire(&self) -> $crate::error::Result<Option<$guard>> {
                Ok(self.queue.try_enter().await?.map($guard::new))
            }

            /// Waits for the lock for at most `timeout`, connecting included.
            ///
            /// # Errors
            /// As [`acquire`](Self::acquire).
            ///
            /// # Cancel safety
            /// As [`acquire`](Self::acquire).
            pub async fn acquire_timeout(
                &self,
                timeout: std::time::Duration,
            ) -> $crate::error::Result<Option<$guard>> {
                match tokio::time::timeout(timeout, self.acquire()).await {
                    Ok(acquired) => acquired.map(Some),
                    Err(_elapsed) => Ok(None),
                }
            }

            /// The holders and the waiting contenders, in the order of their arrival.
            ///
            /// # Errors
            /// A read failed.
            ///
            /// # Cancel safety
            /// Dropping the future has no effect.
            pub async fn contenders(&self) -> $crate::error::Result<Vec<$crate::queue::Contender>> {
                self.queue.contenders().await
            }
        }
    };
}

#[cfg(feature = "locks")]
pub(crate) use lock_methods;
pub(crate) use queue_options;
