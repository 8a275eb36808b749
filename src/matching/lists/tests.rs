//! The fast solver against one that anybody can check by reading it.

use super::*;
use std::collections::HashSet;

/// SplitMix64, as in the benchmark's instances.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((u128::from(z ^ (z >> 31)) * n as u128) >> 64) as usize
    }

    fn order(&mut self, n: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..n as u32).collect();
        for k in (1..n).rev() {
            order.swap(k, self.below(k + 1));
        }
        order
    }
}

/// Lists as people write them.
#[derive(Clone, Debug)]
struct Plain {
    workers: Vec<Vec<u32>>,
    vacancies: Vec<Vec<u32>>,
    openings: Vec<u32>,
}

impl Plain {
    fn lists(&self) -> Lists {
        let (workers, vacancies) = (Csr::of(&self.workers), Csr::of(&self.vacancies));
        Lists::new(workers.unwrap(), vacancies.unwrap(), self.openings.clone()).unwrap()
    }

    /// Where `whom` stands on a list.
    fn rank(list: &[u32], whom: u32) -> Option<usize> {
        list.iter().position(|entry| *entry == whom)
    }

    /// Worker-proposing, one at a time, and how often somebody asked.
    fn by_workers(&self) -> (Vec<u32>, u64) {
        let mut held = vec![Vec::<u32>::new(); self.vacancies.len()];
        let mut next = vec![0; self.workers.len()];
        let mut asked = 0;
        let mut free: Vec<u32> = (0..self.workers.len() as u32).collect();
        while let Some(w) = free.pop() {
            let Some(v) = self.workers[w as usize].get(next[w as usize]) else { continue };
            next[w as usize] += 1;
            asked += 1;
            let (list, held) = (&self.vacancies[*v as usize], &mut held[*v as usize]);
            if Self::rank(list, w).is_none() {
                free.push(w);
                continue;
            }
            held.push(w);
            held.sort_by_key(|w| Self::rank(list, *w));
            if held.len() > self.openings[*v as usize] as usize {
                free.extend(held.pop());
            }
        }
        (matching(&held, self.workers.len()), asked)
    }

    /// Vacancy-proposing: the other end of the stable matchings.
    fn by_vacancies(&self) -> Vec<u32> {
        let mut held = vec![Vec::<u32>::new(); self.vacancies.len()];
        let mut next = vec![0; self.vacancies.len()];
        let mut asking = true;
        while asking {
            asking = false;
            for v in 0..self.vacancies.len() {
                if held[v].len() >= self.openings[v] as usize {
                    continue;
                }
                let Some(w) = self.vacancies[v].get(next[v]) else { continue };
                next[v] += 1;
                asking = true;
                let list = &self.workers[*w as usize];
                let Some(rank) = Self::rank(list, v as u32) else { continue };
                let now = (0..held.len()).find(|other| held[*other].contains(w));
                if now.is_some_and(|now| Self::rank(list, now as u32) <= Some(rank)) {
                    continue;
                }
                if let Some(now) = now {
                    held[now].retain(|other| other != w);
                }
                held[v].push(*w);
            }
        }
        matching(&held, self.workers.len())
    }

    /// Complete lists in no order: matchings that are stable abound.
    fn complete(random: &mut Random) -> Self {
        let n = 2 + random.below(7);
        let openings: Vec<u32> = (0..n).map(|_| 1 + random.below(2) as u32).collect();
        let workers = openings.iter().sum::<u32>() as usize;
        Self {
            workers: (0..workers).map(|_| random.order(n)).collect(),
            vacancies: (0..n).map(|_| random.order(workers)).collect(),
            openings,
        }
    }

    /// Lists of any length, not each other's mirror images, with repetitions, beside
    /// vacancies without openings and with more than anybody asks for.
    fn ragged(random: &mut Random, workers_max: usize, vacancies_max: usize) -> Self {
        let (workers, vacancies) = (1 + random.below(workers_max), 1 + random.below(vacancies_max));
        let mut list = |others: usize| {
            let mut list = random.order(others);
            list.truncate(random.below(others + 1));
            if !list.is_empty() && random.below(4) == 0 {
                list.push(list[random.below(list.len())]);
            }
            list
        };
        let lists_of_workers = (0..workers).map(|_| list(vacancies)).collect();
        let lists_of_vacancies = (0..vacancies).map(|_| list(workers)).collect();
        Self {
            workers: lists_of_workers,
            vacancies: lists_of_vacancies,
            openings: (0..vacancies).map(|_| random.below(5) as u32).collect(),
        }
    }
}

fn matching(held: &[Vec<u32>], workers: usize) -> Vec<u32> {
    let mut vacancy_of = vec![UNMATCHED; workers];
    for (v, held) in held.iter().enumerate() {
        held.iter().for_each(|w| vacancy_of[*w as usize] = v as u32);
    }
    vacancy_of
}

fn solved(lists: &Lists, threads: usize) -> Solution {
    solve(lists, &Ranks::of(lists, threads))
}

fn agrees(plain: &Plain, threads: usize) -> Vec<u32> {
    let (vacancy_of, proposals) = plain.by_workers();
    let solution = solved(&plain.lists(), threads);
    assert_eq!(solution, Solution { vacancy_of, proposals }, "{plain:?}");
    solution.vacancy_of
}

/// Goal: the matching and the number of proposals are the textbook's. Method: thousands of
/// small problems of which at least a third have several stable matchings, so that the
/// worker-optimal one is told from the others.
#[test]
fn small_problems_are_solved_as_by_the_book() {
    let mut random = Random(1);
    let mut several = 0;
    for case in 0..6_000 {
        let plain = match case % 3 {
            0 => Plain::ragged(&mut random, 9, 9),
            _ => Plain::complete(&mut random),
        };
        let optimal = agrees(&plain, 1 + case % 2);
        several += usize::from(optimal != plain.by_vacancies());
    }
    assert!(several >= 2_000, "{several} of 6000 have several stable matchings");
}

/// Goal: lists that are sorted before they are searched, and seats of many words, are no
/// different; neither are buckets of few workers.
#[test]
fn long_lists_are_solved_as_by_the_book() {
    let mut random = Random(2);
    for case in 0..150 {
        agrees(&Plain::ragged(&mut random, 300, 20), 1 + case % 3);
        agrees(&Plain::ragged(&mut random, 40, 300), 1 + case % 3);
    }
}

/// Goal: the ranks, and so the solution, are the same for any number of threads.
#[test]
fn threads_change_nothing() {
    let lists = Instance { workers: 5_000, vacancies: 700, ..INSTANCES[0] }.lists();
    let one = Ranks::of(&lists, 1);
    for threads in [0, 2, 3, 8] {
        assert_eq!(Ranks::of(&lists, threads), one, "{threads} threads");
    }
    let nobody = Lists::new(Csr::of(&[]).unwrap(), Csr::of(&[]).unwrap(), Vec::new()).unwrap();
    assert_eq!(solved(&nobody, 4), Solution { vacancy_of: Vec::new(), proposals: 0 });
}

/// Goal: the published instances are generated by their rule and solved exactly.
#[test]
fn published_instances_have_their_known_matching() {
    for (name, proposals) in [('a', 1_757), ('b', 24_682)] {
        let instance = Instance::named(name).unwrap();
        let solution = solved(&instance.lists(), 2);
        assert_eq!(solution.fnv1a64(), instance.fnv1a64, "{name}");
        assert_eq!(solution.proposals, proposals, "{name}");
    }
    let names: HashSet<char> = INSTANCES.iter().map(|instance| instance.name).collect();
    assert_eq!(names.len(), INSTANCES.len());
}

/// Goal: what is no problem is refused with the reason.
#[test]
fn malformed_lists_are_refused() {
    assert_eq!(Csr::new(Vec::new(), Vec::new()), Err(Malformed::Starts));
    assert_eq!(Csr::new(vec![0, 2, 1], vec![0]), Err(Malformed::Starts));
    assert_eq!(Csr::new(vec![0, 1], vec![0, 0]), Err(Malformed::Starts));
    let csr = |lists: &[&[u32]]| Csr::of(&lists.iter().map(|l| l.to_vec()).collect::<Vec<_>>());
    let workers = csr(&[&[], &[0, 1]]).unwrap();
    let unknown = Lists::new(workers.clone(), csr(&[&[]]).unwrap(), vec![1]);
    assert_eq!(unknown, Err(Malformed::Unknown { owner: 1, id: 1 }));
    let openings = Lists::new(workers, csr(&[&[], &[1]]).unwrap(), vec![1]);
    assert_eq!(openings, Err(Malformed::Openings { given: 1, vacancies: 2 }));
}
