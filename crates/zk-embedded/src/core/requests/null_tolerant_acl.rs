//! Requests with an ACL, read so that null strings in the ACL count as empty: kazoo writes every empty
//! string as null, and so the id of the scheme `auth`.

use std::borrow::Cow;

use zk_proto::jute::{Decode, DecodeError, Decoder};
use zk_proto::records::{
    CreateRequest, CreateTtlRequest, MultiHeader, MultiOp, MultiRequest, SetAclRequest,
};
use zk_proto::{Acl, OpCode, Permissions, Request as Body};

/// Reads the body of a request, as [`Body::decode`] does except for nulls in ACLs.
pub(crate) fn decode<'a>(op: OpCode, input: &mut Decoder<'a>) -> Result<Body<'a>, DecodeError> {
    match op {
        OpCode::Create => create(input).map(Body::Create),
        OpCode::Create2 => create(input).map(Body::Create2),
        OpCode::CreateContainer => create(input).map(Body::CreateContainer),
        OpCode::CreateTtl => create_ttl(input).map(Body::CreateTtl),
        OpCode::SetAcl => set_acl(input).map(Body::SetAcl),
        OpCode::Multi => multi(input).map(Body::Multi),
        OpCode::MultiRead => multi(input).map(Body::MultiRead),
        _ => Body::decode(op, input),
    }
}

fn create<'a>(input: &mut Decoder<'a>) -> Result<CreateRequest<'a>, DecodeError> {
    input.record("CreateRequest");
    Ok(CreateRequest {
        path: input.str("path")?.into(),
        data: input.slice("data")?,
        acl: acl(input)?,
        flags: input.i32("flags")?,
    })
}

fn create_ttl<'a>(input: &mut Decoder<'a>) -> Result<CreateTtlRequest<'a>, DecodeError> {
    let create = create(input)?;
    Ok(CreateTtlRequest {
        path: create.path,
        data: create.data,
        acl: create.acl,
        flags: create.flags,
        ttl_ms: input.i64("ttl_ms")?,
    })
}

fn set_acl<'a>(input: &mut Decoder<'a>) -> Result<SetAclRequest<'a>, DecodeError> {
    input.record("SetACLRequest");
    Ok(SetAclRequest {
        path: input.str("path")?.into(),
        acl: acl(input)?,
        version: input.i32("version")?,
    })
}

fn multi<'a>(input: &mut Decoder<'a>) -> Result<MultiRequest<'a>, DecodeError> {
    let mut ops = Vec::new();
    loop {
        let header = MultiHeader::decode(input)?;
        if header.done {
            return Ok(MultiRequest { ops });
        }
        ops.push(match OpCode::from_i32(header.op) {
            Some(OpCode::Create) => MultiOp::Create(create(input)?),
            Some(OpCode::Create2) => MultiOp::Create2(create(input)?),
            Some(OpCode::CreateContainer) => MultiOp::CreateContainer(create(input)?),
            Some(OpCode::CreateTtl) => MultiOp::CreateTtl(create_ttl(input)?),
            _ => MultiOp::decode(header, input)?,
        });
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
    fn well_formed_requests_are_read_unchanged() {
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
        let read = |frame| decode(OpCode::Multi, &mut Decoder::new(frame));
        assert_eq!(read(&frame), Ok(Body::Multi(multi)));
        for len in 0..frame.len() {
            let cut = frame.slice(..len);
            let error = decode(OpCode::Multi, &mut Decoder::new(&cut));
            assert!(error.is_err(), "{len}");
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
        let read = decode(OpCode::Create, &mut Decoder::new(&frame));
        assert_eq!(read, Ok(Body::Create(request())));
    }

    #[test]
    fn a_count_the_frame_cannot_hold_is_refused() {
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        frame.put_i32(-1);
        frame.put_i32(i32::MAX);
        let frame = frame.freeze();
        assert!(decode(OpCode::Create, &mut Decoder::new(&frame)).is_err());
    }
}
