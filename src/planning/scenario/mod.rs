//! What a policy would change, on a fork of the market: the market itself never changes.
//!
//! * [`policy`]: a named, versioned policy; [`plan`]: the same in the terms of one market;
//! * [`parameters`]: the parameters of the feedback, with ranges and sources;
//! * [`fork`], `period`, [`feedback`]: the micro mode, which clears and moves people;
//! * [`draws`]: common random numbers;
//! * [`run`], [`results`], [`compare`]: many seeds, what they find, what a policy changed;
//! * [`aggregate`]: the macro mode, a logit of residents between cities;
//! * [`steady`]: its steady states, and how far the feedback is from running away;
//! * [`economy`]: the macro mode on a market.
//!
//! `docs/SCENARIOS.md` has the model line by line.

pub mod aggregate;
pub mod compare;
pub mod draws;
pub mod economy;
pub mod feedback;
pub mod fork;
pub mod parameters;
mod period;
pub mod plan;
pub mod policy;
pub mod results;
pub mod run;
pub mod steady;

pub use fork::Fork;
pub use parameters::Parameters;
pub use plan::Plan;
pub use policy::Policy;
pub use results::Run;
pub use run::Scenario;
