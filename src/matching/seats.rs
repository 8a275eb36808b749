//! What changes during a clearing: who holds what, what is full, and the cutoffs.
//!
//! The choice function of `choice`, kept one newcomer at a time: a newcomer enters the
//! vacancy; if it is over its openings its worst leaves; else, if a set around it is
//! over its cap, whoever is last in the smallest such set leaves. Last is the worst
//! key (`SCORE`), or the worst at the vacancy with the last slot (`TARGETS`).

use super::index::{Index, NOWHERE, Sight};
use super::kernels::prefetch;
use super::key::{Bid, Key, Worth, ranks_by_id};
use super::outcome::Offer;
use super::standing::{BLOCK, Cutoffs, Standing};
use crate::domain::CityIx;
use crate::mutants;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::Range;

/// In place of the place held: the worker is gone.
const GONE: u32 = NOWHERE - 1;

/// A capped set: a mark for every match inside it, whoever is last first.
struct CapState {
    capacity: u64,
    parent: Option<u32>,
    marks: BTreeSet<u128>,
    /// `TARGETS`: the next slots of places inside that are not closed, the last first;
    /// with some that are next no more.
    next: BinaryHeap<Reverse<(u128, u32)>>,
}

impl CapState {
    fn is_full(&self) -> bool {
        self.marks.len() as u64 >= self.capacity
    }
}

/// See the module.
pub(super) struct Seats {
    /// By worker: the place held.
    place_of: Vec<u32>,
    /// By worker: what it is worth to her; of nobody while that is not kept.
    value_of: Vec<i64>,
    /// By place: the keys held, worst first.
    held: Vec<BinaryHeap<Reverse<Key>>>,
    openings: Vec<u32>,
    /// A place's is the key of the worst, once the openings are full.
    cutoffs: Cutoffs,
    /// By cell: raises since its floor was computed.
    debts: Vec<u32>,
    sets: Vec<CapState>,
    /// Whether there are sets, and they keep offers by target.
    by_targets: bool,
    /// `TARGETS`: where places stand by id, and back.
    id_rank: Vec<u32>,
    by_id: Vec<u32>,
    /// `TARGETS`: by place, whether its next slot is behind all that a full set around it
    /// holds. While workers propose, what is closed stays closed.
    closed: Vec<bool>,
    /// Places whose cutoffs have changed since somebody last asked, if anybody does.
    changed: Option<Vec<u32>>,
}

impl Seats {
    /// Everything free.
    pub fn of(index: &Index) -> Self {
        let problem = index.problem;
        let set = |set: &super::CapSet| CapState {
            capacity: set.capacity,
            parent: set.parent.filter(|_| !mutants::active("outer-cap-ignored")),
            marks: BTreeSet::new(),
            next: BinaryHeap::new(),
        };
        let least = u32::from(mutants::active("zero-openings-take-one"));
        let openings = |place: u32| index.post(place).openings.max(least);
        let mut seats = Self {
            place_of: vec![NOWHERE; problem.workers.len()],
            value_of: vec![i64::MIN; problem.workers.len()],
            held: vec![BinaryHeap::new(); problem.vacancies.len()],
            openings: (0..problem.vacancies.len() as u32).map(openings).collect(),
            cutoffs: Cutoffs {
                own: vec![Key::NONE; problem.vacancies.len()],
                blocks: vec![Key::NONE; problem.vacancies.len().div_ceil(BLOCK as usize)],
                cells: vec![Key::NONE; index.cells.len()],
            },
            debts: vec![0; index.cells.len()],
            sets: problem.sets.iter().map(set).collect(),
            by_targets: problem.by_targets() && !problem.sets.is_empty(),
            id_rank: Vec::new(),
            by_id: Vec::new(),
            closed: Vec::new(),
            changed: None,
        };
        seats.prepare_marks(index);
        for place in 0..problem.vacancies.len() as u32 {
            seats.refresh(index, place);
        }
        seats
    }

    fn prepare_marks(&mut self, index: &Index) {
        if self.sets.is_empty() {
            return;
        }
        if self.by_targets {
            let ranks = ranks_by_id(index.problem);
            self.id_rank = index.places.iter().map(|at| ranks[at.number as usize]).collect();
            self.by_id = super::key::inverse(&self.id_rank);
            self.closed = vec![false; index.places.len()];
            for place in 0..index.places.len() as u32 {
                self.line_up_next(index, place);
            }
        }
    }

    /// One more worker, who holds nothing.
    pub fn add_worker(&mut self) {
        self.place_of.push(NOWHERE);
        self.value_of.push(i64::MIN);
    }

    /// A worker who holds nothing is gone: she wants nothing.
    pub fn remove_worker(&mut self, w: u32) {
        self.place_of[w as usize] = GONE;
    }

    /// A worker who was taken for gone is back, and holds nothing.
    pub fn restore_worker(&mut self, w: u32) {
        self.place_of[w as usize] = NOWHERE;
    }

    /// The index has one more place, the last; everything is free there.
    pub fn add_place(&mut self, index: &Index) {
        let place = self.held.len() as u32;
        self.held.push(BinaryHeap::new());
        self.cutoffs.own.push(Key::NONE);
        self.openings.push(index.post(place).openings);
        if place.is_multiple_of(BLOCK) {
            self.cutoffs.blocks.push(Key::NONE);
        }
        self.cutoffs.cells.resize(index.cells.len(), Key::NONE);
        self.debts.resize(index.cells.len(), 0);
        self.refresh(index, place);
    }

    /// The vacancy at `place` has so many openings from now on; no more are held.
    pub fn set_openings(&mut self, index: &Index, place: u32, openings: u32) {
        self.openings[place as usize] = openings;
        self.refresh(index, place);
    }

    /// A set may hold so many matches from now on; no more are held.
    pub fn set_capacity(&mut self, set: u32, capacity: u64) {
        self.sets[set as usize].capacity = capacity;
    }

    /// How many matches a set may hold.
    pub fn capacity(&self, set: u32) -> u64 {
        self.sets[set as usize].capacity
    }

    /// How many are held in a set.
    pub fn count_in(&self, set: u32) -> u64 {
        self.sets[set as usize].marks.len() as u64
    }

    /// The place whose worst is the worst of all in a set (`SCORE`).
    pub fn last_in(&self, index: &Index, set: u32) -> Option<u32> {
        let mark = *self.sets[set as usize].marks.first()?;
        Some(self.marked_place(index, mark))
    }

    /// How many are held at `place`, of how many openings.
    pub fn count(&self, place: u32) -> (usize, usize) {
        (self.held[place as usize].len(), self.openings[place as usize] as usize)
    }

    /// The place that worker `w` holds.
    pub fn place_of(&self, w: u32) -> Option<u32> {
        let place = self.place_of[w as usize];
        (place != NOWHERE && place != GONE).then_some(place)
    }

    /// From now on does not keep what places are worth to those who hold them.
    pub fn forget_values(&mut self) {
        self.value_of = Vec::new();
    }

    /// What each worker holds is worth to her.
    pub fn set_values(&mut self, values: Vec<i64>) {
        self.value_of = values;
    }

    fn set_value(&mut self, w: u32, value: i64) {
        if let Some(known) = self.value_of.get_mut(w as usize) {
            *known = value;
        }
    }

    /// The own cutoff of `place`: who has a key above it gets in.
    pub fn cutoff(&self, place: u32) -> Key {
        self.cutoffs.own[place as usize]
    }

    /// From now on, tells which cutoffs change.
    pub fn watch(&mut self) {
        self.changed = Some(Vec::new());
    }

    /// Tells it no more.
    pub fn watch_no_more(&mut self) {
        self.changed = None;
    }

    /// Places whose cutoffs have changed since this was last called, some of them repeatedly.
    pub fn changed(&mut self) -> Vec<u32> {
        self.changed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Whether the openings at `place` are full.
    pub fn is_filled(&self, place: u32) -> bool {
        self.held[place as usize].len() >= self.openings[place as usize] as usize
    }

    /// Whether there are capped sets.
    #[inline]
    pub fn are_capped(&self) -> bool {
        !self.sets.is_empty()
    }

    /// Whether a set is full.
    pub fn is_full(&self, set: u32) -> bool {
        self.sets[set as usize].is_full()
    }

    /// The capped sets around a city, innermost first.
    pub fn sets_around(&self, index: &Index, city: CityIx) -> impl Iterator<Item = u32> + '_ {
        let innermost = index.problem.set_of_city.get(city.at()).copied().flatten();
        std::iter::successors(innermost, |set| self.sets[*set as usize].parent)
    }

    /// The innermost full set around a city.
    pub fn full_set(&self, index: &Index, city: CityIx) -> Option<u32> {
        if self.sets.is_empty() {
            return None;
        }
        self.sets_around(index, city).find(|set| self.is_full(*set))
    }

    /// `TARGETS`: whether a newcomer with that key finds a slot, if need be its worst's.
    fn has_slot(&self, index: &Index, place: u32, key: Key) -> bool {
        let Some(set) = self.full_set(index, index.city(place)) else { return true };
        let held = &self.held[place as usize];
        let next = self.slot(index, place, held.len() + 1);
        // Marks of slots are complemented: the last slot is the least mark.
        let last = self.sets[set as usize].marks.first();
        last.is_some_and(|last| next > *last) || held.peek().is_some_and(|worst| key > worst.0)
    }

    /// Whether a key beats a place's own cutoff.
    #[inline]
    fn beats(own: Key, key: Key) -> bool {
        let tie = key.score() == own.score() && own != Key::NONE;
        key > own && !(tie && mutants::active("incumbent-wins-ties"))
    }

    /// Whether the vacancy of an offer takes the worker now. Cutoffs only rise while
    /// workers propose, so of offers that were her best the first that it takes still is.
    #[inline]
    pub fn takes(&self, index: &Index, place: u32, key: Key) -> bool {
        let own = self.cutoff(place);
        if self.sets.is_empty() {
            return Self::beats(own, key);
        }
        let city = index.city(place);
        let sight = Sight::of(place, &index.places[place as usize], city, own);
        self.admits(index, &sight, key, self.city_bar(index, city))
    }

    /// Somebody will enter these places soon, and displace who is last there.
    pub fn expect_newcomers(&self, index: &Index, places: impl Iterator<Item = u32> + Clone) {
        for place in places.clone() {
            let at = place as usize;
            prefetch(&self.held, at);
            prefetch(&self.cutoffs.own, at);
            prefetch(&self.openings, at);
            prefetch(&index.places, at);
        }
        for place in places.clone() {
            let cell = index.places[place as usize].cell as usize;
            prefetch(&self.cutoffs.cells, cell);
            prefetch(&index.cells, cell);
            prefetch(self.held[place as usize].as_slice(), 0);
            index.ranks.expect_worker_at(self.cutoffs.own[place as usize].rank());
        }
        for place in places {
            let last = index.ranks.drawn_worker(self.cutoffs.own[place as usize].rank());
            last.inspect(|w| prefetch(&self.place_of, *w as usize));
        }
    }

    /// Lets worker `w`, who holds nothing, take an offer that stands. Returns the worker
    /// who is displaced.
    pub fn enter(&mut self, index: &Index, w: u32, offer: Offer) -> Option<u32> {
        let Offer { place, value, key } = offer;
        debug_assert!(self.place_of(w).is_none());
        self.place_of[w as usize] = place;
        self.set_value(w, value);
        if self.sets.is_empty() && self.is_filled(place) {
            return self.replace_worst(index, place, key);
        }
        self.hold(place, key);
        self.mark(index, place, key, true);
        let last = if self.held[place as usize].len() > self.openings[place as usize] as usize {
            Some(place)
        } else {
            self.last_in_overfull_set(index, place)
        };
        let displaced = last.and_then(|last| self.displace_worst(index, last));
        if last != Some(place) {
            self.refresh(index, place);
        }
        if self.by_targets {
            self.line_up_next(index, place);
            last.into_iter().for_each(|last| self.line_up_next(index, last));
        }
        displaced
    }

    /// One more is held; most places have few openings, and memory for no more.
    fn hold(&mut self, place: u32, key: Key) {
        let (openings, held) = (self.openings[place as usize], &mut self.held[place as usize]);
        if held.is_empty() {
            held.reserve_exact(openings.clamp(1, 4) as usize);
        }
        held.push(Reverse(key));
    }

    /// `TARGETS`: the place has another next slot. In every full set around it, places
    /// whose next slot is behind all that are held are closed.
    fn line_up_next(&mut self, index: &Index, place: u32) {
        let next = self.slot(index, place, self.held[place as usize].len() + 1);
        let mut around = index.problem.set_of_city[index.city(place).at()];
        while let Some(set) = around {
            self.sets[set as usize].next.push(Reverse((next, place)));
            while let Some(place) = self.take_closed(set) {
                if self.slot(index, place.1, self.held[place.1 as usize].len() + 1) == place.0 {
                    self.closed[place.1 as usize] = true;
                    self.refresh(index, place.1);
                }
            }
            around = self.sets[set as usize].parent;
        }
    }

    /// The last of the next slots in a set, if the set is full and holds none behind it.
    fn take_closed(&mut self, set: u32) -> Option<(u128, u32)> {
        let set = &mut self.sets[set as usize];
        let Reverse((next, _)) = set.next.peek()?;
        let behind_all = set.marks.first().is_none_or(|last| next < last);
        let closed = set.is_full() && behind_all;
        closed.then(|| set.next.pop().map(|Reverse(slot)| slot)).flatten()
    }

    /// Takes worker `w` out of the place that she holds, and returns it.
    pub fn leave(&mut self, index: &Index, w: u32) -> Option<u32> {
        let place = self.place_of(w)?;
        let rank = index.ranks.worker(w);
        let key = self.held[place as usize].iter().find(|held| held.0.rank() == rank)?.0;
        self.mark(index, place, key, false);
        self.held[place as usize].retain(|held| held.0 != key);
        self.place_of[w as usize] = NOWHERE;
        self.set_value(w, i64::MIN);
        self.refresh(index, place);
        Some(place)
    }

    /// The place whose worst must leave because a set around `place` is over its cap.
    fn last_in_overfull_set(&self, index: &Index, place: u32) -> Option<u32> {
        if self.sets.is_empty() {
            return None;
        }
        let over = |set: &u32| {
            let set = &self.sets[*set as usize];
            set.marks.len() as u64 > set.capacity
        };
        let set = self.sets_around(index, index.city(place)).find(over)?;
        let mark = *self.sets[set as usize].marks.first()?;
        Some(self.marked_place(index, mark))
    }

    /// The place of the match behind a mark.
    fn marked_place(&self, index: &Index, mark: u128) -> u32 {
        match self.by_targets {
            true => self.by_id[(!mark >> 32) as u32 as usize],
            false => index.place_of[index.ranks.vacancy_at(u32::MAX - mark as u32) as usize],
        }
    }

    /// The worst of those held at `place` leaves, and is returned.
    pub fn displace_worst(&mut self, index: &Index, place: u32) -> Option<u32> {
        let Reverse(key) = *self.held[place as usize].peek()?;
        self.mark(index, place, key, false);
        self.held[place as usize].pop();
        let w = index.ranks.worker_at(key.rank());
        self.place_of[w as usize] = NOWHERE;
        self.set_value(w, i64::MIN);
        self.refresh(index, place);
        Some(w)
    }

    /// Without caps: a newcomer takes the seat of the worst, who is displaced.
    fn replace_worst(&mut self, index: &Index, place: u32, key: Key) -> Option<u32> {
        let mut worst = self.held[place as usize].peek_mut()?;
        let Reverse(displaced) = std::mem::replace(&mut *worst, Reverse(key));
        drop(worst);
        let w = index.ranks.worker_at(displaced.rank());
        self.place_of[w as usize] = NOWHERE;
        self.set_value(w, i64::MIN);
        self.refresh(index, place);
        Some(w)
    }

    /// Adds or removes the mark of a match in every set around it. Under `TARGETS` the
    /// mark is that of the last slot in use, so this is called while the match is held.
    fn mark(&mut self, index: &Index, place: u32, key: Key, present: bool) {
        if self.sets.is_empty() {
            return;
        }
        let mark = if self.by_targets {
            self.slot(index, place, self.held[place as usize].len())
        } else {
            u128::from(key.bits()) << 32 | u128::from(u32::MAX - index.places[place as usize].rank)
        };
        let mut next = index.problem.set_of_city[index.city(place).at()];
        while let Some(set) = next {
            let set = &mut self.sets[set as usize];
            if present {
                set.marks.insert(mark);
            } else {
                set.marks.remove(&mark);
            }
            next = set.parent;
        }
    }

    /// The slot of the `nth` match at `place`, complemented: the last slot is the least.
    fn slot(&self, index: &Index, place: u32, nth: usize) -> u128 {
        let target = index.post(place).target as usize;
        let target = if mutants::active("target-ignored") { 0 } else { target };
        let above_target = nth.saturating_sub(target) as u128;
        let id = u128::from(self.id_rank[place as usize]);
        !(above_target << 64 | id << 32 | nth as u128)
    }

    /// Computes the own cutoff of `place` anew, and with it the floors above.
    fn refresh(&mut self, index: &Index, place: u32) {
        let closed = self.closed.get(place as usize) == Some(&true);
        let cutoff = if closed || self.is_filled(place) {
            self.held[place as usize].peek().map_or(Key::CLOSED, |worst| worst.0)
        } else {
            Key::NONE
        };
        let old = std::mem::replace(&mut self.cutoffs.own[place as usize], cutoff);
        if cutoff == old {
            return;
        }
        if let Some(changed) = &mut self.changed {
            changed.push(place);
        }
        self.refresh_block(place / BLOCK, old, cutoff);
        let cell = index.places[place as usize].cell;
        if cell != NOWHERE {
            self.refresh_cell(index, cell, old, cutoff);
        }
    }

    fn refresh_block(&mut self, block: u32, old: Key, cutoff: Key) {
        let Cutoffs { own, blocks, .. } = &mut self.cutoffs;
        let floor = &mut blocks[block as usize];
        if cutoff < *floor {
            *floor = cutoff;
        } else if old <= *floor && cutoff > old {
            let start = (block * BLOCK) as usize;
            let end = own.len().min(start + BLOCK as usize);
            *floor = own[start..end].iter().copied().min().unwrap_or(Key::NONE);
        }
    }

    /// A cutoff in a cell has moved. Large cells are read again only after as many raises as
    /// make it cheap.
    fn refresh_cell(&mut self, index: &Index, cell: u32, old: Key, cutoff: Key) {
        let Cutoffs { own, cells, .. } = &mut self.cutoffs;
        let (floor, debt) = (&mut cells[cell as usize], &mut self.debts[cell as usize]);
        let too_high = mutants::active("floor-too-high");
        if cutoff < old {
            *floor = cutoff.min(*floor);
            return;
        }
        if old > *floor && *debt == 0 && !too_high {
            return;
        }
        *debt += 1;
        let Range { start, end } = index.cells[cell as usize].places;
        if *debt * 16 < end - start {
            return;
        }
        *debt = 0;
        let inside = own[start as usize..end as usize].iter().copied();
        *floor = if too_high { inside.max() } else { inside.min() }.unwrap_or(Key::NONE);
    }

    /// Calls `each` with every (worker, place) held.
    pub fn for_each(&self, mut each: impl FnMut(u32, u32)) {
        for (w, place) in self.place_of.iter().enumerate() {
            if *place < GONE {
                each(w as u32, *place);
            }
        }
    }
}

impl Standing for Seats {
    #[inline]
    fn worth_of(&self, index: &Index, w: u32) -> Worth {
        match self.place_of[w as usize] {
            NOWHERE => Worth::NOTHING,
            GONE => Worth::EVERYTHING,
            place => Worth::new(self.value_of[w as usize], index.places[place as usize].rank),
        }
    }

    fn city_bar(&self, index: &Index, city: CityIx) -> Bid {
        match self.full_set(index, city) {
            Some(set) if !self.by_targets => match self.sets[set as usize].marks.first() {
                Some(mark) => bid_of(*mark),
                None => Bid::CLOSED,
            },
            _ => Bid::NONE,
        }
    }

    #[inline]
    fn admits(&self, index: &Index, sight: &Sight, key: Key, bar: Bid) -> bool {
        Self::beats(sight.own, key)
            && Bid::new(key, sight.rank) > bar
            && (!self.by_targets || self.has_slot(index, sight.place, key))
    }

    #[inline]
    fn cutoffs(&self) -> &Cutoffs {
        &self.cutoffs
    }
}

/// The bid that a `SCORE` mark stands for.
fn bid_of(mark: u128) -> Bid {
    let key = Key::from_bits((mark >> 32) as u64);
    Bid::new(key, u32::MAX - mark as u32)
}
