//! The methods that every guard of a recipe has.

/// Gives a type the methods of the [`Guard`](crate::Guard) that is its field `guard`, and
/// `AsRef<Guard>`. Not `Deref`, which is for pointers: a guard has methods of its own, such as
/// `release`.
macro_rules! delegate_to_guard {
    ($name:ident) => {
        impl $name {
            /// The fencing token: see [`Guard::token`](crate::Guard::token).
            pub fn token(&self) -> $crate::guard::Token {
                self.guard.token()
            }

            /// The path of the guard's znode.
            pub fn path(&self) -> &str {
                self.guard.path()
            }

            /// The local time until which the guard can be trusted as things stand: see
            /// [`Guard::deadline`](crate::Guard::deadline).
            pub fn deadline(&self) -> Option<std::time::Instant> {
                self.guard.deadline()
            }

            /// Whether the guard is held now, by the clock: see
            /// [`Guard::check`](crate::Guard::check).
            ///
            /// # Errors
            /// The guard is lost.
            pub fn check(&self) -> Result<(), $crate::error::GuardLost> {
                self.guard.check()
            }

            /// Waits until the guard is lost: see [`Guard::lost`](crate::Guard::lost).
            ///
            /// # Cancel safety
            /// Can be dropped and called again.
            pub async fn lost(&self) -> $crate::error::GuardLost {
                self.guard.lost().await
            }

            /// Runs `future` while the guard is held, and drops it when the guard is lost: see
            /// [`Guard::run`](crate::Guard::run).
            ///
            /// # Errors
            /// The guard was lost before the future was ready.
            ///
            /// # Cancel safety
            /// Drops `future`.
            pub async fn run<F: Future>(
                &self,
                future: F,
            ) -> Result<F::Output, $crate::error::GuardLost> {
                self.guard.run(future).await
            }

            /// Writes that take effect only if the guard is still held when the ensemble executes
            /// them: see [`Guard::fenced`](crate::Guard::fenced).
            pub fn fenced(&self) -> $crate::guard::fenced::FencedMulti<'_> {
                self.guard.fenced()
            }

            /// Leaves the guard to the client that will have the session, or, if it outlives its
            /// session, to any client: see [`Handover`](crate::Handover). The znode stays. If the client
            /// is closed and not detached, the ensemble deletes the znode with the session.
            pub fn hand_over(self) -> $crate::guard::handover::Handover {
                self.guard.hand_over()
            }

            /// Waits until another client requests a release: see
            /// [`Guard::revoked`](crate::Guard::revoked).
            ///
            /// # Errors
            /// The guard is lost.
            ///
            /// # Cancel safety
            /// Can be dropped and called again.
            pub async fn revoked(&self) -> Result<(), $crate::error::GuardLost> {
                self.guard.revoked().await
            }
        }

        impl AsRef<$crate::guard::Guard> for $name {
            fn as_ref(&self) -> &$crate::guard::Guard {
                &self.guard
            }
        }
    };
}

pub(crate) use delegate_to_guard;
