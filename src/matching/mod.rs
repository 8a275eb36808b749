//! Matching: deferred acceptance under a forest of capacities, and its certificate.
//!
//! Everything here is pure: no clock, no randomness, integers only, and the result
//! depends on the *set* of workers and vacancies alone, not on their order.
//!
//! * [`problem`]: what one clearing works on;
//! * [`clear`]: the engine. It has two primitives and no others, `demand` (the best
//!   vacancies that would take this worker now) over an `index` of the vacancies, and
//!   `recruit` (the best workers who would come to this vacancy now) over a `roster` of
//!   the workers; `seats` is what changes. Both sides' deferred acceptance are loops over
//!   these two, with a `crew` of threads that ask (workers at a `glance` of the seats);
//! * [`choose`], [`cutoffs`]: the choice function and the cutoffs by definition;
//! * [`certify`]: the check that ends every round, from the matching alone, in two
//!   opinions: a search of everybody, and a sample pair by pair (`audit`);
//! * [`live`]: the same engine going on, so that a market is stable after every change;
//! * [`naive`]: the slow and obvious twin that the tests compare the engine with;
//! * [`lists`]: the classical problem beside this one, preferences as explicit lists.
//!
//! Gale and Shapley, "College Admissions and the Stability of Marriage" (1962);
//! Kamada and Kojima, "Efficient Matching under Distributional Constraints" (2015);
//! Azevedo and Leshno, "A Supply and Demand Framework for Two-Sided Matching
//! Markets" (2016), from which come the words demand and cutoff.

mod audit;
mod certificate;
mod choice;
mod clear;
mod control;
mod crafts;
mod crew;
mod cutoff;
mod demand;
mod engine;
mod fitting;
mod found;
mod frozen;
mod glance;
mod hash;
mod index;
mod kernels;
mod key;
mod lens;
pub mod lists;
pub mod live;
mod moves;
pub mod naive;
mod outcome;
mod pay_order;
pub mod problem;
mod rankings;
mod recruit;
mod roster;
mod screens;
mod seats;
mod standing;
mod vacancy_proposing;
mod worker_proposing;

pub use certificate::{Certificate, Infeasible, PAIRS_AUDITED, certify, certify_with};
pub use choice::choose;
pub use clear::{Cleared, Error, Means, clear, clear_with};
pub use control::{Cancelled, Control, Phase, Progress};
pub use cutoff::{Binding, Cutoff, cutoffs};
pub use engine::Engine;
pub use hash::matching_hash;
pub use kernels::Kernels;
pub use key::Key;
pub use outcome::{Counters, Matching, Offer};
pub use problem::{CapSet, Post, Problem, Seeker};
