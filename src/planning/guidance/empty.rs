//! Openings that stay empty, and of which of them it is certain.
//!
//! The rural hospital theorem (Roth 1986): without caps every stable matching fills the same
//! openings of every vacancy. So an opening that one stable matching leaves empty no rule
//! fills that respects what both sides accept and prefer. With caps (`SCORE`) the theorem
//! holds for what is then the hospital: a capped place that lies in no other, taken as a
//! whole (the choice between its offers is substitutable and takes no fewer out of more:
//! Hatfield and Milgrom 2005). Which vacancies inside are filled may differ between stable
//! matchings, and so may the cities inside a capped region.

use super::Outcome;

/// What becomes of one city's openings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CityFill {
    /// Openings that are not placed.
    pub openings: u64,
    /// Of them, filled without guidance, in every stable outcome.
    pub unguided: u64,
    /// Of them, filled with it.
    pub guided: u64,
    /// Whether [`Self::guided`] is so in every stable outcome with these caps and
    /// subsidies, or only known of this one.
    pub certain: bool,
}

impl CityFill {
    /// Openings that stay empty without guidance, in every stable outcome.
    pub fn empty_unguided(&self) -> u64 {
        self.openings - self.unguided
    }

    /// Openings that stay empty with it.
    pub fn empty_guided(&self) -> u64 {
        self.openings - self.guided
    }

    /// The notice for a planner, about the city of that name.
    pub fn sentence(&self, city: &str) -> String {
        let Self { openings, certain, .. } = self;
        let (empty, before) = (self.empty_guided(), self.empty_unguided());
        if *openings == 0 {
            return format!("{city} has no opening.");
        }
        let alone = match before {
            0 => format!("Left alone, all {openings} openings of {city} are filled"),
            _ => format!(
                "Left alone, {before} of the {openings} openings of {city} stay empty in every \
                 stable outcome: no way of matching fills them that respects what workers and \
                 employers accept and prefer"
            ),
        };
        let scope = match certain {
            true => "in every stable outcome under these caps and subsidies",
            false => "in this outcome; others that are stable under these caps may differ",
        };
        format!("{alone}. With guidance {empty} stay empty, {scope}.")
    }
}

/// What becomes of the openings of every city, by city index.
pub fn fills(unguided: &Outcome, guided: &Outcome) -> Vec<CityFill> {
    let problem = &guided.problem;
    let cities = problem.geography.cities.len();
    let mut fills: Vec<CityFill> = (0..cities)
        .map(|city| CityFill { certain: is_certain(guided, city), ..CityFill::default() })
        .collect();
    let (before, after) = (unguided.fill(), guided.fill());
    for (v, post) in problem.vacancies.iter().enumerate() {
        let fill = &mut fills[post.vacancy.city.at()];
        fill.openings += u64::from(post.openings);
        fill.unguided += u64::from(before[v]);
        fill.guided += u64::from(after[v]);
    }
    fills
}

/// Whether every stable matching fills as many of the city's openings: it lies under no cap,
/// or the outermost cap above it is about this city alone.
fn is_certain(outcome: &Outcome, city: usize) -> bool {
    let problem = &outcome.problem;
    let outermost = |city: usize| {
        let up = |set: &u32| problem.sets[*set as usize].parent;
        std::iter::successors(problem.set_of_city[city], up).last()
    };
    match outermost(city) {
        None => true,
        Some(_) if problem.by_targets() => false,
        Some(set) => (0..problem.set_of_city.len()).all(|c| c == city || outermost(c) != Some(set)),
    }
}
