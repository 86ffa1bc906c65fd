use bytes::{Bytes, BytesMut};

use super::*;

fn frame(parts: &[&[u8]]) -> Bytes {
    Bytes::from(parts.concat())
}

fn written(write: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut out = BytesMut::new();
    write(&mut out);
    out.freeze()
}

#[test]
fn numbers_are_big_endian() {
    let bytes = frame(&[&[1, 0, 2, 0xff], &[0, 0, 0, 3], &[0xff; 8]]);
    let mut input = Decoder::new(&bytes);
    assert_eq!(
        (input.bool("a"), input.bool("b"), input.bool("c")),
        (Ok(true), Ok(false), Ok(true))
    );
    assert_eq!((input.position(), input.remaining()), (3, 13));
    let mut input = Decoder::at(&bytes, 4);
    assert_eq!((input.i32("d"), input.i64("e")), (Ok(3), Ok(-1)));
    assert_eq!(input.finish(), Ok(()));
}

#[test]
fn null_is_not_empty() {
    let null = written(|out| put_buffer(out, None));
    let empty = written(|out| put_buffer(out, Some(b"")));
    assert_eq!((&null[..], &empty[..]), (&[0xff; 4][..], &[0; 4][..]));
    assert_eq!(Decoder::new(&null).slice("x"), Ok(None));
    assert_eq!(Decoder::new(&empty).slice("x"), Ok(Some(&b""[..])));
    assert_eq!(Decoder::new(&null).bytes("x"), Ok(None));
    assert_eq!(Decoder::new(&empty).bytes("x"), Ok(Some(Bytes::new())));
    assert_eq!(Decoder::new(&null).opt_str("x"), Ok(None));
    assert_eq!(Decoder::new(&empty).opt_str("x"), Ok(Some("")));
    assert_eq!(Decoder::new(&null).count("x", 1), Ok(None));
    assert_eq!(Decoder::new(&empty).count("x", 1), Ok(Some(0)));
    assert_eq!(written(|out| put_opt_str(out, None)), null);
    for result in [
        Decoder::new(&null).str("x").map(str::to_owned),
        Decoder::new(&null).string("x"),
    ] {
        assert_eq!(result.unwrap_err().problem, DecodeProblem::Null);
    }
}

#[test]
fn an_error_names_record_field_and_offset() {
    let bytes = frame(&[&[0; 8], &[0, 0, 0, 9], b"abc"]);
    let mut input = Decoder::at(&bytes, 8);
    assert_eq!(input.record("GetDataResponse"), "frame");
    let error = input.slice("data").unwrap_err();
    assert_eq!(
        error.to_string(),
        "GetDataResponse.data at byte 8: needs 9 bytes, 3 left"
    );
    assert_eq!(
        error,
        DecodeError {
            record: "GetDataResponse",
            field: "data",
            offset: 8,
            problem: DecodeProblem::Truncated { needed: 9, left: 3 },
        }
    );
}

#[test]
fn errors_name_the_outer_record() {
    use crate::records::GetAclResponse;
    // One entry, whole, and then a stat that is cut.
    let bytes = frame(&[&[0, 0, 0, 1], &[0; 12], &[0; 3]]);
    let error = decode_frame::<GetAclResponse>(&bytes, 0).unwrap_err();
    assert_eq!(
        (error.record, error.field, error.offset),
        ("GetAclResponse", "stat", 16)
    );
    let bytes = frame(&[&[0, 0, 0, 1], &[0; 11]]);
    let error = decode_frame::<GetAclResponse>(&bytes, 0).unwrap_err();
    assert_eq!(
        (error.record, error.field, error.offset),
        ("GetAclResponse", "acl", 0)
    );
    let mut input = Decoder::new(&bytes);
    input.record("Outer");
    assert_eq!(crate::Id::decode(&mut input).unwrap().id.len(), 0);
}

/// A length is trusted only as far as there are bytes.
///
/// Guards: B1, D11.
#[test]
fn hostile_lengths_allocate_nothing() {
    for (length, problem) in [
        (-2, DecodeProblem::BadLength(-2)),
        (i32::MIN, DecodeProblem::BadLength(i32::MIN)),
        (
            i32::MAX,
            DecodeProblem::Truncated {
                needed: 0x7fff_ffff,
                left: 36,
            },
        ),
        (
            1 << 30,
            DecodeProblem::Truncated {
                needed: 1 << 30,
                left: 36,
            },
        ),
        (
            37,
            DecodeProblem::Truncated {
                needed: 37,
                left: 36,
            },
        ),
    ] {
        let bytes = frame(&[&length.to_be_bytes(), &[0; 36]]);
        let input = Decoder::new(&bytes);
        let problems = [
            input.clone().slice("x").unwrap_err(),
            input.clone().bytes("x").unwrap_err(),
            input.clone().str("x").unwrap_err(),
            input.clone().opt_str("x").unwrap_err(),
            input.clone().string("x").unwrap_err(),
        ];
        for error in problems {
            assert_eq!((error.offset, &error.problem), (0, &problem));
        }
    }
    for length in [-2, i32::MIN, i32::MAX, 1 << 30, 10] {
        let bytes = frame(&[&length.to_be_bytes(), &[0; 36]]);
        let error = Decoder::new(&bytes).count("x", 4).unwrap_err();
        assert_eq!(error.problem, DecodeProblem::BadLength(length));
    }
    let bytes = frame(&[&9_i32.to_be_bytes(), &[0; 36]]);
    assert_eq!(Decoder::new(&bytes).count("x", 4), Ok(Some(9)));
}

#[test]
fn only_large_payloads_share_the_frame() {
    for (len, shared) in [(COPY_LIMIT, false), (COPY_LIMIT + 1, true)] {
        let bytes = written(|out| put_buffer(out, Some(&vec![7; len])));
        let data = Decoder::new(&bytes).bytes("data").unwrap().unwrap();
        assert_eq!(data, vec![7; len]);
        assert_eq!(
            bytes.as_ptr_range().contains(&data.as_ptr()),
            shared,
            "{len}"
        );
    }
}

#[test]
fn finish_refuses_trailing_bytes() {
    let bytes = frame(&[&[0, 0, 0, 0], &[1, 2, 3]]);
    let read: crate::records::ErrorResponse = decode_frame(&bytes, 0).unwrap();
    assert_eq!(read.err, 0);
    let mut input = Decoder::new(&bytes);
    input.i32("err").unwrap();
    let error = input.finish().unwrap_err();
    assert_eq!(
        (error.offset, error.problem),
        (4, DecodeProblem::Trailing(3))
    );
}

#[test]
fn an_offset_beyond_the_frame_has_no_bytes() {
    let bytes = frame(&[&[0; 4]]);
    let mut input = Decoder::at(&bytes, 5);
    assert_eq!((input.remaining(), input.position()), (0, 4));
    assert_eq!(
        input.i32("x").unwrap_err().problem,
        DecodeProblem::Truncated { needed: 4, left: 0 }
    );
}

#[test]
fn text_is_utf_8_or_cesu_8() {
    let string = |raw: &[u8]| {
        let bytes = written(|out| put_buffer(out, Some(raw)));
        Decoder::new(&bytes)
            .string("x")
            .map_err(|error| error.problem)
    };
    let emoji = [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80];
    assert_eq!(string(&emoji), Ok("😀".to_owned()));
    assert_eq!(
        string(&[b"a\xc3\xa9", &emoji[..], "日".as_bytes()].concat()),
        Ok("aé😀日".into())
    );
    assert_eq!(string("😀".as_bytes()), Ok("😀".to_owned()));
    assert_eq!(
        string(&[&emoji[..], "😀".as_bytes()].concat()),
        Ok("😀😀".to_owned())
    );
    for bad in [
        &[0xff][..],
        &emoji[..3],
        &emoji[3..],
        &emoji[..5],
        &[0xed, 0xa0],
        &[0xed, 0xa0, 0xbd, b'a'],
        &[0xc0, 0x80],
        &[0x80],
    ] {
        assert_eq!(string(bad), Err(DecodeProblem::NotUtf8), "{bad:x?}");
    }
    // Borrowed text cannot be converted.
    let bytes = written(|out| put_buffer(out, Some(&emoji)));
    assert_eq!(
        Decoder::new(&bytes).str("x").unwrap_err().problem,
        DecodeProblem::NotUtf8
    );
}
