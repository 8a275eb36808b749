//! Gale: a stable-matching server for labour markets that span cities.
pub mod domain;
pub mod matching;
pub mod mutants;
pub mod preferences;
