//! The client's side of SASL's mechanism GSSAPI (RFC 4752), whatever the library.

use zk_client::SaslError;
use zk_client::sasl::{Mechanism, Step};

/// The bit of the security layer "none", the only one that ZooKeeper can use.
const NO_LAYER: u8 = 1;

/// A security context of GSSAPI that is being established, or has been.
pub(crate) trait Context: Send + 'static {
    /// The token that answers the server's, if there is one.
    fn answer(&mut self, token: &[u8]) -> Result<Option<Vec<u8>>, SaslError>;

    /// Whether the context is established, and the server authenticated.
    fn is_established(&self) -> Result<bool, SaslError>;

    /// The content of a message of the server.
    fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, SaslError>;

    /// A message with this content. It is not encrypted.
    fn wrap(&mut self, content: &[u8]) -> Result<Vec<u8>, SaslError>;
}

/// One exchange. Its first token has been made, for which the library may have asked a KDC.
pub(crate) struct Exchange<C> {
    context: C,
    state: State,
}

enum State {
    /// With the first token.
    Begin(Vec<u8>),
    Establishing,
    /// The server says which security layers it has.
    Layers,
    Over,
}

impl<C: Context> Exchange<C> {
    pub(crate) fn new(context: C, first: Vec<u8>) -> Self {
        Exchange {
            context,
            state: State::Begin(first),
        }
    }

    fn establish(&mut self, token: &[u8]) -> Result<Step, SaslError> {
        let answer = self.context.answer(token)?;
        let established = self.context.is_established()?;
        match (answer, established) {
            (answer, true) => {
                self.state = State::Layers;
                // Without a token of the library, an empty one says that it is the server's turn.
                Ok(Step::Respond(answer.unwrap_or_default()))
            }
            (Some(answer), false) => {
                self.state = State::Establishing;
                Ok(Step::Respond(answer))
            }
            (None, false) => Err(SaslError::Unproven),
        }
    }

    fn choose_layer(&mut self, message: &[u8]) -> Result<Step, SaslError> {
        let content = self.context.unwrap(message)?;
        // The other three bytes are the size of the largest message in a layer, and there is none.
        // (Java's server sends a size also without a layer, against RFC 4752.)
        let &[layers, _, _, _] = content.as_slice() else {
            return Err(SaslError::Challenge(format!(
                "its list of security layers has {} bytes in place of 4",
                content.len()
            )));
        };
        if layers & NO_LAYER == 0 {
            return Err(SaslError::Challenge(
                "it demands a layer for integrity or confidentiality, which ZooKeeper's protocol does not \
                 have; allow `auth` in the server's javax.security.sasl.qop, and use TLS"
                    .to_owned(),
            ));
        }
        // An empty authorization id follows: the client acts as itself.
        self.context.wrap(&[NO_LAYER, 0, 0, 0]).map(Step::Final)
    }
}

impl<C: Context> Mechanism for Exchange<C> {
    fn step(&mut self, challenge: Option<&[u8]>) -> Result<Step, SaslError> {
        let token = challenge.unwrap_or_default();
        match std::mem::replace(&mut self.state, State::Over) {
            State::Begin(first) => {
                self.state = State::Establishing;
                Ok(Step::Respond(first))
            }
            State::Establishing => self.establish(token),
            State::Layers => self.choose_layer(token),
            State::Over => Err(SaslError::Challenge("the exchange is over".to_owned())),
        }
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A library that needs `rounds` of the server's tokens, and wraps by prefixing `w`.
    struct Fake {
        rounds: usize,
        authenticates: bool,
        /// Whether the token that completes the context is answered with one.
        speaks_last: bool,
    }

    impl Context for Fake {
        fn answer(&mut self, token: &[u8]) -> Result<Option<Vec<u8>>, SaslError> {
            if token != b"server" {
                return Err(SaslError::Challenge("it is not the server's".to_owned()));
            }
            self.rounds -= 1;
            Ok((self.rounds > 0 || self.speaks_last).then(|| b"client".to_vec()))
        }

        fn is_established(&self) -> Result<bool, SaslError> {
            match (self.rounds, self.authenticates) {
                (0, false) => Err(SaslError::Unproven),
                (rounds, _) => Ok(rounds == 0),
            }
        }

        fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, SaslError> {
            let content = message.strip_prefix(b"w");
            content
                .map(<[u8]>::to_vec)
                .ok_or_else(|| SaslError::Challenge("it was changed on its way".to_owned()))
        }

        fn wrap(&mut self, content: &[u8]) -> Result<Vec<u8>, SaslError> {
            Ok([b"w", content].concat())
        }
    }

    fn begun(rounds: usize) -> Exchange<Fake> {
        let context = Fake {
            rounds,
            authenticates: true,
            speaks_last: false,
        };
        let mut exchange = Exchange::new(context, b"first".to_vec());
        assert_eq!(exchange.step(None), Ok(Step::Respond(b"first".to_vec())));
        exchange
    }

    fn respond(token: &[u8]) -> Result<Step, SaslError> {
        Ok(Step::Respond(token.to_vec()))
    }

    #[test]
    fn kerberos_takes_three_tokens() {
        let mut exchange = begun(1);
        assert_eq!(exchange.step(Some(b"server")), respond(b""));
        let last = exchange.step(Some(b"w\x01\x00\x00\x00"));
        assert_eq!(last, Ok(Step::Final(b"w\x01\x00\x00\x00".to_vec())));
        assert!(exchange.step(Some(b"")).is_err());
    }

    #[test]
    fn a_context_may_take_more_tokens() {
        let mut exchange = begun(3);
        assert_eq!(exchange.step(Some(b"server")), respond(b"client"));
        assert_eq!(exchange.step(Some(b"server")), respond(b"client"));
        assert_eq!(exchange.step(Some(b"server")), respond(b""));
        assert!(matches!(
            exchange.step(Some(b"w\x07\x01\x00\x00")),
            Ok(Step::Final(_))
        ));

        let mut exchange = begun(1);
        exchange.context.speaks_last = true;
        assert_eq!(exchange.step(Some(b"server")), respond(b"client"));
        assert!(matches!(
            exchange.step(Some(b"w\x01\x00\x00\x00")),
            Ok(Step::Final(_))
        ));
    }

    /// Guards: T5.
    #[test]
    fn a_server_without_proof_is_refused() {
        let mut exchange = begun(1);
        exchange.context.authenticates = false;
        assert_eq!(exchange.step(Some(b"server")), Err(SaslError::Unproven));
        // The list of layers, before the server has authenticated itself.
        assert!(begun(1).step(Some(b"w\x01\x00\x00\x00")).is_err());
        assert!(begun(1).step(Some(b"")).is_err());
    }

    /// Guards: T5.
    #[test]
    fn a_demanded_layer_is_refused() {
        for layers in [0, 2, 4, 6] {
            let mut exchange = begun(1);
            exchange.step(Some(b"server")).unwrap();
            let error = exchange.step(Some(&[b'w', layers, 0, 1, 0])).unwrap_err();
            assert!(error.to_string().contains("TLS"), "{error}");
            assert!(!error.is_temporary());
        }
    }

    #[test]
    fn a_malformed_list_of_layers_is_refused() {
        for message in [
            &b"w"[..],
            b"w\x01",
            b"w\x01\x00\x00\x00\x00",
            b"\x01\x00\x00\x00",
        ] {
            let mut exchange = begun(1);
            exchange.step(Some(b"server")).unwrap();
            let error = exchange.step(Some(message)).unwrap_err();
            assert!(matches!(error, SaslError::Challenge(_)), "{error}");
            assert!(
                exchange.step(Some(b"w\x01\x00\x00\x00")).is_err(),
                "it continues"
            );
        }
    }

    proptest! {
        /// Only the server's own tokens, in their order, lead to the last token.
        #[test]
        fn any_challenges_are_survived(
            challenges in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..8), 1..4),
        ) {
            let mut exchange = begun(1);
            for challenge in &challenges {
                let step = exchange.step(Some(challenge));
                prop_assert!(!matches!(step, Ok(Step::Final(_) | Step::Done)));
            }
        }
    }
}
