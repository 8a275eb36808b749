//! Why a worker has the job they have, or none: one sentence first, then numbers.

use super::view::{CappedPlace, VacancyStatus, View, WorkerRow, WorkerStatus};
use crate::domain::{Mobility, Requirement, VacancySlot, WorkerSlot};
use crate::matching::{Binding, Cutoff, Matching, Problem, cutoffs};
use crate::preferences::Pair;
use std::collections::HashMap;

/// Why a worker and a vacancy are, or are not, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "documented in the API, whose words these are")]
pub enum Verdict {
    Matched,
    Placed,
    HasBetter,
    Outranked,
    CapFull,
    NoOpening,
    WouldNotMove,
    SalaryTooLow,
    SkillMissing,
    FitTooLow,
    AsksTooMuch,
    NotRanked,
    Declined,
    NotInPool,
    Pending,
    NothingAcceptable,
}

/// What must be beaten to get into a vacancy, in names.
#[derive(Clone, Debug, Default)]
pub struct Bar {
    /// What is full, if anything.
    pub binding: Option<Full>,
    /// Whether nobody gets in.
    pub closed: bool,
    /// Score to beat.
    pub score: i64,
    /// Whose place it is.
    pub worker: Option<WorkerSlot>,
}

/// What is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The vacancy's own openings.
    Openings,
    /// A capped city or region.
    Place(CappedPlace),
}

/// Cutoffs of a view, computed from its matching alone.
#[derive(Debug)]
pub struct Bars {
    problem: Problem,
    cutoffs: Vec<Cutoff>,
    numbers: HashMap<VacancySlot, u32>,
    places: Vec<CappedPlace>,
}

impl Bars {
    /// The cutoffs of the view's matching.
    pub fn of(view: &View) -> Self {
        let problem = view.problem();
        let numbers: HashMap<VacancySlot, u32> =
            (0..).zip(&problem.vacancies).map(|(n, post)| (post.slot, n)).collect();
        let held = |slot: WorkerSlot| {
            view.worker(slot).held.and_then(|held| numbers.get(&held.vacancy).copied())
        };
        let matching =
            Matching { vacancy_of: problem.workers.iter().map(|s| held(s.slot)).collect() };
        let cutoffs = cutoffs(&problem, &matching);
        Self { problem, cutoffs, numbers, places: view.capped_places() }
    }

    /// What must be beaten to get into an open vacancy.
    pub fn bar(&self, vacancy: VacancySlot) -> Bar {
        let Some(number) = self.numbers.get(&vacancy) else { return Bar::default() };
        let cutoff = self.cutoffs[*number as usize];
        let binding = cutoff.binding().map(|binding| match binding {
            Binding::Openings => Full::Openings,
            Binding::Set(set) => Full::Place(self.places[set as usize]),
        });
        match cutoff {
            Cutoff::Open => Bar::default(),
            Cutoff::Closed { .. } => Bar { binding, closed: true, ..Bar::default() },
            Cutoff::Key { score, worker, .. } => {
                let worker = self.problem.workers.get(worker as usize).map(|seeker| seeker.slot);
                Bar { binding, closed: false, score, worker }
            }
        }
    }
}

/// One pair explained.
#[derive(Clone, Debug)]
pub struct PairExplained {
    /// The vacancy.
    pub vacancy: VacancySlot,
    /// The pair's numbers.
    pub pair: Pair,
    /// What must be beaten to get in.
    pub bar: Bar,
    /// Why.
    pub verdict: Verdict,
    /// The same in one sentence.
    pub sentence: String,
}

/// A worker's situation explained.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The answer in one sentence.
    pub sentence: String,
    /// The same for programs.
    pub verdict: Verdict,
    /// The pair asked about, or the worker's match.
    pub pair: Option<PairExplained>,
    /// What the worker would rather have, best first.
    pub preferred: Vec<PairExplained>,
    /// Open vacancies that are acceptable on both sides.
    pub acceptable: u64,
}

/// Vacancies that an explanation lists.
const PREFERRED_MAX: usize = 10;

/// Explains one worker on a view, or one worker and one vacancy.
pub struct Explainer<'v> {
    view: &'v View,
    bars: Bars,
}

impl<'v> Explainer<'v> {
    /// An explainer of the view's matching.
    pub fn new(view: &'v View) -> Self {
        Self { view, bars: Bars::of(view) }
    }

    /// The worker's situation as a whole.
    pub fn worker(&self, slot: WorkerSlot) -> Explained {
        let row = self.view.worker(slot);
        let current = row.held.map(|held| self.pair(slot, held.vacancy));
        let mut acceptable = 0;
        let mut preferred = Vec::new();
        for (number, post) in self.bars.problem.vacancies.iter().enumerate() {
            let pair = self.view.head.terms().pair(&row.worker, &post.vacancy);
            if !pair.is_acceptable() || self.has_declined(row, post.slot) {
                continue;
            }
            acceptable += 1;
            let better = match row.held {
                None => true,
                Some(held) => self.prefers(row, post.slot, held.vacancy),
            };
            if better && row.status.in_pool() {
                preferred.push((std::cmp::Reverse(pair.value), number));
            }
        }
        preferred.sort_unstable();
        preferred.truncate(PREFERRED_MAX);
        let preferred: Vec<_> = preferred
            .into_iter()
            .map(|(_, number)| self.pair(slot, self.bars.problem.vacancies[number].slot))
            .collect();
        let (verdict, sentence) = self.situation(row, current.as_ref(), &preferred, acceptable);
        Explained { sentence, verdict, pair: current, preferred, acceptable }
    }

    fn situation(
        &self,
        row: &WorkerRow,
        current: Option<&PairExplained>,
        preferred: &[PairExplained],
        acceptable: u64,
    ) -> (Verdict, String) {
        if let Some(current) = current {
            let better = match preferred.first() {
                None => "no acceptable vacancy is better for them".to_owned(),
                Some(first) => format!("they would rather have {}", first.sentence),
            };
            return (current.verdict, format!("{}; {better}", current.sentence));
        }
        if !row.status.in_pool() {
            return (Verdict::NotInPool, format!("The worker is {}", status_word(row.status)));
        }
        match preferred.first() {
            Some(first) => (
                first.verdict,
                format!(
                    "Unmatched; of {acceptable} open vacancies acceptable on both sides they want most {}",
                    first.sentence
                ),
            ),
            None => (
                Verdict::NothingAcceptable,
                "Unmatched: no open vacancy is acceptable on both sides".to_owned(),
            ),
        }
    }

    /// One worker and one vacancy.
    pub fn pair(&self, worker: WorkerSlot, vacancy: VacancySlot) -> PairExplained {
        let (row, post) = (self.view.worker(worker), self.view.vacancy(vacancy));
        let pair = self.view.head.terms().pair(&row.worker, &post.vacancy);
        let bar = self.bars.bar(vacancy);
        let (verdict, why) = self.why(worker, vacancy, &pair, &bar);
        let title = if post.vacancy.title.is_empty() { "The job" } else { &post.vacancy.title };
        let city = self.city(post.vacancy.city);
        let sentence = format!("{title} in {city} ({} a year): {why}", money(post.vacancy.salary));
        PairExplained { vacancy, pair, bar, verdict, sentence }
    }

    fn why(
        &self,
        worker: WorkerSlot,
        vacancy: VacancySlot,
        pair: &Pair,
        bar: &Bar,
    ) -> (Verdict, String) {
        let (row, post) = (self.view.worker(worker), self.view.vacancy(vacancy));
        if let Some(held) = row.held.filter(|held| held.vacancy == vacancy) {
            let moved =
                if row.worker.home == post.vacancy.city { "at home" } else { "after a move" };
            let since = held.since;
            return match row.status {
                WorkerStatus::Placed => {
                    (Verdict::Placed, format!("placed {moved}, matched at revision {since}"))
                }
                _ => (
                    Verdict::Matched,
                    format!("matched {moved} with fit {} and score {}", pair.fit, pair.score),
                ),
            };
        }
        if !row.status.in_pool() {
            return (Verdict::NotInPool, format!("the worker is {}", status_word(row.status)));
        }
        if post.status != VacancyStatus::Open {
            return (Verdict::NotInPool, "the vacancy is not open".to_owned());
        }
        if self.has_declined(row, vacancy) {
            return (
                Verdict::Declined,
                "one side declined this match before, or let it lapse".to_owned(),
            );
        }
        if let Some(refused) = self.refused(row, vacancy, pair) {
            return refused;
        }
        if let Some(held) = row.held
            && !self.prefers(row, vacancy, held.vacancy)
        {
            return (Verdict::HasBetter, "the worker prefers the job they have".to_owned());
        }
        self.barred(worker, pair, bar)
    }

    /// Why one side does not accept, if so: the worker's reasons first.
    fn refused(
        &self,
        row: &WorkerRow,
        vacancy: VacancySlot,
        pair: &Pair,
    ) -> Option<(Verdict, String)> {
        let (worker, post) = (&row.worker, &self.view.vacancy(vacancy).vacancy);
        let (home, city) = (self.city(worker.home), self.city(post.city));
        if !pair.worker_accepts {
            if worker.ranking.is_some() {
                return Some((Verdict::NotRanked, "the worker's ranking leaves it out".to_owned()));
            }
            if !worker.would_live_in(post.city) {
                let scope = match worker.mobility {
                    Mobility::HomeOnly => "looks only at home".to_owned(),
                    _ => format!("would not move to {city}"),
                };
                return Some((Verdict::WouldNotMove, format!("the worker {scope}")));
            }
            let gap = money(pair.floor_salary - post.salary);
            let needed = if worker.home == post.city {
                "the worker's reservation salary".to_owned()
            } else {
                format!("what a move from {home} to {city} would need")
            };
            return Some((
                Verdict::SalaryTooLow,
                format!("salary {} is {gap} below {needed}", money(post.salary)),
            ));
        }
        if !pair.vacancy_accepts {
            return Some(self.vacancy_refuses(row, vacancy, pair));
        }
        None
    }

    fn vacancy_refuses(
        &self,
        row: &WorkerRow,
        vacancy: VacancySlot,
        pair: &Pair,
    ) -> (Verdict, String) {
        let post = &self.view.vacancy(vacancy).vacancy;
        if post.ranking.is_some() {
            return (Verdict::NotRanked, "the vacancy's ranking leaves the worker out".to_owned());
        }
        let too_low = |r: &&Requirement| {
            r.minimum_level.is_some_and(|least| row.worker.level(r.skill) < least)
        };
        if let Some(requirement) = post.requirements.iter().find(too_low) {
            let skill = &self.view.head.skills[requirement.skill.at()];
            let (level, least) =
                (row.worker.level(requirement.skill), requirement.minimum_level.unwrap_or(0));
            let sentence = match level {
                0 => format!("mandatory skill {skill} missing"),
                _ => format!("mandatory skill {skill} at {level}, at least {least} is required"),
            };
            return (Verdict::SkillMissing, sentence);
        }
        let min_fit = self.view.head.terms().min_fit(post);
        if pair.fit < min_fit {
            return (
                Verdict::FitTooLow,
                format!("fit {} is below the minimum of {min_fit}", pair.fit),
            );
        }
        let most = self.view.head.settings.max_shortfall_bp;
        (
            Verdict::AsksTooMuch,
            format!(
                "the worker would ask {} there, {} bp above the salary; at most {most} bp are accepted",
                money(pair.asking_salary),
                pair.shortfall_bp
            ),
        )
    }

    /// Why a pair that accept each other are not together: what is full.
    fn barred(&self, worker: WorkerSlot, pair: &Pair, bar: &Bar) -> (Verdict, String) {
        let pending = "nothing stands in the way: the next clearing will consider it";
        let Some(binding) = bar.binding else { return (Verdict::Pending, pending.to_owned()) };
        let place = match binding {
            Full::Openings => None,
            Full::Place(CappedPlace::City(ix)) => Some(format!("city {}", self.city(ix))),
            Full::Place(CappedPlace::Region(ix)) => {
                Some(format!("region {}", self.view.head.geography.region(ix).id))
            }
        };
        if bar.closed {
            let what = place.map_or("the vacancy has no opening left".to_owned(), |place| {
                format!("{place} has no room left under its intake cap")
            });
            let verdict =
                if binding == Full::Openings { Verdict::NoOpening } else { Verdict::CapFull };
            return (verdict, what);
        }
        let tie = if pair.score == bar.score { ", and the lottery decided the tie" } else { "" };
        if pair.score > bar.score || bar.worker == Some(worker) {
            return (Verdict::Pending, pending.to_owned());
        }
        match place {
            None => (
                Verdict::Outranked,
                format!("outranked: score {}, cutoff {}{tie}", pair.score, bar.score),
            ),
            Some(place) => (
                Verdict::CapFull,
                format!(
                    "{place} is at its intake cap and its weakest match scores {}, this worker {}{tie}",
                    bar.score, pair.score
                ),
            ),
        }
    }

    fn has_declined(&self, row: &WorkerRow, vacancy: VacancySlot) -> bool {
        row.declined.as_ref().is_some_and(|slots| slots.binary_search(&vacancy).is_ok())
    }

    /// Whether the worker would rather have `a` than `b`.
    fn prefers(&self, row: &WorkerRow, a: VacancySlot, b: VacancySlot) -> bool {
        let key = |slot: VacancySlot| {
            let vacancy = &self.view.vacancy(slot).vacancy;
            let value = self.view.head.terms().pair(&row.worker, vacancy).value;
            let draw = self.view.head.lottery.draw(vacancy.id.bytes());
            (std::cmp::Reverse(value), draw, *vacancy.id.bytes())
        };
        key(a) < key(b)
    }

    fn city(&self, ix: crate::domain::CityIx) -> &str {
        let city = self.view.head.geography.city(ix);
        if city.display_name.is_empty() { city.id.as_str() } else { &city.display_name }
    }
}

fn status_word(status: WorkerStatus) -> &'static str {
    match status {
        WorkerStatus::Searching => "searching",
        WorkerStatus::Matched => "matched",
        WorkerStatus::Placed => "placed",
        WorkerStatus::Withdrawn => "withdrawn",
        WorkerStatus::Expired => "expired",
    }
}

/// A whole number with thousands separated, as people read money.
fn money(amount: i64) -> String {
    let digits = amount.unsigned_abs().to_string();
    let mut text = String::from(if amount < 0 { "-" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
