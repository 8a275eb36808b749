//! Switches that break Gale on purpose, one at a time, so that its tests can be seen
//! to catch it (`scripts/mutants`). Without the feature `mutants` they are constants
//! and cost nothing.

/// Whether the named mutant is alive: `GALE_MUTANT` holds its name.
#[cfg(feature = "mutants")]
pub fn active(name: &str) -> bool {
    use std::sync::OnceLock;
    static ALIVE: OnceLock<Option<String>> = OnceLock::new();
    ALIVE.get_or_init(|| std::env::var("GALE_MUTANT").ok()).as_deref() == Some(name)
}

/// Whether the named mutant is alive: never, in a build without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub const fn active(_name: &str) -> bool {
    false
}
