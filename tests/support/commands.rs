//! Random commands of every kind, sensible and not, on a small market with caps,
//! confirmations, deadlines and rounds that overlap with all of it.

use super::audit;
use super::draws::Random;
use super::held::Ledger;
use super::world::*;
use gale::domain::*;
use gale::state::*;
use std::sync::Arc;
use uuid::Uuid;

const WORKERS: u64 = 9;
const VACANCIES: u64 = 5;
pub const OPERATIONS: usize = 60;
pub const KINDS: u8 = 31;

impl Random {
    /// A number of somebody: mostly one that may exist.
    fn worker(&mut self) -> u64 {
        1 + self.below(WORKERS + 1)
    }

    fn vacancy(&mut self) -> u64 {
        1 + self.below(VACANCIES + 1)
    }

    fn side(&mut self) -> MatchSide {
        self.of(&[MatchSide::Worker, MatchSide::Employer])
    }

    fn deadline(&mut self, now: i64) -> Option<Millis> {
        self.one_in(4).then(|| Millis(now + self.below(5_000) as i64 - 500))
    }

    fn worker_spec(&mut self, now: i64) -> WorkerSpec {
        let expected = 40_000 + 5_000 * self.below(5) as i64;
        let skills = [skill("a"), skill("b")];
        let ranked = self.one_in(2);
        WorkerSpec {
            home_city: city_name(self.of(&[HOME, HOME, AWAY, ISLAND])),
            skills: skills.into_iter().map(|name| (name, 20 * self.below(6) as u8)).collect(),
            expected_salary: expected,
            reservation_salary: expected - 5_000 * self.below(3) as i64,
            mobility: match self.below(5) {
                0 => MobilitySpec::HomeOnly,
                1 => MobilitySpec::Listed(vec![city_name(AWAY)]),
                _ => MobilitySpec::Any,
            },
            cost_percent: self.of(&[100, 100, 0, 500]),
            ranking: ranked
                .then(|| (1..=VACANCIES).filter(|_| !self.one_in(3)).map(vacancy_id).collect()),
            deadline: self.deadline(now),
            ..worker(self.worker())
        }
    }

    fn vacancy_spec(&mut self, now: i64) -> VacancySpec {
        let ranked = self.one_in(2);
        VacancySpec {
            city: city_name(self.of(&[HOME, HOME, AWAY, ISLAND])),
            openings: self.of(&[0, 1, 1, 2, 2, 3]),
            salary: 35_000 + 5_000 * self.below(6) as i64,
            requirements: (0..self.below(2))
                .map(|_| RequirementSpec {
                    skill: skill(self.of(&["a", "b"])),
                    desired_level: 80,
                    weight: 1,
                    minimum_level: self.one_in(2).then_some(40),
                })
                .collect(),
            ranking: ranked
                .then(|| (1..=WORKERS).filter(|_| !self.one_in(3)).map(worker_id).collect()),
            target: self.of(&[0, 0, 1, 2]),
            deadline: self.deadline(now),
            ..vacancy(self.vacancy())
        }
    }

    /// Up to three pairs: mostly those that are matched.
    fn pairs(&mut self, view: &View) -> Vec<(WorkerId, VacancyId)> {
        let matched: Vec<_> = view
            .workers
            .iter()
            .filter_map(|row| Some((row.worker.id, view.vacancy(row.held?.vacancy).vacancy.id)))
            .collect();
        let mut pairs = Vec::new();
        for _ in 0..=self.below(3) {
            if matched.is_empty() || self.one_in(5) {
                pairs.push(pair((self.worker(), self.vacancy())));
            } else {
                pairs.push(self.of(&matched));
            }
        }
        pairs
    }

    fn cap(&mut self) -> Option<u64> {
        self.of(&[None, None, Some(0), Some(1), Some(2), Some(3)])
    }

    fn batch<T>(&mut self, items: Vec<T>) -> Batch<T> {
        Batch { atomic: self.one_in(6), ..batch(items) }
    }

    fn settings(&mut self, settings: &mut Settings) {
        match self.below(10) {
            0 => settings.proposing_side = self.of(&[Side::Worker, Side::Vacancy]),
            1 => settings.cap_order = self.of(&[CapOrder::Score, CapOrder::Targets]),
            2 => {
                settings.confirmations = self.of(&[Confirmations::Both, Confirmations::Either]);
            }
            3 => settings.clearing = self.of(&[Clearing::Manual, Clearing::Interval(2)]),
            4 => settings.fixed_move_cost = self.of(&[0, 6_000]),
            5 => settings.min_fit_bp = self.of(&[0, 3_000]),
            6 => settings.confirmation_window_seconds = self.of(&[0, 1, 2, 4]),
            7 => settings.place_after_seconds = self.of(&[0, 0, 1, 3]),
            8 => settings.confirm_after_rounds = self.of(&[0, 0, 1, 2, 3]),
            _ => settings.local_bonus_bp = self.of(&[0, 2_000]),
        }
    }
}

/// A case in progress: the market, and what a running round has found.
pub struct Case {
    pub world: World,
    found: Option<Clearance>,
    pub ledger: Ledger,
    pub keys: Vec<(RequestKey, Command, Arc<Outcome>)>,
}

impl Case {
    /// A market with some people and jobs in it, under random settings.
    pub fn new(seed: u64) -> Self {
        let choice = &mut Random(seed);
        let mut settings = Settings::default();
        (0..4).for_each(|_| choice.settings(&mut settings));
        if settings.check().is_err() {
            settings.proposing_side = Side::Worker;
            settings.place_after_seconds = 0;
        }
        let mut world = World::new(settings);
        let now = world.now;
        let specs: Vec<_> = (0..WORKERS).map(|_| choice.worker_spec(now)).collect();
        let _ = world.apply(upsert(specs));
        let specs: Vec<_> = (0..VACANCIES).map(|_| choice.vacancy_spec(now)).collect();
        let _ = world.apply(offer(specs));
        let capped = CitySpec { intake_cap: choice.cap(), ..city(HOME) };
        world.ok(Command::UpsertCities(batch([capped])));
        Self { world, found: None, ledger: Ledger::default(), keys: vec![] }
    }

    /// One operation: a command, or a few that belong together.
    pub fn operate(&mut self, kind: u8, detail: u64) {
        let mut choice = Random(detail);
        let now = self.world.now;
        let command = match kind {
            0..=2 => Command::UpsertWorkers {
                batch: {
                    let specs = (0..=choice.below(3)).map(|_| choice.worker_spec(now)).collect();
                    choice.batch(specs)
                },
                reopen: choice.one_in(2),
                made: None,
            },
            3 | 4 => Command::UpsertVacancies {
                batch: {
                    let specs = (0..=choice.below(2)).map(|_| choice.vacancy_spec(now)).collect();
                    choice.batch(specs)
                },
                made: None,
            },
            5 => withdraw((0..=choice.below(2)).map(|_| choice.worker())),
            6 => close([choice.vacancy()]),
            7..=9 => {
                let (side, pairs) = (choice.side(), choice.pairs(self.world.view()));
                Command::Confirm { side, batch: choice.batch(pairs) }
            }
            10 => {
                let (side, pairs) = (choice.side(), choice.pairs(self.world.view()));
                Command::Decline { side, batch: choice.batch(pairs) }
            }
            11 => Command::StartRound(self.world.next_round()),
            12 => match self.found.clone() {
                Some(found) => Command::Commit(found),
                None => Command::CancelRound(round_id(choice.below(9))),
            },
            13 => self.cancel(),
            14 | 26..=28 => {
                self.world.now += choice.below(2_500) as i64;
                Command::Tick(self.world.next_round())
            }
            15 => self.place(&mut choice),
            16 => self.world.settings_command(|settings| choice.settings(settings)),
            17 => return self.retry(&mut choice, now),
            18..=21 => return self.whole_round(),
            22..=25 => return self.both_confirm(&mut choice),
            _ => match self.fewer_openings(&mut choice) {
                Some(command) => command,
                None => return,
            },
        };
        self.apply(command);
    }

    fn cancel(&self) -> Command {
        let running = self.world.view().head.running_round();
        Command::CancelRound(running.map_or(round_id(1), |round| round.id))
    }

    /// A change of a place: its cap, its region, what moving costs.
    fn place(&mut self, choice: &mut Random) -> Command {
        match choice.below(3) {
            0 => Command::UpsertCities(batch([CitySpec {
                intake_cap: choice.cap(),
                region: choice.of(&[Some(PROVINCE), Some(COUNTRY), None]).map(region_name),
                cost_of_living: choice.of(&[1_000, 1_000, 1_300]),
                ..city(choice.of(&[HOME, AWAY, ISLAND, "new"]))
            }])),
            1 => Command::UpsertRegions(batch([RegionSpec {
                parent: choice.of(&[Some(PROVINCE), Some(COUNTRY), None]).map(region_name),
                intake_cap: choice.cap(),
                ..region(choice.of(&[PROVINCE, COUNTRY, "other"]))
            }])),
            _ => Command::SetMoveCosts(batch([MoveCostSpec {
                origin: city_name(HOME),
                destination: city_name(choice.of(&[AWAY, ISLAND, "nowhere"])),
                cost: choice.of(&[None, Some(9_000)]),
                subsidy: choice.of(&[0, 500]),
            }])),
        }
    }

    /// A command under a name, then the same again, then another under that name.
    fn retry(&mut self, choice: &mut Random, now: i64) {
        let id = RequestId(Uuid::from_u128(u128::from(choice.next())));
        let key = RequestKey { id, fingerprint: 1 };
        let command = upsert([choice.worker_spec(now)]);
        let Ok(first) = self.world.apply_as(Some(key), command.clone()) else { return };
        self.ledger.note(&self.world, &first);
        self.check();
        let again = self.world.apply_as(Some(key), command.clone()).expect("it went through once");
        assert!(again.effects.is_empty(), "a retry has no effects");
        assert_eq!(again.outcome, first.outcome, "a retry has the former answer");
        let other = RequestKey { fingerprint: 2, ..key };
        let refusal = self.world.apply_as(Some(other), command.clone()).unwrap_err();
        assert_eq!(refusal.0[0].reason, Reason::RequestIdReused);
        self.keys.push((key, command, first.outcome));
    }

    fn whole_round(&mut self) {
        if self.found.is_none() {
            let id = self.world.next_round();
            self.apply(Command::StartRound(id));
        }
        if let Some(found) = self.found.clone() {
            self.apply(Command::Commit(found));
        }
    }

    /// Fewer openings for a vacancy that is otherwise as it was.
    fn fewer_openings(&self, choice: &mut Random) -> Option<Command> {
        let full = |row: &&VacancyRow| !row.held.is_empty() && row.vacancy.openings > 1;
        let rows: Vec<_> = self.world.view().vacancies.iter().filter(full).collect();
        if rows.is_empty() {
            return None;
        }
        let row = choice.of(&rows);
        let number = (1..=VACANCIES).find(|n| vacancy_id(*n) == row.vacancy.id)?;
        let city = &self.world.view().head.geography.city(row.vacancy.city).id;
        Some(offer([VacancySpec {
            city: city.clone(),
            openings: row.vacancy.openings - 1,
            salary: row.vacancy.salary,
            ranking: row.vacancy.ranking.as_deref().map(Into::into),
            ..vacancy(number)
        }]))
    }

    /// Both sides confirm some matches, so that they are placed.
    fn both_confirm(&mut self, choice: &mut Random) {
        let pairs = choice.pairs(self.world.view());
        for side in [MatchSide::Employer, MatchSide::Worker] {
            self.apply(Command::Confirm { side, batch: batch(pairs.clone()) });
        }
    }

    fn apply(&mut self, command: Command) {
        let asked = std::env::var("GALE_SEED").is_ok().then(|| command.clone());
        let done = self.world.apply(command);
        if let Ok(done) = &done {
            self.ledger.note(&self.world, done);
        }
        if let Some(command) = asked {
            // One case is replayed: tell what happens in it.
            let said = done.map(|done| (done.words(), done.outcome.errors.len()));
            println!("{command:?}\n  -> {said:?}, {:?}", self.world.standing());
        }
        self.check();
        let running = self.world.view().head.running_round().map(|round| round.id);
        if self.found.as_ref().map(|found| found.round) != running {
            self.found = running.map(|_| self.world.work());
        }
    }

    /// What must hold after every command, beyond what [`World::apply`] asserts.
    fn check(&self) {
        audit::standing(self.world.view());
    }

    /// What the view does not show (names, deadlines, remembered outcomes) is asked for.
    pub fn probe(&self, other: &State) {
        let ask = |state: &State, command: Command, request| {
            let at = Millis(self.world.now + 1_000_000);
            format!("{:?}", state.decide(&Envelope { at, request, command }))
        };
        let mut commands = vec![
            (Command::Tick(round_id(999)), None),
            (withdraw(1..=WORKERS), None),
            (close(1..=VACANCIES), None),
            (upsert((1..=WORKERS).map(worker)), None),
        ];
        commands.extend(self.keys.iter().map(|(key, command, _)| (command.clone(), Some(*key))));
        for (command, request) in commands {
            let expected = ask(&self.world.state, command.clone(), request);
            assert_eq!(ask(other, command, request), expected);
        }
    }
}
