//! DIGEST-MD5 (RFC 2831) in the form of ZooKeeper's servers: authentication only, without a layer for
//! integrity or confidentiality, which TLS provides.
//!
//! The password is never sent, and the server has to prove that it knows the password, too. But MD5 is
//! weak: with a recorded exchange an attacker can try passwords offline. RFC 6331 calls the mechanism
//! historic.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use md5::{Digest as _, Md5};
use zeroize::Zeroizing;
use zk_proto::HostPort;

use super::directives::{directives, quoted};
use super::mechanism::{Beginning, Login, Mechanism, SaslError, Step};
use super::password::Password;

/// The name of ZooKeeper's servers, whatever their host (`zookeeper.sasl.serverName` in the sources of
/// the Java client).
pub(super) const DIGEST_URI: &str = "zookeeper/zk-sasl-md5";
/// RFC 2831, 2.1.1: "The size of a digest-challenge MUST be less than 2048 bytes."
const MAX_CHALLENGE: usize = 2048;

/// A user and a password, for the mechanism DIGEST-MD5.
///
/// On the server these are a line `user_NAME="PASSWORD"` of the section `Server` in its JAAS
/// configuration.
#[derive(Clone)]
pub struct Digest {
    credentials: Arc<Credentials>,
}

#[derive(Clone)]
struct Credentials {
    user: String,
    password: Password,
    realm: Option<String>,
}

impl Digest {
    /// Logs in as `user`.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::with(user.into(), Password::given(password.into()))
    }

    /// Logs in with the password in the first line of a file, which is read for each login: the password can
    /// change while the client runs. A file that cannot be read or is empty, as in the middle of such a change,
    /// fails the login with [`SaslError::Unavailable`], after which the client tries again.
    pub fn password_file(user: impl Into<String>, file: impl Into<PathBuf>) -> Self {
        Self::with(user.into(), Password::file(file.into()))
    }

    /// Logs in with a password that `password` returns, for example decrypted. It is called for each login, in
    /// the client's task, so it must not block; its error is that of the login.
    pub fn password_from(
        user: impl Into<String>,
        password: impl Fn() -> Result<String, SaslError> + Send + Sync + 'static,
    ) -> Self {
        Self::with(user.into(), Password::Callback(Arc::new(password)))
    }

    fn with(user: String, password: Password) -> Self {
        Digest {
            credentials: Arc::new(Credentials {
                user,
                password,
                realm: None,
            }),
        }
    }

    /// Logs in to this realm. A server that offers other realms only is refused with
    /// [`SaslError::Unusable`], which names them. Without it, the first realm that the server offers is taken:
    /// Apache's servers offer one, `zk-sasl-md5`.
    #[must_use]
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.credentials).realm = Some(realm.into());
        self
    }

    async fn begin(&self) -> Result<DigestMd5, SaslError> {
        // Apache's server answers it with an exception in its log and a closed connection.
        if self.credentials.user.is_empty() {
            return Err(SaslError::Unusable("the user's name is empty".to_owned()));
        }
        let password = self.credentials.password.fetch().await?;
        let mut random = [0; 16];
        getrandom::fill(&mut random)
            .map_err(|error| SaslError::Unavailable(format!("no random numbers: {error}")))?;
        let mut mechanism = DigestMd5::new(self, hex(&random));
        mechanism.password = Some(password);
        Ok(mechanism)
    }
}

/// Shows neither user nor password.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest([redacted])")
    }
}

impl Login for Digest {
    fn mechanism(&self) -> &str {
        "DIGEST-MD5"
    }

    fn begin<'a>(&'a self, _: &'a HostPort) -> Beginning<'a> {
        Box::pin(async { Ok(Box::new(Digest::begin(self).await?) as Box<dyn Mechanism>) })
    }
}

/// The client's side of one DIGEST-MD5 exchange.
pub struct DigestMd5 {
    credentials: Arc<Credentials>,
    /// If it has been read.
    password: Option<Arc<Zeroizing<String>>>,
    cnonce: String,
    uri: &'static str,
    state: State,
}

enum State {
    Begin,
    Challenged,
    /// With the proof of a server that knows the password.
    Proving(String),
    Over,
}

impl DigestMd5 {
    /// `cnonce` has to be different and unpredictable each time: printable ASCII without quotes or
    /// backslashes. A [password file](Digest::password_file) is read by the second step, which blocks.
    pub fn new(digest: &Digest, cnonce: impl Into<String>) -> Self {
        DigestMd5 {
            credentials: Arc::clone(&digest.credentials),
            password: None,
            cnonce: cnonce.into(),
            uri: DIGEST_URI,
            state: State::Begin,
        }
    }

    fn respond(&mut self, challenge: &[u8]) -> Result<Vec<u8>, SaslError> {
        let Credentials {
            user,
            password,
            realm,
        } = &*self.credentials;
        let challenge = Challenge::parse_for(challenge, realm.as_deref())?;
        let password = match &self.password {
            Some(password) => Arc::clone(password),
            None => password.read()?,
        };
        let user_bytes = if challenge.utf8 {
            user.as_bytes().to_vec()
        } else {
            latin1(user).ok_or_else(|| {
                SaslError::Unusable("the server accepts only user names in Latin-1".to_owned())
            })?
        };
        let secret = Secret::new(user, &challenge, &password, &self.cnonce);
        let proof = |method: &str| secret.proof(method, &challenge.nonce, &self.cnonce, self.uri);
        let response = proof("AUTHENTICATE:");
        let expected = proof(":");

        let mut out = Vec::new();
        if challenge.utf8 {
            out.extend_from_slice(b"charset=utf-8,");
        }
        quoted(&mut out, "username", &user_bytes);
        if let Some(realm) = &challenge.realm {
            quoted(&mut out, "realm", realm);
        }
        quoted(&mut out, "nonce", &challenge.nonce);
        quoted(&mut out, "cnonce", self.cnonce.as_bytes());
        quoted(&mut out, "digest-uri", self.uri.as_bytes());
        out.extend_from_slice(b"nc=00000001,qop=auth,response=");
        out.extend_from_slice(response.as_bytes());
        self.state = State::Proving(expected);
        Ok(out)
    }
}

/// Shows no secret.
impl fmt::Debug for DigestMd5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Begin => "begin",
            State::Challenged => "challenged",
            State::Proving(_) => "proving",
            State::Over => "over",
        };
        f.debug_struct("DigestMd5")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}

impl Mechanism for DigestMd5 {
    fn step(&mut self, challenge: Option<&[u8]>) -> Result<Step, SaslError> {
        let token = challenge.unwrap_or_default();
        match std::mem::replace(&mut self.state, State::Over) {
            State::Begin => {
                self.state = State::Challenged;
                // The server sends the first challenge in answer to an empty token.
                Ok(Step::Respond(Vec::new()))
            }
            State::Challenged => self.respond(token).map(Step::Respond),
            State::Proving(expected) => {
                let directives = directives(token)?;
                let mut proofs = directives.iter().filter(|(name, _)| name == "rspauth");
                match (proofs.next(), proofs.next()) {
                    (Some((_, proof)), None) if proof == expected.as_bytes() => Ok(Step::Done),
                    _ => Err(SaslError::Unproven),
                }
            }
            State::Over => Err(SaslError::Challenge("the exchange is over".to_owned())),
        }
    }
}

/// The parts of the server's challenge that the exchange depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The realm to log in to: the first of those offered, unless another was chosen.
    pub realm: Option<Vec<u8>>,
    /// The server's nonce.
    pub nonce: Vec<u8>,
    /// Whether names are in UTF-8; else they are in ISO 8859-1.
    pub utf8: bool,
}

impl Challenge {
    /// Reads a challenge.
    ///
    /// # Errors
    /// It is malformed, or demands what is not implemented: another algorithm, or a quality of protection
    /// other than plain authentication.
    pub fn parse(challenge: &[u8]) -> Result<Self, SaslError> {
        Self::parse_for(challenge, None)
    }

    /// As [`parse`](Self::parse), and chooses this realm.
    fn parse_for(challenge: &[u8], realm: Option<&str>) -> Result<Self, SaslError> {
        let bad = |why: &str| SaslError::Challenge(why.to_owned());
        if challenge.len() >= MAX_CHALLENGE {
            return Err(bad("it is longer than RFC 2831 allows"));
        }
        let directives = directives(challenge)?;
        let once = |wanted: &str| {
            let mut found = directives.iter().filter(|(name, _)| name == wanted);
            match (found.next(), found.next()) {
                (first, None) => Ok(first.map(|(_, value)| value.as_slice())),
                _ => Err(bad(&format!("it has several {wanted}"))),
            }
        };
        let nonce = once("nonce")?.filter(|nonce| !nonce.is_empty());
        let nonce =
            nonce.ok_or_else(|| bad("it has no nonce; the server may want another mechanism"))?;
        if once("algorithm")? != Some(b"md5-sess") {
            return Err(bad("its algorithm is not md5-sess"));
        }
        let utf8 = match once("charset")? {
            None => false,
            Some(name) if name.eq_ignore_ascii_case(b"utf-8") => true,
            Some(_) => return Err(bad("its charset is not utf-8")),
        };
        let offered = once("qop")?.unwrap_or(b"auth");
        if !offered
            .split(|&byte| byte == b',')
            .any(|qop| qop.trim_ascii() == b"auth")
        {
            return Err(bad(
                "it demands a layer for integrity or confidentiality; use TLS",
            ));
        }
        let realms = directives.iter().filter(|(name, _)| name == "realm");
        let realms: Vec<_> = realms.map(|(_, realm)| realm.as_slice()).collect();
        Ok(Challenge {
            realm: choose_realm(&realms, realm, utf8)?,
            nonce: nonce.to_vec(),
            utf8,
        })
    }
}

/// The realm to log in to. A server without realms accepts the client's.
fn choose_realm(
    offered: &[&[u8]],
    wanted: Option<&str>,
    utf8: bool,
) -> Result<Option<Vec<u8>>, SaslError> {
    let Some(wanted) = wanted else {
        return Ok(offered.first().map(|realm| realm.to_vec()));
    };
    let encoded = match utf8 {
        true => Some(wanted.as_bytes().to_vec()),
        false => latin1(wanted),
    };
    match encoded {
        Some(realm) if offered.is_empty() || offered.contains(&realm.as_slice()) => Ok(Some(realm)),
        _ => {
            let offered: Vec<_> = offered
                .iter()
                .map(|realm| String::from_utf8_lossy(realm))
                .collect();
            Err(SaslError::Unusable(format!(
                "the server has no realm {wanted:?}; it offers {offered:?}"
            )))
        }
    }
}

/// `HEX(H(A1))`: the hash of `H(user:realm:password)` and the two nonces.
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn new(user: &str, challenge: &Challenge, password: &str, cnonce: &str) -> Self {
        // Names that fit into ISO 8859-1 are hashed in it, even if they are sent in UTF-8.
        let hashed = |text: &str| Zeroizing::new(latin1(text).unwrap_or_else(|| text.into()));
        let realm = challenge.realm.clone().unwrap_or_default();
        let realm = match std::str::from_utf8(&realm) {
            Ok(text) if challenge.utf8 => hashed(text).to_vec(),
            _ => realm,
        };
        let identity = Md5::new()
            .chain_update(&*hashed(user))
            .chain_update(b":")
            .chain_update(&realm)
            .chain_update(b":")
            .chain_update(&*hashed(password))
            .finalize();
        let secret = Md5::new()
            .chain_update(identity)
            .chain_update(b":")
            .chain_update(&challenge.nonce)
            .chain_update(b":")
            .chain_update(cnonce)
            .finalize();
        Secret(Zeroizing::new(hex(&secret)))
    }

    /// The client's proof, with the method `AUTHENTICATE:`, or the server's, with `:`.
    pub(super) fn proof(&self, method: &str, nonce: &[u8], cnonce: &str, uri: &str) -> String {
        let a2 = Md5::new().chain_update(method).chain_update(uri);
        let a2 = a2.finalize();
        let proof = Md5::new()
            .chain_update(self.0.as_bytes())
            .chain_update(b":")
            .chain_update(nonce)
            .chain_update(b":00000001:")
            .chain_update(cnonce)
            .chain_update(b":auth:")
            .chain_update(hex(&a2))
            .finalize();
        hex(&proof)
    }
}

/// The text in ISO 8859-1, if all its characters exist there.
fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(c).ok()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHALLENGE: &[u8] =
        b"realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",qop=\"auth\",\
        algorithm=md5-sess,charset=utf-8";

    /// The example of RFC 2831, section 4, begun.
    fn chris() -> DigestMd5 {
        let mut exchange = DigestMd5::new(&Digest::new("chris", "secret"), "OA6MHXh6VqTrRk");
        exchange.uri = "imap/elwood.innosoft.com";
        assert_eq!(exchange.step(None), Ok(Step::Respond(Vec::new())));
        exchange
    }

    fn answer(exchange: &mut DigestMd5, challenge: &[u8]) -> Result<String, SaslError> {
        match exchange.step(Some(challenge))? {
            Step::Respond(token) => Ok(String::from_utf8(token).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_example_of_the_rfc() {
        let mut exchange = chris();
        let response = answer(&mut exchange, CHALLENGE).unwrap();
        assert_eq!(
            response,
            "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",\
             nonce=\"OA6MG9tEQGm2hh\",cnonce=\"OA6MHXh6VqTrRk\",\
             digest-uri=\"imap/elwood.innosoft.com\",nc=00000001,qop=auth,\
             response=d388dad90d4bbd760a152321f2143af7"
        );
        let proof = b"rspauth=ea40f60335c427b5527b84dbabcdfffd";
        assert_eq!(exchange.step(Some(proof)), Ok(Step::Done));
        assert!(exchange.step(Some(proof)).is_err());
    }

    /// Guards: T5.
    #[test]
    fn a_server_without_the_password_is_refused() {
        for proof in [
            &b""[..],
            b"rspauth=",
            b"rspauth=ea40f60335c427b5527b84dbabcdfffe",
            b"rspauth=ea40f60335c427b5527b84dbabcdfffd,rspauth=ea40f60335c427b5527b84dbabcdfffd",
            b"rspauth=d388dad90d4bbd760a152321f2143af7",
        ] {
            let mut exchange = chris();
            answer(&mut exchange, CHALLENGE).unwrap();
            assert_eq!(exchange.step(Some(proof)), Err(SaslError::Unproven));
        }
    }

    /// Guards: T5.
    #[test]
    fn a_challenge_cannot_weaken_the_exchange() {
        let nonce = "nonce=\"n\",algorithm=md5-sess";
        for (challenge, why) in [
            (String::new(), "no nonce"),
            ("YIICxgYJKoZIhvcSAQICAQBu".into(), "not a list"),
            (format!("nonce=\"a\",{nonce}"), "several nonce"),
            ("nonce=\"n\"".into(), "md5-sess"),
            ("nonce=\"n\",algorithm=md5".into(), "md5-sess"),
            (format!("{nonce},qop=\"auth-int,auth-conf\""), "TLS"),
            (format!("{nonce},charset=latin-1"), "utf-8"),
            (format!("{nonce},realm=\"open"), "not closed"),
            (format!("{nonce},x=\"{}\"", "y".repeat(2048)), "longer"),
        ] {
            let error = answer(&mut chris(), challenge.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(why), "{challenge}: {error}");
        }
    }

    #[test]
    fn a_given_realm_has_to_be_offered() {
        let to = |realm: &str| {
            let mut exchange = DigestMd5::new(&Digest::new("u", "p").realm(realm), "c");
            exchange.step(None).unwrap();
            exchange
        };
        let none = "nonce=n,algorithm=md5-sess";
        let two = format!("realm=\"first\",realm=\"second\",{none}");
        let response = answer(&mut to("second"), two.as_bytes()).unwrap();
        assert!(response.contains("realm=\"second\""), "{response}");
        let own = answer(&mut to("mine"), none.as_bytes()).unwrap();
        assert!(own.contains("realm=\"mine\""), "{own}");
        let error = answer(&mut to("third"), two.as_bytes()).unwrap_err();
        assert!(matches!(error, SaslError::Unusable(_)));
        let text = error.to_string();
        assert!(text.contains("third") && text.contains("first"), "{text}");
        let begun = || DigestMd5::new(&Digest::new("u", "p"), "c");
        let mut exchange = begun();
        exchange.step(None).unwrap();
        let response = answer(&mut exchange, two.as_bytes()).unwrap();
        assert!(response.contains("realm=\"first\""), "{response}");
    }

    /// The realm is a part of the proof.
    #[test]
    fn a_chosen_realm_is_proven() {
        let offers = CHALLENGE.strip_prefix(b"realm").unwrap();
        let offers = [b"realm=\"other\",realm", offers].concat();
        let digest = Digest::new("chris", "secret").realm("elwood.innosoft.com");
        let mut exchange = DigestMd5::new(&digest, "OA6MHXh6VqTrRk");
        exchange.uri = "imap/elwood.innosoft.com";
        exchange.step(None).unwrap();
        let response = answer(&mut exchange, &offers).unwrap();
        assert!(
            response.ends_with("d388dad90d4bbd760a152321f2143af7"),
            "{response}"
        );
    }

    /// Guards: B72.
    #[tokio::test]
    async fn passwords_are_read_for_each_login() {
        let next = std::sync::atomic::AtomicU32::new(0);
        let digest = Digest::password_from("u", move || {
            match next.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                1 => Err(SaslError::Unavailable("the vault is sealed".to_owned())),
                n => Ok(format!("canary{n}")),
            }
        });
        let challenge = &b"nonce=n,algorithm=md5-sess"[..];
        let begin = async || {
            let mut exchange = digest.begin().await?;
            exchange.cnonce = "c".to_owned();
            exchange.step(None)?;
            answer(&mut exchange, challenge)
        };
        let first = begin().await.unwrap();
        assert!(begin().await.unwrap_err().to_string().contains("sealed"));
        assert_ne!(begin().await.unwrap(), first);
        assert!(!format!("{digest:?}").contains("canary"));
    }

    #[test]
    fn quotes_and_commas_in_values_are_kept() {
        let text = b" , realm = \"a\\\"b,c\\\\\" , NONCE=\"n\",algorithm=md5-sess,, qop=\"auth-int, auth\"";
        let challenge = Challenge::parse(text).unwrap();
        assert_eq!(challenge.realm.as_deref(), Some(&b"a\"b,c\\"[..]));
        assert!(!challenge.utf8);
        let mut out = Vec::new();
        quoted(&mut out, "realm", b"a\"b,c\\");
        assert_eq!(directives(&out).unwrap()[0].1, b"a\"b,c\\");
    }

    #[test]
    fn names_beyond_latin_1_need_utf_8() {
        let begun = || {
            let mut exchange = DigestMd5::new(&Digest::new("\u{17c}", "p"), "c");
            exchange.step(None).unwrap();
            exchange
        };
        assert!(answer(&mut begun(), b"nonce=n,algorithm=md5-sess").is_err());
        let response = answer(&mut begun(), b"nonce=n,algorithm=md5-sess,charset=utf-8").unwrap();
        assert!(response.contains("username=\"\u{17c}\""), "{response}");
    }

    /// Guards: B75.
    #[tokio::test]
    async fn neither_user_nor_password_is_shown() {
        let digest = Digest::new("canary-user", "canary-password");
        let mut exchange = digest.begin().await.unwrap();
        exchange.step(None).unwrap();
        let step = exchange.step(Some(CHALLENGE)).unwrap();
        for text in [
            format!("{digest:?}"),
            format!("{exchange:?}"),
            format!("{step:?}"),
        ] {
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[tokio::test]
    async fn every_exchange_has_a_cnonce_of_its_own() {
        let digest = Digest::new("u", "p");
        let cnonce = async || digest.begin().await.unwrap().cnonce;
        assert_ne!(cnonce().await, cnonce().await);
        assert_eq!(cnonce().await.len(), 32);
    }

    proptest! {
        #[test]
        fn any_challenge_is_survived(challenge in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut exchange = chris();
            let _ = exchange.step(Some(&challenge));
            let _ = exchange.step(Some(&challenge));
        }

        #[test]
        fn what_is_quoted_can_be_read(value in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut out = Vec::new();
            quoted(&mut out, "nonce", &value);
            out.extend_from_slice(b"algorithm=md5-sess");
            match Challenge::parse(&out) {
                Ok(challenge) => prop_assert_eq!(challenge.nonce, value),
                Err(_) => prop_assert!(value.is_empty()),
            }
        }

        /// A proof that was truncated or changed anywhere is refused.
        #[test]
        fn every_byte_of_the_proof_is_checked(at in 0..40usize, byte: u8) {
            let proof = *b"rspauth=ea40f60335c427b5527b84dbabcdfffd";
            let mut changed = proof;
            changed[at] = byte;
            for token in [&proof[..at], &changed[..]] {
                let mut exchange = chris();
                answer(&mut exchange, CHALLENGE).unwrap();
                let done = exchange.step(Some(token)) == Ok(Step::Done);
                let same = directives(token) == directives(&proof);
                prop_assert_eq!(done, same);
            }
        }
    }
}
