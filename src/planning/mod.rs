//! What a market says about its cities, and what a policy would change: pure functions
//! over a consistent snapshot. No clock, no I/O, no randomness but from a seed.
//!
//! * [`figure`]: a number with its inputs, or the reason why there is none.
//! * [`flows`]: who moves from where to where.

pub mod figure;
pub mod flows;
