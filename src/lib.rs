//! Gale: a stable-matching server for labour markets that span cities.
//!
//! Workers and vacancies are pooled per city, matched across cities by deferred
//! acceptance on skill, salary expectation and relocation cost, and every change is an
//! event in one total order. `ARCHITECTURE.md` is the long form of this map; arrows
//! of dependency point downwards only:
//!
//! * [`cli`]: one file per command;
//! * [`server`], [`grpc`], [`http`]: the shell that the network sees;
//! * [`market`]: the owner task of a market, its published pools, its rounds;
//! * [`journal`]: what happened, kept, and states recovered from it;
//! * [`events`]: what happened, to be streamed;
//! * [`planning`]: indicators, flows and scenarios over a snapshot;
//! * [`state`]: commands in, effects out, both pure;
//! * [`matching`]: the engine, its certificate and its naive twin;
//! * [`preferences`]: what workers want and what vacancies want;
//! * [`domain`]: plain types.
//!
//! [`generate`] makes markets from bundled real data; [`reproduce`] computes published
//! numbers again by the engine; [`proto`] is the generated API;
//! [`heap`] is the binary's allocator, which tells what a clearing holds.

pub mod cli;
pub mod domain;
pub mod events;
pub mod generate;
pub mod grpc;
pub mod heap;
pub mod http;
pub mod journal;
pub mod market;
pub mod matching;
pub mod mutants;
pub mod planning;
pub mod preferences;
pub mod proto;
pub mod reproduce;
#[cfg(test)]
mod seeded;
pub mod server;
pub mod state;
pub mod telemetry;
