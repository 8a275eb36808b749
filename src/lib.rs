//! Gale: a stable-matching server for labour markets that span cities.
pub mod domain;
pub mod events;
pub mod journal;
pub mod matching;
pub mod mutants;
pub mod preferences;
pub mod proto;
pub mod state;
