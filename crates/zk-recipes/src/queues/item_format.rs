//! The contents of a znode of Curator's queues: a version, and items with their lengths.

use bytes::Bytes;

const VERSION: [u8; 4] = [0x00, 0x01, 0x00, 0x01];
const ITEM: u8 = 0x01;
const END: u8 = 0x02;

/// Why the contents are not those of Curator's queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    #[error("the data do not begin with the version of Curator's item format")]
    Version,
    #[error("the data end before the mark of the end")]
    Truncated,
    #[error("the data contain the unknown mark {0:#04x}")]
    Mark(u8),
}

pub(crate) fn encode(items: &[Bytes]) -> Vec<u8> {
    let mut data = VERSION.to_vec();
    for item in items {
        data.push(ITEM);
        // No znode has room for an item that is longer.
        let length = u32::try_from(item.len()).unwrap_or(u32::MAX);
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(item);
    }
    data.push(END);
    data
}

pub(crate) fn decode(data: &Bytes) -> Result<Vec<Bytes>, FormatError> {
    let mut rest = data.strip_prefix(&VERSION).ok_or(FormatError::Version)?;
    let mut items = Vec::new();
    loop {
        match rest.split_first() {
            Some((&END, _)) => return Ok(items),
            Some((&ITEM, after)) => {
                let (length, after) = after.split_first_chunk().ok_or(FormatError::Truncated)?;
                let length = usize::try_from(u32::from_be_bytes(*length));
                let length = length.map_err(|_| FormatError::Truncated)?;
                let item = after.get(..length).ok_or(FormatError::Truncated)?;
                items.push(data.slice_ref(item));
                rest = after.get(length..).unwrap_or_default();
            }
            Some((&mark, _)) => return Err(FormatError::Mark(mark)),
            None => return Err(FormatError::Truncated),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_have_the_form_of_curator() {
        let items = [Bytes::from_static(b"ab"), Bytes::new()];
        let data = encode(&items);
        assert_eq!(
            data,
            [0, 1, 0, 1, 1, 0, 0, 0, 2, b'a', b'b', 1, 0, 0, 0, 0, 2]
        );
        assert_eq!(decode(&Bytes::from(data)).unwrap(), items);
        assert!(decode(&Bytes::from(encode(&[]))).unwrap().is_empty());
    }

    #[test]
    fn other_data_are_an_error() {
        let cases: [(&'static [u8], FormatError); 6] = [
            (b"", FormatError::Version),
            (&[0, 1, 0, 2, 2], FormatError::Version),
            (&[0, 1, 0, 1], FormatError::Truncated),
            (&[0, 1, 0, 1, 1, 0, 0], FormatError::Truncated),
            (
                &[0, 1, 0, 1, 1, 255, 255, 255, 255, 0],
                FormatError::Truncated,
            ),
            (&[0, 1, 0, 1, 7], FormatError::Mark(7)),
        ];
        for (data, error) in cases {
            assert_eq!(decode(&Bytes::from_static(data)), Err(error), "{data:?}");
        }
    }
}
