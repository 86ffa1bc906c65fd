//! Writing the fields of records.

use bytes::BytesMut;

/// Appends a boolean.
#[inline]
pub fn put_bool(out: &mut BytesMut, value: bool) {
    out.extend_from_slice(&[u8::from(value)]);
}

/// Appends a string.
#[inline]
pub fn put_str(out: &mut BytesMut, text: &str) {
    put_buffer(out, Some(text.as_bytes()));
}

/// Appends a string or null.
#[inline]
pub fn put_opt_str(out: &mut BytesMut, text: Option<&str>) {
    put_buffer(out, text.map(str::as_bytes));
}

/// Appends a buffer or null.
#[inline]
pub fn put_buffer(out: &mut BytesMut, data: Option<&[u8]>) {
    match data {
        Some(data) => {
            put_count(out, data.len());
            out.extend_from_slice(data);
        }
        None => put_i32(out, -1),
    }
}

/// Appends a length. One that does not fit is written as `i32::MAX`: such a record is 2 GiB, which
/// every frame limit refuses before it is sent.
#[inline]
pub fn put_count(out: &mut BytesMut, count: usize) {
    put_i32(out, i32::try_from(count).unwrap_or(i32::MAX));
}

/// Appends an `i32`.
#[inline]
pub fn put_i32(out: &mut BytesMut, value: i32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends an `i64`.
#[inline]
pub fn put_i64(out: &mut BytesMut, value: i64) {
    out.extend_from_slice(&value.to_be_bytes());
}
