//! What a market says about its cities, and what a policy would change: pure functions
//! over a consistent snapshot. No clock, no I/O, no randomness but from a seed.
//!
//! * [`figure`]: a number with its inputs, or the reason why there is none;
//! * [`error`]: why there is no result at all;
//! * [`flows`]: who moves from where to where.

pub mod error;
pub mod figure;
pub mod flows;

pub use error::Error;
