//! Numbers that others have published about stable matchings, computed again by Gale's own
//! engines and set beside their sources. What is compared with what, and what a tolerance is,
//! is in `docs/REPRODUCE.md`.
//!
//! | part | file | engine |
//! |---|---|---|
//! | cutoffs | `cutoffs.rs` | the whole engine, scores computed |
//! | caps | `caps.rs` | the whole engine, rankings and caps |
//! | lotteries | `lotteries.rs` | the whole engine's tie-breaking; explicit lists |
//! | ranks | `ranks.rs` | explicit lists |
//! | singles | `singles.rs` | explicit lists |
//!
//! Everything random comes from one seed, draw by draw, so that the number of threads
//! changes nothing.

mod caps;
mod cutoffs;
mod draws;
mod lotteries;
mod market;
mod ranks;
mod sample;
mod singles;

use crate::matching::Error;

/// What is reproduced, by the name that it has on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Cutoffs of a market with a continuum of workers.
    Cutoffs,
    /// Regional caps.
    Caps,
    /// One lottery for all ties, or one per vacancy.
    Lotteries,
    /// Average ranks in random markets with more on one side.
    Ranks,
    /// Who stays single in a large market.
    Singles,
}

/// All parts, in the order in which they run.
pub const PARTS: [Part; 5] =
    [Part::Cutoffs, Part::Caps, Part::Lotteries, Part::Ranks, Part::Singles];

/// How much is computed, and from where.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where the randomness starts.
    pub seed: u64,
    /// The largest of the random markets of [`Part::Ranks`]: 100, 200, 500 and 1,000.
    pub size_max: u32,
    /// Threads that draw; 0 counts as 1.
    pub threads: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self { seed: 1, size_max: 1_000, threads: 1 }
    }
}

/// Where the number that Gale's is compared with comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The source prints it.
    Printed,
    /// The source's formula, exact for a market of this size or for the limit that is named.
    Formula,
    /// What the source proves of markets that grow without bound.
    Limit,
    /// What is proved of every market.
    Theorem,
    /// The mean over draws of a program that shares no code with Gale.
    Program,
}

impl Basis {
    /// Its name in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Printed => "printed",
            Self::Formula => "formula",
            Self::Limit => "limit",
            Self::Theorem => "theorem",
            Self::Program => "program",
        }
    }
}

/// How Gale's number has to stand to the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Near,
    /// Not above it.
    AtMost,
    /// Not below it.
    AtLeast,
}

/// What Gale's number has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Claim {
    /// The number that it is compared with.
    pub reference: f64,
    /// How.
    pub comparison: Comparison,
    /// By how much it may be off.
    pub tolerance: f64,
}

impl Claim {
    fn near(reference: f64, tolerance: f64) -> Self {
        Self { reference, comparison: Comparison::Near, tolerance }
    }

    fn at_most(reference: f64, tolerance: f64) -> Self {
        Self { reference, comparison: Comparison::AtMost, tolerance }
    }

    fn at_least(reference: f64, tolerance: f64) -> Self {
        Self { reference, comparison: Comparison::AtLeast, tolerance }
    }

    /// Whether a number is what it has to be.
    pub fn admits(self, found: f64) -> bool {
        let above = found - self.reference;
        match self.comparison {
            Comparison::Near => above.abs() <= self.tolerance,
            Comparison::AtMost => above <= self.tolerance,
            Comparison::AtLeast => -above <= self.tolerance,
        }
    }
}

/// One number beside its source.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The part that it belongs to.
    pub part: Part,
    /// What is measured.
    pub quantity: String,
    /// What it has to be.
    pub claim: Claim,
    /// Where that comes from.
    pub basis: Basis,
    /// What Gale gives.
    pub found: f64,
}

impl Row {
    /// Whether Gale's number is what it has to be.
    pub fn holds(&self) -> bool {
        self.claim.admits(self.found)
    }
}

impl Part {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cutoffs => "cutoffs",
            Self::Caps => "caps",
            Self::Lotteries => "lotteries",
            Self::Ranks => "ranks",
            Self::Singles => "singles",
        }
    }

    /// The part of that name.
    pub fn named(name: &str) -> Option<Self> {
        PARTS.into_iter().find(|part| part.name() == name)
    }

    /// What it reproduces.
    pub fn source(self) -> &'static str {
        match self {
            Self::Cutoffs => cutoffs::SOURCE,
            Self::Caps => caps::SOURCE,
            Self::Lotteries => lotteries::SOURCE,
            Self::Ranks => ranks::SOURCE,
            Self::Singles => singles::SOURCE,
        }
    }

    /// Markets that it clears: the unit of its progress.
    pub fn markets(self, plan: &Plan) -> u64 {
        match self {
            Self::Cutoffs => u64::from(cutoffs::DRAWS),
            Self::Caps => caps::MARKETS,
            Self::Lotteries => 2 * u64::from(lotteries::DRAWS),
            Self::Ranks => ranks::markets(plan),
            Self::Singles => singles::markets(),
        }
    }

    /// Computes it; `cleared` is called once for each market, from any thread.
    ///
    /// # Errors
    /// Of the engine.
    pub fn rows(self, plan: &Plan, cleared: &(dyn Fn() + Sync)) -> Result<Vec<Row>, Error> {
        match self {
            Self::Cutoffs => cutoffs::rows(plan, cleared),
            Self::Caps => caps::rows(cleared),
            Self::Lotteries => lotteries::rows(plan, cleared),
            Self::Ranks => Ok(ranks::rows(plan, cleared)),
            Self::Singles => Ok(singles::rows(plan, cleared)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a number out of tolerance is out, on the side that counts, and one at the edge is
    /// not; NaN never holds.
    #[test]
    fn claims() {
        let claims = [Claim::near(2.0, 0.5), Claim::at_most(2.0, 0.5), Claim::at_least(2.0, 0.5)];
        let verdicts = |found: f64| claims.map(|claim| claim.admits(found));
        assert_eq!(verdicts(1.0), [false, true, false]);
        assert_eq!(verdicts(1.5), [true, true, true]);
        assert_eq!(verdicts(2.5), [true, true, true]);
        assert_eq!(verdicts(2.75), [false, false, true]);
        assert_eq!(verdicts(f64::NAN), [false; 3]);
    }
}
