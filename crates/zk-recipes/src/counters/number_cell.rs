//! A cell that contains a number, and the methods that all counters have.

use bytes::Bytes;
use zk_client::{Client, Stat};

use super::cell::{Cell, Changed};
use super::number::{Format, Number};
use crate::error::{Error, Result};

/// A cell that contains a number.
#[derive(Debug, Clone)]
pub(super) struct NumberCell<N> {
    pub(super) cell: Cell,
    format: Format,
    /// The value of empty contents, and without the znode.
    initial: N,
}

impl<N: Number> NumberCell<N> {
    pub(super) fn new(client: &Client, path: &str, format: Format) -> Self {
        NumberCell {
            cell: Cell::new(client, path, Bytes::new()),
            format,
            initial: N::ZERO,
        }
    }

    pub(super) fn set_initial(&mut self, initial: N) {
        self.initial = initial;
        self.seed();
    }

    pub(super) fn set_format(&mut self, format: Format) {
        self.format = format;
        self.seed();
    }

    /// Contents for a new znode. Empty ones are the initial value of each reader, except that Curator's
    /// `SharedCount` cannot read them.
    fn seed(&mut self) {
        let seed = match self.format {
            Format::FourBytes => self.initial.encode(self.format),
            Format::Text | Format::EightBytes => None,
        };
        self.cell.set_seed(seed.unwrap_or_default().into());
    }

    pub(super) async fn read(&self) -> Result<N> {
        match self.cell.read().await? {
            Some((data, stat)) => self.decode(&data, &stat),
            None => Ok(self.initial),
        }
    }

    /// Changes the number; nothing is written if `change` returns `None`.
    pub(super) async fn change(
        &self,
        mut change: impl FnMut(N) -> Result<Option<N>>,
    ) -> Result<Changed<N>> {
        let mut values = (self.initial, self.initial);
        let changed = self.cell.change(|data, stat| {
            let before = self.decode(data, stat)?;
            values = (before, before);
            let Some(after) = change(before)? else {
                return Ok(None);
            };
            values = (before, after);
            Ok(Some(self.encode(after)?))
        });
        let changed = changed.await?;
        Ok(Changed {
            before: values.0,
            after: values.1,
            written: changed.written,
            stat: changed.stat,
        })
    }

    pub(super) async fn add(&self, addend: N) -> Result<N> {
        let add = |value: N| value.plus(addend).map(Some).ok_or_else(|| self.overflow());
        Ok(self.change(add).await?.after)
    }

    pub(super) async fn subtract(&self, subtrahend: N) -> Result<N> {
        match subtrahend.negated() {
            Some(addend) => self.add(addend).await,
            None => Err(self.overflow()),
        }
    }

    pub(super) async fn compare_and_set(&self, expected: N, value: N) -> Result<bool> {
        let set = |found: N| Ok((found == expected).then_some(value));
        Ok(self.change(set).await?.written)
    }

    fn decode(&self, data: &[u8], stat: &Stat) -> Result<N> {
        if data.is_empty() {
            return Ok(self.initial);
        }
        N::decode(self.format, data).map_err(|source| Error::Undecodable {
            path: self.cell.path().to_owned(),
            version: stat.version,
            source,
        })
    }

    fn encode(&self, value: N) -> Result<Bytes> {
        let data = value.encode(self.format);
        data.map(Bytes::from).ok_or_else(|| self.overflow())
    }

    fn overflow(&self) -> Error {
        Error::Overflow {
            path: self.cell.path().to_owned(),
        }
    }
}

/// The methods that all counters have.
macro_rules! counter_methods {
    ([$($bound:tt)*] $name:ty, $number:ty) => {
        impl<$($bound)*> $name {
            /// The present value, as the client's server knows it: a read after a change by the same
            /// client shows that change, and changes by others show with the delay of the server.
            /// Without the znode it is the initial value.
            ///
            /// # Errors
            /// The read failed, or the contents are not such a number
            /// ([`Error::Undecodable`](crate::Error::Undecodable)).
            ///
            /// # Cancel safety
            /// Dropping the future has no effect.
            pub async fn get(&self) -> $crate::error::Result<$number> {
                self.number.read().await
            }

            /// Adds a number once, and returns the sum. A negative number is subtracted.
            ///
            /// # Errors
            /// The sum is out of range ([`Error::Overflow`](crate::Error::Overflow)), the contents are
            /// not such a number ([`Error::Undecodable`](crate::Error::Undecodable)), or a request
            /// failed. With [`Outcome::Unknown`](zk_client::Outcome::Unknown) the number was added at
            /// most once, with other outcomes it was not. An invalid path, or the root of the ensemble,
            /// is an error before anything is sent
            /// ([`InvalidPath`](zk_client::ErrorKind::InvalidPath)).
            ///
            /// # Cancel safety
            /// After a dropped future the number was added once or not at all.
            pub async fn add(&self, addend: $number) -> $crate::error::Result<$number> {
                self.number.add(addend).await
            }

            /// Subtracts a number once, and returns the difference.
            ///
            /// # Errors
            /// As [`add`](Self::add).
            ///
            /// # Cancel safety
            /// As [`add`](Self::add).
            pub async fn subtract(&self, subtrahend: $number) -> $crate::error::Result<$number> {
                self.number.subtract(subtrahend).await
            }

            /// Adds one, and returns the sum.
            ///
            /// # Errors
            /// As [`add`](Self::add).
            ///
            /// # Cancel safety
            /// As [`add`](Self::add).
            pub async fn increment(&self) -> $crate::error::Result<$number> {
                self.add($crate::counters::number::Number::ONE).await
            }

            /// Subtracts one, and returns the difference.
            ///
            /// # Errors
            /// As [`add`](Self::add).
            ///
            /// # Cancel safety
            /// As [`add`](Self::add).
            pub async fn decrement(&self) -> $crate::error::Result<$number> {
                self.subtract($crate::counters::number::Number::ONE).await
            }

            /// Replaces the value, whatever it is.
            ///
            /// # Errors
            /// As [`add`](Self::add).
            ///
            /// # Cancel safety
            /// After a dropped future the value was set or not.
            #[doc(alias = "forceSet")]
            pub async fn set(
                &self,
                value: $number,
            ) -> $crate::error::Result<$crate::counters::Changed<$number>> {
                self.number.change(|_| Ok(Some(value))).await
            }

            /// Replaces the value if it is the one expected; whether it was.
            ///
            /// # Errors
            /// As [`add`](Self::add).
            ///
            /// # Cancel safety
            /// After a dropped future the value was set or not.
            pub async fn compare_and_set(
                &self,
                expected: $number,
                value: $number,
            ) -> $crate::error::Result<bool> {
                self.number.compare_and_set(expected, value).await
            }

            /// Replaces the value by a function of it. If another writer is faster, `change` is called
            /// again, with the new value. If it returns `None`, nothing is written.
            ///
            /// # Errors
            /// As [`add`](Self::add).
            ///
            /// # Cancel safety
            /// After a dropped future the value was replaced once or not at all.
            pub async fn update(
                &self,
                mut change: impl FnMut($number) -> Option<$number>,
            ) -> $crate::error::Result<$crate::counters::Changed<$number>> {
                self.number.change(|value| Ok(change(value))).await
            }
        }
    };
}

/// The options of all that is built on a cell: an expression for the cell in `self`.
macro_rules! cell_options {
    ([$($bound:tt)*] $name:ty, $($cell:ident).+) => {
        impl<$($bound)*> $name {
            /// Goes without a witness, the ephemeral child of the znode. A lost reply then leaves the
            /// outcome unknown where the contents are those of this write, since another writer may
            /// have written the same.
            #[must_use]
            pub fn without_witness(mut self) -> Self {
                self.$($cell).+.set_without_witness();
                self
            }

            /// Acquires `lock` for the rest of a change after this many conflicts with other writers,
            /// so that the writers take turns. The others should have the same lock; a writer without
            /// it can still be faster, and then the change is repeated under the lock. Needs the
            /// feature `locks`.
            #[doc(alias = "PromotedToLock")]
            #[cfg(feature = "locks")]
            #[must_use]
            pub fn promote_to_lock(mut self, lock: &$crate::Lock, conflicts: u32) -> Self {
                self.$($cell).+.set_promotion(lock, conflicts);
                self
            }

            /// The path of the znode.
            pub fn path(&self) -> &str {
                self.$($cell).+.path()
            }
        }
    };
}

pub(super) use {cell_options, counter_methods};
