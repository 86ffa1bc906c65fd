//! The arguments of `ui`.

use clap::Args;

use super::znode::znode;

#[derive(Args)]
pub(crate) struct Ui {
    /// The znode to begin with
    #[arg(value_parser = znode, default_value = "/")]
    pub(crate) path: String,
    /// Leave the mouse to the terminal, which can select text with it
    #[arg(long)]
    pub(crate) no_mouse: bool,
}
