//! Who has lined up for a place, or been there.
//!
//! All who line up for a place will propose to it. So as soon as as many as it has openings have
//! lined up, whoever has a worse key than all of them need not: it will refuse her. That is
//! known before any of them has proposed.

use super::super::kernels::prefetch;
use super::super::key::Key;

/// Of places with more openings nothing is noted.
const OPENINGS: u32 = 8;

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
            end += if openings <= OPENINGS { openings } else { 0 };
            first.push(end);
        }
        Self { first, keys: vec![Key::NONE; end as usize] }
    }

    /// Whether enough have lined up who are better.
    #[inline]
    pub fn refuse(&self, place: u32, key: Key) -> bool {
        let keys = &self.keys[self.range(place)];
        keys.first().is_some_and(|worst| *worst > key)
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
    fn range(&self, place: u32) -> std::ops::Range<usize> {
        self.first[place as usize] as usize..self.first[place as usize + 1] as usize
    }
}
