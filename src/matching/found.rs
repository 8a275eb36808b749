//! Places that have been found, to be shown in the order of what they pay.

/// A set of turns (see `pay_order`). Those before some turn are *ripe*: nothing that comes earlier
/// will be found. They are taken out in their order, without being sorted.
pub(super) struct Found {
    /// A bit for each turn.
    bits: Vec<u64>,
    turns: u32,
    /// No ripe one is left before this turn.
    next: usize,
    /// Those before it are ripe.
    end: usize,
    /// How many are.
    ripe: usize,
}

impl Found {
    /// None, of so many turns.
    pub fn among(turns: usize) -> Self {
        Self { bits: vec![0; turns.div_ceil(64)], turns: turns as u32, next: 0, end: 0, ripe: 0 }
    }

    /// How many turns there are.
    pub fn len(&self) -> u32 {
        self.turns
    }

    /// Notes a turn that is not ripe, if it `is_one`.
    #[inline]
    pub fn note(&mut self, turn: u32, is_one: bool) {
        self.bits[turn as usize / 64] |= u64::from(is_one) << (turn % 64);
    }

    /// All before turn `end` will have been found.
    pub fn ripen(&mut self, end: u32) {
        let (start, end) = (self.end, end as usize);
        if start >= end {
            return;
        }
        self.end = end;
        let (first, last) = (start / 64, (end - 1) / 64);
        let all: u32 = self.bits[first..=last].iter().map(|word| word.count_ones()).sum();
        let before = (self.bits[first] & ((1 << (start % 64)) - 1)).count_ones();
        let behind = (self.bits[last] & !(u64::MAX >> (63 - (end - 1) % 64))).count_ones();
        self.ripe += (all - before - behind) as usize;
    }

    /// How many are ripe.
    #[inline]
    pub fn ripe(&self) -> usize {
        self.ripe
    }

    /// The first of them.
    #[inline]
    pub fn first(&self) -> Option<u32> {
        if self.ripe == 0 {
            return None;
        }
        let mut at = self.next / 64;
        let mut word = self.bits[at] & (u64::MAX << (self.next % 64));
        while word == 0 {
            at += 1;
            word = self.bits[at];
        }
        Some(at as u32 * 64 + word.trailing_zeros())
    }

    /// Takes it out.
    #[inline]
    pub fn take(&mut self) -> Option<u32> {
        let first = self.first()?;
        (self.next, self.ripe) = (first as usize + 1, self.ripe - 1);
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(crate::seeded::cases(512))]
        /// Goal: what is found is taken out in order, each once, and nothing before it is ripe.
        /// Method: in steps, some turns behind the ripe ones are noted, more become ripe, some are
        /// taken; beside a sorted set.
        #[test]
        fn taken_out_in_order(
            turns in 1..700_u32,
            steps in vec((vec(any::<prop::sample::Index>(), 0..40), any::<prop::sample::Index>(), 0..90_usize), 1..12),
        ) {
            let (mut found, mut set, mut end) = (Found::among(turns as usize), BTreeSet::new(), 0);
            let last = (Vec::new(), None, usize::MAX);
            let steps = steps.into_iter().map(|(noted, to, taken)| (noted, Some(to), taken));
            for (noted, to, taken) in steps.chain([last]) {
                for turn in noted.iter().filter(|_| end < turns) {
                    let turn = end + turn.index((turns - end) as usize) as u32;
                    found.note(turn, true);
                    found.note((turn + 7).min(turns - 1), false);
                    set.insert(turn);
                }
                end = to.map_or(turns, |to| end + to.index((turns - end) as usize + 1) as u32);
                found.ripen(end);
                for _ in 0..taken {
                    let ripe = set.range(..end).count();
                    prop_assert_eq!(found.ripe(), ripe);
                    prop_assert_eq!(found.first(), set.first().copied().filter(|_| ripe > 0));
                    let Some(turn) = found.take() else { break };
                    prop_assert_eq!(Some(turn), set.pop_first());
                }
            }
            prop_assert!(set.is_empty());
        }
    }
}
