//! Who has lined up for a place, or held it.
//!
//! All who line up for a place will propose to it. So once as many as it has openings have done
//! so, whoever has a worse key than all of them need not: it will refuse her, or let her go, for
//! what it would take is less and less. That is known before any of them has proposed.

use super::super::kernels::prefetch;
use super::super::key::Key;
use crate::mutants;

/// Of places with more openings nothing is noted, so that every note is short.
const OPENINGS_MAX: u32 = 8;

/// See the module.
pub(super) struct Claims {
    /// By place.
    gates: Vec<Gate>,
    /// Of places with several openings as many as they have, the best of all who have lined up,
    /// worst first.
    keys: Vec<Key>,
}

/// What those who would line up have to know of a place.
struct Gate {
    /// Once as many have lined up as it has openings, the worst of the best of them.
    bar: Key,
    /// Where its keys start, and how many of the best are noted.
    first: u32,
    noted: u8,
    /// Its row in the line.
    row: u16,
}

impl Claims {
    /// Nobody yet, at places of so many openings in these rows of the line.
    pub fn of(places: impl Iterator<Item = (u32, u16)>) -> Self {
        let mut end = 0;
        let gate = |(openings, row)| {
            let noted = if openings <= OPENINGS_MAX { openings as u8 } else { 0 };
            let gate = Gate { bar: Key::NONE, first: end, noted, row };
            // Of one the bar says all.
            end += if noted > 1 { openings } else { 0 };
            gate
        };
        let gates = places.map(gate).collect();
        Self { gates, keys: vec![Key::NONE; end as usize] }
    }

    /// Whether enough have lined up who are better.
    #[inline]
    pub fn refuse(&self, place: u32, key: Key) -> bool {
        self.gates[place as usize].bar > key
    }

    /// Whether it is noted who lines up for a place.
    #[inline]
    pub fn are_noted(&self, place: u32) -> bool {
        self.gates[place as usize].noted > 0
    }

    /// The row of a place in the line.
    #[inline]
    pub fn row(&self, place: u32) -> u16 {
        self.gates[place as usize].row
    }

    /// Notes somebody who lines up.
    #[inline]
    pub fn note(&mut self, place: u32, key: Key) {
        let gate = &mut self.gates[place as usize];
        if gate.noted < 2 {
            gate.bar = if gate.noted == 1 { key.max(gate.bar) } else { gate.bar };
            return;
        }
        let first = gate.first as usize;
        let keys = &mut self.keys[first..first + usize::from(gate.noted)];
        let better = keys.iter().take_while(|other| **other < key).count();
        // She may have lined up before.
        if better > 0 && keys.get(better) != Some(&key) {
            keys[..better].rotate_left(1);
            keys[better - 1] = key;
            let one = mutants::active("one-claim-is-enough");
            gate.bar = keys[if one { keys.len() - 1 } else { 0 }];
        }
    }

    /// Somebody may want to line up for a place soon.
    #[inline]
    pub fn expect(&self, place: u32) {
        prefetch(&self.gates, place as usize);
    }

    /// Somebody will.
    #[inline]
    pub fn expect_note(&self, place: u32) {
        prefetch(&self.keys, self.gates[place as usize].first as usize);
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
            let mut claims = Claims::of((0..PLACES).map(|openings| (openings, 0)));
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
