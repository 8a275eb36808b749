//! What a market says about its cities, and what a policy would change: pure functions
//! over a consistent snapshot. No clock, no I/O, no randomness but from a seed.
//!
//! * [`figure`]: a number with its inputs, or the reason why there is none;
//! * [`error`]: why there is no result at all;
//! * [`indices`]: the formulas, on plain numbers;
//! * [`census`]: a market counted, in integers; [`draw`]: samples of it;
//! * [`indicators`]: formulas and counts brought together;
//! * [`flows`]: who moves from where to where;
//! * [`scenario`]: what a policy would change, on a fork of the market;
//! * [`guidance`]: what caps and subsidies cost, against the same market left alone;
//! * [`china`]: the aggregate model from the census of 2010, held against that of 2020;
//! * [`generated`]: a generated market as the problem of its first clearing;
//! * [`calibrate`]: how people move, fitted to observed flows, beside gravity.

pub mod calibrate;
pub mod census;
pub mod china;
pub mod draw;
pub mod error;
pub mod figure;
pub mod flows;
pub mod generated;
pub mod guidance;
pub mod indicators;
pub mod indices;
pub mod scenario;

pub use error::Error;
