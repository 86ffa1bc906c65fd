//! The GSSAPI library of the system.

use libgssapi::context::{ClientCtx, CtxFlags, SecurityContext};
use libgssapi::credential::{Cred, CredUsage};
use libgssapi::error::Error;
use libgssapi::name::Name;
use libgssapi::oid::{GSS_MECH_KRB5, GSS_NT_HOSTBASED_SERVICE, GSS_NT_KRB5_PRINCIPAL, OidSet};
use zk_client::SaslError;

use crate::diagnosis::{LibraryError, not_begun, refused_token};
use crate::exchange::{Context, Exchange};
use crate::plan::{Plan, Target};

/// The server has to authenticate itself, too, and the list of security layers must not be changed on its way.
const FLAGS: CtxFlags = CtxFlags::GSS_C_MUTUAL_FLAG
    .union(CtxFlags::GSS_C_INTEG_FLAG)
    .union(CtxFlags::GSS_C_SEQUENCE_FLAG);

/// Makes the first token, for which the library may read files and ask a KDC: it blocks.
pub(crate) fn begin(plan: Plan) -> Result<Exchange<ClientContext>, SaslError> {
    let (context, first) = first_token(&plan).map_err(|error| not_begun(&error, plan.attempt()))?;
    Ok(Exchange::new(ClientContext { context, plan }, first))
}

fn first_token(plan: &Plan) -> Result<(ClientCtx, Vec<u8>), LibraryError> {
    let (text, kind) = match &plan.target {
        Target::Service(text) => (text, GSS_NT_HOSTBASED_SERVICE),
        Target::Principal(text) => (text, GSS_NT_KRB5_PRINCIPAL),
    };
    let server = Name::new(text.as_bytes(), Some(kind))?;
    let client = match &plan.client {
        Some(principal) => Some(Name::new(
            principal.as_bytes(),
            Some(GSS_NT_KRB5_PRINCIPAL),
        )?),
        None => None,
    };
    let mechanisms = OidSet::singleton(GSS_MECH_KRB5)?;
    let credentials = Cred::acquire(
        client.as_ref(),
        None,
        CredUsage::Initiate,
        Some(&mechanisms),
    )?;
    let mut context = ClientCtx::new(Some(credentials), server, FLAGS, Some(GSS_MECH_KRB5));
    let first = context.step(None, None)?;
    Ok((
        context,
        first.map(|token| token.to_vec()).unwrap_or_default(),
    ))
}

/// The library formats details of an error only on the thread on which it occurred.
impl From<Error> for LibraryError {
    fn from(error: Error) -> Self {
        LibraryError {
            major: error.major.bits(),
            minor: error.minor,
            text: error.to_string(),
        }
    }
}

/// A security context, with what it is for.
pub(crate) struct ClientContext {
    context: ClientCtx,
    plan: Plan,
}

impl ClientContext {
    fn refused(&self, error: Error) -> SaslError {
        refused_token(&error.into(), self.plan.attempt())
    }
}

impl Context for ClientContext {
    fn answer(&mut self, token: &[u8]) -> Result<Option<Vec<u8>>, SaslError> {
        let answer = self.context.step(Some(token), None);
        let answer = answer.map_err(|error| self.refused(error))?;
        Ok(answer.map(|token| token.to_vec()))
    }

    fn is_established(&self) -> Result<bool, SaslError> {
        if !self.context.is_complete() {
            return Ok(false);
        }
        let flags = self.context.flags().map_err(|error| self.refused(error))?;
        match flags.contains(CtxFlags::GSS_C_MUTUAL_FLAG | CtxFlags::GSS_C_INTEG_FLAG) {
            true => Ok(true),
            false => Err(SaslError::Unproven),
        }
    }

    fn unwrap(&mut self, message: &[u8]) -> Result<Vec<u8>, SaslError> {
        let content = self.context.unwrap(message);
        let content = content.map_err(|error| self.refused(error))?;
        Ok(content.to_vec())
    }

    fn wrap(&mut self, content: &[u8]) -> Result<Vec<u8>, SaslError> {
        let message = self.context.wrap(false, content);
        let message = message.map_err(|error| self.refused(error))?;
        Ok(message.to_vec())
    }
}
