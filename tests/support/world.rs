//! A small market driven command by command, with everything that it did kept: three
//! cities in a forest of two regions, workers and vacancies by number.
//!
//! By default every worker would take every vacancy and the other way round, at the
//! same terms everywhere, so that a test changes only what it is about.

use super::audit;
use gale::domain::*;
use gale::events::{self, Event, MatchChange, MigrationChange};
use gale::matching::{self, Control};
use gale::preferences::Lottery;
use gale::state::*;
use std::sync::Arc;
use uuid::Uuid;

/// When the market is made.
pub const START: i64 = 1_700_000_000_000;

/// The city where everybody is unless the test says otherwise.
pub const HOME: &str = "home";
/// A city in the same country.
pub const AWAY: &str = "away";
/// A city in no region.
pub const ISLAND: &str = "island";
/// The region of [`HOME`], in [`COUNTRY`].
pub const PROVINCE: &str = "province";
/// The region of [`AWAY`], and around [`PROVINCE`].
pub const COUNTRY: &str = "country";

pub fn worker_id(number: u64) -> WorkerId {
    WorkerId(Uuid::from_u64_pair(0xA000_0000_0000_4000, 0x8000_0000_0000_0000 | number))
}

pub fn vacancy_id(number: u64) -> VacancyId {
    VacancyId(Uuid::from_u64_pair(0xB000_0000_0000_4000, 0x8000_0000_0000_0000 | number))
}

pub fn round_id(number: u64) -> RoundId {
    RoundId(Uuid::from_u64_pair(0xC000_0000_0000_4000, 0x8000_0000_0000_0000 | number))
}

fn number(id: Uuid) -> u64 {
    id.as_u64_pair().1 & 0xFFFF_FFFF
}

pub fn city_name(name: &str) -> CityName {
    CityName::parse("city", name).unwrap()
}

pub fn region_name(name: &str) -> RegionName {
    RegionName::parse("region", name).unwrap()
}

pub fn skill(name: &str) -> SkillName {
    SkillName::parse("skill", name).unwrap()
}

/// A worker at home who expects 50,000 and would work for 40,000.
pub fn worker(number: u64) -> WorkerSpec {
    WorkerSpec {
        id: worker_id(number),
        home_city: city_name(HOME),
        skills: vec![],
        expected_salary: 50_000,
        reservation_salary: 40_000,
        mobility: MobilitySpec::Any,
        cost_percent: 100,
        ranking: None,
        deadline: None,
        labels: Box::default(),
    }
}

/// A vacancy at home with one opening, which pays 60,000.
pub fn vacancy(number: u64) -> VacancySpec {
    VacancySpec {
        id: vacancy_id(number),
        city: city_name(HOME),
        employer: "".into(),
        title: "".into(),
        openings: 1,
        salary: 60_000,
        requirements: vec![],
        min_fit_bp: None,
        ranking: None,
        target: 0,
        deadline: None,
        labels: Box::default(),
    }
}

pub fn city(name: &str) -> CitySpec {
    let (region, longitude) = match name {
        HOME => (Some(PROVINCE), 0.0),
        AWAY => (Some(COUNTRY), 1.0),
        _ => (None, 20.0),
    };
    CitySpec {
        id: city_name(name),
        display_name: "".into(),
        region: region.map(region_name),
        latitude: 0.0,
        longitude,
        cost_of_living: 1_000,
        population: 0,
        intake_cap: None,
        move_subsidy: 0,
    }
}

pub fn region(name: &str) -> RegionSpec {
    RegionSpec {
        id: region_name(name),
        display_name: "".into(),
        parent: (name == PROVINCE).then(|| region_name(COUNTRY)),
        intake_cap: None,
    }
}

/// A batch whose items are numbered from 0.
pub fn batch<T>(items: impl IntoIterator<Item = T>) -> Batch<T> {
    Batch { items: (0..).zip(items).collect(), atomic: false }
}

/// The same, refused whole for one bad item.
pub fn atomic<T>(items: impl IntoIterator<Item = T>) -> Batch<T> {
    Batch { atomic: true, ..batch(items) }
}

pub fn upsert(workers: impl IntoIterator<Item = WorkerSpec>) -> Command {
    Command::UpsertWorkers { batch: batch(workers), reopen: false, made: None }
}

pub fn reopen(workers: impl IntoIterator<Item = WorkerSpec>) -> Command {
    Command::UpsertWorkers { batch: batch(workers), reopen: true, made: None }
}

pub fn offer(vacancies: impl IntoIterator<Item = VacancySpec>) -> Command {
    Command::UpsertVacancies { batch: batch(vacancies), made: None }
}

pub fn withdraw(workers: impl IntoIterator<Item = u64>) -> Command {
    Command::WithdrawWorkers(batch(workers.into_iter().map(worker_id)))
}

pub fn close(vacancies: impl IntoIterator<Item = u64>) -> Command {
    Command::CloseVacancies(batch(vacancies.into_iter().map(vacancy_id)))
}

pub fn confirm(side: MatchSide, pairs: impl IntoIterator<Item = (u64, u64)>) -> Command {
    Command::Confirm { side, batch: batch(pairs.into_iter().map(pair)) }
}

pub fn decline(side: MatchSide, pairs: impl IntoIterator<Item = (u64, u64)>) -> Command {
    Command::Decline { side, batch: batch(pairs.into_iter().map(pair)) }
}

pub fn pair((w, v): (u64, u64)) -> (WorkerId, VacancyId) {
    (worker_id(w), vacancy_id(v))
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub outcome: Arc<Outcome>,
    pub effects: Vec<Effect>,
    pub events: Vec<Event>,
}

impl Done {
    /// The events in words: see [`word`].
    pub fn words(&self) -> Vec<String> {
        self.events.iter().map(word).collect()
    }
}

/// An event in words, workers and vacancies by number: `MATCHED 1-1`.
pub fn word(event: &Event) -> String {
    let status = |text: String| text.to_uppercase();
    match event {
        Event::WorkerChanged { worker, status: now, previous, .. } => {
            let before = previous.map_or("NEW".into(), |s| status(format!("{s:?}")));
            format!("WORKER {} {before}>{}", number(worker.0), status(format!("{now:?}")))
        }
        Event::VacancyChanged { vacancy, status: now, previous, .. } => {
            let before = previous.map_or("NEW".into(), |s| status(format!("{s:?}")));
            format!("VACANCY {} {before}>{}", number(vacancy.0), status(format!("{now:?}")))
        }
        Event::Match(change, pairing) => {
            let change = match change {
                MatchChange::Matched => "MATCHED",
                MatchChange::Displaced => "DISPLACED",
                MatchChange::Unmatched => "UNMATCHED",
                MatchChange::Declined(MatchSide::Worker) => "DECLINED by worker",
                MatchChange::Declined(MatchSide::Employer) => "DECLINED by employer",
                MatchChange::Lapsed(None) => "LAPSED",
                MatchChange::Lapsed(Some(MatchSide::Worker)) => "LAPSED for the worker",
                MatchChange::Lapsed(Some(MatchSide::Employer)) => "LAPSED for the employer",
                MatchChange::Confirmed(MatchSide::Worker) => "CONFIRMED by worker",
                MatchChange::Confirmed(MatchSide::Employer) => "CONFIRMED by employer",
                MatchChange::Placed => "PLACED",
                MatchChange::Frozen => "PLACED by the market",
            };
            format!("{change} {}-{}", number(pairing.worker.0), number(pairing.vacancy.0))
        }
        Event::Migration(change, pairing, _) => {
            let change = match change {
                MigrationChange::Planned => "MIGRATION_PLANNED",
                MigrationChange::Cancelled => "MIGRATION_CANCELLED",
                MigrationChange::Migrated => "MIGRATED",
            };
            format!("{change} {}-{}", number(pairing.worker.0), number(pairing.vacancy.0))
        }
        Event::Round(round) => match round.state {
            RoundState::Running => "ROUND_STARTED".into(),
            RoundState::Cleared => "ROUND_CLEARED".into(),
            RoundState::Cancelled => "ROUND_CANCELLED".into(),
        },
        Event::MarketChanged { .. } => "MARKET_CHANGED".into(),
        Event::RegionChanged(_) => "REGION_CHANGED".into(),
        Event::CityChanged(..) => "CITY_CHANGED".into(),
        Event::MoveCostChanged { .. } => "MOVE_COST_CHANGED".into(),
    }
}

/// The market and everything that was done to it.
pub struct World {
    pub state: State,
    /// The time of the next command.
    pub now: i64,
    /// All commands, refused ones too.
    pub envelopes: Vec<Envelope>,
    /// All effects with their revisions: enough to recover from.
    pub journal: Vec<(Revision, Effect)>,
    /// The capacity that a recovery needs to know.
    pub capacity: Capacity,
    rounds: u64,
}

pub fn market_name() -> MarketName {
    MarketName::parse("id", "world").unwrap()
}

pub fn creation(settings: Settings, seed: u64) -> Creation {
    Creation {
        name: market_name(),
        display_name: "World".into(),
        incarnation: Incarnation(Uuid::from_u128(7)),
        settings,
        lottery: Lottery { seed },
        lottery_nonce: [1; 16],
    }
}

impl World {
    /// A market with three cities and nobody in them.
    pub fn new(settings: Settings) -> Self {
        let mut world = Self::bare(settings, Capacity::default());
        world.ok(Command::UpsertRegions(batch([COUNTRY, PROVINCE].map(region))));
        world.ok(Command::UpsertCities(batch([HOME, AWAY, ISLAND].map(city))));
        world
    }

    /// A market without places.
    pub fn bare(settings: Settings, capacity: Capacity) -> Self {
        let state = State::new(market_name(), capacity);
        let (envelopes, journal) = (vec![], vec![]);
        let mut world = Self { state, now: START, envelopes, journal, capacity, rounds: 0 };
        world.ok(Command::Create(creation(settings, 1)));
        world
    }

    /// A market in which these workers and vacancies have been cleared.
    pub fn cleared(
        settings: Settings,
        workers: impl IntoIterator<Item = WorkerSpec>,
        vacancies: impl IntoIterator<Item = VacancySpec>,
    ) -> Self {
        let mut world = Self::new(settings);
        world.ok(upsert(workers));
        world.ok(offer(vacancies));
        world.clear();
        world
    }

    /// One worker matched with one vacancy, both at home.
    pub fn matched() -> Self {
        Self::cleared(Settings::default(), [worker(1)], [vacancy(1)])
    }

    /// Applies a command; the state is audited after it.
    pub fn apply(&mut self, command: Command) -> Result<Done, Refusal> {
        self.apply_as(None, command)
    }

    /// Applies a command under a client's name for it.
    pub fn apply_as(
        &mut self,
        request: Option<RequestKey>,
        command: Command,
    ) -> Result<Done, Refusal> {
        let envelope = Envelope { at: Millis(self.now), request, command };
        let before = self.state.view().head.revision;
        self.envelopes.push(envelope.clone());
        let mut decision = self.state.decide(&envelope)?;
        decision.effects.extend(decision.remembrance());
        let mut events = Vec::new();
        for effect in &decision.effects {
            events::derive(self.state.view(), decision.revision, effect, &mut events);
            self.state.evolve(decision.revision, effect);
            self.journal.push((decision.revision, effect.clone()));
        }
        let takes = decision.effects.iter().any(Effect::takes_revision);
        let after = self.state.view().head.revision;
        assert_eq!(after.0, before.0 + u64::from(takes), "a revision is taken by effects alone");
        assert_eq!(events.is_empty(), !takes, "a revision has events, and only a revision has");
        audit::counts(self.state.view());
        Ok(Done { outcome: decision.outcome, effects: decision.effects, events })
    }

    /// Applies a command that must go through without errors.
    #[track_caller]
    pub fn ok(&mut self, command: Command) -> Done {
        match self.apply(command) {
            Ok(done) if done.outcome.errors.is_empty() => done,
            Ok(done) => panic!("refused items: {:?}", done.outcome.errors),
            Err(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    /// Applies a command with one item, which must be refused, leave no effect and say why.
    #[track_caller]
    pub fn refused_item(&mut self, command: Command) -> Violation {
        let done = self.apply(command).expect("the batch is not refused whole");
        assert!(done.effects.is_empty(), "a refused item leaves no effects: {:?}", done.effects);
        let [error] = &done.outcome.errors[..] else {
            panic!("one error, not {:?}", done.outcome.errors)
        };
        error.violation.clone()
    }

    /// Applies a command that must be refused whole.
    #[track_caller]
    pub fn refused(&mut self, command: Command) -> Vec<Violation> {
        let before = self.state.view().head.revision;
        let refusal = self.apply(command).expect_err("the command is refused");
        assert_eq!(self.state.view().head.revision, before);
        refusal.0
    }

    pub fn next_round(&mut self) -> RoundId {
        self.rounds += 1;
        round_id(self.rounds)
    }

    /// Starts a round and does its work on the snapshot; it is yet to be committed.
    #[track_caller]
    pub fn begin(&mut self) -> Clearance {
        let id = self.next_round();
        self.ok(Command::StartRound(id));
        self.work()
    }

    /// The work of the round that has just started.
    pub fn work(&self) -> Clearance {
        let round = self.state.view().head.running_round().expect("a round has started").id;
        let problem = self.state.view().problem();
        let side = self.state.view().head.settings.proposing_side;
        let cleared = matching::clear(&problem, side, &Control::default()).unwrap();
        let pairs = cleared
            .matching
            .pairs()
            .map(|(w, v)| (problem.workers[w as usize].slot, problem.vacancies[v as usize].slot));
        let pairs: Vec<_> = pairs.collect();
        let summary = Summary { matched: pairs.len() as u64, ..Summary::default() };
        Clearance { round, pairs, summary }
    }

    #[track_caller]
    pub fn commit(&mut self, clearance: Clearance) -> Done {
        self.ok(Command::Commit(clearance))
    }

    /// A whole round with nothing in between.
    #[track_caller]
    pub fn clear(&mut self) -> Done {
        let clearance = self.begin();
        let done = self.commit(clearance);
        audit::standing(self.state.view());
        done
    }

    /// Time passes.
    #[track_caller]
    pub fn tick(&mut self, millis: i64) -> Done {
        self.now += millis;
        let id = self.next_round();
        self.ok(Command::Tick(id))
    }

    pub fn view(&self) -> &View {
        self.state.view()
    }

    /// The worker's row.
    #[track_caller]
    pub fn w(&self, number: u64) -> &WorkerRow {
        self.view().worker(self.state.worker_slot(worker_id(number)).expect("the worker is known"))
    }

    /// The vacancy's row.
    #[track_caller]
    pub fn v(&self, number: u64) -> &VacancyRow {
        let slot = self.state.vacancy_slot(vacancy_id(number)).expect("the vacancy is known");
        self.view().vacancy(slot)
    }

    /// The vacancy that holds or has placed the worker.
    #[track_caller]
    pub fn job_of(&self, worker: u64) -> Option<u64> {
        let held = self.w(worker).held?;
        Some(number(self.view().vacancy(held.vacancy).vacancy.id.0))
    }

    pub fn standing(&self) -> Standing {
        self.view().head.standing()
    }

    pub fn counts(&self, city: &str) -> CityCounts {
        let ix = self.view().head.geography.city_named(city).expect("the city is known");
        *self.view().counts.get(ix.at())
    }

    /// Changes the market's settings.
    #[track_caller]
    pub fn settings(&mut self, change: impl FnOnce(&mut Settings)) -> Done {
        let command = self.settings_command(change);
        self.ok(command)
    }

    pub fn settings_command(&self, change: impl FnOnce(&mut Settings)) -> Command {
        let mut settings = (*self.view().head.settings).clone();
        change(&mut settings);
        Command::Update {
            display_name: None,
            changes: vec![SettingChange::All(settings)],
            expected: None,
        }
    }
}
