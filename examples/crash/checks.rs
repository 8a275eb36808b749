//! The checkers of a run, over what was recorded since the last pause: nobody writes, every
//! write is answered, and every subscriber has seen the end.

use crate::ask::{Ask, Caused, Told, label};
use crate::checkers::place_of;
use crate::promises::{Checked, DURABLE, ONCE, WHOLE, broken};
use gale::proto::v1 as pb;
use gale::proto::v1::event::Detail;
use std::collections::{BTreeMap, BTreeSet};

/// A worker, as the stream and the acknowledged upserts have it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerModel {
    pub status: i32,
    pub label: String,
    pub vacancy: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct VacancyModel {
    pub status: i32,
    pub label: String,
}

/// A market's pools, from events and acknowledgements alone.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Its rounds start by themselves.
    pub continuous: bool,
    pub workers: BTreeMap<String, WorkerModel>,
    pub vacancies: BTreeMap<String, VacancyModel>,
    confirmed: BTreeSet<(String, String, i32)>,
    /// The last revision that was taken in.
    pub revision: u64,
    pub rounds_lost: u64,
}

/// What one revision did, by subject.
#[derive(Debug, Default)]
struct Done {
    workers: BTreeMap<String, i32>,
    vacancies: BTreeMap<String, i32>,
    confirmed: BTreeSet<(String, String, i32)>,
    placed: BTreeSet<(String, String)>,
    declined: BTreeSet<(String, String)>,
    rounds: BTreeSet<String>,
    /// It was not asked for: the market's own work, or how it was made.
    own: bool,
}

impl Model {
    pub fn new(continuous: bool) -> Self {
        Self { continuous, ..Self::default() }
    }

    /// Takes in the events after those known, with what was acknowledged meanwhile.
    pub fn follow(&mut self, events: &[pb::Event], told: Vec<(Ask, Told)>) -> Checked {
        let mut claims: BTreeMap<u64, Vec<(Ask, Told)>> = BTreeMap::new();
        for (ask, told) in told {
            claims.entry(told.revision).or_default().push((ask, told));
        }
        for events in events.chunk_by(|a, b| place_of(a).0 == place_of(b).0) {
            let revision = place_of(&events[0]).0;
            if revision != self.revision + 1 {
                return broken(DURABLE, format_args!("{revision} follows {}", self.revision));
            }
            let done = Done::of(events);
            let claims = claims.remove(&revision).unwrap_or_default();
            self.check(revision, &done, &claims)?;
            self.apply(events, &claims);
            self.revision = revision;
        }
        // Answers that changed nothing are of a revision that was there before.
        for (revision, claims) in claims {
            for (ask, told) in claims {
                if revision > self.revision || self.must_show(&ask, &told) {
                    let evidence = format!("{ask:?} was answered {told:?}, which is not there");
                    return broken(DURABLE, evidence);
                }
            }
        }
        Ok(())
    }

    fn has_placed(&self, worker: &str, vacancy: &str) -> bool {
        let placed = pb::WorkerStatus::Placed as i32;
        self.workers.get(worker).is_some_and(|w| w.status == placed && w.vacancy == vacancy)
    }

    /// Whether a write must have made the revision that it was answered with.
    fn must_show(&self, ask: &Ask, told: &Told) -> bool {
        match ask.caused(told) {
            Caused::Workers(workers) => !workers.is_empty(),
            Caused::Vacancies(vacancies) => !vacancies.is_empty(),
            Caused::Declined(pairs) => !pairs.is_empty(),
            Caused::Round(_) => true,
            Caused::Withdrawn(_) | Caused::Closed(_) | Caused::Confirmed(..) => false,
        }
    }

    fn check(&self, revision: u64, done: &Done, claims: &[(Ask, Told)]) -> Checked {
        let mut made = 0;
        let mut may_have = 0;
        for (ask, told) in claims {
            let evidence = || format!("{ask:?} was answered {told:?}, but there is {done:?}");
            let nothing = told.errors.len() == ask.len();
            match ask.caused(told) {
                _ if nothing => {}
                Caused::Workers(workers) => {
                    made += 1;
                    if !workers.keys().eq(done.workers.keys()) {
                        return broken(WHOLE, evidence());
                    }
                }
                Caused::Vacancies(vacancies) => {
                    made += 1;
                    if !vacancies.keys().eq(done.vacancies.keys()) {
                        return broken(WHOLE, evidence());
                    }
                }
                Caused::Round(round) => {
                    made += 1;
                    if !done.rounds.contains(&round) {
                        return broken(DURABLE, evidence());
                    }
                }
                Caused::Declined(pairs) => {
                    made += 1;
                    if pairs != done.declined {
                        return broken(WHOLE, evidence());
                    }
                }
                Caused::Withdrawn(ids) => {
                    may_have += 1;
                    let gone = pb::WorkerStatus::Withdrawn as i32;
                    let known =
                        |id: &String| self.workers.get(id).is_some_and(|w| w.status == gone);
                    if !ids.iter().all(|id| done.workers.get(id) == Some(&gone) || known(id)) {
                        return broken(WHOLE, evidence());
                    }
                }
                Caused::Closed(ids) => {
                    may_have += 1;
                    let gone = pb::VacancyStatus::Closed as i32;
                    let known =
                        |id: &String| self.vacancies.get(id).is_some_and(|v| v.status == gone);
                    if !ids.iter().all(|id| done.vacancies.get(id) == Some(&gone) || known(id)) {
                        return broken(WHOLE, evidence());
                    }
                }
                Caused::Confirmed(side, pairs) => {
                    may_have += 1;
                    let shown = |(w, v): &(String, String)| {
                        let key = (w.clone(), v.clone(), side);
                        done.confirmed.contains(&key)
                            || done.placed.contains(&(w.clone(), v.clone()))
                            || self.confirmed.contains(&key)
                            || self.has_placed(w, v)
                    };
                    let places = told.placed > 0 && done.placed.len() as u32 != told.placed;
                    if places || !pairs.iter().all(shown) {
                        return broken(WHOLE, evidence());
                    }
                }
            }
        }
        let own = done.own || self.continuous && !done.rounds.is_empty();
        if made > 1 || made + may_have == 0 && !own {
            let evidence = format!("revision {revision} is {done:?}, claimed by {claims:?}");
            return broken(ONCE, evidence);
        }
        Ok(())
    }

    fn apply(&mut self, events: &[pb::Event], claims: &[(Ask, Told)]) {
        use pb::EventKind as Kind;
        for event in events {
            match (&event.detail, event.kind()) {
                (Some(Detail::Worker(change)), _) => {
                    let worker = self.workers.entry(change.worker_id.clone()).or_default();
                    worker.status = change.status;
                    if change.status != pb::WorkerStatus::Matched as i32 {
                        worker.vacancy.clear();
                    }
                }
                (Some(Detail::Vacancy(change)), _) => {
                    let vacancy = self.vacancies.entry(change.vacancy_id.clone()).or_default();
                    vacancy.status = change.status;
                }
                (Some(Detail::Match(change)), kind) => {
                    let worker = self.workers.entry(change.worker_id.clone()).or_default();
                    match kind {
                        Kind::Matched | Kind::Placed => {
                            let placed = kind == Kind::Placed;
                            worker.status = match placed {
                                true => pb::WorkerStatus::Placed as i32,
                                false => pb::WorkerStatus::Matched as i32,
                            };
                            worker.vacancy.clone_from(&change.vacancy_id);
                        }
                        Kind::Displaced | Kind::Unmatched | Kind::Declined => {
                            worker.status = pb::WorkerStatus::Searching as i32;
                            worker.vacancy.clear();
                            self.confirmed.retain(|(w, ..)| *w != change.worker_id);
                        }
                        Kind::Confirmed => {
                            let (w, v) = (change.worker_id.clone(), change.vacancy_id.clone());
                            self.confirmed.insert((w, v, change.side));
                        }
                        _ => {}
                    }
                }
                (Some(Detail::Round(_)), Kind::RoundCancelled) => self.rounds_lost += 1,
                _ => {}
            }
        }
        for (ask, told) in claims {
            match ask.caused(told) {
                Caused::Workers(workers) => {
                    for (id, label) in workers {
                        self.workers.entry(id).or_default().label = label;
                    }
                }
                Caused::Vacancies(vacancies) => {
                    for (id, label) in vacancies {
                        self.vacancies.entry(id).or_default().label = label;
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether the server's pools are these.
    pub fn same(&self, workers: &[pb::WorkerRecord], vacancies: &[pb::VacancyRecord]) -> Checked {
        let listed: BTreeMap<String, WorkerModel> = workers
            .iter()
            .filter_map(|record| {
                let worker = record.worker.as_ref()?;
                let (status, vacancy) = (record.status, record.vacancy_id.clone());
                Some((
                    worker.id.clone(),
                    WorkerModel { status, label: label(&worker.labels), vacancy },
                ))
            })
            .collect();
        let listed_vacancies: BTreeMap<String, VacancyModel> = vacancies
            .iter()
            .filter_map(|record| {
                let vacancy = record.vacancy.as_ref()?;
                let (status, label) = (record.status, label(&vacancy.labels));
                Some((vacancy.id.clone(), VacancyModel { status, label }))
            })
            .collect();
        differing(&listed, &self.workers)?;
        differing(&listed_vacancies, &self.vacancies)
    }
}

fn differing<T: PartialEq + std::fmt::Debug>(
    listed: &BTreeMap<String, T>,
    model: &BTreeMap<String, T>,
) -> Checked {
    let ids: BTreeSet<&String> = listed.keys().chain(model.keys()).collect();
    match ids.into_iter().find(|id| listed.get(*id) != model.get(*id)) {
        None => Ok(()),
        Some(id) => {
            let evidence = format!(
                "{id} is listed as {:?}, acknowledged as {:?}",
                listed.get(id),
                model.get(id)
            );
            broken(DURABLE, evidence)
        }
    }
}

impl Done {
    fn of(events: &[pb::Event]) -> Self {
        use pb::EventKind as Kind;
        let mut done = Self::default();
        for event in events {
            match (&event.detail, event.kind()) {
                (Some(Detail::Worker(change)), _) => {
                    done.workers.insert(change.worker_id.clone(), change.status);
                }
                (Some(Detail::Vacancy(change)), _) => {
                    done.vacancies.insert(change.vacancy_id.clone(), change.status);
                }
                (Some(Detail::Match(change)), kind) => {
                    let pair = (change.worker_id.clone(), change.vacancy_id.clone());
                    match kind {
                        Kind::Confirmed => {
                            done.confirmed.insert((pair.0, pair.1, change.side));
                        }
                        Kind::Placed => {
                            done.placed.insert(pair);
                        }
                        Kind::Declined => {
                            done.declined.insert(pair);
                        }
                        _ => {}
                    }
                }
                (Some(Detail::Round(round)), kind) => {
                    done.rounds.insert(round.id.clone());
                    done.own |= kind != Kind::RoundStarted;
                }
                (Some(Detail::Market(_) | Detail::City(_)), _) => done.own = true,
                _ => {}
            }
        }
        done
    }
}
