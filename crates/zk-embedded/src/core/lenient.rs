//! Requests with an ACL as a server must read them: kazoo writes every empty string as null, and so
//! the id of the scheme `auth`.

use std::borrow::Cow;

use zk_proto::jute::{Decode, DecodeError, DecodeProblem, Decoder};
use zk_proto::records::{
    CreateRequest, CreateTtlRequest, MultiHeader, MultiOp, MultiRequest, SetAclRequest,
};
use zk_proto::{Acl, OpCode, Permissions};

/// A record read leniently.
pub(super) struct Lenient<T>(pub(super) T);

impl<'a> Decode<'a> for Lenient<CreateRequest<'a>> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.record("CreateRequest");
        Ok(Self(CreateRequest {
            path: input.str("path")?.into(),
            data: input.slice("data")?,
            acl: acl(input)?,
            flags: input.i32("flags")?,
        }))
    }
}

impl<'a> Decode<'a> for Lenient<CreateTtlRequest<'a>> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.record("CreateTTLRequest");
        Ok(Self(CreateTtlRequest {
            path: input.str("path")?.into(),
            data: input.slice("data")?,
            acl: acl(input)?,
            flags: input.i32("flags")?,
            ttl_ms: input.i64("ttl_ms")?,
        }))
    }
}

impl<'a> Decode<'a> for Lenient<SetAclRequest<'a>> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        input.record("SetACLRequest");
        Ok(Self(SetAclRequest {
            path: input.str("path")?.into(),
            acl: acl(input)?,
            version: input.i32("version")?,
        }))
    }
}

impl<'a> Decode<'a> for Lenient<MultiRequest<'a>> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let mut ops = Vec::new();
        loop {
            let offset = input.position();
            let header = MultiHeader::decode(input)?;
            if header.done {
                return Ok(Self(MultiRequest { ops }));
            }
            ops.push(match OpCode::from_i32(header.op) {
                Some(OpCode::Create) => MultiOp::Create(Lenient::decode(input)?.0),
                Some(OpCode::Create2) => MultiOp::Create2(Lenient::decode(input)?.0),
                Some(OpCode::CreateContainer) => {
                    MultiOp::CreateContainer(Lenient::decode(input)?.0)
                }
                Some(OpCode::CreateTtl) => MultiOp::CreateTtl(Lenient::decode(input)?.0),
                Some(OpCode::Delete) => MultiOp::Delete(Decode::decode(input)?),
                Some(OpCode::SetData) => MultiOp::SetData(Decode::decode(input)?),
                Some(OpCode::Check) => MultiOp::Check(Decode::decode(input)?),
                Some(OpCode::GetData) => MultiOp::GetData(Decode::decode(input)?),
                Some(OpCode::GetChildren) => MultiOp::GetChildren(Decode::decode(input)?),
                _ => {
                    input.record("MultiHeader");
                    let problem = DecodeProblem::BadValue(header.op.into());
                    return Err(input.error("op", offset, problem));
                }
            });
        }
    }
}

fn acl<'a>(input: &mut Decoder<'a>) -> Result<Cow<'a, [Acl]>, DecodeError> {
    /// Permissions and two lengths.
    const SHORTEST: usize = 12;
    let count = input.count("acl", SHORTEST)?.unwrap_or(0);
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        let perms = Permissions(input.i32("perms")?);
        let scheme = input.opt_str("scheme")?.unwrap_or_default();
        let id = input.opt_str("id")?.unwrap_or_default();
        list.push(Acl::new(perms, scheme, id));
    }
    Ok(list.into())
}

#[cfg(test)]
mod tests {
    use bytes::{BufMut, Bytes, BytesMut};
    use zk_proto::{Encode, decode_frame};

    use super::*;

    fn request() -> CreateRequest<'static> {
        CreateRequest {
            path: "/a".into(),
            data: Some(b"x"),
            acl: Acl::creator_all().into(),
            flags: 1,
        }
    }

    fn bytes(record: &impl Encode) -> Bytes {
        let mut out = BytesMut::new();
        record.encode(&mut out);
        out.freeze()
    }

    #[test]
    fn what_is_well_formed_is_read_as_ever() {
        let ops = vec![
            MultiOp::Create(request()),
            MultiOp::CreateTtl(CreateTtlRequest {
                path: "/t".into(),
                data: None,
                acl: Acl::open().into(),
                flags: 5,
                ttl_ms: 9,
            }),
        ];
        let multi = MultiRequest { ops };
        let frame = bytes(&multi);
        assert_eq!(
            decode_frame::<Lenient<MultiRequest<'_>>>(&frame, 0)
                .unwrap()
                .0,
            multi
        );
        for len in 0..frame.len() {
            let cut = frame.slice(..len);
            assert!(
                decode_frame::<Lenient<MultiRequest<'_>>>(&cut, 0).is_err(),
                "{len}"
            );
        }
    }

    #[test]
    fn a_null_id_is_an_empty_one() {
        let mut frame = BytesMut::from(&bytes(&request())[..]);
        frame.truncate(frame.len() - 8);
        frame.put_i32(-1);
        frame.put_i32(1);
        let frame = frame.freeze();
        assert!(decode_frame::<CreateRequest<'_>>(&frame, 0).is_err());
        let read: Lenient<CreateRequest<'_>> = decode_frame(&frame, 0).unwrap();
        assert_eq!(read.0, request());
    }

    #[test]
    fn a_count_the_frame_cannot_hold_is_refused() {
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        frame.put_i32(-1);
        frame.put_i32(i32::MAX);
        let frame = frame.freeze();
        assert!(decode_frame::<Lenient<CreateRequest<'_>>>(&frame, 0).is_err());
    }
}
