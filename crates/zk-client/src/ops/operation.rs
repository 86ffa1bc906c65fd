//! The methods that the builders of all operations share.
//!
//! Rust has no way to give several types the same inherent methods, and methods of a trait would
//! have to be imported by every caller. So these two macros write them, and nothing else:
//!
//! - `operation!(Get -> (Bytes, Stat))` gives `Get` the methods `deadline` and `wait`, and makes
//!   `.await` the same as awaiting what its `submit` returns.
//! - `blocking!` gives one type the method `wait`.

/// Gives a builder `deadline()`, `wait()` and `.await`. The builder has a method `submit` and the
/// fields `client` and `deadline`; behind a semicolon stands the field or method that it has instead.
macro_rules! operation {
    ($name:ident -> $output:ty) => {
        operation!(@ [<'a>] [$name<'a>] $output, submit [] |op, time| op.deadline = time);
    };
    ($name:ident -> $output:ty; call) => {
        operation!(@ [<'a>] [$name<'a>] $output, submit [call.] |op, time| op.call = op.call.deadline(time));
    };
    ($name:ident -> $output:ty; commit) => {
        operation!(@ [<'a>] [$name<'a>] $output, commit [] |op, time| op.deadline = time);
    };
    ($name:ident<$data:ident> -> $output:ty) => {
        operation!(@ [<'a, $data: AsRef<[u8]>>] [$name<'a, $data>] $output, submit [] |op, time| op.deadline = time);
    };
    (@ [$($generics:tt)*] [$name:ty] $output:ty, $submit:ident [$($field:tt)*] |$op:ident, $time:ident| $set:expr) => {
        impl $($generics)* $name {
            /// How long the operation may take, waiting for a connection included. The default is
            /// that of the client.
            pub fn deadline(mut self, deadline: std::time::Duration) -> Self {
                let ($op, $time) = (&mut self, Some(deadline));
                $set;
                self
            }
        }

        $crate::ops::operation::blocking!([$($generics)*] $name, $output, |op| op.$($field)*client);

        impl $($generics)* IntoFuture for $name {
            type Output = $crate::Result<$output>;
            type IntoFuture = $crate::Pending<$output>;

            fn into_future(self) -> $crate::Pending<$output> {
                self.$submit()
            }
        }
    };
}
pub(crate) use operation;

/// Gives a future, or what becomes one, the method `wait` for programs without a runtime.
macro_rules! blocking {
    ([$($generics:tt)*] $name:ty, $output:ty, |$op:ident| $client:expr) => {
        #[cfg(feature = "blocking")]
        impl $($generics)* $name {
            /// Performs the operation and blocks until it is done. With the feature `blocking`.
            ///
            /// # Errors
            /// Those of the operation.
            ///
            /// # Panics
            /// If this thread is running asynchronous tasks; see [`blocking`](crate::blocking).
            pub fn wait(self) -> $crate::Result<$output> {
                let $op = &self;
                let runtime = $client.runtime().clone();
                runtime.block_on(self.into_future())
            }
        }
    };
}
pub(crate) use blocking;
