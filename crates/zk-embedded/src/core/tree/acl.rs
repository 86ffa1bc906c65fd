//! Access control: the schemes `world`, `auth`, `digest`, `ip`, `sasl` and `super`.

use std::net::IpAddr;

use zk_proto::acl::proven_digest_id;
use zk_proto::records::ClientInfo;
use zk_proto::{Acl, ErrorCode, Id, Permissions};

use crate::core::pose::behaviour::AclRules;
use crate::core::tree::AclList;

/// The scheme of an identity that every connection has while ACLs are not checked. No client can prove
/// it, and `whoAmI` does not list it.
const UNCHECKED: &str = "\0unchecked";

/// The identity of every connection while ACLs are not checked.
pub(crate) fn unchecked() -> Id {
    Id::new(UNCHECKED, "")
}

/// Whether an identity among `auth` has any of `perms`.
pub(crate) fn allows(acl: &[Acl], perms: Permissions, auth: &[Id]) -> bool {
    acl.is_empty()
        || auth
            .iter()
            .any(|id| id.scheme == "super" || id.scheme == UNCHECKED)
        || acl
            .iter()
            .filter(|entry| entry.perms.bits() & perms.bits() != 0)
            .any(|entry| is_anyone(&entry.id) || auth.iter().any(|id| matches(id, &entry.id)))
}

pub(crate) fn check(acl: &[Acl], perms: Permissions, auth: &[Id]) -> Result<(), ErrorCode> {
    if allows(acl, perms, auth) {
        Ok(())
    } else {
        Err(ErrorCode::NoAuth)
    }
}

fn is_anyone(id: &Id) -> bool {
    id.scheme == "world" && id.id == "anyone"
}

fn matches(id: &Id, entry: &Id) -> bool {
    id.scheme == entry.scheme
        && match entry.scheme.as_str() {
            "digest" => id.id == entry.id,
            "sasl" => id.id == entry.id || id.id == "super",
            "ip" => in_network(&id.id, &entry.id),
            _ => false,
        }
}

/// The ACL of a node that is created or changed with `acl`: without duplicates, and with `auth` replaced
/// by the identities of the connection. `sasl` says whether that scheme exists.
pub(crate) fn resolve(
    rules: AclRules,
    acl: &[Acl],
    auth: &[Id],
    sasl: bool,
) -> Result<AclList, ErrorCode> {
    match rules {
        AclRules::Apache => resolve_strictly(acl, auth, sasl),
        AclRules::KeeperOld => resolve_loosely(acl, auth, |_| false),
        AclRules::KeeperNew => resolve_loosely(acl, auth, |perms| perms != Permissions::ALL),
    }
}

/// As ClickHouse Keeper does, which drops entries of unknown schemes, and an entry for `world:anyone`
/// unless `keeps` says otherwise.
fn resolve_loosely(
    acl: &[Acl],
    auth: &[Id],
    keeps: impl Fn(Permissions) -> bool,
) -> Result<AclList, ErrorCode> {
    let mut resolved = Vec::with_capacity(acl.len());
    let mut valid = acl.is_empty();
    for entry in acl {
        match entry.id.scheme.as_str() {
            "auth" => {
                let proven: Vec<_> = auth.iter().filter(|id| id.scheme != UNCHECKED).collect();
                valid |= !proven.is_empty();
                resolved.extend(proven.into_iter().map(|id| Acl {
                    perms: entry.perms,
                    id: id.clone(),
                }));
            }
            "world" if entry.id.id == "anyone" => {
                valid = true;
                if keeps(entry.perms) {
                    resolved.push(entry.clone());
                }
            }
            "digest" if entry.id.id.matches(':').count() != 1 => return Err(ErrorCode::InvalidAcl),
            "digest" => {
                valid = true;
                resolved.push(entry.clone());
            }
            _ => {}
        }
    }
    if valid {
        Ok(resolved.into())
    } else {
        Err(ErrorCode::InvalidAcl)
    }
}

fn resolve_strictly(acl: &[Acl], auth: &[Id], sasl: bool) -> Result<AclList, ErrorCode> {
    let mut resolved = Vec::with_capacity(acl.len());
    for (index, entry) in acl.iter().enumerate() {
        if acl.iter().take(index).any(|before| before == entry) {
            continue;
        }
        let valid = match entry.id.scheme.as_str() {
            "world" => entry.id.id == "anyone",
            "digest" => is_digest(&entry.id.id),
            "ip" => network(&entry.id.id).is_some(),
            "sasl" => sasl && is_principal(&entry.id.id),
            "auth" => {
                let proven = |id: &&Id| matches!(id.scheme.as_str(), "digest" | "sasl");
                let proven: Vec<_> = auth.iter().filter(proven).collect();
                let entries = proven.iter().map(|id| Acl {
                    perms: entry.perms,
                    id: (*id).clone(),
                });
                resolved.extend(entries);
                if proven.is_empty() {
                    return Err(ErrorCode::InvalidAcl);
                }
                continue;
            }
            _ => false,
        };
        if !valid {
            return Err(ErrorCode::InvalidAcl);
        }
        resolved.push(entry.clone());
    }
    if resolved.is_empty() {
        return Err(ErrorCode::InvalidAcl);
    }
    Ok(resolved.into())
}

/// Two parts around a colon, by the rules of Java's `split`, which drops empty parts at the end.
fn is_digest(id: &str) -> bool {
    let parts = id.trim_end_matches(':').split(':').count();
    parts == 2
}

/// A name, or one as Kerberos writes it: `user@REALM` or `user/host@REALM`.
fn is_principal(id: &str) -> bool {
    id.split_once('@')
        .is_none_or(|(name, realm)| name.matches('/').count() <= 1 && !realm.contains(['/', '@']))
}

/// The identities an `auth` packet proves; `None` if it proves nothing.
pub(crate) fn prove(
    rules: AclRules,
    scheme: &str,
    proof: Option<&[u8]>,
    ip: IpAddr,
    super_digest: Option<&str>,
) -> Option<Vec<Id>> {
    if rules != AclRules::Apache {
        return prove_digest(scheme, proof, super_digest);
    }
    match scheme {
        "ip" => Some(vec![Id::new("ip", ip.to_string())]),
        "digest" => {
            let digest = proven_digest_id(proof?);
            let mut ids = Vec::new();
            if super_digest == Some(digest.as_str()) {
                ids.push(Id::new("super", ""));
            }
            ids.push(Id::new("digest", digest));
            Some(ids)
        }
        _ => None,
    }
}

/// As ClickHouse Keeper does: one digest, of a user and a password separated by one colon.
fn prove_digest(scheme: &str, proof: Option<&[u8]>, super_digest: Option<&str>) -> Option<Vec<Id>> {
    let proof = proof.unwrap_or_default();
    let colons = proof.iter().filter(|&&byte| byte == b':').count();
    if scheme != "digest" || colons != 1 {
        return None;
    }
    let digest = proven_digest_id(proof);
    Some(vec![if super_digest == Some(digest.as_str()) {
        Id::new("super", "")
    } else {
        Id::new("digest", digest)
    }])
}

/// Identities as `whoAmI` lists them, without the hashes.
pub(crate) fn client_infos(auth: &[Id]) -> Vec<ClientInfo> {
    let info = |id: &Id| ClientInfo {
        auth_scheme: id.scheme.clone(),
        user: match id.scheme.as_str() {
            "digest" => id.id.split(':').next().unwrap_or_default().to_owned(),
            _ => id.id.clone(),
        },
    };
    let shown = auth.iter().filter(|id| id.scheme != UNCHECKED);
    shown.map(info).collect()
}

/// An ACL as `getACL` shows it to clients that may not set it: digests without their hashes.
pub(crate) fn masked(acl: &[Acl]) -> Vec<Acl> {
    let mask = |entry: &Acl| {
        let mut entry = entry.clone();
        if entry.id.scheme == "digest"
            && let Some((user, _)) = entry.id.id.split_once(':')
        {
            entry.id.id = format!("{user}:x");
        }
        entry
    };
    acl.iter().map(mask).collect()
}

/// An address and the number of its significant bits.
fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) => bits.parse().ok().filter(|&bits| bits <= width)?,
        None => width,
    };
    Some((address, bits))
}

fn in_network(address: &str, expression: &str) -> bool {
    let Some((net, bits)) = network(expression) else {
        return false;
    };
    match (address.parse::<IpAddr>(), net) {
        (Ok(IpAddr::V4(address)), IpAddr::V4(net)) => {
            let shift = 32 - bits;
            let prefix = |ip: u32| ip.checked_shr(shift).unwrap_or(0);
            prefix(address.to_bits()) == prefix(net.to_bits())
        }
        (Ok(IpAddr::V6(address)), IpAddr::V6(net)) => {
            let shift = 128 - bits;
            let prefix = |ip: u128| ip.checked_shr(shift).unwrap_or(0);
            prefix(address.to_bits()) == prefix(net.to_bits())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_match_by_their_first_bits() {
        for (address, expression, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.0/8", true),
            ("127.0.0.1", "127.0.0.0/32", false),
            ("127.0.0.1", "10.0.0.0/0", true),
            ("127.0.0.1", "128.0.0.0/1", false),
            ("::1", "::/0", true),
            ("::1", "::1/128", true),
            ("::1", "127.0.0.1", false),
            ("127.0.0.1", "127.0.0.1/33", false),
            ("127.0.0.1", "localhost", false),
        ] {
            assert_eq!(in_network(address, expression), expected, "{expression}");
        }
    }

    #[test]
    fn what_an_acl_may_name() {
        let valid = |scheme: &str, id: &str| {
            resolve(
                AclRules::Apache,
                &[Acl::new(Permissions::ALL, scheme, id)],
                &[],
                true,
            )
            .is_ok()
        };
        assert!(valid("world", "anyone") && !valid("world", "bob"));
        assert!(valid("digest", "bob:hash") && valid("digest", ":hash"));
        assert!(!valid("digest", "bob") && !valid("digest", "bob:") && !valid("digest", "a:b:c"));
        assert!(valid("ip", "10.0.0.0/8") && !valid("ip", "10.0.0.0/x"));
        assert!(!valid("auth", "") && !valid("x509", "CN=bob") && !valid("", ""));
        assert_eq!(
            resolve(AclRules::Apache, &[], &[], false).unwrap_err(),
            ErrorCode::InvalidAcl
        );
    }

    #[test]
    fn auth_stands_for_the_proven_identities() {
        let auth = [
            Id::new("ip", "127.0.0.1"),
            Id::new("digest", "bob:hash"),
            Id::new("super", ""),
        ];
        let acl = resolve(AclRules::Apache, &Acl::creator_all(), &auth, false).unwrap();
        assert_eq!(acl[..], [Acl::new(Permissions::ALL, "digest", "bob:hash")]);
        let twice = [Acl::open(), Acl::open()].concat();
        assert_eq!(
            resolve(AclRules::Apache, &twice, &[], false).unwrap()[..],
            Acl::open()
        );
    }

    #[test]
    fn permissions_are_enforced_unless_super() {
        let bob = [Acl::new(Permissions::READ, "digest", "bob:hash")];
        let id = |scheme: &str, id: &str| vec![Id::new(scheme, id)];
        assert!(allows(&bob, Permissions::READ, &id("digest", "bob:hash")));
        assert!(!allows(&bob, Permissions::WRITE, &id("digest", "bob:hash")));
        assert!(!allows(&bob, Permissions::READ, &id("digest", "eve:hash")));
        assert!(allows(&bob, Permissions::WRITE, &id("super", "")));
        assert!(allows(&Acl::open(), Permissions::ALL, &[]));
    }

    #[test]
    fn hashes_are_not_shown() {
        let acl = [Acl::new(Permissions::ALL, "digest", "bob:hash")];
        assert_eq!(masked(&acl)[0].id.id, "bob:x");
        assert_eq!(masked(&Acl::open()), Acl::open());
        let infos = client_infos(&[Id::new("ip", "::1"), Id::new("digest", "bob:hash")]);
        assert_eq!(
            (infos[0].user.as_str(), infos[1].user.as_str()),
            ("::1", "bob")
        );
    }
}
