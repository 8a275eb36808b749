//! Requirement lists, stored once each, and the fit of a worker to one of them.
//!
//! Employers ask for the same lists over and over, and the fit depends on the worker
//! and the list alone, never on city or salary. So lists are hash-consed: a *profile*
//! is a requirement list with a least fit. Profiles that ask for the same skills with the
//! same weights are one *family*. What some of a family have in common is a list too: it
//! has the least levels that any of them asks for, so that its fit bounds theirs from
//! above, the closer the more alike they are.

use super::kernels::prefetch;
use crate::domain::limits::{FIT_MAX, REQUIREMENTS_MAX, WEIGHT_MAX};
use crate::domain::{Requirement, SkillIx};
use crate::mutants;
use crate::preferences::Levels;
use std::collections::HashMap;

/// One requirement. A minimum of 0 refuses nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub skill: SkillIx,
    pub weight: u16,
    pub desired: u8,
    pub minimum: u8,
    /// What a missing level costs in its list, in [`UNITS`] of a basis point, rounded down.
    pub worth: u16,
}

impl Ask {
    /// Asks for nothing; a requirement has a weight of 1 at least.
    pub const BLANK: Self = Self { skill: SkillIx(0), weight: 0, desired: 0, minimum: 0, worth: 0 };
}

/// Units of a basis point: a fit in full stays below 2^16.
pub(super) const UNITS: u32 = 6;

fn worth(ask: &Ask, weights: u32) -> u16 {
    let whole = FIT_MAX * UNITS * u32::from(ask.weight);
    // At most 60,000, for the only requirement with a desired level of 1.
    (whole / (weights.max(1) * u32::from(ask.desired.max(1)))) as u16
}

/// Asks of a list that stand in it; a longer one stands elsewhere.
const SHORT: usize = 7;

/// A profile, or what several have in common: asks, mandatory ones first. One line of
/// memory, because it is what a search waits for most often.
#[repr(align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AskList {
    /// As many as there are, then blanks.
    asks: [Ask; SHORT],
    /// The sum of their weights.
    weights: u16,
    /// Least fit accepted, in basis points.
    min_fit: u16,
    /// Where all of them stand if they are too many: one more than the number in `long`.
    long: u32,
}

const _: () = assert!(size_of::<AskList>() == 64);
// Weights and the least fit are kept in 16 bits.
const _: () = assert!(REQUIREMENTS_MAX * WEIGHT_MAX as usize <= u16::MAX as usize);

impl AskList {
    /// Whether it asks for nothing at all.
    pub fn is_empty(&self) -> bool {
        self.weights == 0
    }

    /// Least fit accepted, in basis points.
    #[inline]
    pub fn min_fit(&self) -> u32 {
        u32::from(self.min_fit)
    }
}

/// A worker's levels, spread by skill.
pub(super) struct Sheet<'a>(pub &'a [u8]);

impl Levels for Sheet<'_> {
    #[inline]
    fn level(&self, skill: SkillIx) -> u8 {
        self.0[skill.at()]
    }
}

/// All profiles.
pub(super) struct Fitting {
    /// The lists that are longer than [`SHORT`].
    long: Vec<[Ask; REQUIREMENTS_MAX]>,
    pub profiles: Vec<AskList>,
    /// By desired level: its inverse, times 2^[`SHIFT`].
    inverses: [u64; 128],
}

/// A product with an inverse is too great by less than 10^6 / 2^40, which is less than the
/// hundredth that lies between a quotient by 100 and the next whole number.
const SHIFT: u32 = 40;

/// The inverses, rounded up, so that the kernel need not divide.
fn inverses() -> [u64; 128] {
    std::array::from_fn(
        |desired| if desired == 0 { 0 } else { (1_u64 << SHIFT).div_ceil(desired as u64) },
    )
}

impl Fitting {
    /// No lists yet.
    pub fn new() -> Self {
        Self { long: Vec::new(), profiles: Vec::new(), inverses: inverses() }
    }

    /// A profile will be read soon.
    #[inline]
    pub fn expect(&self, profile: u32) {
        prefetch(&self.profiles, profile as usize);
    }

    /// The requirements of a list, mandatory ones first.
    #[inline]
    pub fn asks<'a>(&'a self, list: &'a AskList) -> &'a [Ask] {
        let asks = self.asks_and_blanks(list);
        let len = asks.iter().position(|ask| ask.weight == 0).unwrap_or(asks.len());
        &asks[..len]
    }

    /// The same with the blanks behind them.
    #[inline]
    pub fn asks_and_blanks<'a>(&'a self, list: &'a AskList) -> &'a [Ask] {
        match list.long {
            0 => &list.asks,
            long if mutants::active("long-list-cut") => &self.long[long as usize - 1][..SHORT],
            long => &self.long[long as usize - 1],
        }
    }

    /// Whether the levels reach every mandatory minimum.
    #[inline]
    pub fn meets(&self, list: &AskList, levels: &impl Levels) -> bool {
        for ask in self.asks_and_blanks(list) {
            if ask.minimum == 0 {
                break;
            }
            if levels.level(ask.skill) < ask.minimum {
                return false;
            }
        }
        true
    }

    /// The fit, in basis points: `preferences::fit` without its divisions.
    #[inline]
    pub fn fit(&self, list: &AskList, levels: &impl Levels) -> u32 {
        if list.is_empty() {
            return FIT_MAX;
        }
        let mut sum = 0_u32;
        // A blank adds nothing, and looking for the first costs more.
        for ask in self.asks_and_blanks(list) {
            let level = u64::from(levels.level(ask.skill).min(ask.desired));
            let inverse = self.inverses[usize::from(ask.desired & 127)];
            let share = (u64::from(FIT_MAX) * level).wrapping_mul(inverse) >> SHIFT;
            // At most 16 * 1000 * 10000.
            sum = sum.wrapping_add(u32::from(ask.weight) * share as u32);
        }
        sum / u32::from(list.weights)
    }

    /// The fit of a worker who is accepted; `None` for one who is not.
    #[inline]
    pub fn accepted_fit(&self, list: &AskList, levels: &impl Levels) -> Option<u32> {
        if !self.meets(list, levels) {
            return None;
        }
        let fit = self.fit(list, levels);
        (fit >= list.min_fit()).then_some(fit)
    }

    /// What profiles of one family have in common.
    pub fn common(&mut self, profiles: &[u32]) -> AskList {
        let first = self.profiles[profiles[0] as usize];
        if profiles.iter().all(|profile| *profile == profiles[0]) {
            return first;
        }
        let (mut asks, mut min_fit) = (self.asks(&first).to_vec(), first.min_fit());
        for profile in profiles {
            let list = &self.profiles[*profile as usize];
            for ask in self.asks(list) {
                // The same skills, if not in the same order.
                let mut alike = asks.iter_mut().filter(|other| other.skill == ask.skill);
                if let Some(least) = alike.next() {
                    least.desired = least.desired.min(ask.desired);
                    least.minimum = least.minimum.min(ask.minimum);
                }
            }
            min_fit = min_fit.min(list.min_fit());
        }
        self.list(asks, min_fit)
    }

    /// Numbers the profiles anew: number `i` is what number `order[i]` was.
    pub fn renumber(&mut self, order: &[u32]) {
        self.profiles = order.iter().map(|old| self.profiles[*old as usize]).collect();
    }

    /// One more profile, which came later.
    pub fn add(&mut self, requirements: &[Requirement], min_fit: u32) -> u32 {
        let list = self.sorted_list(asks(requirements), min_fit, &[]);
        self.profiles.push(list);
        self.profiles.len() as u32 - 1
    }

    /// A list of these asks, the rarest skills first, behind the mandatory ones.
    fn sorted_list(&mut self, mut asks: Vec<Ask>, min_fit: u32, commonness: &[u32]) -> AskList {
        asks.sort_by_key(|ask| commonness.get(ask.skill.at()));
        self.list(asks, min_fit)
    }

    fn list(&mut self, mut asks: Vec<Ask>, min_fit: u32) -> AskList {
        // What some have in common may ask for no minimum where the first of them has one.
        asks.sort_by_key(|ask| ask.minimum == 0);
        let weights: u32 = asks.iter().map(|ask| u32::from(ask.weight)).sum();
        asks.iter_mut().for_each(|ask| ask.worth = worth(ask, weights));
        let mut list = AskList {
            asks: [Ask::BLANK; SHORT],
            weights: weights as u16,
            min_fit: min_fit.min(u32::from(u16::MAX)) as u16,
            long: 0,
        };
        match list.asks.get_mut(..asks.len()) {
            Some(short) => short.copy_from_slice(&asks),
            None => {
                let mut long = [Ask::BLANK; REQUIREMENTS_MAX];
                long[..asks.len()].copy_from_slice(&asks);
                self.long.push(long);
                list.long = self.long.len() as u32;
            }
        }
        list
    }
}

/// What kind of list a profile is.
pub(super) struct Kind {
    /// The number of its family.
    pub family: u32,
    /// The weighted mean of the levels that it asks for.
    pub standard: u32,
}

/// Stores requirement lists once each.
pub(super) struct Consing<'p> {
    profiles: HashMap<(&'p [Requirement], u32), u32, foldhash::fast::FixedState>,
    lists: Vec<(&'p [Requirement], u32)>,
}

impl<'p> Consing<'p> {
    /// Nothing stored yet.
    pub fn new() -> Self {
        Self { profiles: HashMap::default(), lists: Vec::new() }
    }

    /// The profile of a vacancy's requirement list and least fit.
    pub fn profile(&mut self, requirements: &'p [Requirement], min_fit: u32) -> u32 {
        let next = self.lists.len() as u32;
        let profile = *self.profiles.entry((requirements, min_fit)).or_insert(next);
        if profile == next {
            self.lists.push((requirements, min_fit));
        }
        profile
    }

    /// All lists, and the kind of each. `commonness` counts the workers
    /// with each skill: rare skills are asked first.
    pub fn finish(self, commonness: &[u32]) -> (Fitting, Vec<Kind>) {
        let (mut fitting, mut kinds) = (Fitting::new(), Vec::with_capacity(self.lists.len()));
        let mut families: HashMap<Vec<(SkillIx, u16)>, u32, foldhash::fast::FixedState> =
            HashMap::default();
        for (requirements, min_fit) in self.lists {
            let asks = asks(requirements);
            let shape = asks.iter().map(|ask| (ask.skill, ask.weight)).collect();
            let next = families.len() as u32;
            let family = *families.entry(shape).or_insert(next);
            kinds.push(Kind { family, standard: standard(&asks) });
            let list = fitting.sorted_list(asks, min_fit, commonness);
            fitting.profiles.push(list);
        }
        (fitting, kinds)
    }
}

fn asks(requirements: &[Requirement]) -> Vec<Ask> {
    let ask = |r: &Requirement| Ask {
        skill: r.skill,
        weight: r.weight,
        desired: r.desired_level,
        minimum: r.minimum_level.unwrap_or(0),
        worth: 0,
    };
    requirements.iter().map(ask).collect()
}

fn standard(asks: &[Ask]) -> u32 {
    let weights: u32 = asks.iter().map(|ask| u32::from(ask.weight)).sum();
    let levels: u32 = asks.iter().map(|ask| u32::from(ask.weight) * u32::from(ask.desired)).sum();
    levels / weights.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the kernel is `preferences::fit` to the last unit. Method: every level
    /// against every desired level, and a list of several.
    #[test]
    fn kernel_agrees_with_the_formula() {
        let commonness = [0; 3];
        let ask = |skill, desired_level, weight| Requirement {
            skill: SkillIx(skill),
            weight,
            desired_level,
            minimum_level: None,
        };
        for desired in 1..=100 {
            let requirements = [ask(0, desired, 7), ask(1, 33, 1_000), ask(2, 97, 13)];
            let mut consing = Consing::new();
            let profile = consing.profile(&requirements, 0);
            let (fitting, _) = consing.finish(&commonness);
            for level in 0..=100 {
                let levels = [level, 100 - level, 41];
                let expected = crate::preferences::fit(&Sheet(&levels), &requirements);
                let list = &fitting.profiles[profile as usize];
                assert_eq!(fitting.fit(list, &Sheet(&levels)), expected);
            }
        }
    }

    /// Goal: a list of any length is kept whole, mandatory asks first, and its fit is
    /// `preferences::fit`. Method: every length up to the longest, every other ask mandatory.
    #[test]
    fn lists_of_every_length() {
        let requirements: Vec<Requirement> = (0..REQUIREMENTS_MAX as u16)
            .map(|skill| Requirement {
                skill: SkillIx(skill),
                weight: 3 * skill + 1,
                desired_level: 40 + skill as u8,
                minimum_level: (skill % 2 == 1).then_some(5),
            })
            .collect();
        let levels: Vec<u8> = (0..REQUIREMENTS_MAX as u8).map(|skill| 10 + 3 * skill).collect();
        for len in 0..=REQUIREMENTS_MAX {
            let mut consing = Consing::new();
            let profile = consing.profile(&requirements[..len], 0);
            let (fitting, _) = consing.finish(&[0; REQUIREMENTS_MAX]);
            let list = &fitting.profiles[profile as usize];
            let minima: Vec<u8> = fitting.asks(list).iter().map(|ask| ask.minimum).collect();
            assert_eq!(minima, [vec![5; len / 2], vec![0; len - len / 2]].concat());
            let expected = crate::preferences::fit(&Sheet(&levels), &requirements[..len]);
            assert_eq!(fitting.accepted_fit(list, &Sheet(&levels)), Some(expected));
        }
    }
}
