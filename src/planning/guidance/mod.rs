//! The price of guidance: one market with its caps and subsidies and without, side by side.
//!
//! Both are cleared from the same people and jobs with the same lottery, so that whatever
//! differs is what the guidance does. Counted in whole people and whole money; nothing here
//! is estimated.
//!
//! * [`policy`]: the market with a policy, and with none;
//! * [`effects`]: who gains, who loses, what is paid for it;
//! * [`caps`]: what each cap costs: whom it keeps out, and what pay would have to make up;
//! * [`empty`]: openings that stay empty in every stable outcome (the rural hospital
//!   theorem), and in which words that may be said;
//! * [`remedy`]: how much pay, subsidy or cap elsewhere would fill some of them.

pub mod caps;
pub mod effects;
pub mod empty;
pub mod policy;
pub mod remedy;

use crate::domain::Side;
use crate::matching::{Control, Error, Matching, Problem, clear};
use crate::planning::census::Grouping;
use caps::CapCost;
use effects::{Effects, Totals};
use empty::CityFill;
use remedy::{Ask, Remedy};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A problem with its matching.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was cleared.
    pub problem: Problem,
    /// What came out.
    pub matching: Matching,
}

impl Outcome {
    /// Openings that are filled, by vacancy number.
    pub fn fill(&self) -> Vec<u32> {
        let mut fill = vec![0; self.problem.vacancies.len()];
        for (_, v) in self.matching.pairs() {
            fill[v as usize] += 1;
        }
        fill
    }
}

/// A computation of several clearings: how far it is, and the way to stop it.
#[derive(Debug, Default)]
pub struct Work {
    /// The clearing under way, and the way to stop all.
    pub control: Control,
    clearings: AtomicU32,
}

impl AsRef<Control> for Work {
    fn as_ref(&self) -> &Control {
        &self.control
    }
}

impl Work {
    /// Clearings so far.
    pub fn clearings(&self) -> u32 {
        self.clearings.load(Relaxed)
    }

    fn clear(&self, problem: Problem, side: Side) -> Result<Outcome, Error> {
        let matching = clear(&problem, side, &self.control)?.matching;
        self.clearings.fetch_add(1, Relaxed);
        Ok(Outcome { problem, matching })
    }
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// How workers are grouped, beside by home city.
    pub grouping: Option<Grouping>,
    /// Openings to fill in one city, if any.
    pub ask: Option<Ask>,
}

/// The guided and the unguided market side by side.
#[derive(Clone, Debug)]
pub struct Price {
    /// Without caps and subsidies.
    pub unguided: Totals,
    /// With them.
    pub guided: Totals,
    /// What guidance does to all workers.
    pub effects: Effects,
    /// The same by the workers' home city, by city index.
    pub by_city: Vec<Effects>,
    /// The same by group, largest first.
    pub by_group: Vec<(String, Effects)>,
    /// What each cap costs, by set number of the guided problem.
    pub caps: Vec<CapCost>,
    /// What stays empty, by city index.
    pub fills: Vec<CityFill>,
    /// What would fill some of the asked city's openings that the guided market leaves empty.
    pub remedies: Vec<Remedy>,
    /// Clearings that all this took.
    pub clearings: u32,
}

/// Prices the guidance in `guided`: its caps and subsidies.
///
/// # Errors
/// [`Error::Cancelled`] when `work` is told to stop; [`Error::UnsupportedMechanism`] as
/// [`clear`].
pub fn price(guided: Problem, question: &Question, work: &Work) -> Result<Price, Error> {
    let side = guided.settings.proposing_side;
    let unguided = work.clear(policy::unguided(&guided), side)?;
    let guided = work.clear(guided, side)?;
    let compared = effects::compare(&unguided, &guided, question.grouping.as_ref());
    let caps = caps::costs(&guided, &work.control)?;
    let fills = empty::fills(&unguided, &guided);
    let remedies = match &question.ask {
        Some(ask) => remedy::search(&guided, ask, work)?,
        None => Vec::new(),
    };
    Ok(Price {
        unguided: Totals::of(&unguided),
        guided: Totals::of(&guided),
        effects: compared.all,
        by_city: compared.by_city,
        by_group: compared.by_group,
        caps,
        fills,
        remedies,
        clearings: work.clearings(),
    })
}
