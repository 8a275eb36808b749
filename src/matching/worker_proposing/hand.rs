//! What a worker brings home from a search, and what she asks next.

use super::super::demand::{Menu, Question};
use super::super::index::Index;
use super::super::key::Key;
use super::super::outcome::Offer;
use crate::domain::Mobility;
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
    /// ask in ever smaller batches, and what they keep takes little memory.
    fn room(&self, index: &Index) -> usize {
        let least = if self.is_late { 64 } else { 0 };
        let usual = match (&index.problem.workers[self.worker as usize].worker.mobility, self.last)
        {
            (Mobility::HomeOnly, _) => 22,
            (Mobility::Listed(_), None) => 32,
            (Mobility::Any, None) => 44,
            (Mobility::Listed(_), Some(_)) => 64,
            (Mobility::Any, Some(_)) => Menu::ROOM,
        };
        usual.max(least)
    }
}

/// What a worker holds of a menu: the offer that she has taken, if any, and those that she has
/// not made use of, the best last.
pub(super) struct Hand {
    pub worker: u32,
    pub offers: Vec<Kept>,
    /// Whether there may be more than she has kept.
    pub may_ask: bool,
}

/// An offer; what it is worth to her follows from it.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub place: u32,
    score: i32,
}

impl Hand {
    pub fn of(question: &Question, menu: &Menu) -> Self {
        let kept = |offer: Offer| Kept { place: offer.place, score: offer.key.score() as i32 };
        let may_ask = menu.is_full() && !mutants::active("menu-never-refilled");
        Self { worker: question.worker, offers: menu.offers().rev().map(kept).collect(), may_ask }
    }
}

impl Kept {
    /// What her key is there.
    #[inline]
    pub fn key(self, index: &Index, w: u32) -> Key {
        Key::new(i64::from(self.score), index.ranks.worker(w))
    }

    /// What it is worth to her.
    pub fn value(self, index: &Index, w: u32) -> i64 {
        index.value_at(w, self.place, i64::from(self.score))
    }
}
