//! `record!`: a struct whose fields are read and written in the order they are declared, which is
//! the order of ZooKeeper's IDL.

use std::fmt;
use std::marker::PhantomData;

use bytes::{Bytes, BytesMut};

use crate::jute::{self, Decode, DecodeError, Decoder, Encode};

/// A type that can be a field of a record.
pub(crate) trait Field<'a>: Sized + fmt::Debug {
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError>;
    fn put(&self, out: &mut BytesMut);
    /// The field in the `Debug` form of its record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A field that is printed by [`Field::fmt`].
pub(crate) struct Printed<'b, 'a, T>(pub(crate) &'b T, pub(crate) PhantomData<&'a ()>);

impl<'a, T: Field<'a>> fmt::Debug for Printed<'_, 'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Field::fmt(self.0, f)
    }
}

macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident<$lt:lifetime> {
            $($(#[$field_meta:meta])* pub $field:ident: $ty:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name<$lt> {
            $($(#[$field_meta])* pub $field: $ty,)*
        }

        $crate::jute::record::record!(@impl [$lt] $name [<$lt>] $($field)*);
    };
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* pub $field:ident: $ty:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $ty,)*
        }

        $crate::jute::record::record!(@impl ['a] $name [] $($field)*);
    };
    (@impl [$lt:lifetime] $name:ident [$($args:tt)*] $($field:ident)*) => {
        impl<$lt> std::fmt::Debug for $name $($args)* {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                use $crate::jute::record::Printed;
                f.debug_struct(stringify!($name))
                    $(.field(
                        stringify!($field),
                        &Printed::<'_, $lt, _>(&self.$field, std::marker::PhantomData),
                    ))*
                    .finish()
            }
        }

        $crate::jute::record::record!(@codec [$lt] $name [$($args)*] $($field)*);
    };
    (@codec [$lt:lifetime] $name:ident [$($args:tt)*] $($field:ident)*) => {
        impl<$lt> $crate::jute::Encode for $name $($args)* {
            #[inline]
            fn encode(&self, out: &mut bytes::BytesMut) {
                $($crate::jute::record::Field::put(&self.$field, out);)*
            }
        }

        impl<$lt> $crate::jute::Decode<$lt> for $name $($args)* {
            #[inline]
            fn decode(
                input: &mut $crate::jute::Decoder<$lt>,
            ) -> Result<Self, $crate::jute::DecodeError> {
                let outer = input.record(stringify!($name));
                let record = Self {
                    $($field: $crate::jute::record::Field::get(input, stringify!($field))?,)*
                };
                input.record(outer);
                Ok(record)
            }
        }
    };
}
pub(crate) use record;

/// Makes a record usable as a field of another one.
macro_rules! record_field {
    ($($name:ty),*) => {$(
        impl<'a> $crate::jute::record::Field<'a> for $name {
            fn get(
                input: &mut $crate::jute::Decoder<'a>,
                _name: &'static str,
            ) -> Result<Self, $crate::jute::DecodeError> {
                $crate::jute::Decode::decode(input)
            }
            fn put(&self, out: &mut bytes::BytesMut) {
                $crate::jute::Encode::encode(self, out);
            }
        }
    )*};
}
pub(crate) use record_field;

impl<'a> Field<'a> for bool {
    #[inline]
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        input.bool(name)
    }
    #[inline]
    fn put(&self, out: &mut BytesMut) {
        jute::put_bool(out, *self);
    }
}

impl<'a> Field<'a> for i32 {
    #[inline]
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        input.i32(name)
    }
    #[inline]
    fn put(&self, out: &mut BytesMut) {
        jute::put_i32(out, *self);
    }
}

impl<'a> Field<'a> for i64 {
    #[inline]
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        input.i64(name)
    }
    #[inline]
    fn put(&self, out: &mut BytesMut) {
        jute::put_i64(out, *self);
    }
}

impl<'a> Field<'a> for &'a str {
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        input.str(name)
    }
    fn put(&self, out: &mut BytesMut) {
        jute::put_str(out, self);
    }
}

impl<'a> Field<'a> for Option<&'a str> {
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        input.opt_str(name)
    }
    fn put(&self, out: &mut BytesMut) {
        jute::put_opt_str(out, *self);
    }
}

impl<'a> Field<'a> for String {
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        input.string(name)
    }
    fn put(&self, out: &mut BytesMut) {
        jute::put_str(out, self);
    }
}

impl<'a> Field<'a> for Option<&'a [u8]> {
    #[inline]
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        input.slice(name)
    }
    #[inline]
    fn put(&self, out: &mut BytesMut) {
        jute::put_buffer(out, *self);
    }
    /// As `Bytes` print: `Some(b"text")`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.map(Bytes::copy_from_slice), f)
    }
}

impl<'a> Field<'a> for Option<Bytes> {
    #[inline]
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        input.bytes(name)
    }
    #[inline]
    fn put(&self, out: &mut BytesMut) {
        jute::put_buffer(out, self.as_deref());
    }
}

/// Reads a vector of records of at least `min_item` bytes each. Null is read as empty: no operation of
/// the protocol distinguishes the two in a vector.
pub(crate) fn get_vec<'a, T: Decode<'a>>(
    input: &mut Decoder<'a>,
    name: &'static str,
    min_item: usize,
) -> Result<Vec<T>, DecodeError> {
    let count = input.count(name, min_item)?.unwrap_or(0);
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(T::decode(input)?);
    }
    Ok(items)
}

/// Appends a vector of records.
pub(crate) fn put_vec<T: Encode>(out: &mut BytesMut, items: &[T]) {
    jute::put_count(out, items.len());
    for item in items {
        item.encode(out);
    }
}
