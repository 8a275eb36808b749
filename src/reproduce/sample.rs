//! Samples: as many draws as asked for, by several threads, and their mean with its error.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Mean of a sample and how far off it may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// The mean.
    pub(super) mean: f64,
    /// Standard deviation of one draw.
    pub(super) deviation: f64,
    /// Draws.
    pub(super) draws: u32,
}

impl Sample {
    pub(super) fn of(numbers: impl Iterator<Item = f64> + Clone) -> Self {
        let draws = numbers.clone().count();
        let mean = numbers.clone().sum::<f64>() / draws as f64;
        let squares: f64 = numbers.map(|number| (number - mean) * (number - mean)).sum();
        let deviation = libm::sqrt(squares / (draws as f64 - 1.0));
        Self { mean, deviation, draws: draws as u32 }
    }

    /// Three standard errors of the mean.
    pub(super) fn three_errors(&self) -> f64 {
        3.0 * self.deviation / libm::sqrt(f64::from(self.draws))
    }

    /// Three standard errors of the difference to the mean of `others` draws of the same
    /// thing by another program.
    pub(super) fn three_errors_beside(&self, others: u32) -> f64 {
        3.0 * self.deviation * libm::sqrt(1.0 / f64::from(self.draws) + 1.0 / f64::from(others))
    }
}

/// Draws `count` times and returns what came of each, in order, whatever the threads.
pub(super) fn draw<T: Send>(
    count: u32,
    threads: usize,
    cleared: &(dyn Fn() + Sync),
    one: impl Fn(u32) -> T + Sync,
) -> Vec<T> {
    let next = AtomicU32::new(0);
    let work = || {
        let mut mine = Vec::new();
        loop {
            let number = next.fetch_add(1, Relaxed);
            if number >= count {
                return mine;
            }
            mine.push((number, one(number)));
            cleared();
        }
    };
    let mut all: Vec<(u32, T)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| match thread.join() {
                Ok(mine) => mine,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, result)| result).collect()
}
