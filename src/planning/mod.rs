//! What a market says about its cities, and what a policy would change: pure functions
//! over a consistent snapshot. No clock, no I/O, no randomness but from a seed.
//!
//! * [`figure`]: a number with its inputs, or the reason why there is none;
//! * [`guidance`]: what caps and subsidies cost, against the same market left alone.

pub mod figure;
pub mod guidance;
