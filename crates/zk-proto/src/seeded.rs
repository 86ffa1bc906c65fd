//! Bugs of other clients, to prove that the tests of this workspace find them.
//!
//! They exist in builds with `--cfg seeded_bugs` only. The variable `ZK_SEEDED_BUG` says which one is
//! on. `cargo xtask bugs` switches on each bug in `tests/SEEDED_BUGS.md` and checks that the test
//! named there fails.

/// Whether the bug of this number is on; the constant `false` in every other build.
#[cfg(not(seeded_bugs))]
#[doc(hidden)]
#[macro_export]
macro_rules! seeded_bug {
    ($number:literal) => {
        false
    };
}

/// Whether the bug of this number is on.
#[cfg(seeded_bugs)]
#[doc(hidden)]
#[macro_export]
macro_rules! seeded_bug {
    ($number:literal) => {
        $crate::seeded::is_on($number)
    };
}

/// Whether `ZK_SEEDED_BUG` names this bug.
#[cfg(seeded_bugs)]
pub fn is_on(number: &str) -> bool {
    static ON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let on = ON.get_or_init(|| std::env::var("ZK_SEEDED_BUG").ok());
    on.as_deref() == Some(number)
}
