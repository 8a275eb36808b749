//! Which of many requirement lists could take a worker, and how well she could fit.
//!
//! A row of lists is screened [`LANES`] at a time: the mandatory minima, and a bound
//! from above on the fit, in 16 bits. It is coarse by less than one percent, and never
//! holds back a list that would take her. Skills beyond the [`SKILLS`] that are asked
//! for most count as if she had them in full.

use super::fitting::{Ask, AskList, Fitting, UNITS};
pub(super) use super::kernels::Shift;
use super::kernels::{
    Bounds, Bytes, Column, Kernels, LANES, Levels, SKILLS, Screen, Slot, prefetch_all,
};
use crate::domain::limits::{FIT_MAX, SKILL_LEVEL_MAX};
use crate::domain::{SkillIx, Worker};
use crate::mutants;
use std::ops::Range;

/// A fit in full.
const FULL: i64 = (FIT_MAX * UNITS) as i64;
/// The skill of asks beyond the [`SKILLS`]: everybody has it in full.
const OTHER: u8 = (SKILLS - 1) as u8;

/// The skills that screens tell apart, and a number for each.
pub(super) struct Numbering {
    /// By skill: its number on screens.
    number: Vec<u8>,
}

/// A row of lists, screened together.
#[derive(Default)]
pub(super) struct Screens {
    slots: Vec<Slot>,
    minima: Vec<Bytes>,
    blocks: Vec<Block>,
    /// By block, if anything is at stake beside the fit.
    stakes: Vec<Stakes>,
}

struct Block {
    slots: Range<u32>,
    /// Of the first of these slots, those with a minimum in any lane.
    minima: Range<u32>,
    base: [u16; LANES],
    least: [u16; LANES],
}

/// Beside the fit, for both sides, by lane.
pub(super) struct Stakes {
    /// What a list must be worth to a vacancy, as [`bar`] makes it.
    pub bars: [u16; LANES],
    /// What the vacancy is worth besides, as [`pay`] makes it.
    pub pays: [u16; LANES],
}

impl Stakes {
    /// Nothing.
    pub const NONE: Self = Self { bars: [0; LANES], pays: [0; LANES] };
}

/// Of screens without stakes.
static NO_STAKES: Stakes = Stakes::NONE;

impl Numbering {
    /// The skills that most profiles ask for get numbers of their own.
    pub fn of(fitting: &Fitting, skills: usize) -> Self {
        let mut asked = vec![0_u32; skills];
        for list in &fitting.profiles {
            fitting.asks(list).iter().for_each(|ask| asked[ask.skill.at()] += 1);
        }
        let mut order: Vec<usize> = (0..skills).filter(|skill| asked[*skill] > 0).collect();
        order.sort_by_key(|skill| std::cmp::Reverse(asked[*skill]));
        let mut number = vec![OTHER; skills];
        for (at, skill) in order.into_iter().take(usize::from(OTHER)).enumerate() {
            number[skill] = at as u8;
        }
        Self { number }
    }

    /// The number of a skill; that of others if it was not asked for when they were numbered.
    #[inline]
    fn number(&self, skill: SkillIx) -> u8 {
        self.number.get(skill.at()).copied().unwrap_or(OTHER)
    }

    /// The number of a skill that screens tell apart.
    #[inline]
    pub fn told_apart(&self, skill: SkillIx) -> Option<u8> {
        Some(self.number(skill)).filter(|number| *number != OTHER)
    }

    /// The levels of one who has no skills.
    pub fn without_skills(&self) -> Levels {
        let mut levels = Levels([0; SKILLS]);
        levels.0[usize::from(OTHER)] = SKILL_LEVEL_MAX;
        levels
    }

    /// Raises levels to those of a worker.
    pub fn raise(&self, levels: &mut Levels, worker: &Worker) {
        for entry in &worker.skills {
            if let Some(number) = self.number.get(entry.skill.at()) {
                let level = &mut levels.0[usize::from(*number)];
                *level = entry.level.max(*level);
            }
        }
    }

    /// A worker's levels by number.
    pub fn levels(&self, worker: &Worker) -> Levels {
        let mut levels = self.without_skills();
        self.raise(&mut levels, worker);
        levels
    }
}

impl Screens {
    /// Screens of a row of lists, in its order.
    pub fn of(numbering: &Numbering, fitting: &Fitting, lists: &[AskList]) -> Self {
        let mut screens = Self::default();
        for lists in lists.chunks(LANES) {
            screens.add(numbering, fitting, lists.iter());
        }
        screens
    }

    /// Adds a block of lists, [`LANES`] at most.
    pub fn add<'l>(
        &mut self,
        numbering: &Numbering,
        fitting: &Fitting,
        lists: impl Iterator<Item = &'l AskList>,
    ) {
        self.open();
        let Some(block) = self.blocks.last_mut() else { return };
        let mut asks: [&[Ask]; LANES] = [&[]; LANES];
        let mut len = 0;
        for ((lane, asks), list) in asks.iter_mut().enumerate().zip(lists) {
            *asks = fitting.asks_and_blanks(list);
            while asks.get(len).is_some_and(|ask| ask.weight > 0) {
                len += 1;
            }
            block.put(lane, list);
        }
        // Ask by ask rather than list by list: so its columns stay in the first cache.
        for at in 0..len {
            let (mut slot, mut minimum) = (Slot::BLANK, [0; LANES]);
            for (lane, asks) in asks.iter().enumerate() {
                let ask = asks.get(at).unwrap_or(&Ask::BLANK);
                slot.put(lane, numbering.number(ask.skill), ask);
                minimum[lane] = least_level(ask);
            }
            block.miss(&slot);
            self.slots.push(slot);
            if minimum.iter().any(|minimum| *minimum > 0) {
                self.minima.push(minimum);
            }
        }
        block.slots.end = self.slots.len() as u32;
        block.minima.end = self.minima.len() as u32;
    }

    /// Adds a list, in the next lane after `len` that were added one by one.
    pub fn push(&mut self, numbering: &Numbering, fitting: &Fitting, len: usize, list: &AskList) {
        if len.is_multiple_of(LANES) {
            self.open();
        }
        let Some(block) = self.blocks.last_mut() else { return };
        let (lane, asks) = (len % LANES, fitting.asks(list));
        block.put(lane, list);
        while block.slots.len() < asks.len() {
            self.slots.push(Slot::BLANK);
            block.slots.end += 1;
        }
        for (slot, ask) in self.slots[block.slots.start as usize..].iter_mut().zip(asks) {
            slot.put(lane, numbering.number(ask.skill), ask);
            block.base[lane] = without(block.base[lane], ask.desired, ask.worth);
        }
        let mandatory = || asks.iter().filter(|ask| ask.minimum > 0);
        while block.minima.len() < mandatory().count() {
            self.minima.push([0; LANES]);
            block.minima.end += 1;
        }
        let minima = self.minima[block.minima.start as usize..].iter_mut();
        minima.zip(mandatory()).for_each(|(minimum, ask)| minimum[lane] = least_level(ask));
    }

    /// How many lists could be screened at once, in all.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// A block will be screened soon.
    pub fn expect(&self, block: usize) {
        let Some(Block { slots, minima, .. }) = self.blocks.get(block) else { return };
        prefetch_all(&self.blocks[block..block + 1]);
        prefetch_all(&self.slots[slots.start as usize..slots.end as usize]);
        prefetch_all(&self.minima[minima.start as usize..minima.end as usize]);
    }

    /// Screens the lists of a block: a bit for each that could take a worker of these
    /// levels, and the bounds on her fit, to be read by [`fit_of`].
    #[inline]
    pub fn screen(
        &self,
        block: usize,
        with: Kernels,
        levels: &Levels,
        bounds: &mut Bounds,
        shift: Shift,
    ) -> u64 {
        let Block { slots, minima, base, least } = &self.blocks[block];
        let Stakes { bars, pays } = self.stakes.get(block).unwrap_or(&NO_STAKES);
        let slots = &self.slots[slots.start as usize..slots.end as usize];
        let minima = &self.minima[minima.start as usize..minima.end as usize];
        let screen = Screen { slots, minima, base, least, bars, pays, shift };
        with.screen(screen, levels, bounds)
    }

    /// Sets the stakes of the first block that has none.
    pub fn stake(&mut self, stakes: Stakes) {
        self.stakes.push(stakes);
    }

    fn open(&mut self) {
        let (slots, minima) = (self.slots.len() as u32, self.minima.len() as u32);
        self.blocks.push(Block {
            slots: slots..slots,
            minima: minima..minima,
            base: [full(); LANES],
            // Lanes without a list pass nobody.
            least: [u16::MAX; LANES],
        });
    }
}

impl Block {
    /// What a list must be worth.
    fn put(&mut self, lane: usize, list: &AskList) {
        self.least[lane] = (list.min_fit() * UNITS) as u16;
    }

    /// What the lists are worth without any level of what a slot asks for as well.
    fn miss(&mut self, slot: &Slot) {
        let asks = slot.desired.iter().zip(&slot.worth);
        for (base, (desired, worth)) in self.base.iter_mut().zip(asks) {
            *base = without(*base, *desired, *worth);
        }
    }
}

impl Slot {
    /// Asks for nothing.
    const BLANK: Self = Self { skill: [0; LANES], desired: [0; LANES], worth: [0; LANES] };

    /// One ask, of the skill with that number.
    #[inline]
    fn put(&mut self, lane: usize, number: u8, ask: &Ask) {
        self.skill[lane] = number;
        self.desired[lane] = ask.desired;
        self.worth[lane] = ask.worth;
    }
}

/// What a list is worth that asks for nothing.
fn full() -> u16 {
    let unfair = if mutants::active("missing-costs-too-much") { 600 } else { 0 };
    (FULL - unfair) as u16
}

/// What is left of a list's worth without any level of one more skill. What is missing is counted,
/// and rounded down level by level: so a bound is exact for who lacks nothing.
#[inline]
fn without(left: u16, desired: u8, worth: u16) -> u16 {
    left.wrapping_sub(u16::from(desired).wrapping_mul(worth))
}

/// The level below which an ask refuses.
fn least_level(ask: &Ask) -> u8 {
    ask.minimum + u8::from(mutants::active("minimum-too-high"))
}

/// One requirement list as workers are screened by it (see `roster`).
pub(super) struct Call {
    pub kernels: Kernels,
    asks: Vec<Called>,
    base: u16,
    least: u16,
}

/// A requirement with the number of its skill.
#[derive(Clone, Copy)]
pub(super) struct Called {
    pub skill: u8,
    pub desired: u8,
    pub minimum: u8,
    pub worth: u16,
}

impl Call {
    pub fn of(kernels: Kernels, numbering: &Numbering, fitting: &Fitting, list: &AskList) -> Self {
        let called = |ask: &Ask| {
            let Ask { desired, minimum, worth, .. } = *ask;
            let skill = numbering.told_apart(ask.skill)?;
            Some(Called { skill, desired, minimum, worth })
        };
        let asks: Vec<Called> = fitting.asks(list).iter().filter_map(called).collect();
        let base = asks.iter().fold(full(), |left, ask| without(left, ask.desired, ask.worth));
        Self { kernels, asks, base, least: (list.min_fit() * UNITS) as u16 }
    }

    /// What is asked for.
    pub fn asks(&self) -> &[Called] {
        &self.asks
    }

    /// Screens workers by their levels in the skills asked for; `columns` may leave out
    /// what all of them lack. A bit for each whom the list could take and whose fit could be
    /// `least` (as [`bar`] makes it), and the bounds on the fit, to be read by [`fit_of`].
    #[inline]
    pub fn screen(&self, columns: &[Column], least: u16, bounds: &mut Bounds) -> u64 {
        self.kernels.call(columns, self.base, self.least.max(least), bounds)
    }
}

/// The bound on the fit that stands in a lane.
#[inline]
pub(super) fn fit_of(bounds: &Bounds, lane: usize) -> u32 {
    (u32::from(bounds.0[lane]) / UNITS).min(FIT_MAX)
}

/// A score as a bar; what cannot be one is lower.
#[inline]
pub(super) fn bar(score: i64) -> u16 {
    (score.clamp(0, 1 << 14) * i64::from(UNITS)).min(i64::from(u16::MAX)) as u16
}

/// Money in the units of a bound on the fit, where a fit in full is worth `whole`; rounded up.
#[inline]
pub(super) fn pay(money: i64, whole: i64) -> u16 {
    let whole = whole.max(1);
    units(money.clamp(0, 2 * whole) * FULL + whole - 1, whole)
}

/// The same, rounded down.
#[inline]
pub(super) fn wanted(money: i64, whole: i64) -> u16 {
    let whole = whole.max(1);
    units(money.clamp(0, 2 * whole) * FULL, whole)
}

#[inline]
fn units(money: i64, whole: i64) -> u16 {
    (money / whole).min(i64::from(u16::MAX)) as u16
}

#[cfg(test)]
mod tests {
    use super::super::fitting::{Consing, Sheet};
    use super::super::kernels::Kernels;
    use super::*;
    use crate::domain::Requirement;
    use crate::domain::limits::REQUIREMENTS_MAX;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::seeded::cases(20_000))]
        /// Goal: no place is held back that is worth what is wanted, and any that is worth a
        /// twentieth of a fit in full too little. Method: fits in full that are worth from nothing
        /// to much, bounds on the fit that are as coarse as they may be.
        #[test]
        fn pay_and_fit_come_to_what_is_wanted(
            whole in prop::sample::select(vec![0, 1, 7, 5_000, 90_000, 1_000_000_000_000_i64]),
            share in 0..=1_000_i64,
            fit in 0..=FIT_MAX,
            coarse in 0..60_u32,
            near in -3..3_i64,
        ) {
            let money = whole * share / 1_000;
            let bound = (fit * UNITS + coarse) as u16;
            let worth = money + whole * i64::from(fit) / i64::from(FIT_MAX);
            let passes = |floor| bound.saturating_add(pay(money, whole)) >= wanted(floor, whole);
            prop_assert!(passes(worth + near) || near > 0);
            let full = bound.checked_add(pay(money, whole)).is_none();
            prop_assert!(full || !passes(worth + whole / 20 + 2));
        }
    }

    proptest! {
        #![proptest_config(crate::seeded::cases(2_000))]
        /// Goal: the bound on a fit is no less than the fit, is the fit in full for who lacks
        /// nothing, and is too great by less than a unit for every level that is missing. Method:
        /// lists and levels of noise, screened at once, screened as they come, and called.
        #[test]
        fn bounds_are_close(
            asks in prop::collection::vec((1..=1_000_u16, 1..=100_u8, 0..=100_u8), 0..=16),
        ) {
            let ask = |(skill, (weight, desired_level, _)): (u16, &(u16, u8, u8))| Requirement {
                skill: SkillIx(skill),
                weight: *weight,
                desired_level: *desired_level,
                minimum_level: None,
            };
            let requirements: Vec<Requirement> = (0..).zip(&asks).map(ask).collect();
            let levels: Vec<u8> = asks.iter().map(|(_, _, level)| *level).collect();
            let mut consing = Consing::new();
            let profile = consing.profile(&requirements, 0) as usize;
            let (fitting, _) = consing.finish(&[0; REQUIREMENTS_MAX]);
            let list = fitting.profiles[profile];
            let fit = fitting.fit(&list, &Sheet(&levels));
            let missing = asks.iter().map(|(_, desired, level)| desired.saturating_sub(*level));
            let missing: u32 = missing.map(u32::from).sum();

            let numbering = Numbering::of(&fitting, levels.len());
            let mut numbered = numbering.without_skills();
            for (skill, level) in (0..).zip(&levels) {
                numbered.0[usize::from(numbering.number(SkillIx(skill)))] = *level;
            }
            let mut one_by_one = Screens::default();
            one_by_one.push(&numbering, &fitting, 0, &list);
            let screened = [Screens::of(&numbering, &fitting, &[list]), one_by_one].map(|screens| {
                let mut bounds = Bounds([0; LANES]);
                screens.screen(0, Kernels::PLAIN, &numbered, &mut bounds, Shift::NONE);
                bounds
            });
            let call = Call::of(Kernels::PLAIN, &numbering, &fitting, &list);
            let level = |ask: &Called| [numbered.0[usize::from(ask.skill)]; LANES];
            let lanes: Vec<Bytes> = call.asks().iter().map(level).collect();
            let column = |(ask, levels): (&Called, _)| {
                let Called { desired, minimum, worth, .. } = *ask;
                Column { levels, desired, minimum, worth }
            };
            let columns: Vec<Column> = call.asks().iter().zip(&lanes).map(column).collect();
            let mut called = Bounds([0; LANES]);
            call.screen(&columns, 0, &mut called);
            for bounds in screened.iter().chain([&called]) {
                let bound = fit_of(bounds, 0);
                // A basis point is lost where shares of the fit are rounded.
                prop_assert!((fit..=fit + 2 + missing / UNITS).contains(&bound), "{bound} {fit}");
                prop_assert!(missing > 0 || bound == FIT_MAX);
            }
        }
    }

    /// Goal: a minimum stays with its ask when lists have something in common. Method: two lists
    /// of one family, the first with minima in both skills, the second in the second skill alone;
    /// their common list lets through who lacks the first skill, and not who lacks the second.
    #[test]
    fn minima_stay_with_their_asks() {
        let ask = |skill, minimum_level| Requirement {
            skill: SkillIx(skill),
            weight: 1,
            desired_level: 80,
            minimum_level,
        };
        let (both, second) =
            ([ask(0, Some(50)), ask(1, Some(50))], [ask(0, None), ask(1, Some(50))]);
        let mut consing = Consing::new();
        let profiles = [consing.profile(&both, 0), consing.profile(&second, 0)];
        let (mut fitting, _) = consing.finish(&[0; 2]);
        let common = fitting.common(&profiles);
        let numbering = Numbering::of(&fitting, 2);
        let mut one_by_one = Screens::default();
        one_by_one.push(&numbering, &fitting, 0, &common);
        for screens in [Screens::of(&numbering, &fitting, &[common]), one_by_one] {
            let passes = |first: u8, second: u8| {
                let mut levels = numbering.without_skills();
                for (skill, level) in [(0, first), (1, second)] {
                    levels.0[usize::from(numbering.number(SkillIx(skill)))] = level;
                }
                let mut bounds = Bounds([0; LANES]);
                screens.screen(0, Kernels::PLAIN, &levels, &mut bounds, Shift::NONE) == 1
            };
            assert_eq!([passes(10, 60), passes(60, 10), passes(60, 60)], [true, false, true]);
        }
    }
}
