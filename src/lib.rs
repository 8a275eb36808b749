//! Gale: a stable-matching server for labour markets that span cities.
pub mod cli;
pub mod domain;
pub mod generate;
pub mod grpc;
pub mod matching;
pub mod mutants;
pub mod preferences;
pub mod proto;
pub mod state;
pub mod telemetry;
