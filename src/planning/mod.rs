//! What a market says about its cities, and what a policy would change: pure functions
//! over a consistent snapshot. No clock, no I/O, no randomness but from a seed.
//!
//! * [`figure`]: a number with its inputs, or the reason why there is none;
//! * [`generated`]: a generated market as the problem of its first clearing;
//! * [`calibrate`]: how people move, fitted to observed flows, beside gravity.

pub mod calibrate;
pub mod figure;
pub mod generated;
