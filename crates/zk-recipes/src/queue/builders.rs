//! The options and the methods that the users of a queue have in common. Each macro is invoked
//! directly below its type.

/// Gives a type whose field `queue` is a [`ContenderQueue`](super::ContenderQueue) the options
/// `identifier`, `adopt_by`, `layout`, `extra_pattern` and `lease_basis`.
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

            /// An id of the contender, by which a process that has resumed the session of an earlier one
            /// recognises its places: see "After a crash" above. Choose it once with
            /// [`Guid::random`](zk_client::Guid::random) and keep it, in a file or in the configuration.
            ///
            /// It belongs to one contender: to this value and its clones, in one program at a time. The
            /// znodes' names have its first 24 digits, and further ones that distinguish acquisitions.
            /// A pattern of names without an id is an error with it.
            #[must_use]
            pub fn adopt_by(mut self, id: zk_client::Guid) -> Self {
                self.queue.set_id(Some($crate::queue::PlaceId::new(id)));
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
            #[doc(alias = "extra_lock_patterns")]
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

/// Gives a type of exclusive contenders whose field `queue` is a
/// [`ContenderQueue`](super::ContenderQueue) the option `names`.
macro_rules! names_option {
    ($name:ident) => {
        impl $name {
            /// Names of one's own for the contenders' znodes, in place of a
            /// [layout](crate::Layout): `pattern` is what is before the number, and `{id}` in it stands
            /// for a random id of 32 hexadecimal digits.
            ///
            /// | pattern | the names of |
            /// |---|---|
            /// | `x-{id}-` | ZooKeeper's `WriteLock` in Java and `zoo_lock` in C, whose id is the session's |
            /// | `n_` | ZooKeeper's `LeaderElectionSupport`, whose contents are the host's name |
            ///
            /// Only children of the pattern count as contenders, with any text in the place of the id,
            /// and those of an [`extra_pattern`](Self::extra_pattern). All contenders must use the same
            /// pattern. The parent is persistent if it has to be created.
            ///
            /// A pattern without an id should be used only where other programs require it: where the reply
            /// to a creation is lost, the client recognises its znode by the session, the transaction and
            /// the identifier, and has to read those of the other contenders for that. And when the parent is deleted and created again while the lock is held, the
            /// numbers start again, and the znode of another contender can have the name of this one's.
            ///
            /// An empty pattern, or one with a slash or a digit at its end, is an error when the znodes
            /// are first used ([`InvalidPath`](zk_client::ErrorKind::InvalidPath)).
            #[must_use]
            pub fn names(mut self, pattern: &str) -> Self {
                self.queue.set_names(pattern);
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
            #[doc(alias = "LockTimeout")]
            pub async fn acquire_timeout(
                &self,
                timeout: std::time::Duration,
            ) -> $crate::error::Result<Option<$guard>> {
                match tokio::time::timeout(timeout, self.acquire()).await {
                    Ok(acquired) => acquired.map(Some),
                    Err(_elapsed) => Ok(None),
                }
            }

            /// Takes up the lock that an earlier client of this session held and
            /// [handed over](crate::Handover); `None` if the session is not the earlier client's, the
            /// znode was deleted, the contender did not hold the lock, or a guard of this process has
            /// the znode.
            ///
            /// # Errors
            /// A request failed, or the client is closed.
            ///
            /// # Cancel safety
            /// Dropping the future has no effect: the lock stays held by the session.
            pub async fn resume(
                &self,
                handover: &$crate::guard::handover::Handover,
            ) -> $crate::error::Result<Option<$guard>> {
                Ok(self.queue.resume(handover).await?.map($guard::new))
            }

            /// The holders and the waiting contenders, in the order of their arrival.
            ///
            /// # Errors
            /// A read failed.
            ///
            /// # Cancel safety
            /// Dropping the future has no effect.
            #[doc(alias = "getParticipantNodes")]
            pub async fn contenders(&self) -> $crate::error::Result<Vec<$crate::queue::Contender>> {
                self.queue.contenders().await
            }
        }
    };
}

#[cfg(feature = "locks")]
pub(crate) use lock_methods;
pub(crate) use names_option;
pub(crate) use queue_options;
