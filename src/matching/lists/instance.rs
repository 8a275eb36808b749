//! The benchmark's instances: random explicit lists, made by a published rule from a
//! seed, each with the number that its worker-optimal matching is known by.

use super::{Csr, Lists};

/// An instance by its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its letter.
    pub name: char,
    /// Workers.
    pub workers: u32,
    /// Vacancies.
    pub vacancies: u32,
    /// Openings of each vacancy.
    pub openings: u32,
    /// Vacancies on each worker's list.
    pub length: u32,
    /// Where its randomness starts.
    pub seed: u64,
    /// [`Solution::fnv1a64`](super::Solution::fnv1a64) of its worker-optimal matching.
    pub fnv1a64: u64,
}

/// All instances, smallest first.
pub const INSTANCES: [Instance; 4] = [
    Instance {
        name: 'a',
        workers: 1_000,
        vacancies: 100,
        openings: 10,
        length: 100,
        seed: 1,
        fnv1a64: 0x47f6_7b2a_ea0d_42b3,
    },
    Instance {
        name: 'b',
        workers: 10_000,
        vacancies: 1_000,
        openings: 10,
        length: 100,
        seed: 2,
        fnv1a64: 0xa608_b26a_9e3d_c73b,
    },
    Instance {
        name: 'c',
        workers: 100_000,
        vacancies: 10_000,
        openings: 10,
        length: 50,
        seed: 3,
        fnv1a64: 0xf1f6_38bf_0aee_a487,
    },
    Instance {
        name: 'd',
        workers: 1_000_000,
        vacancies: 100_000,
        openings: 10,
        length: 20,
        seed: 4,
        fnv1a64: 0x2b63_65d2_e0d6_ed62,
    },
];

impl Instance {
    /// The instance of that letter.
    pub fn named(name: char) -> Option<Self> {
        INSTANCES.into_iter().find(|instance| instance.name == name)
    }

    /// The lists of [`random`].
    pub fn lists(&self) -> Lists {
        random(self.workers, self.vacancies, self.openings, self.length, self.seed)
    }
}

/// Makes random lists: each worker draws `length` vacancies by a partial Fisher-Yates shuffle
/// of one permutation that lives on; each vacancy shuffles those who drew it.
///
/// # Panics
/// If a list would be longer than there are vacancies, or there are 2^31 entries or more.
pub fn random(workers: u32, vacancies: u32, openings: u32, length: u32, seed: u64) -> Lists {
    assert!(length <= vacancies, "a list names nobody twice");
    let mut random = SplitMix(seed);
    let of_workers = draw_workers(&mut random, workers, vacancies, length as usize);
    let mut of_vacancies = transpose(&of_workers, vacancies);
    for v in 0..vacancies {
        let list = of_vacancies.at_mut(v);
        for k in (2..=list.len()).rev() {
            list.swap(k - 1, random.below(k as u64) as usize);
        }
    }
    Lists::new(of_workers, of_vacancies, vec![openings; vacancies as usize])
        .expect("lists that are drawn without repetition, each other's mirror images")
}

fn draw_workers(random: &mut SplitMix, workers: u32, vacancies: u32, length: usize) -> Csr {
    let mut permutation: Vec<u32> = (0..vacancies).collect();
    let mut entries = Vec::with_capacity(workers as usize * length);
    for _ in 0..workers {
        for k in 0..length {
            let left = u64::from(vacancies) - k as u64;
            permutation.swap(k, k + random.below(left) as usize);
        }
        entries.extend_from_slice(&permutation[..length]);
    }
    Csr::of_equal(length, entries)
}

/// For each of `others`, who lists it, ascending.
fn transpose(lists: &Csr, others: u32) -> Csr {
    let mut starts = vec![0_u32; others as usize + 1];
    for other in lists.entries() {
        starts[*other as usize + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    let mut next = starts.clone();
    let mut entries = vec![0; lists.entries().len()];
    for owner in 0..lists.len() as u32 {
        for other in lists.at(owner) {
            let next = &mut next[*other as usize];
            entries[*next as usize] = owner;
            *next += 1;
        }
    }
    Csr::new(starts, entries).expect("starts that were counted")
}

/// `SplitMix64` (Steele, Lea and Flood, 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}
