//! The cursor.

use bytes::Bytes;

use super::error::{DecodeError, DecodeProblem};

/// Payloads up to this many bytes are copied out of the frame, so that a small value does not keep
/// a whole read buffer alive.
pub const COPY_LIMIT: usize = 256;

/// A cursor over one frame.
///
/// Borrowed values ([`str`](Self::str), [`slice`](Self::slice)) point into the frame; owned ones
/// ([`bytes`](Self::bytes)) share its buffer when they are large, unless it is only
/// [borrowed](Self::of_borrowed).
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    frame: &'a [u8],
    /// What large values may share.
    owner: Option<&'a Bytes>,
    /// What has not been read.
    rest: &'a [u8],
    record: &'static str,
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte of `frame`.
    #[inline]
    pub fn new(frame: &'a Bytes) -> Self {
        Self::at(frame, 0)
    }

    /// Starts `offset` bytes into `frame`; beyond its end, every read is [`DecodeProblem::Truncated`].
    #[inline]
    pub fn at(frame: &'a Bytes, offset: usize) -> Self {
        Self {
            frame,
            owner: Some(frame),
            rest: frame.get(offset..).unwrap_or_default(),
            record: "frame",
        }
    }

    /// Starts at the first byte of a frame that is not to be shared: owned values are copied, however
    /// large they are.
    #[inline]
    pub fn of_borrowed(frame: &'a [u8]) -> Self {
        Self {
            frame,
            owner: None,
            rest: frame,
            record: "frame",
        }
    }

    /// Names the record whose fields come next, for errors, and returns the name it replaces.
    #[inline]
    pub fn record(&mut self, name: &'static str) -> &'static str {
        std::mem::replace(&mut self.record, name)
    }

    /// Bytes not yet read.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Offset of the next byte from the start of the frame.
    #[inline]
    pub fn position(&self) -> usize {
        self.frame.len() - self.rest.len()
    }

    /// Ends the reading of a record that must fill its frame.
    ///
    /// # Errors
    /// [`DecodeProblem::Trailing`] if bytes are left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.error("end", self.position(), DecodeProblem::Trailing(left))),
        }
    }

    /// Reads a boolean. Any byte other than 0 is true, as in Java.
    ///
    /// # Errors
    /// [`DecodeProblem::Truncated`].
    #[inline]
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.array::<1>(field)? != [0])
    }

    /// Reads a big-endian `i32`.
    ///
    /// # Errors
    /// [`DecodeProblem::Truncated`].
    #[inline]
    pub fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    /// Reads a big-endian `i64`.
    ///
    /// # Errors
    /// [`DecodeProblem::Truncated`].
    #[inline]
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array(field)?))
    }

    /// Reads a string that must not be null.
    ///
    /// # Errors
    /// [`DecodeProblem::Null`] and those of [`opt_str`](Self::opt_str).
    pub fn str(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let start = self.position();
        self.opt_str(field)?
            .ok_or_else(|| self.error(field, start, DecodeProblem::Null))
    }

    /// Reads a string or null.
    ///
    /// # Errors
    /// [`DecodeProblem::Truncated`], [`DecodeProblem::BadLength`], [`DecodeProblem::NotUtf8`].
    pub fn opt_str(&mut self, field: &'static str) -> Result<Option<&'a str>, DecodeError> {
        let start = self.position();
        let Some(raw) = self.slice(field)? else {
            return Ok(None);
        };
        match std::str::from_utf8(raw) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(self.error(field, start, DecodeProblem::NotUtf8)),
        }
    }

    /// Reads an owned string that must not be null, in UTF-8 or, as Java writes characters outside
    /// the BMP, in CESU-8.
    ///
    /// # Errors
    /// As [`str`](Self::str).
    pub fn string(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let start = self.position();
        let raw = self
            .slice(field)?
            .ok_or_else(|| self.error(field, start, DecodeProblem::Null))?;
        match std::str::from_utf8(raw) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => {
                from_cesu8(raw).ok_or_else(|| self.error(field, start, DecodeProblem::NotUtf8))
            }
        }
    }

    /// Reads a buffer in place; `None` is null.
    ///
    /// # Errors
    /// [`DecodeProblem::Truncated`], [`DecodeProblem::BadLength`].
    #[inline]
    pub fn slice(&mut self, field: &'static str) -> Result<Option<&'a [u8]>, DecodeError> {
        let start = self.position();
        let Some(len) = self.length(field)? else {
            return Ok(None);
        };
        self.raw(field, start, len).map(Some)
    }

    /// Reads an owned buffer; `None` is null. Up to [`COPY_LIMIT`] bytes are copied, more share the
    /// frame's buffer unless that is only borrowed.
    ///
    /// # Errors
    /// [`DecodeProblem::Truncated`], [`DecodeProblem::BadLength`].
    #[inline]
    pub fn bytes(&mut self, field: &'static str) -> Result<Option<Bytes>, DecodeError> {
        let Some(raw) = self.slice(field)? else {
            return Ok(None);
        };
        Ok(Some(self.own(raw)))
    }

    /// Reads the length of a vector whose items take at least `min_item` bytes each; `None` is
    /// null. A count the bytes left could not hold is refused before anything is allocated for it.
    ///
    /// # Errors
    /// [`DecodeProblem::Truncated`], [`DecodeProblem::BadLength`].
    pub fn count(
        &mut self,
        field: &'static str,
        min_item: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let start = self.position();
        let Some(count) = self.length(field)? else {
            return Ok(None);
        };
        if count > self.remaining() / min_item.max(1) {
            let raw = i32::try_from(count).unwrap_or(i32::MAX);
            return Err(self.error(field, start, DecodeProblem::BadLength(raw)));
        }
        Ok(Some(count))
    }

    /// Makes sure of the `len` bytes of a field of fixed size.
    ///
    /// # Errors
    /// [`DecodeProblem::Truncated`].
    #[inline]
    pub fn need(&self, field: &'static str, len: usize) -> Result<(), DecodeError> {
        if self.rest.len() < len {
            return Err(self.truncated(field, self.position(), len));
        }
        Ok(())
    }

    /// An error at `offset`, in the record being read.
    pub fn error(&self, field: &'static str, offset: usize, problem: DecodeProblem) -> DecodeError {
        DecodeError {
            record: self.record,
            field,
            offset,
            problem,
        }
    }

    /// `raw`, which lies in this frame, as an owned buffer, by the rule of [`bytes`](Self::bytes).
    #[inline]
    pub(crate) fn own(&self, raw: &[u8]) -> Bytes {
        match self.owner {
            Some(frame) if raw.len() > COPY_LIMIT => frame.slice_ref(raw),
            _ => Bytes::copy_from_slice(raw),
        }
    }

    /// The bytes between `start` and the cursor.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.frame.get(start..self.position()).unwrap_or_default()
    }

    #[inline]
    fn length(&mut self, field: &'static str) -> Result<Option<usize>, DecodeError> {
        let start = self.position();
        match self.i32(field)? {
            -1 => Ok(None),
            len => usize::try_from(len)
                .map(Some)
                .map_err(|_| self.error(field, start, DecodeProblem::BadLength(len))),
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let Some((array, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated(field, self.position(), N));
        };
        self.rest = rest;
        Ok(*array)
    }

    /// The next `len` bytes of a field that began at `start`.
    #[inline]
    fn raw(
        &mut self,
        field: &'static str,
        start: usize,
        len: usize,
    ) -> Result<&'a [u8], DecodeError> {
        let Some((raw, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.truncated(field, start, len));
        };
        self.rest = rest;
        Ok(raw)
    }

    #[cold]
    fn truncated(&self, field: &'static str, at: usize, needed: usize) -> DecodeError {
        let left = self.remaining();
        self.error(field, at, DecodeProblem::Truncated { needed, left })
    }
}

/// UTF-8 in which characters outside the BMP are two three-byte surrogates.
fn from_cesu8(raw: &[u8]) -> Option<String> {
    let mut units = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&lead, _)) = rest.split_first() {
        // A surrogate as three bytes: ED A0..BF 80..BF. UTF-8 proper never has it.
        if let [0xED, second @ 0xA0..=0xBF, third @ 0x80..=0xBF, tail @ ..] = rest {
            units.push(0xD000 | (u16::from(second & 0x3F) << 6) | u16::from(third & 0x3F));
            rest = tail;
            continue;
        }
        let len = match lead {
            0x00..=0x7F => 1,
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            _ => 4,
        };
        let (head, tail) = rest.split_at_checked(len)?;
        units.extend(std::str::from_utf8(head).ok()?.encode_utf16());
        rest = tail;
    }
    String::from_utf16(&units).ok()
}
