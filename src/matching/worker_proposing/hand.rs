//! What a worker brings home from a search, and what she asks next.

use super::super::demand::{Menu, Question};
use super::super::index::Index;
use super::super::kernels::prefetch;
use super::super::key::Key;
use super::super::outcome::Offer;
use crate::domain::Mobility;
use crate::domain::limits::VACANCIES_MAX;
use crate::mutants;

/// Who is to ask.
#[derive(Clone, Copy)]
pub(super) struct Asker {
    pub worker: u32,
    /// The last offer that she had, if she asks again.
    last: Option<Kept>,
    /// Whether few others are left who ask.
    pub is_late: bool,
}

impl Asker {
    /// Who asks for the first time.
    pub fn of(worker: u32) -> Self {
        Self { worker, last: None, is_late: false }
    }

    /// Who asks again: her last offer is gone, and so is all that was worth more.
    pub fn again(worker: u32, last: Kept) -> Self {
        Self { worker, last: Some(last), is_late: false }
    }

    /// What she asks.
    pub fn question(&self, index: &Index) -> Question {
        let room = self.room(index);
        let Some(last) = self.last else { return Question { room, ..Question::of(self.worker) } };
        let short = if mutants::active("asks-for-too-little") { 100 } else { 0 };
        Question { worker: self.worker, below: last.value(index, self.worker) - short, room }
    }

    /// How many offers she brings home. The farther she looks the dearer is her search, and the
    /// more of them she keeps; who must ask again has seen that she needs many. The last few would
    /// ask in ever smaller batches.
    fn room(&self, index: &Index) -> usize {
        if self.is_late {
            return Menu::ROOM;
        }
        match (&index.problem.workers[self.worker as usize].worker.mobility, self.last) {
            (Mobility::HomeOnly, None) => 22,
            (Mobility::Listed(_), None) => 32,
            (Mobility::HomeOnly, Some(_)) | (Mobility::Any, None) => 44,
            (Mobility::Listed(_), Some(_)) => 64,
            (Mobility::Any, Some(_)) => Menu::ROOM,
        }
    }
}

/// What a worker holds of a menu: the offer that she has taken, if any, and those that she has
/// not made use of.
pub(super) struct Hand {
    /// Best last; those behind are gone.
    offers: Box<[Kept]>,
    left: u8,
    /// Whether there may be more than she has kept.
    pub may_ask: bool,
    /// The rank of the worker.
    rank: u32,
}

const _: () = assert!(Menu::ROOM <= u8::MAX as usize);

/// An offer; what it is worth to her follows from it. Offers kept are most of what a clearing
/// holds, so place and score share six bytes, lowest first: the place has the lower bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept([u16; 3]);

/// The bits of a place.
const PLACE_BITS: u32 = 25;
/// Scores are kept from this one on: that of a pair that accepts each other lies within
/// 1,100,000 of nothing (see [`Key::new`]).
const SCORE_MIN: i64 = -(1 << 22);

/// Places of which offers can be kept: more than a market has vacancies.
pub(super) const PLACES_MAX: usize = 1 << PLACE_BITS;

const _: () = assert!(VACANCIES_MAX < PLACES_MAX);

impl Hand {
    pub fn of(menu: &Menu) -> Self {
        let kept = |offer: Offer| Kept::of(offer.place, offer.key.score());
        let offers: Box<[Kept]> = menu.offers().rev().map(kept).collect();
        let left = offers.len() as u8;
        let may_ask = menu.is_full() && !mutants::active("menu-never-refilled");
        let rank = menu.offers().next().map_or(0, |offer| offer.key.rank());
        Self { offers, left, may_ask, rank }
    }

    /// Nothing, and there is no more.
    pub fn empty() -> Self {
        Self { offers: Box::default(), left: 0, may_ask: false, rank: 0 }
    }

    /// Her best offer.
    #[inline]
    pub fn best(&self) -> Option<Kept> {
        self.offers[..usize::from(self.left)].last().copied()
    }

    /// Her best offer is gone.
    #[inline]
    pub fn pass(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// None are left: returns the last that she had, and keeps no memory for them.
    pub fn put_down(&mut self) -> Option<Kept> {
        self.left = 0;
        std::mem::take(&mut self.offers).first().copied()
    }

    /// Her offers, best first.
    #[inline]
    pub fn offers(&self) -> impl Iterator<Item = Kept> + '_ {
        self.offers[..usize::from(self.left)].iter().rev().copied()
    }

    /// What her key is where she has that offer.
    #[inline]
    pub fn key(&self, kept: Kept) -> Key {
        Key::new(kept.score(), self.rank)
    }

    /// Her offers will be read soon.
    #[inline]
    pub fn expect(&self) {
        prefetch(&self.offers, 0);
        prefetch(&self.offers, usize::from(self.left).saturating_sub(1));
    }
}

impl Kept {
    fn of(place: u32, score: i64) -> Self {
        let bits = ((score - SCORE_MIN) as u64) << PLACE_BITS | u64::from(place);
        debug_assert!(place >> PLACE_BITS == 0 && bits >> 48 == 0);
        Self([bits as u16, (bits >> 16) as u16, (bits >> 32) as u16])
    }

    #[inline]
    fn bits(self) -> u64 {
        let [low, middle, high] = self.0.map(u64::from);
        high << 32 | middle << 16 | low
    }

    /// Whose offer it is.
    #[inline]
    pub fn place(self) -> u32 {
        (self.bits() & ((1 << PLACE_BITS) - 1)) as u32
    }

    #[inline]
    fn score(self) -> i64 {
        (self.bits() >> PLACE_BITS) as i64 + SCORE_MIN
    }

    /// What it is worth to her.
    pub fn value(self, index: &Index, w: u32) -> i64 {
        index.value_at(w, self.place(), self.score())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::seeded::cases(512))]
        /// Goal: what is kept is what was put in. Method: places and scores, the last ones too.
        #[test]
        fn place_and_score_are_kept(
            place in prop_oneof![Just(VACANCIES_MAX as u32), 0..VACANCIES_MAX as u32],
            score in prop_oneof![Just(1_100_000), Just(-1_100_000), -1_100_000..1_100_000_i64],
        ) {
            let kept = Kept::of(place, score);
            prop_assert_eq!((kept.place(), kept.score()), (place, score));
        }
    }
}
