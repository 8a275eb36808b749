//! The market as those see it who have the same skills and would move anywhere.
//!
//! Wherever they live, the same few cells could take them. A *lens* lists these, best
//! real salary first, with screens of their own, and is kept as long as workers of one
//! *craft* (set of skills) ask one after the other.

use super::Problem;
use super::demand::Standing;
use super::index::{Cell, Index};
use super::kernels::{Bounds, LANES, Levels, SKILLS};
use super::screens::{Numbering, Screens, fit_of};
use crate::domain::{CityIx, Mobility, Worker};
use std::cmp::Reverse;
use std::collections::HashMap;

/// Workers of one craft from which on it pays to know how good the best of them are.
const SHARED_MIN: usize = 4;

/// A number that workers with the same skills share.
pub(super) fn craft(worker: &Worker) -> u64 {
    let mix = |sum: u64, skill: u16| {
        (sum ^ u64::from(skill)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23)
    };
    worker.skills.iter().fold(0, |sum, entry| mix(sum, entry.skill.0))
}

/// The best level in each skill among those of a craft who would move anywhere.
#[derive(Default)]
pub(super) struct Crafts {
    ceilings: HashMap<u64, Levels, foldhash::fast::FixedState>,
}

impl Crafts {
    pub fn of(problem: &Problem, numbering: &Numbering) -> Self {
        let seekers = problem.workers.iter().enumerate();
        let movers = seekers.filter(|(_, seeker)| seeker.worker.mobility == Mobility::Any);
        let mut movers: Vec<(u64, u32)> =
            movers.map(|(w, seeker)| (craft(&seeker.worker), w as u32)).collect();
        movers.sort_unstable();
        let mut crafts = Self::default();
        for alike in movers.chunk_by(|a, b| a.0 == b.0).filter(|alike| alike.len() >= SHARED_MIN) {
            let mut ceiling = Levels([0; SKILLS]);
            for (_, w) in alike {
                ceiling.raise_to(&numbering.levels(&problem.workers[*w as usize].worker));
            }
            crafts.ceilings.insert(alike[0].0, ceiling);
        }
        crafts
    }
}

/// See the module.
pub(super) struct Lens {
    /// The craft of who asked last.
    craft: Option<u64>,
    /// It shows all cells that could take somebody with these levels or lesser ones.
    ceiling: Levels,
    pub views: Vec<View>,
    pub screens: Screens,
}

/// A cell in a lens.
#[derive(Clone, Copy)]
pub(super) struct View {
    /// Its best real salary.
    pub top_real: i64,
    pub cell: u32,
    pub city: CityIx,
    /// The least fit with which somebody from elsewhere gets in.
    least: u16,
}

impl Lens {
    /// Shows nothing yet.
    pub fn new() -> Self {
        Self {
            craft: None,
            ceiling: Levels([0; SKILLS]),
            views: Vec::new(),
            screens: Screens::default(),
        }
    }

    /// Turns it to a worker, if it does not show all that could take her: to her alone,
    /// or, if the last who asked was of her craft, to all of the craft.
    pub fn focus<S: Standing>(
        &mut self,
        index: &Index,
        standing: &S,
        worker: &Worker,
        levels: &Levels,
    ) {
        let craft = craft(worker);
        let again = self.craft == Some(craft);
        if again && levels.is_within(&self.ceiling) {
            return;
        }
        let known = index.crafts.ceilings.get(&craft).filter(|_| again);
        self.craft = Some(craft);
        self.ceiling = known.filter(|ceiling| levels.is_within(ceiling)).unwrap_or(levels).clone();
        self.look(index, standing);
    }

    /// Cutoffs only rise while workers propose: what refuses now refuses for good, and
    /// what the lens shows of them may be too low, but not too high.
    fn look<S: Standing>(&mut self, index: &Index, standing: &S) {
        self.views.clear();
        let mut bounds = Bounds([0; LANES]);
        for quarter in &index.quarters {
            for block in 0..quarter.screens.blocks() {
                let with = index.kernels;
                let mut passed = quarter.screens.screen(block, with, &self.ceiling, &mut bounds);
                while passed != 0 {
                    let lane = passed.trailing_zeros();
                    passed &= passed - 1;
                    let cell = quarter.cells.start + (block * LANES) as u32 + lane;
                    let floor = standing.cell_floor(cell).score();
                    if floor <= i64::from(fit_of(&bounds, lane as usize)) {
                        let Cell { top_real, city, .. } = index.cells[cell as usize];
                        self.views.push(View { top_real, cell, city, least: floor.max(0) as u16 });
                    }
                }
            }
        }
        self.views.sort_unstable_by_key(|view| (Reverse(view.top_real), view.cell));
        let lists = self.views.iter().map(|view| {
            let list = &index.cells[view.cell as usize].list;
            list.with_min_fit(list.min_fit.max(u32::from(view.least)))
        });
        self.screens.show(&index.numbering, &index.fitting, lists);
    }
}
