//! Editing data with the program that EDITOR names.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::process::Command;

/// The command that edits files, if the environment names one.
pub(super) fn command() -> Option<String> {
    let variables = ["VISUAL", "EDITOR"].into_iter();
    let mut set = variables.filter_map(|name| env::var(name).ok());
    set.find(|command| !command.trim().is_empty())
}

/// A file that only this user can read, until it is dropped.
pub(super) struct Private {
    path: PathBuf,
    data: Bytes,
}

impl Private {
    pub(super) fn create(data: &Bytes) -> io::Result<Self> {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let name = format!("zkctl-{}-{}", process::id(), since.as_nanos());
        let path = env::temp_dir().join(name);
        // Fails if anything has this name, a link that another user made included.
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let data = data.clone();
        let private = Private { path, data };
        file.write_all(&private.data)?;
        Ok(private)
    }

    /// What the editor has left of the data.
    pub(super) fn read(&self) -> io::Result<Bytes> {
        Ok(without_added_line_break(&self.data, fs::read(&self.path)?))
    }

    /// Leaves the file where it is.
    pub(super) fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.path)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // An error means that the file is gone, or is kept.
        let _ = fs::remove_file(&self.path);
    }
}

/// Runs the editor, which must have the terminal and gets none of the variables `secrets`.
///
/// # Errors
/// Why the file is not to be written, as text.
pub(super) async fn edit(command: &str, secrets: &[String], file: &Private) -> Result<(), String> {
    let mut editor = Command::new("sh");
    // The command may have arguments.
    editor
        .args(["-c", &format!("{command} \"$1\""), "sh"])
        .arg(&file.path)
        .kill_on_drop(true);
    for variable in secrets {
        editor.env_remove(variable);
    }
    let ended = editor
        .status()
        .await
        .map_err(|error| format!("cannot start {command}: {error}"))?;
    match ended.success() {
        true => Ok(()),
        false => Err(format!("{command}: {ended}")),
    }
}

/// Editors end the last line, also of data that do not.
fn without_added_line_break(before: &Bytes, mut after: Vec<u8>) -> Bytes {
    if !before.ends_with(b"\n") && after.ends_with(b"\n") {
        after.pop();
    }
    after.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_of_the_editor_is_left_out() {
        let after = |before: &'static str, after: &str| {
            without_added_line_break(&Bytes::from(before), after.into())
        };
        assert_eq!(after("a", "b\n"), "b");
        assert_eq!(after("a", "b\n\n"), "b\n");
        assert_eq!(after("a\n", "b\n"), "b\n");
        assert_eq!(after("a", "b"), "b");
    }
}
