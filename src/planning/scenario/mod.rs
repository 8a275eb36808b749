//! What a policy would change, on a fork of the market: the market itself never changes.
//!
//! * [`parameters`]: the parameters of the feedback, with ranges and sources;
//! * [`policy`]: a named, versioned policy;
//! * [`aggregate`]: the macro mode, a logit of residents between cities;
//! * [`steady`]: its steady states, and how far the feedback is from running away.
//!
//! `docs/SCENARIOS.md` has the model line by line.

pub mod aggregate;
pub mod parameters;
pub mod policy;
pub mod steady;

pub use parameters::Parameters;
pub use policy::Policy;
