//! What a market says about its cities, and what a policy would change: pure functions
//! over a consistent snapshot. No clock, no I/O, no randomness but from a seed.
//!
//! * [`figure`]: a number with its inputs, or the reason why there is none;
//! * [`indices`]: the formulas, on plain numbers;
//! * [`scenario`]: what a policy would change, on a fork of the market.

pub mod figure;
pub mod indices;
pub mod scenario;
