//! Requirement lists, stored once each, and the fit of a worker to one of them.
//!
//! Employers ask for the same lists over and over, and the fit depends on the worker
//! and the list alone, never on city or salary. So lists are hash-consed: a *profile*
//! is a requirement list with a least fit. Profiles that ask for the same skills with the
//! same weights are one *family*. What some of a family have in common is a list too: it
//! has the least levels that any of them asks for, so that its fit bounds theirs from
//! above, the closer the more alike they are.

use super::kernels::prefetch;
use crate::domain::limits::{FIT_MAX, SKILL_LEVEL_MAX};
use crate::domain::{Requirement, SkillIx};
use crate::preferences::Levels;
use std::collections::HashMap;
use std::ops::Range;

/// One requirement. A minimum of 0 refuses nobody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    pub skill: SkillIx,
    pub weight: u16,
    pub desired: u8,
    pub minimum: u8,
    /// What a level is worth in its list, in [`UNITS`] of a basis point, rounded up.
    pub worth: u16,
}

/// Units of a basis point: all requirements in full, rounded up, stay below 2^16.
pub(super) const UNITS: u32 = 6;

fn worth(ask: &Ask, weights: u32) -> u16 {
    let whole = FIT_MAX * UNITS * u32::from(ask.weight);
    // At most 60,000, for the only requirement with a desired level of 1.
    whole.div_ceil(weights.max(1) * u32::from(ask.desired.max(1))) as u16
}

/// A profile, or what several have in common: a range of asks, mandatory ones first, with
/// their weights' sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AskList {
    asks: Range<u32>,
    weights: u32,
    /// Least fit accepted, in basis points.
    pub min_fit: u32,
}

impl AskList {
    /// The sum of the weights.
    pub fn weights(&self) -> u32 {
        self.weights
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

/// All profiles, and the family and standard of each.
pub(super) struct Fitting {
    asks: Vec<Ask>,
    pub profiles: Vec<AskList>,
    pub family_of: Vec<u32>,
    /// The weighted mean of the levels that it asks for.
    pub standard_of: Vec<u32>,
    /// `floor(10000 * min(level, desired) / desired)` at `desired << 7 | level`.
    ratios: Box<[u16]>,
}

/// Fits of every level to every desired level, so that the kernel need not divide.
fn ratios() -> Box<[u16]> {
    let ratio = |at: u32| match (at >> 7, at & 127) {
        (0, _) => 0,
        (desired, level) => (FIT_MAX * level.min(desired) / desired) as u16,
    };
    (0..(u32::from(SKILL_LEVEL_MAX) + 1) << 7).map(ratio).collect()
}

impl Fitting {
    /// No lists yet.
    pub fn new() -> Self {
        let (asks, profiles, family_of, standard_of) = Default::default();
        Self { asks, profiles, family_of, standard_of, ratios: ratios() }
    }

    /// The asks of a profile will be read soon.
    #[inline]
    pub fn expect(&self, profile: u32) {
        let Range { start, end } = self.profiles[profile as usize].asks;
        prefetch(&self.asks, start as usize);
        prefetch(&self.asks, end as usize - usize::from(end > start));
    }

    /// The mandatory and other requirements of a list.
    pub fn asks(&self, list: &AskList) -> &[Ask] {
        &self.asks[list.asks.start as usize..list.asks.end as usize]
    }

    /// Whether the levels reach every mandatory minimum.
    #[inline]
    pub fn meets(&self, list: &AskList, levels: &impl Levels) -> bool {
        for ask in self.asks(list) {
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
        if list.weights == 0 {
            return FIT_MAX;
        }
        let mut sum = 0_u32;
        for ask in self.asks(list) {
            let at = usize::from(ask.desired) << 7 | usize::from(levels.level(ask.skill) & 127);
            // At most 16 * 1000 * 10000.
            sum = sum.wrapping_add(u32::from(ask.weight) * u32::from(self.ratios[at]));
        }
        sum / list.weights
    }

    /// The fit of a worker who is accepted; `None` for one who is not.
    #[inline]
    pub fn accepted_fit(&self, list: &AskList, levels: &impl Levels) -> Option<u32> {
        if !self.meets(list, levels) {
            return None;
        }
        let fit = self.fit(list, levels);
        (fit >= list.min_fit).then_some(fit)
    }

    /// What profiles of one family have in common.
    pub fn common(&mut self, profiles: &[u32]) -> AskList {
        let mut common = self.profiles[profiles[0] as usize].clone();
        if profiles.iter().all(|profile| *profile == profiles[0]) {
            return common;
        }
        let mut asks = self.asks(&common).to_vec();
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
            common.min_fit = common.min_fit.min(list.min_fit);
        }
        let start = self.asks.len() as u32;
        asks.iter_mut().for_each(|ask| ask.worth = worth(ask, common.weights));
        self.asks.extend(asks);
        AskList { asks: start..self.asks.len() as u32, ..common }
    }

    /// One more profile, which came later.
    pub fn add(&mut self, requirements: &[Requirement], min_fit: u32) -> u32 {
        let list = self.push(asks(requirements), min_fit, &[]);
        self.profiles.push(list);
        self.profiles.len() as u32 - 1
    }

    fn push(&mut self, mut asks: Vec<Ask>, min_fit: u32, commonness: &[u32]) -> AskList {
        asks.sort_by_key(|ask| (ask.minimum == 0, commonness.get(ask.skill.at())));
        let start = self.asks.len() as u32;
        let weights = asks.iter().map(|ask| u32::from(ask.weight)).sum();
        asks.iter_mut().for_each(|ask| ask.worth = worth(ask, weights));
        self.asks.extend(asks);
        AskList { asks: start..self.asks.len() as u32, weights, min_fit }
    }
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

    /// All lists, and their families. `commonness` counts the workers
    /// with each skill: rare skills are asked first.
    pub fn finish(self, commonness: &[u32]) -> Fitting {
        let mut fitting = Fitting::new();
        let mut families: HashMap<Vec<(SkillIx, u16)>, u32, foldhash::fast::FixedState> =
            HashMap::default();
        for (requirements, min_fit) in self.lists {
            let asks = asks(requirements);
            let shape = asks.iter().map(|ask| (ask.skill, ask.weight)).collect();
            let next = families.len() as u32;
            fitting.family_of.push(*families.entry(shape).or_insert(next));
            fitting.standard_of.push(standard(&asks));
            let list = fitting.push(asks, min_fit, commonness);
            fitting.profiles.push(list);
        }
        fitting
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
            let fitting = consing.finish(&commonness);
            for level in 0..=100 {
                let levels = [level, 100 - level, 41];
                let expected = crate::preferences::fit(&Sheet(&levels), &requirements);
                let list = &fitting.profiles[profile as usize];
                assert_eq!(fitting.fit(list, &Sheet(&levels)), expected);
            }
        }
    }
}
