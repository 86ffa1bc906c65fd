//! Identities and entries.

use std::borrow::Cow;
use std::fmt;

use base64ct::{Base64, Encoding};
use bytes::BytesMut;
use sha1::{Digest, Sha1};

use super::permissions::Permissions;
use crate::jute::record::{Field, get_vec, put_vec, record, record_field};
use crate::jute::{DecodeError, Decoder};

/// Length in bytes of a SHA-1 in base64.
const HASH_LEN: usize = 28;

/// An identity: a scheme, and a name inside it.
///
/// `Debug` does not show possible passwords: anything but a hash in an id of the schemes `digest`, `super`
/// and `auth` (servers do not read the id of `auth`).
#[derive(Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Id {
    /// How the identity is proven: `world`, `auth`, `digest`, `ip`, `x509`, `sasl`, ….
    pub scheme: String,
    /// The name, in the scheme's own terms.
    pub id: String,
}

record!(@codec ['a] Id [] scheme id);

record! {
    /// What one identity may do.
    #[derive(Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
    pub struct Acl {
        /// What it may do.
        pub perms: Permissions,
        /// The identity.
        pub id: Id,
    }
}

record_field!(Id, Acl);

impl Id {
    /// An identity.
    pub fn new(scheme: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            scheme: scheme.into(),
            id: id.into(),
        }
    }

    /// Whether this is a `digest` id without anything like the hash that [`digest_id`] makes: most
    /// likely it has the password itself. Then every client that may read the ACL sees the password, and
    /// no client can prove the identity.
    pub fn is_digest_without_hash(&self) -> bool {
        self.scheme == "digest" && !self.has_hash()
    }

    /// Whether the text after the first colon has the form of a hash by [`digest_id`].
    fn has_hash(&self) -> bool {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        let is_hash = |text: &str| {
            text.len() >= HASH_LEN && text.ends_with('=') && text.bytes().all(is_base64)
        };
        let hash = self.id.split_once(':').map(|(_, hash)| hash);
        hash.is_some_and(is_hash)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.id.split_once(':').map(|(user, _)| user);
        let redacted = match (self.scheme.as_str(), user) {
            ("digest" | "super" | "auth", Some(user)) if !self.has_hash() => {
                Some(format!("{user}:[redacted]"))
            }
            // It may be a password whose user was forgotten.
            ("digest" | "super" | "auth", None) if !self.id.is_empty() => {
                Some("[redacted]".to_owned())
            }
            _ => None,
        };
        let id = redacted.as_ref().unwrap_or(&self.id);
        f.debug_struct("Id")
            .field("scheme", &self.scheme)
            .field("id", id)
            .finish()
    }
}

impl Acl {
    /// Size in bytes of the smallest entry.
    pub(crate) const MIN_LEN: usize = 12;

    /// What `id` of `scheme` may do.
    #[doc(alias = "make_acl")]
    pub fn new(perms: Permissions, scheme: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            perms,
            id: Id::new(scheme, id),
        }
    }

    /// What the user of the scheme `digest` with this password may do. The ACL gets the hash that
    /// [`digest_id`] makes.
    #[doc(alias = "make_digest_acl")]
    pub fn digest(user: &str, password: &str, perms: Permissions) -> Self {
        Self::new(perms, "digest", digest_id(user, password))
    }

    /// Every client may do everything.
    pub fn open() -> Vec<Self> {
        vec![Self::new(Permissions::ALL, "world", "anyone")]
    }

    /// The identities of the connection that creates the node may do everything. The server refuses
    /// it as invalid on a connection without any.
    pub fn creator_all() -> Vec<Self> {
        vec![Self::new(Permissions::ALL, "auth", "")]
    }

    /// Every client may read.
    pub fn read_only() -> Vec<Self> {
        vec![Self::new(Permissions::READ, "world", "anyone")]
    }
}

impl<'a> Field<'a> for Vec<Acl> {
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        get_vec(input, name, Acl::MIN_LEN)
    }
    fn put(&self, out: &mut BytesMut) {
        put_vec(out, self);
    }
}

impl<'a> Field<'a> for Cow<'a, [Acl]> {
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        get_vec(input, name, Acl::MIN_LEN).map(Cow::Owned)
    }
    fn put(&self, out: &mut BytesMut) {
        put_vec(out, self);
    }
}

/// The id under which the `digest` scheme knows a user: `user:base64(sha1(user:password))`.
///
/// An ACL has this id; an `auth` packet has the password itself.
#[doc(alias = "make_digest_acl_credential")]
pub fn digest_id(user: &str, password: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(user);
    hash.update(":");
    hash.update(password);
    format!("{user}:{}", Base64::encode_string(&hash.finalize()))
}

/// The id that a server derives from the payload of an `auth` packet of the scheme `digest`: the text
/// before the first colon, and the hash of the whole payload. A payload without a colon is hashed without
/// one, so no call of [`digest_id`] gives its id.
pub fn proven_digest_id(payload: &[u8]) -> String {
    let payload = String::from_utf8_lossy(payload);
    let user = payload.split(':').next().unwrap_or_default();
    let hash = Sha1::digest(payload.as_bytes());
    format!("{user}:{}", Base64::encode_string(&hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_ids_are_those_of_the_server() {
        // The first is printed by the server's DigestAuthenticationProvider, the second is in
        // ZooKeeper's administrator's guide.
        assert_eq!(
            digest_id("bob", "secret"),
            "bob:fyVmFCwVbTJYrznoSu1koqYEYF0="
        );
        assert_eq!(
            digest_id("super", "test"),
            "super:D/InIHSb7yEEbrWz8b9l71RjZJU="
        );
    }

    #[test]
    fn a_payload_is_hashed_as_it_was_sent() {
        for (user, password) in [("bob", "secret"), ("bob", "a:b"), ("", "")] {
            let payload = format!("{user}:{password}");
            assert_eq!(
                proven_digest_id(payload.as_bytes()),
                digest_id(user, password)
            );
        }
        // The superuser of Curator's suite, as its tests hand the id to the server.
        assert_eq!(
            proven_digest_id(b"curator-test"),
            "curator-test:zghsj3JfJqK7DbWf0RQ1BgbJH9w="
        );
    }

    /// Guards: P27.
    #[test]
    fn a_password_in_an_acl_is_not_shown() {
        let right = Id::new("digest", digest_id("bob", "secret"));
        assert!(!right.is_digest_without_hash());
        assert!(format!("{right:?}").contains("fyVmFCwVbTJYrznoSu1koqYEYF0="));
        for id in ["bob:hunter2", "bob:hunter2:cdrwa", "bob:hunter2="] {
            let acl = Acl::new(Permissions::ALL, "digest", id);
            assert!(acl.id.is_digest_without_hash());
            assert!(!format!("{acl:?}").contains("hunter2"), "{acl:?}");
        }
        for (scheme, id) in [
            ("digest", "hunter2"),
            ("auth", "bob:hunter2"),
            ("auth", "hunter2"),
            ("super", "super:hunter2"),
            ("super", "hunter2"),
        ] {
            let id = Id::new(scheme, id);
            assert!(!format!("{id:?}").contains("hunter2"), "{id:?}");
        }
        for (scheme, shown) in [
            ("world", "anyone"),
            ("ip", "2001:db8::1"),
            ("x509", "CN=zk:1"),
            ("super", "super:D/InIHSb7yEEbrWz8b9l71RjZJU="),
        ] {
            assert!(format!("{:?}", Id::new(scheme, shown)).contains(shown));
        }
        assert!(!Id::new("sasl", "bob").is_digest_without_hash());
    }
}
