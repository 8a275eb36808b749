//! Matches, vacancy by vacancy.

use crate::domain::{VacancySlot, WorkerSlot};

/// Matches for fewer vacancies than one in so many are sorted; more are counted, in a pass
/// over all vacancies.
const FEW: usize = 16;

/// Calls `each` with every vacancy of the matches, ascending, and its workers in the order
/// of the matches, which are ascending by worker. There may be a match for every second
/// worker of a market: each vacancy is looked up once.
pub(super) fn for_each_vacancy(
    made: &[(WorkerSlot, VacancySlot)],
    vacancies: usize,
    mut each: impl FnMut(VacancySlot, &[WorkerSlot]),
) {
    if made.len() < vacancies / FEW {
        let mut sorted: Vec<_> = made.iter().map(|(worker, v)| (*v, *worker)).collect();
        sorted.sort_unstable();
        for alike in sorted.chunk_by(|a, b| a.0 == b.0) {
            let workers: Vec<WorkerSlot> = alike.iter().map(|(_, worker)| *worker).collect();
            each(alike[0].0, &workers);
        }
        return;
    }
    let mut ends = vec![0_u32; vacancies];
    made.iter().for_each(|(_, vacancy)| ends[vacancy.at()] += 1);
    let mut sum = 0;
    for count in &mut ends {
        sum += *count;
        *count = sum - *count;
    }
    // Each count is now where its vacancy's workers start, and moves on to where they end.
    let mut workers = vec![WorkerSlot(0); made.len()];
    for (worker, vacancy) in made {
        let end = &mut ends[vacancy.at()];
        workers[*end as usize] = *worker;
        *end += 1;
    }
    let mut start = 0;
    for (at, end) in ends.into_iter().enumerate() {
        if end > start {
            each(VacancySlot::from_offset(at), &workers[start as usize..end as usize]);
        }
        start = end;
    }
}
