//! MIT's Kerberos: a KDC and its tools, and what a build against its library needs.

use std::path::Path;

use crate::apt;
use crate::error::{Error, Result};

/// Debian's packages of all of it.
const PACKAGES: [&str; 7] = [
    "krb5-kdc",
    "krb5-admin-server",
    "krb5-user",
    "libkrb5-dev",
    "libclang-dev",
    "pkg-config",
    "faketime",
];

/// Programs for administrators are not on every user's `PATH`.
const SBIN: &str = "/usr/sbin";
/// Of each package that has one; `krb5-config` is a part of the headers' package.
const PROGRAMS: [&str; 7] = [
    "krb5kdc",
    "kdb5_util",
    "kadmin.local",
    "kinit",
    "krb5-config",
    "pkg-config",
    "faketime",
];

/// Looks for all of it, and installs it when run by root on a system with `apt-get`.
///
/// # Errors
///
/// [`Error::Command`] with what to install, or what became of the installation.
pub fn find_or_install() -> Result<()> {
    if missing().is_none() {
        return Ok(());
    }
    if apt::can_install() {
        apt::install(&PACKAGES)?;
    }
    match missing() {
        None => Ok(()),
        Some(what) => Err(Error::Command {
            command: what.to_owned(),
            outcome: format!(
                "is not installed. On Debian or Ubuntu run `{}` as root",
                apt::command(&PACKAGES)
            ),
        }),
    }
}

fn missing() -> Option<&'static str> {
    let program = PROGRAMS.into_iter().find(|program| !is_program(program));
    program.or_else(|| (!has_libclang()).then_some("libclang"))
}

fn is_program(name: &str) -> bool {
    apt::on_path(name).is_some() || Path::new(SBIN).join(name).is_file()
}

/// Its directory has the version in its name, and `LIBCLANG_PATH` may name another.
fn has_libclang() -> bool {
    std::env::var_os("LIBCLANG_PATH").is_some()
        || std::fs::read_dir("/usr/lib").is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                let name = entry.file_name();
                name.to_string_lossy().starts_with("llvm-")
                    && has_library(&entry.path().join("lib"))
            })
        })
}

fn has_library(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with("libclang.so")
        })
    })
}
