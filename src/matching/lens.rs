//! The market as those see it who have the same skills and would move anywhere.
//!
//! Wherever they live, the same few cells could take them. A *lens* lists these, best
//! real salary first, with screens of their own, and is kept as long as workers of one
//! *craft* (set of skills) ask one after the other.

use super::crafts::craft;
use super::index::{Cell, Index, NOWHERE};
use super::kernels::{Bounds, LANES, Levels, SKILLS};
use super::screens::{Screens, fit_of};
use super::standing::Standing;
use crate::domain::{CityIx, Worker};
use std::cmp::Reverse;

/// See the module. It is made stage by stage, from the best real salaries down, as far as
/// somebody looks.
pub(super) struct Lens {
    /// The craft of who asked last.
    craft: Option<u64>,
    /// It shows all cells that could take somebody with these levels or lesser ones.
    ceiling: Levels,
    /// Best real salary first, each stage from the start of a screen on.
    pub views: Vec<View>,
    pub screens: Screens,
    /// Stages of [`Index::stages`] that are shown.
    stages: usize,
    /// By city: screens that have been looked through.
    looked_through: Vec<u32>,
    /// Cells found there that belong to a later stage.
    found: Vec<View>,
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
            stages: 0,
            looked_through: Vec::new(),
            found: Vec::new(),
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
        self.views.clear();
        self.screens.clear();
        self.found.clear();
        self.looked_through.clear();
        self.looked_through.resize(index.quarters.len(), 0);
        self.stages = 0;
        self.show_more(index, standing);
    }

    /// The best real salary from a screen on; `None` if there is nothing more to show.
    pub fn top_real(&self, index: &Index, screen: usize) -> Option<i64> {
        match self.views.get(screen * LANES) {
            Some(first) => Some(first.top_real),
            None if self.stages == index.stages.len() => None,
            None => self.stages.checked_sub(1).map(|last| index.stages[last]),
        }
    }

    /// Shows one more stage.
    pub fn show_more<S: Standing>(&mut self, index: &Index, standing: &S) {
        let Some(least) = index.stages.get(self.stages).copied() else { return };
        self.stages += 1;
        for city in 0..index.quarters.len() {
            self.look_through(index, standing, city, least);
        }
        let (mut shown, later): (Vec<View>, Vec<View>) =
            self.found.iter().partition(|view| view.top_real >= least);
        self.found = later;
        shown.sort_unstable_by_key(|view| (Reverse(view.top_real), view.cell));
        self.views.resize(self.views.len().next_multiple_of(LANES), View::BLANK);
        let lists = shown.iter().map(|view| {
            let list = &index.cells[view.cell as usize].list;
            list.with_min_fit(list.min_fit.max(u32::from(view.least)))
        });
        self.screens.append(&index.numbering, &index.fitting, lists);
        self.views.append(&mut shown);
    }

    /// Finds the cells of a city behind screens that begin with that real salary or more.
    ///
    /// Cutoffs only rise while workers propose: what refuses now refuses for good, and
    /// what the lens shows of them may be too low, but not too high.
    fn look_through<S: Standing>(&mut self, index: &Index, standing: &S, city: usize, least: i64) {
        let quarter = &index.quarters[city];
        let mut bounds = Bounds([0; LANES]);
        for block in self.looked_through[city] as usize..quarter.screens.blocks() {
            let first = quarter.cells.start + (block * LANES) as u32;
            if index.cells[first as usize].top_real < least {
                return;
            }
            self.looked_through[city] += 1;
            let mut passed =
                quarter.screens.screen(block, index.kernels, &self.ceiling, &mut bounds);
            while passed != 0 {
                let lane = passed.trailing_zeros();
                passed &= passed - 1;
                let cell = first + lane;
                let floor = standing.cell_floor(cell).score();
                if floor <= i64::from(fit_of(&bounds, lane as usize)) {
                    let Cell { top_real, city, .. } = index.cells[cell as usize];
                    self.found.push(View { top_real, cell, city, least: floor.max(0) as u16 });
                }
            }
        }
    }
}

impl View {
    /// Behind a lane that nobody passes.
    const BLANK: Self = Self { top_real: i64::MIN, cell: NOWHERE, city: CityIx(0), least: 0 };
}
