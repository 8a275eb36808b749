//! Worker-proposing deferred acceptance on explicit lists: everybody says in full whom
//! they would have, best first, and whoever is not listed is not acceptable.
//!
//! The engine computes preferences and never holds a list; this is the classical
//! problem beside it, for comparison with programs that solve that one. Lists are flat
//! (`Csr`: one array of ids and where each owner's begin), because at a million workers
//! the cost is cache misses and nothing else:
//!
//! * [`Ranks`] has for each entry of a worker's list where she stands on the
//!   vacancy's, so that a proposal reads one place and never searches;
//! * a vacancy's seats are one bit per place on its list, and the last bit is who
//!   leaves when a better one comes. It only ever moves forward, so keeping it up costs
//!   each list once, however often somebody is displaced.
//!
//! Gale and Shapley (1962): the order of proposals changes neither the matching nor
//! their number, so workers propose in rounds, whose reads do not wait for each other.

mod instance;
mod ranks;
#[cfg(test)]
mod tests;

pub use instance::{INSTANCES, Instance, random};
pub use ranks::Ranks;

use std::ops::Range;

/// Stands for no vacancy in a [`Solution`].
pub const UNMATCHED: u32 = u32::MAX;
/// Workers who are moved on at once.
const BATCH: usize = 32;
/// Where [`Solution::fnv1a64`] starts: the customary basis 14695981039346656037 without its
/// last digit, because the numbers that the instances are known by were made so.
const OFFSET_BASIS: u64 = 1_469_598_103_934_665_603;

/// Why lists make no problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Where lists begin is not ascending from 0 to the number of entries.
    #[error("the starts of the lists are not ascending from 0 to the number of entries")]
    Starts,
    /// A list names somebody who does not exist.
    #[error("list {owner} names {id}, which does not exist")]
    Unknown {
        /// Whose list.
        owner: u32,
        /// Whom it names.
        id: u32,
    },
    /// Not every vacancy has its openings, or others have.
    #[error("there are {given} numbers of openings for {vacancies} vacancies")]
    Openings {
        /// How many were given.
        given: usize,
        /// How many there should be.
        vacancies: usize,
    },
    /// There are 2^31 entries or more.
    #[error("there are too many entries")]
    TooLarge,
}

/// Lists of ids, one per owner, end to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csr {
    starts: Vec<u32>,
    entries: Vec<u32>,
}

impl Csr {
    /// Lists from their entries and where each begins; the last start is where all end.
    ///
    /// # Errors
    /// [`Malformed::Starts`], [`Malformed::TooLarge`].
    pub fn new(starts: Vec<u32>, entries: Vec<u32>) -> Result<Self, Malformed> {
        if entries.len() >= 1 << 31 {
            return Err(Malformed::TooLarge);
        }
        let ends_meet =
            starts.first() == Some(&0) && starts.last() == Some(&(entries.len() as u32));
        if !ends_meet || !starts.is_sorted() {
            return Err(Malformed::Starts);
        }
        Ok(Self { starts, entries })
    }

    /// Lists from lists.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`].
    pub fn of(lists: &[Vec<u32>]) -> Result<Self, Malformed> {
        let lengths = lists.iter().scan(0, |end: &mut usize, list| {
            *end += list.len();
            Some(*end as u32)
        });
        let starts = std::iter::once(0).chain(lengths).collect();
        Self::new(starts, lists.concat())
    }

    /// How many owners there are.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether nobody owns a list.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The list of `owner`.
    pub fn at(&self, owner: u32) -> &[u32] {
        &self.entries[self.range(owner)]
    }

    /// All lists end to end.
    pub fn entries(&self) -> &[u32] {
        &self.entries
    }

    /// Lists that are all `length` long.
    fn of_equal(length: usize, entries: Vec<u32>) -> Self {
        let starts = (0..=entries.len()).step_by(length).map(|start| start as u32).collect();
        Self { starts, entries }
    }

    fn at_mut(&mut self, owner: u32) -> &mut [u32] {
        let range = self.range(owner);
        &mut self.entries[range]
    }

    fn range(&self, owner: u32) -> Range<usize> {
        let owner = owner as usize;
        self.starts[owner] as usize..self.starts[owner + 1] as usize
    }

    /// The length of the longest list.
    fn longest(&self) -> u32 {
        self.starts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }

    fn check(&self, others: usize) -> Result<(), Malformed> {
        let Some(at) = self.entries.iter().position(|id| *id as usize >= others) else {
            return Ok(());
        };
        let owner = self.starts.partition_point(|start| *start as usize <= at) as u32 - 1;
        Err(Malformed::Unknown { owner, id: self.entries[at] })
    }
}

/// Both sides' lists and the vacancies' openings. Somebody who stands on a list twice
/// counts where they stand first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists {
    workers: Csr,
    vacancies: Csr,
    openings: Vec<u32>,
}

impl Lists {
    /// The problem of `workers`, who list vacancies, and `vacancies`, who list workers.
    ///
    /// # Errors
    /// [`Malformed::Unknown`], [`Malformed::Openings`].
    pub fn new(workers: Csr, vacancies: Csr, openings: Vec<u32>) -> Result<Self, Malformed> {
        if openings.len() != vacancies.len() {
            let (given, vacancies) = (openings.len(), vacancies.len());
            return Err(Malformed::Openings { given, vacancies });
        }
        workers.check(vacancies.len())?;
        vacancies.check(workers.len())?;
        Ok(Self { workers, vacancies, openings })
    }

    /// The workers' lists.
    pub fn workers(&self) -> &Csr {
        &self.workers
    }

    /// The vacancies' lists.
    pub fn vacancies(&self) -> &Csr {
        &self.vacancies
    }

    /// The openings of each vacancy.
    pub fn openings(&self) -> &[u32] {
        &self.openings
    }
}

/// A matching with what it cost to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Solution {
    /// By worker: her vacancy, or [`UNMATCHED`].
    pub vacancy_of: Vec<u32>,
    /// Times that a worker asked a vacancy.
    pub proposals: u64,
}

impl Solution {
    /// One number for the matching: FNV-1a-64 over the little-endian bytes of
    /// `vacancy_of`, from [`OFFSET_BASIS`].
    pub fn fnv1a64(&self) -> u64 {
        let bytes = self.vacancy_of.iter().flat_map(|vacancy| vacancy.to_le_bytes());
        bytes.fold(OFFSET_BASIS, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        })
    }
}

/// Finds the worker-optimal stable matching. `ranks` must be those of `lists`.
///
/// # Panics
/// If they are of other lists.
pub fn solve(lists: &Lists, ranks: &Ranks) -> Solution {
    let workers = &lists.workers;
    assert_eq!(ranks.of_entry.len(), workers.entries.len(), "ranks of these lists");
    let mut seats = Seats::of(lists);
    let mut turns: Vec<Turn> =
        workers.starts.windows(2).map(|pair| Turn { next: pair[0], end: pair[1] }).collect();
    let mut displaced = Vec::new();
    for turn in &mut turns {
        displaced.extend(turn.propose(lists, ranks, &mut seats));
    }
    let mut round = Vec::new();
    while !displaced.is_empty() {
        std::mem::swap(&mut round, &mut displaced);
        for batch in round.chunks(BATCH) {
            let proposers = displace(batch, lists, ranks, &mut turns);
            for w in &proposers[..batch.len()] {
                displaced.extend(turns[*w as usize].propose(lists, ranks, &mut seats));
            }
        }
        round.clear();
    }
    let asked = turns
        .iter()
        .zip(&workers.starts)
        .map(|(turn, start)| u64::from(turn.next - start) + u64::from(turn.holds()));
    let vacancy_of = turns.iter().map(|turn| match turn.holds() {
        true => workers.entries[turn.next as usize],
        false => UNMATCHED,
    });
    Solution { proposals: asked.sum(), vacancy_of: vacancy_of.collect() }
}

/// Moves everybody of a batch on from the vacancy that let them go. What a proposal
/// finds decides where it goes on, so its reads wait for one another; here nothing is
/// decided, and what the whole batch reads next comes into the cache at once.
fn displace(batch: &[u32], lists: &Lists, ranks: &Ranks, turns: &mut [Turn]) -> [u32; BATCH] {
    let mut proposers = [0; BATCH];
    let mut read = 0;
    for (proposer, entry) in proposers.iter_mut().zip(batch) {
        *proposer = lists.vacancies.entries[*entry as usize];
        let turn = &mut turns[*proposer as usize];
        turn.next += 1;
        if turn.holds() {
            let entry = turn.next as usize;
            read ^= ranks.of_entry[entry] ^ lists.workers.entries[entry];
        }
    }
    std::hint::black_box(read);
    proposers
}

/// How far down her list a worker is.
#[derive(Clone, Copy)]
struct Turn {
    /// The entry that holds her, or that she asks next.
    next: u32,
    /// Where her list ends.
    end: u32,
}

impl Turn {
    /// Whether her list goes on; if it does once nobody proposes any more, she is held.
    fn holds(self) -> bool {
        self.next < self.end
    }

    /// Asks down the list until somebody takes her; the entry of whom she displaces there.
    fn propose(&mut self, lists: &Lists, ranks: &Ranks, seats: &mut Seats) -> Option<u32> {
        while self.next < self.end {
            let entry = self.next as usize;
            let v = lists.workers.entries[entry];
            if let Some(place) = ranks.place(entry) {
                match seats.ask(v, place) {
                    Answer::Refused => {}
                    Answer::Taken => return None,
                    Answer::TakenFrom(place) => {
                        return Some(lists.vacancies.starts[v as usize] + place);
                    }
                }
            }
            self.next += 1;
        }
        None
    }
}

/// What a vacancy says to a proposal.
enum Answer {
    Refused,
    Taken,
    /// Taken, in the stead of who stands at this place of the vacancy's list.
    TakenFrom(u32),
}

/// Whom the vacancies hold. A vacancy's block is a head and then one bit per place on its
/// list, all in one or two cache lines while lists are of some hundred places.
struct Seats {
    words: Vec<u64>,
    blocks: Vec<u32>,
}

/// The first word of a block.
#[derive(Clone, Copy)]
struct Head {
    /// Openings that nobody holds.
    free: u32,
    /// Who stands here or further down is refused: the last place that is held once
    /// no opening is free, the end of the list before, its start if there are none.
    bar: u32,
}

impl Head {
    fn of(word: u64) -> Self {
        Self { free: word as u32, bar: (word >> 32) as u32 }
    }

    fn word(self) -> u64 {
        u64::from(self.bar) << 32 | u64::from(self.free)
    }
}

impl Seats {
    fn of(lists: &Lists) -> Self {
        let mut blocks = Vec::with_capacity(lists.openings.len());
        let mut end = 0;
        for pair in lists.vacancies.starts.windows(2) {
            blocks.push(end);
            end += 1 + (pair[1] - pair[0]).div_ceil(64);
        }
        let mut words = vec![0; end as usize];
        for (v, free) in lists.openings.iter().enumerate() {
            let length = lists.vacancies.range(v as u32).len() as u32;
            let bar = if *free == 0 { 0 } else { length };
            words[blocks[v] as usize] = Head { free: *free, bar }.word();
        }
        Self { words, blocks }
    }

    #[inline]
    fn ask(&mut self, v: u32, place: u32) -> Answer {
        let block = &mut self.words[self.blocks[v as usize] as usize..];
        let mut head = Head::of(block[0]);
        if place >= head.bar {
            return Answer::Refused;
        }
        let (word, bit) = at(place);
        block[word] |= bit;
        if head.free > 1 {
            head.free -= 1;
            block[0] = head.word();
            return Answer::Taken;
        }
        let answer = if head.free == 1 {
            head = Head { free: 0, bar: head.bar - 1 };
            Answer::Taken
        } else {
            let (word, bit) = at(head.bar);
            block[word] ^= bit;
            Answer::TakenFrom(head.bar)
        };
        head.bar = last_held(block, head.bar);
        block[0] = head.word();
        answer
    }
}

/// The word of a block with the bit of a place.
#[inline]
fn at(place: u32) -> (usize, u64) {
    (1 + (place / 64) as usize, 1 << (place % 64))
}

/// The last place up to this one whose bit is set; there must be one.
#[inline]
fn last_held(block: &[u64], up_to: u32) -> u32 {
    let (mut word, bit) = at(up_to);
    let mut held = block[word] & (bit | (bit - 1));
    while held == 0 {
        word -= 1;
        held = block[word];
    }
    (word as u32 - 1) * 64 + held.ilog2()
}
