//! What the tests of lives, replays, limits and errors share: a small market as a pure
//! state machine ([`world`]), its audit ([`audit`]), random commands for it
//! ([`commands`]), how long matches are held ([`held`]) and a real server in this process
//! ([`server`]).
#![allow(dead_code, reason = "each test uses its own part")]

pub mod audit;
pub mod commands;
#[path = "../common/draws.rs"]
pub mod draws;
pub mod held;
pub mod http;
pub mod server;
pub mod world;
