//! Identities: `auth`, SASL, `whoAmI`.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::jute::record::{Field, get_vec, put_vec, record, record_field};
use crate::jute::{self, DecodeError, Decoder, Encode};

/// `auth`: adds an identity to the connection. Its reply has no body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthRequest<'a> {
    /// Always 0.
    pub auth_type: i32,
    /// The scheme.
    pub scheme: &'a str,
    /// The proof, in the scheme's own terms; for `digest`, `user:password`.
    pub auth: Option<&'a [u8]>,
}

/// Without the proof.
impl fmt::Debug for AuthRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest")
            .field("auth_type", &self.auth_type)
            .field("scheme", &self.scheme)
            .field("auth", &self.auth.map(|_| format_args!("[redacted]")))
            .finish()
    }
}

impl Encode for AuthRequest<'_> {
    fn encode(&self, out: &mut BytesMut) {
        out.put_i32(self.auth_type);
        self.scheme.put(out);
        self.auth.put(out);
    }
}

impl<'a> jute::Decode<'a> for AuthRequest<'a> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let outer = input.record("AuthRequest");
        let request = Self {
            auth_type: input.i32("auth_type")?,
            scheme: input.str("scheme")?,
            auth: input.slice("auth")?,
        };
        input.record(outer);
        Ok(request)
    }
}

/// One token of a SASL exchange. `Debug` shows its length only.
macro_rules! token_record {
    ($(#[$meta:meta])* pub struct $name:ident $(<$lt:lifetime>)? { $ty:ty }) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name $(<$lt>)? {
            /// The token, in the mechanism's own terms.
            pub token: $ty,
        }

        impl $(<$lt>)? fmt::Debug for $name $(<$lt>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let len = self.token.as_ref().map(|token| token.len());
                f.debug_struct(stringify!($name)).field("token_len", &len).finish()
            }
        }

        impl $(<$lt>)? Encode for $name $(<$lt>)? {
            fn encode(&self, out: &mut BytesMut) {
                self.token.put(out);
            }
        }
    };
}

token_record! {
    /// `sasl`.
    #[derive(Copy)]
    pub struct SaslRequest<'a> { Option<&'a [u8]> }
}

token_record! {
    /// Answers `sasl`. A server without SASL answers with success and null.
    pub struct SaslResponse { Option<Bytes> }
}

impl<'a> jute::Decode<'a> for SaslRequest<'a> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let outer = input.record("SaslRequest");
        let request = Self {
            token: input.slice("token")?,
        };
        input.record(outer);
        Ok(request)
    }
}

impl<'a> jute::Decode<'a> for SaslResponse {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let outer = input.record("SaslResponse");
        let response = Self {
            token: input.bytes("token")?,
        };
        input.record(outer);
        Ok(response)
    }
}

record! {
    /// One identity of a connection.
    #[derive(Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    pub struct ClientInfo {
        /// The scheme.
        pub auth_scheme: String,
        /// The user's name in it, without proof.
        pub user: String,
    }
}

record_field!(ClientInfo);

impl<'a> Field<'a> for Vec<ClientInfo> {
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        get_vec(input, name, 8)
    }
    fn put(&self, out: &mut BytesMut) {
        put_vec(out, self);
    }
}

record! {
    /// Answers `whoAmI`.
    pub struct WhoAmIResponse {
        /// The identities of the connection.
        pub clients: Vec<ClientInfo>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let auth = AuthRequest {
            auth_type: 0,
            scheme: "digest",
            auth: Some(b"bob:secret"),
        };
        let text = format!("{auth:?}");
        assert!(
            text.contains("digest") && text.contains("[redacted]"),
            "{text}"
        );
        assert!(!text.contains("secret") && !text.contains("115"), "{text}");
        let token = SaslRequest {
            token: Some(b"secret"),
        };
        assert_eq!(format!("{token:?}"), "SaslRequest { token_len: Some(6) }");
        let token = SaslResponse { token: None };
        assert_eq!(format!("{token:?}"), "SaslResponse { token_len: None }");
    }
}
