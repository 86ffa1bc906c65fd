//! Whether the output has colours.

use std::io::{self, IsTerminal};

use clap::ValueEnum;

/// The value of `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless the variable NO_COLOR has a value
    #[default]
    Auto,
    Always,
    Never,
}

impl Colour {
    /// Whether standard output gets colours.
    pub(crate) fn is_wanted(self) -> bool {
        match self {
            Colour::Always => true,
            Colour::Never => false,
            // As https://no-color.org demands, an empty variable counts as unset.
            Colour::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
                !refused && io::stdout().is_terminal()
            }
        }
    }
}
