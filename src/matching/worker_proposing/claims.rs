//! Who has lined up for a place, or held it.
//!
//! All who line up for a place will propose to it. So once as many as it has openings have done
//! so, whoever has a worse key than all of them need not: it will refuse her, or let her go, for
//! what it would take is less and less. That is known before any of them has proposed.

use super::super::kernels::prefetch;
use super::super::key::Key;
use crate::mutants;
use std::ops::Range;

/// Of places with more openings nothing is noted, so that every note is short.
const OPENINGS_MAX: u32 = 8;

/// See the module.
pub(super) struct Claims {
    /// By place, and one more: where its keys start.
    first: Vec<u32>,
    /// Of each place as many as it has openings, the best of all who have lined up, worst first.
    keys: Vec<Key>,
    /// The worst of them, once there are as many: read much more often than all.
    bars: Vec<Key>,
}

impl Claims {
    /// Nobody yet, at places of so many openings.
    pub fn of(openings: impl Iterator<Item = u32>) -> Self {
        let mut first = vec![0];
        let mut end = 0;
        for openings in openings {
            end += if openings <= OPENINGS_MAX { openings } else { 0 };
            first.push(end);
        }
        let bars = vec![Key::NONE; first.len() - 1];
        Self { first, keys: vec![Key::NONE; end as usize], bars }
    }

    /// Whether enough have lined up who are better.
    #[inline]
    pub fn refuse(&self, place: u32, key: Key) -> bool {
        self.bars[place as usize] > key
    }

    /// Notes somebody who lines up.
    #[inline]
    pub fn note(&mut self, place: u32, key: Key) {
        let range = self.range(place);
        let keys = &mut self.keys[range];
        let better = keys.iter().take_while(|other| **other < key).count();
        // She may have lined up before.
        if better > 0 && keys.get(better) != Some(&key) {
            keys[..better].rotate_left(1);
            keys[better - 1] = key;
            let one = mutants::active("one-claim-is-enough");
            self.bars[place as usize] = keys[if one { keys.len() - 1 } else { 0 }];
        }
    }

    /// Somebody may want to line up for a place soon.
    #[inline]
    pub fn expect(&self, place: u32) {
        prefetch(&self.bars, place as usize);
    }

    /// Somebody will.
    #[inline]
    pub fn expect_note(&self, place: u32) {
        prefetch(&self.keys, self.first[place as usize] as usize);
    }

    #[inline]
    fn range(&self, place: u32) -> Range<usize> {
        self.first[place as usize] as usize..self.first[place as usize + 1] as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// As many openings as its number.
    const PLACES: u32 = OPENINGS_MAX + 2;

    proptest! {
        #![proptest_config(crate::seeded::cases(512))]
        /// Goal: a place refuses whom as many as it has openings are better than, and nobody else;
        /// places with many openings, or none, refuse nobody here. Method: workers line up, some
        /// of them again, beside a list of all who have.
        #[test]
        fn refuses_whom_enough_are_better_than(turns in vec((0..PLACES, 0..40_u32), 0..400)) {
            let mut claims = Claims::of(0..PLACES);
            let mut lined_up = vec![BTreeSet::new(); PLACES as usize];
            for (place, worker) in turns {
                // A worker has one key at a place.
                let key = Key::new(i64::from(worker * 7 % 10), worker);
                let lined_up = &mut lined_up[place as usize];
                let better = lined_up.range(key..).filter(|other| **other > key).count();
                let full = (1..=OPENINGS_MAX).contains(&place) && better >= place as usize;
                prop_assert_eq!(claims.refuse(place, key), full);
                if !full {
                    claims.note(place, key);
                    lined_up.insert(key);
                }
            }
        }
    }
}
