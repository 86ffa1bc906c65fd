//! What decryption results in.

use std::fmt;

use zeroize::Zeroizing;

/// Why something encrypted stays so.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Locked {
    /// The passphrase is wrong, or the data are damaged: both look alike.
    WrongPassphrase,
    /// The name of what is not supported.
    Unsupported(String),
    Malformed,
}

impl fmt::Display for Locked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Locked::WrongPassphrase => f.write_str("the passphrase is wrong"),
            Locked::Unsupported(name) => {
                write!(f, "it is encrypted with {name}, which is not supported")
            }
            Locked::Malformed => f.write_str("it is malformed"),
        }
    }
}

/// What was decrypted.
pub(super) type Plain = Zeroizing<Vec<u8>>;
