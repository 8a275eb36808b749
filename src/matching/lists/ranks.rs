//! For each entry of a worker's list, where she stands on that vacancy's list.
//!
//! This turns one side's lists inside out: of every 20 million places one goes to
//! each of 20 million others, and done directly each would be a cache miss. So the
//! places are first dealt out by worker into buckets so narrow that a bucket's lists stay
//! in the cache, and then each bucket is worked off alone. Threads deal from a share of
//! the vacancies each and work off a share of the buckets each; the result is the same for
//! any number of them.

use super::{Csr, Lists};
use std::ops::Range;

/// Entries of workers' lists in a bucket, about: with 4 bytes of list and 4 of rank each
/// they fit the cache of a core. Fewer would make more buckets than dealing can keep in it.
const BUCKET_ENTRIES: usize = 1 << 15;
/// A list up to this long is searched from its start, a longer one is sorted before.
const SEARCHED_MAX: usize = 64;

/// Where workers stand at the vacancies that they list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranks {
    /// By entry of the workers' lists: her place from 1, or 0 if she is not listed there.
    pub(super) of_entry: Vec<u32>,
}

/// Which workers are one bucket, and how a place is packed into a card:
/// vacancy, worker within the bucket, place on the vacancy's list.
#[derive(Clone, Copy)]
struct Packing {
    place_bits: u32,
    worker_bits: u32,
}

/// What one thread has dealt.
struct Dealt {
    /// Where each bucket's cards begin; the last start is where all end.
    starts: Vec<usize>,
    cards: Vec<u64>,
}

impl Ranks {
    /// Ranks by as many threads (0 counts as 1).
    pub fn of(lists: &Lists, threads: usize) -> Self {
        let packing = Packing::of(lists);
        let dealt: Vec<Dealt> = std::thread::scope(|scope| {
            let shares = shares(&lists.vacancies, 1, threads.max(1));
            let deal = |share| scope.spawn(move || packing.deal(lists, share));
            let dealers: Vec<_> = shares.into_iter().map(deal).collect();
            dealers
                .into_iter()
                .map(|dealer| dealer.join().expect("dealing does not panic"))
                .collect()
        });
        let mut of_entry = vec![0; lists.workers.entries.len()];
        std::thread::scope(|scope| {
            let mut rest = &mut of_entry[..];
            for share in shares(&lists.workers, packing.bucket_workers(), threads.max(1)) {
                let (mine, others) = rest.split_at_mut(entries_of(&lists.workers, &share).len());
                rest = others;
                let dealt = &dealt;
                scope.spawn(move || packing.work_off(&lists.workers, share, dealt, mine));
            }
        });
        Self { of_entry }
    }

    /// The place, from 0, of the owner of an entry on the list of the vacancy it names.
    #[inline]
    pub(super) fn place(&self, entry: usize) -> Option<u32> {
        self.of_entry[entry].checked_sub(1)
    }
}

impl Packing {
    fn of(lists: &Lists) -> Self {
        let workers = lists.workers.len().max(1);
        let mean = lists.workers.entries.len() / workers;
        let wanted = (BUCKET_ENTRIES / mean.max(1)).max(1).ilog2();
        let place_bits = u32::BITS - lists.vacancies.longest().leading_zeros();
        Self { place_bits, worker_bits: wanted.min(u32::BITS - place_bits) }
    }

    fn bucket_workers(self) -> usize {
        1 << self.worker_bits
    }

    fn bucket(self, worker: u32) -> usize {
        worker as usize >> self.worker_bits
    }

    /// Deals the lists of some vacancies out into buckets.
    fn deal(self, lists: &Lists, share: Range<usize>) -> Dealt {
        let buckets = lists.workers.len().div_ceil(self.bucket_workers());
        let mut starts = vec![0; buckets + 1];
        let all = &lists.vacancies.entries[entries_of(&lists.vacancies, &share)];
        for worker in all {
            starts[self.bucket(*worker) + 1] += 1;
        }
        for bucket in 0..buckets {
            starts[bucket + 1] += starts[bucket];
        }
        let mut next = starts.clone();
        let mut cards = vec![0; all.len()];
        let low = (self.bucket_workers() - 1) as u32;
        for v in share {
            let vacancy = (v as u64) << u32::BITS;
            for (place, worker) in (0_u32..).zip(lists.vacancies.at(v as u32)) {
                let next = &mut next[self.bucket(*worker)];
                let within = u64::from(worker & low) << self.place_bits;
                cards[*next] = vacancy | within | u64::from(place);
                *next += 1;
            }
        }
        Dealt { starts, cards }
    }

    /// Looks up every card of the buckets of these workers.
    fn work_off(self, workers: &Csr, share: Range<usize>, dealt: &[Dealt], ranks: &mut [u32]) {
        let mut rest = ranks;
        let mut sorted = Vec::new();
        for first in share.clone().step_by(self.bucket_workers()) {
            let bucket = first..share.end.min(first + self.bucket_workers());
            let (mine, others) = rest.split_at_mut(entries_of(workers, &bucket).len());
            rest = others;
            // New memory is written before it is read, or the system would map it twice.
            mine.fill(0);
            sort_long(workers, bucket.clone(), &mut sorted);
            let number = self.bucket(first as u32);
            for dealt in dealt {
                let cards = &dealt.cards[dealt.starts[number]..dealt.starts[number + 1]];
                self.look_up(cards, workers, bucket.clone(), &sorted, mine);
            }
        }
    }

    /// Looks up the cards of one bucket. They come by ascending place on each vacancy's
    /// list, so the first for an entry is the one that counts.
    fn look_up(
        self,
        cards: &[u64],
        workers: &Csr,
        bucket: Range<usize>,
        sorted: &[u64],
        ranks: &mut [u32],
    ) {
        let begin = workers.starts[bucket.start] as usize;
        let place_mask = (1 << self.place_bits) - 1;
        for card in cards {
            let vacancy = (card >> u32::BITS) as u32;
            let worker = bucket.start as u32 + (*card as u32 >> self.place_bits);
            let range = workers.range(worker);
            let within = range.start - begin..range.end - begin;
            let found = if range.len() <= SEARCHED_MAX {
                position(&workers.entries[range], vacancy)
            } else {
                search(&sorted[within.clone()], vacancy)
            };
            if let Some(at) = found {
                let rank = &mut ranks[within.start + at];
                if *rank == 0 {
                    *rank = (*card as u32 & place_mask) + 1;
                }
            }
        }
    }
}

/// Sorts the long lists of a bucket by vacancy, each where it stands among all.
fn sort_long(workers: &Csr, bucket: Range<usize>, sorted: &mut Vec<u64>) {
    let begin = workers.starts[bucket.start] as usize;
    for worker in bucket.clone() {
        let range = workers.range(worker as u32);
        if range.len() <= SEARCHED_MAX {
            continue;
        }
        sorted.resize(workers.starts[bucket.end] as usize - begin, 0);
        let list = &mut sorted[range.start - begin..range.end - begin];
        for ((at, vacancy), slot) in (0_u64..).zip(&workers.entries[range]).zip(&mut *list) {
            *slot = u64::from(*vacancy) << u32::BITS | at;
        }
        list.sort_unstable();
    }
}

/// The first position of the vacancy on a sorted list.
fn search(sorted: &[u64], vacancy: u32) -> Option<usize> {
    let at = sorted.partition_point(|entry| *entry < u64::from(vacancy) << u32::BITS);
    let entry = sorted.get(at).filter(|entry| (**entry >> u32::BITS) as u32 == vacancy)?;
    Some(*entry as u32 as usize)
}

/// The first position of the vacancy on a short list. The list is compared as a whole, four
/// entries at once: to stop at the right one would be a branch that nobody can predict.
fn position(list: &[u32], vacancy: u32) -> Option<usize> {
    let (chunks, rest) = list.as_chunks::<4>();
    let (mut nearest, mut here) = ([u32::MAX; 4], [0, 1, 2, 3]);
    for chunk in chunks {
        for lane in 0..4 {
            let hit = if chunk[lane] == vacancy { here[lane] } else { u32::MAX };
            nearest[lane] = nearest[lane].min(hit);
            here[lane] += 4;
        }
    }
    match nearest.into_iter().fold(u32::MAX, u32::min) {
        u32::MAX => {
            let at = rest.iter().position(|entry| *entry == vacancy)?;
            Some(list.len() - rest.len() + at)
        }
        found => Some(found as usize),
    }
}

/// The entries of some owners.
fn entries_of(lists: &Csr, owners: &Range<usize>) -> Range<usize> {
    lists.starts[owners.start] as usize..lists.starts[owners.end] as usize
}

/// All owners in at most so many shares with about as many entries each, whose bounds
/// are multiples of `unit`.
fn shares(lists: &Csr, unit: usize, count: usize) -> Vec<Range<usize>> {
    let entries = lists.entries.len() as u64;
    let bound = |share: usize| {
        let start = entries * share as u64 / count as u64;
        let owner = lists.starts.partition_point(|begin| u64::from(*begin) < start);
        owner.next_multiple_of(unit).min(lists.len())
    };
    let bounds: Vec<usize> = (0..count).map(bound).chain([lists.len()]).collect();
    bounds.windows(2).map(|pair| pair[0]..pair[1]).filter(|share| !share.is_empty()).collect()
}
