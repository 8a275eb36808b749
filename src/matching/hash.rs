//! One number for a whole matching, by which runs and machines are compared.

use crate::domain::{VacancyId, WorkerId};
use xxhash_rust::xxh3::Xxh3;

/// XXH3-64 over the id bytes (RFC 4122 order) of worker and vacancy of every pair,
/// held and placed, sorted by worker id. The order of `pairs` does not matter.
pub fn matching_hash(pairs: impl IntoIterator<Item = (WorkerId, VacancyId)>) -> u64 {
    let mut sorted: Vec<_> = pairs.into_iter().collect();
    sorted.sort_unstable();
    let mut hash = Xxh3::new();
    for (worker, vacancy) in sorted {
        hash.update(worker.bytes());
        hash.update(vacancy.bytes());
    }
    hash.digest()
}
