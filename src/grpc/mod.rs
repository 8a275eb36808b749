//! The transport: messages to specs and back.

pub mod specs;
