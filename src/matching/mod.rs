//! Matching: deferred acceptance under a forest of capacities, and its certificate.

pub mod problem;

pub use problem::{CapSet, Post, Problem, Seeker};
