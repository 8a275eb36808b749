//! Scenarios: what a policy would change, on a fork of the market.
//!
//! `model` holds the conservation laws and the exact statics of the fork on random small
//! markets; `served` has the same over gRPC, with limits, errors, and the market that must
//! not change. `GALE_SEED=n` replays one market, `GALE_MARKETS=n` says how many there are.

mod support;

#[path = "scenarios/model.rs"]
mod model;
#[path = "scenarios/served.rs"]
mod served;
