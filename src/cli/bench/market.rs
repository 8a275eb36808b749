//! A clearing's problem straight from the generator, capped where that is asked for.

use super::CapsArg;
use crate::cli::error::Error;
use crate::cli::output::bar;
use crate::domain::{CapOrder, Settings, Side};
use crate::generate::Generator;
use crate::matching::{CapSet, Problem};
use crate::planning::generated;
use std::sync::Arc;

/// Of a capped city's openings, how many may be matched, in per cent.
const CAP_PERCENT: u64 = 40;

/// Makes the generator's market, metro by metro, as the problem of its first clearing.
pub fn build(generator: &Generator, side: Side, caps: CapsArg) -> Result<Problem, Error> {
    let progress = bar("generating workers", generator.workers_total());
    let mut problem = generated::problem(generator, |made| progress.set_position(made as u64))
        .map_err(|violation| Error::Failed(violation.to_string()))?;
    progress.finish_and_clear();
    let cap_order = if caps == CapsArg::Targets { CapOrder::Targets } else { CapOrder::Score };
    let settings = Settings::clone(&problem.settings);
    problem.settings = Arc::new(Settings { proposing_side: side, cap_order, ..settings });
    if caps != CapsArg::None {
        cap(&mut problem);
    }
    Ok(problem)
}

/// Caps every city, and shares each cap out among the city's vacancies as targets.
fn cap(problem: &mut Problem) {
    let mut posted = vec![0_u64; problem.geography.cities.len()];
    let share = |openings: u64| openings * CAP_PERCENT / 100;
    for post in &mut problem.vacancies {
        let posted = &mut posted[post.vacancy.city.at()];
        let before = share(*posted);
        *posted += u64::from(post.openings);
        // Rounded so that a city's targets sum to its cap.
        post.target = (share(*posted) - before) as u32;
    }
    let set = |openings: u64| CapSet { parent: None, capacity: share(openings) };
    problem.sets = posted.into_iter().map(set).collect();
    problem.set_of_city = (0..problem.sets.len() as u32).map(Some).collect();
}
