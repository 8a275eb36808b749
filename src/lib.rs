//! Gale: a stable-matching server for labour markets that span cities.
pub mod domain;
pub mod generate;
pub mod matching;
pub mod preferences;
pub mod proto;
