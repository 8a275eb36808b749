//! What an occupation is made of: the elements that set it apart, the skills its
//! people have, and what its jobs ask for by grade.

use super::noise::Noise;
use super::tables::{ELEMENTS, Occupation, Tables};

/// Most distinctive elements that a worker of the occupation has.
const DISTINCTIVE_OF_WORKER: usize = 14;
/// Most important elements that a worker of the occupation has besides.
const IMPORTANT_OF_WORKER: usize = 10;
/// Requirements of a vacancy, the most distinctive elements.
pub(super) const REQUIREMENTS: usize = 6;
/// Elements from which a vacancy that is varied takes its last requirements.
const SPARE: usize = 4;
/// Weights of the requirements, by rank.
const WEIGHTS: [u16; REQUIREMENTS] = [30, 25, 20, 15, 10, 10];
/// Requirements, from the first, with a mandatory minimum of 60% of the desired level.
const MANDATORY: usize = 2;
/// Standard deviation of the ability that all skills of a worker share, in levels.
const ABILITY_SD: f64 = 8.0;
/// Standard deviation of each skill around it, in levels.
const SKILL_SD: f64 = 8.0;

/// How senior a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grade {
    /// Asks for less than the occupation's level.
    Junior,
    /// Asks for about the occupation's level.
    Middle,
    /// Asks for more than the occupation's level.
    Senior,
}

impl Grade {
    /// 30% junior, 45% middle, 25% senior.
    pub(super) fn draw(noise: Noise, purpose: u32) -> Self {
        match noise.below(purpose, 100) {
            0..30 => Self::Junior,
            30..75 => Self::Middle,
            _ => Self::Senior,
        }
    }

    /// Desired level as a percentage of the occupation's level.
    fn percent(self) -> i32 {
        match self {
            Self::Junior => 89,
            Self::Middle => 101,
            Self::Senior => 111,
        }
    }

    /// Lowest quantile of the pay and the width of the range it is drawn from, in
    /// basis points.
    pub(super) fn pay_range_bp(self) -> (u32, u32) {
        match self {
            Self::Junior => (1_000, 3_000),
            Self::Middle => (2_500, 4_000),
            Self::Senior => (5_000, 3_500),
        }
    }
}

/// One thing a job asks for; `element` indexes [`Tables::elements`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) element: u8,
    pub(super) desired: u8,
    pub(super) weight: u16,
    pub(super) minimum: Option<u8>,
}

/// What the generator needs of one occupation.
#[derive(Clone, Debug)]
pub(super) struct Profile {
    /// Level of each element, 0..100: (importance - 1) / 4 * 100.
    level: [u8; ELEMENTS],
    /// Elements, the most distinctive first.
    distinctive: [u8; ELEMENTS],
    /// Elements that its workers have, ascending.
    of_worker: Vec<u8>,
}

impl Profile {
    /// The profiles of all occupations, by their index.
    pub(super) fn all(tables: &Tables) -> Vec<Self> {
        let (mean, sd) = moments(&tables.occupations);
        tables.occupations.iter().map(|occupation| Self::new(occupation, &mean, &sd)).collect()
    }

    fn new(occupation: &Occupation, mean: &[f64; ELEMENTS], sd: &[f64; ELEMENTS]) -> Self {
        let importance = &occupation.importance;
        let distinction = |element: usize| {
            let value = f64::from(importance[element]);
            (value - 100.0) * (value - mean[element]) / sd[element]
        };
        let mut distinctive: [u8; ELEMENTS] = std::array::from_fn(|i| i as u8);
        let mut important = distinctive;
        // Stable sorts: equal elements stay in the order of their ids.
        distinctive
            .sort_by(|a, b| distinction(usize::from(*b)).total_cmp(&distinction(usize::from(*a))));
        important.sort_by_key(|element| std::cmp::Reverse(importance[usize::from(*element)]));
        let mut of_worker: Vec<u8> = distinctive[..DISTINCTIVE_OF_WORKER].to_vec();
        of_worker.extend_from_slice(&important[..IMPORTANT_OF_WORKER]);
        of_worker.sort_unstable();
        of_worker.dedup();
        let level = std::array::from_fn(|i| ((importance[i] - 100 + 2) / 4) as u8);
        Self { level, distinctive, of_worker }
    }

    /// Skills of one worker of `ability` (a standard normal draw): the level of the
    /// profile, plus the ability, plus a draw for each skill.
    pub(super) fn skills(&self, ability: f64, noise: Noise, purpose: u32) -> Vec<(u8, u8)> {
        let mut skills = Vec::with_capacity(self.of_worker.len());
        for (pair, elements) in self.of_worker.chunks(2).enumerate() {
            let (first, second) = noise.normals(purpose + pair as u32);
            for (element, draw) in elements.iter().zip([first, second]) {
                let usual = f64::from(self.level[usize::from(*element)]);
                let level = libm::round(usual + ABILITY_SD * ability + SKILL_SD * draw);
                skills.push((*element, level.clamp(1.0, 100.0) as u8));
            }
        }
        skills
    }

    /// What every employer of this occupation and grade asks for.
    pub(super) fn template(&self, grade: Grade) -> [Ask; REQUIREMENTS] {
        std::array::from_fn(|rank| self.ask(rank, rank, grade, 0))
    }

    /// The template, varied by one employer: each desired level by up to 10 either
    /// way, and half the time the last requirement for a less distinctive element.
    pub(super) fn varied(&self, grade: Grade, noise: Noise, purpose: u32) -> [Ask; REQUIREMENTS] {
        std::array::from_fn(|rank| {
            let more = noise.below(purpose + rank as u32, 21) as i32 - 10;
            let swapped = noise.below(purpose + REQUIREMENTS as u32, 2 * SPARE as u64) as usize;
            let swaps = rank == REQUIREMENTS - 1 && swapped < SPARE;
            let from = if swaps { REQUIREMENTS + swapped } else { rank };
            self.ask(rank, from, grade, more)
        })
    }

    /// The requirement of `rank`, for the distinctive element number `from`.
    fn ask(&self, rank: usize, from: usize, grade: Grade, more: i32) -> Ask {
        let element = self.distinctive[from];
        let usual = i32::from(self.level[usize::from(element)]);
        let desired = ((usual * grade.percent() + 50) / 100 + more).clamp(5, 100) as u8;
        let minimum = (rank < MANDATORY).then_some((u16::from(desired) * 60 / 100) as u8);
        Ask { element, desired, weight: WEIGHTS[rank], minimum }
    }
}

/// Mean and standard deviation of each element's importance over all occupations.
fn moments(occupations: &[Occupation]) -> ([f64; ELEMENTS], [f64; ELEMENTS]) {
    let count = occupations.len() as f64;
    let average = |of: &dyn Fn(&Occupation) -> f64| occupations.iter().map(of).sum::<f64>() / count;
    let mean: [f64; ELEMENTS] =
        std::array::from_fn(|element| average(&|o| f64::from(o.importance[element])));
    let sd = std::array::from_fn(|element| {
        let squared = |o: &Occupation| {
            let difference = f64::from(o.importance[element]) - mean[element];
            difference * difference
        };
        libm::sqrt(average(&squared))
    });
    (mean, sd)
}
