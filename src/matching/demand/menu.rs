//! Where a search puts the offers that it finds.

use super::super::index::NOWHERE;
use super::super::key::{Key, Worth};
use super::super::outcome::Offer;

/// A worker's best few offers, best first.
pub(in crate::matching) struct Menu {
    offers: [(Worth, Found); Menu::ROOM],
    len: usize,
    /// How many are wanted.
    room: usize,
    /// What an offer must be worth more than.
    threshold: Worth,
}

/// An offer but for its value.
#[derive(Clone, Copy)]
struct Found {
    place: u32,
    key: Key,
}

impl Menu {
    /// Offers that a search brings home, at most.
    pub const ROOM: usize = 96;

    /// No offers yet, and no room for any.
    pub fn new() -> Self {
        let blank = (Worth::NOTHING, Found { place: NOWHERE, key: Key::NONE });
        Self { offers: [blank; Self::ROOM], len: 0, room: 0, threshold: Worth::NOTHING }
    }

    /// No offers any more; those to come are worth more than `held`, and `room` at most, of
    /// which there is one at least.
    pub fn clear(&mut self, held: Worth, room: usize) {
        (self.len, self.room, self.threshold) = (0, room.clamp(1, Self::ROOM), held);
    }

    /// The offers, best first.
    pub fn offers(&self) -> impl DoubleEndedIterator<Item = Offer> + '_ {
        let offer = |(worth, found): &(Worth, Found)| Offer {
            place: found.place,
            value: worth.value,
            key: found.key,
        };
        self.offers[..self.len].iter().map(offer)
    }

    /// Whether there is no offer.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether there may be more offers than there was room for.
    pub fn is_full(&self) -> bool {
        self.len == self.room
    }
}

/// What a search fills.
pub(super) trait Basket {
    /// What an offer must be worth more than.
    fn threshold(&self) -> Worth;
    /// Takes an offer that is worth more than the threshold.
    fn take(&mut self, worth: Worth, offer: Offer);
}

impl Basket for Menu {
    #[inline]
    fn threshold(&self) -> Worth {
        self.threshold
    }

    fn take(&mut self, worth: Worth, offer: Offer) {
        // Most are found in about their order, so its place is near the end.
        let mut at = self.len.min(self.room - 1);
        let end = at;
        while at > 0 && self.offers[at - 1].0 < worth {
            self.offers[at] = self.offers[at - 1];
            at -= 1;
        }
        self.offers[at] = (worth, Found { place: offer.place, key: offer.key });
        self.len = end + 1;
        if self.is_full() {
            self.threshold = self.offers[self.len - 1].0;
        }
    }
}

/// The best offer, if any is worth more than something.
pub(super) struct Best {
    pub offer: Option<Offer>,
    pub threshold: Worth,
}

impl Basket for Best {
    #[inline]
    fn threshold(&self) -> Worth {
        self.threshold
    }

    fn take(&mut self, worth: Worth, offer: Offer) {
        (self.offer, self.threshold) = (Some(offer), worth);
    }
}

/// All offers that are worth more than something.
pub(super) struct All {
    pub offers: Vec<Offer>,
    pub threshold: Worth,
}

impl Basket for All {
    #[inline]
    fn threshold(&self) -> Worth {
        self.threshold
    }

    fn take(&mut self, _: Worth, offer: Offer) {
        self.offers.push(offer);
    }
}
