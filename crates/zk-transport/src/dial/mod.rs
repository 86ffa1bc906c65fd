//! Opening a stream to a host.
//!
//! [`TcpDial`] opens TCP connections, [`dial_fn`] makes a [`Dial`] of a closure, for a server in
//! memory or a proxy, and `TlsDial` (feature `tls`) encrypts the streams of another [`Dial`].

mod closure;
mod open;
mod tcp;

pub use closure::{DialFn, dial_fn};
pub use open::{Dial, DialError, Dialing, Transport};
pub use tcp::TcpDial;
