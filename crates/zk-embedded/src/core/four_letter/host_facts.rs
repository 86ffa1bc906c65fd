//! Facts about the process and its machine for `envi` and `mntr`. Properties of a JVM are `<NA>`, as Java
//! prints a property that is not set.

use std::env::consts::{ARCH, OS};
use std::fs;

const UNKNOWN: &str = "<NA>";

/// The lines of `envi` after the version.
pub(crate) fn environment() -> String {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| UNKNOWN.to_owned());
    let directory = std::env::current_dir().map(|path| path.display().to_string());
    let release = fs::read_to_string("/proc/sys/kernel/osrelease");
    let os = match OS {
        "linux" => "Linux",
        "macos" => "Mac OS X",
        os => os,
    };
    let arch = match ARCH {
        "x86_64" => "amd64",
        arch => arch,
    };
    let lines = [
        ("host.name", "localhost".to_owned()),
        ("java.version", UNKNOWN.to_owned()),
        ("java.vendor", UNKNOWN.to_owned()),
        ("java.home", UNKNOWN.to_owned()),
        ("java.class.path", UNKNOWN.to_owned()),
        ("java.library.path", UNKNOWN.to_owned()),
        ("java.io.tmpdir", std::env::temp_dir().display().to_string()),
        ("java.compiler", UNKNOWN.to_owned()),
        ("os.name", os.to_owned()),
        ("os.arch", arch.to_owned()),
        (
            "os.version",
            release.map_or_else(|_| UNKNOWN.to_owned(), |text| text.trim().to_owned()),
        ),
        ("user.name", variable("USER")),
        ("user.home", variable("HOME")),
        ("user.dir", directory.unwrap_or_else(|_| UNKNOWN.to_owned())),
    ];
    let line = |(key, value): (&str, String)| format!("{key}={value}\n");
    lines.into_iter().map(line).collect()
}

/// Number of open descriptors of the process; −1 where there is no `/proc`.
pub(crate) fn open_descriptors() -> i64 {
    fs::read_dir("/proc/self/fd").map_or(-1, |entries| {
        i64::try_from(entries.count()).unwrap_or(i64::MAX)
    })
}

/// Limit of open descriptors of the process; −1 without a limit or without `/proc`.
pub(crate) fn max_descriptors() -> i64 {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    soft.unwrap_or(-1)
}
