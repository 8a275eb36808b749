//! What survives a crash, promise by promise (`docs/GUARANTEES.md`). The error of a checker
//! is the promise that was broken, followed by the evidence.
#![allow(dead_code, reason = "each program has its own checkers")]

pub type Checked = Result<(), String>;

/// A broken promise, with the evidence.
pub fn broken<T>(promise: &str, evidence: impl std::fmt::Display) -> Result<T, String> {
    Err(format!("{promise}\n  {evidence}"))
}

pub const DURABLE: &str =
    "Durable: what was acknowledged is kept, at its revision and as it was answered.";
pub const WHOLE: &str =
    "Whole: a command is kept whole or not at all; a batch is never half there.";
pub const ONCE: &str =
    "Once: a command with a request_id is applied once, and answered alike ever after.";
pub const CONTINUED: &str =
    "Continued: a subscriber who resumes misses nothing and sees nothing twice.";
pub const UNSEEN: &str = "Unseen: nobody sees anything before it is durable.";
pub const RECOVERED: &str =
    "Recovered: every way to recover leads to the state that the journal leads to.";
pub const STABLE: &str = "Stable: what a market claims of its matching holds.";
