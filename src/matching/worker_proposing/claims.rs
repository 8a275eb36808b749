//! Who has lined up for a place, or held it.
//!
//! All who line up for a place will propose to it. So once as many as it has openings have done
//! so, whoever has a worse key than all of them need not: it will refuse her, or let her go, for
//! what it would take is less and less. That is known before any of them has proposed.

use super::super::kernels::prefetch;
use super::super::key::Key;
use crate::mutants;
use std::ops::Range;

/// Of places with more openings nothing is noted: there a note would cost more than it saves.
const OPENINGS_MAX: u32 = 8;

/// See the module.
pub(super) struct Claims {
    /// By place, and one more: where its keys start.
    first: Vec<u32>,
    /// Of each place as many as it has openings, the best of all who have lined up, worst first.
    keys: Vec<Key>,
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
        Self { first, keys: vec![Key::NONE; end as usize] }
    }

    /// Whether enough have lined up who are better.
    #[inline]
    pub fn refuse(&self, place: u32, key: Key) -> bool {
        let keys = &self.keys[self.range(place)];
        let least = if mutants::active("one-claim-is-enough") { keys.last() } else { keys.first() };
        least.is_some_and(|least| *least > key)
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
        }
    }

    /// Somebody may line up for a place soon.
    #[inline]
    pub fn expect(&self, place: u32) {
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

    /// Goal: a place refuses whom as many as it has openings are better than, and nobody else;
    /// places with many openings, or none, refuse nobody here. Method: lines of noise, in which the
    /// same worker may line up again, beside a list of all who have.
    #[test]
    fn refuses_whom_enough_are_better_than() {
        let mut state: u64 = 7;
        let mut noise = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            (state >> 33) % below
        };
        let places = OPENINGS_MAX + 2;
        for _ in 0..200 {
            let mut claims = Claims::of(0..places);
            let mut lined_up = vec![std::collections::BTreeSet::new(); places as usize];
            let mut refused = 0;
            for _ in 0..200 {
                let place = noise(u64::from(places)) as u32;
                let worker = noise(40) as u32;
                // A worker has one key at a place.
                let key = Key::new(i64::from(worker * 7 % 10), worker);
                let better = lined_up[place as usize].range(key..).filter(|k| **k > key).count();
                let full = (1..=OPENINGS_MAX).contains(&place) && better >= place as usize;
                assert_eq!(claims.refuse(place, key), full);
                refused += usize::from(full);
                if !full {
                    claims.note(place, key);
                    lined_up[place as usize].insert(key);
                }
            }
            assert!(refused > 20, "{refused}");
        }
    }
}
