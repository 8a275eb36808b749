//! Domain types become protocol buffers.

use super::status::{clip, item_code, reason};
use crate::domain::{
    CapOrder, City, CityIx, Clearing, Confirmations, Geography, Millis, Mobility, MoveCost,
    Promise, Region, Settings, SharedLabels, Side, Vacancy, Worker,
};
use crate::events::{Event, Kind, MatchChange, Pairing, Position};
use crate::market::{Market, PublishedVacancy, PublishedWorker};
use crate::proto::v1 as pb;
use crate::state::{
    CityCounts, Head, ItemError, MatchSide, Outcome, Round, RoundState, Standing, Summary,
    VacancyRow, VacancyStatus, View, WorkerRow, WorkerStatus,
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Why one item of a batch was refused.
pub fn item_error(error: &ItemError) -> pb::ItemError {
    pb::ItemError {
        index: error.index,
        id: clip(&error.id),
        code: item_code(&error.violation) as i32,
        reason: reason(error.violation.reason) as i32,
        field: clip(&error.violation.field),
        message: clip(&error.violation.message),
    }
}

/// A moment.
pub fn timestamp(at: Millis) -> pbjson_types::Timestamp {
    pbjson_types::Timestamp {
        seconds: at.0.div_euclid(1_000),
        nanos: (at.0.rem_euclid(1_000) * 1_000_000) as i32,
    }
}

/// A market. The lottery's seed is shown from the first round on.
pub fn market(head: &Head) -> pb::Market {
    let revealed = head.lottery_revealed();
    let mut commitment = Sha256::new();
    commitment.update(head.lottery_nonce);
    commitment.update(head.lottery.seed.to_be_bytes());
    let seed = revealed.then_some(head.lottery.seed);
    pb::Market {
        id: head.name.to_string(),
        display_name: head.display_name.to_string(),
        settings: Some(settings(&head.settings, seed)),
        incarnation: head.incarnation.to_string(),
        status: Some(market_status(head)),
        lottery_commitment: hex(&commitment.finalize()),
        lottery_nonce: if revealed { hex(&head.lottery_nonce) } else { String::new() },
        created_time: Some(timestamp(head.created)),
    }
}

fn matching_state(standing: Standing) -> (pb::MatchingState, u64) {
    match standing {
        Standing::WorkerOptimal => (pb::MatchingState::WorkerOptimal, 0),
        Standing::Stable => (pb::MatchingState::Stable, 0),
        Standing::Pending(changes) => (pb::MatchingState::Pending, changes),
    }
}

/// What a command has left behind.
pub fn settlement(outcome: &Outcome) -> pb::Settlement {
    let (state, pending_changes) = matching_state(outcome.standing);
    let (displaced, improved) = (outcome.displaced, outcome.improved);
    pb::Settlement { state: state as i32, pending_changes, displaced, improved }
}

fn market_status(head: &Head) -> pb::MarketStatus {
    let (state, pending_changes) = matching_state(head.standing());
    pb::MarketStatus {
        state: state as i32,
        pending_changes,
        revision: head.revision.0,
        last_round_id: head.last_cleared().map(|round| round.id.to_string()).unwrap_or_default(),
        running_round_id: head
            .running_round()
            .map(|round| round.id.to_string())
            .unwrap_or_default(),
        workers: head.totals.workers,
        vacancies: head.totals.vacancies,
        openings: head.totals.openings,
        matched: head.totals.matched,
        placed: head.totals.placed,
        cities: head.geography.cities.len() as u64,
        skills: head.skills.len() as u64,
    }
}

/// Settings, with the lottery's seed where it may be seen.
pub fn settings(settings: &Settings, lottery_seed: Option<u64>) -> pb::Settings {
    pb::Settings {
        currency: settings.currency.to_string(),
        proposing_side: side(settings.proposing_side) as i32,
        clearing: Some(clearing(settings.clearing)),
        cap_order: cap_order(settings.cap_order) as i32,
        lottery_seed,
        fixed_move_cost: settings.fixed_move_cost,
        move_cost_per_km: settings.move_cost_per_km,
        horizon_years: Some(u32::from(settings.horizon_years)),
        confirmations: match settings.confirmations {
            Confirmations::Both => pb::Confirmations::Both,
            Confirmations::Either => pb::Confirmations::Either,
        } as i32,
        fit_value: settings.fit_value,
        shortfall_weight_bp: Some(settings.shortfall_weight_bp),
        max_shortfall_bp: Some(settings.max_shortfall_bp),
        min_fit_bp: Some(settings.min_fit_bp),
        local_bonus_bp: settings.local_bonus_bp,
        confirmation_window_seconds: settings.confirmation_window_seconds,
        confirm_after_rounds: settings.confirm_after_rounds,
        place_after_seconds: settings.place_after_seconds,
    }
}

fn clearing(clearing: Clearing) -> pb::Clearing {
    let none = pb::Promise::Unspecified;
    let (mode, interval_seconds, promise) = match clearing {
        Clearing::Manual => (pb::clearing::Mode::Manual, 0, none),
        Clearing::Interval(seconds) => (pb::clearing::Mode::Interval, seconds, none),
        Clearing::Continuous(promise) => {
            let promise = match promise {
                Promise::Stable => pb::Promise::Stable,
                Promise::WorkerOptimal => pb::Promise::WorkerOptimal,
            };
            (pb::clearing::Mode::Continuous, 0, promise)
        }
    };
    pb::Clearing { mode: mode as i32, interval_seconds, promise: promise as i32 }
}

fn side(side: Side) -> pb::ProposingSide {
    match side {
        Side::Worker => pb::ProposingSide::Worker,
        Side::Vacancy => pb::ProposingSide::Vacancy,
    }
}

fn cap_order(order: CapOrder) -> pb::CapOrder {
    match order {
        CapOrder::Score => pb::CapOrder::Score,
        CapOrder::Targets => pb::CapOrder::Targets,
    }
}

/// A region.
pub fn region(region: &Region, geography: &Geography) -> pb::Region {
    pb::Region {
        id: region.id.to_string(),
        display_name: region.display_name.to_string(),
        parent: region.parent.map(|ix| geography.region(ix).id.to_string()).unwrap_or_default(),
        intake_cap: region.intake_cap,
    }
}

/// A city.
pub fn city(city: &City, geography: &Geography) -> pb::City {
    pb::City {
        id: city.id.to_string(),
        display_name: city.display_name.to_string(),
        region: city.region.map(|ix| geography.region(ix).id.to_string()).unwrap_or_default(),
        latitude: city.latitude,
        longitude: city.longitude,
        cost_of_living: u32::try_from(city.cost_of_living).ok(),
        population: city.population,
        intake_cap: city.intake_cap,
        move_subsidy: city.move_subsidy,
    }
}

/// An override of the cost of moving.
pub fn move_cost(
    origin: CityIx,
    destination: CityIx,
    cost: Option<MoveCost>,
    geography: &Geography,
) -> pb::MoveCost {
    let cost = cost.unwrap_or_default();
    pb::MoveCost {
        origin: city_name(geography, origin),
        destination: city_name(geography, destination),
        cost: cost.cost,
        subsidy: cost.subsidy,
    }
}

/// A city's name.
pub fn city_name(geography: &Geography, ix: CityIx) -> String {
    geography.city(ix).id.to_string()
}

/// A worker.
pub fn worker(worker: &Worker, head: &Head) -> pb::Worker {
    use pb::mobility::Scope;
    let (scope, cities) = match &worker.mobility {
        Mobility::Any => (Scope::Any, Vec::new()),
        Mobility::HomeOnly => (Scope::HomeOnly, Vec::new()),
        Mobility::Listed(cities) => {
            (Scope::Listed, cities.iter().map(|ix| city_name(&head.geography, *ix)).collect())
        }
    };
    let skills = worker.skills.iter().map(|entry| pb::Skill {
        skill: head.skills[entry.skill.at()].to_string(),
        level: u32::from(entry.level),
    });
    pb::Worker {
        id: worker.id.to_string(),
        home_city: city_name(&head.geography, worker.home),
        skills: skills.collect(),
        expected_salary: worker.expected_salary,
        reservation_salary: Some(worker.reservation_salary),
        mobility: Some(pb::Mobility {
            scope: scope as i32,
            cities,
            cost_percent: Some(u32::from(worker.cost_percent)),
        }),
        ranking: worker.ranking.as_deref().map(ranking),
        deadline: worker.deadline.map(timestamp),
        labels: labels(&worker.labels),
    }
}

/// A vacancy.
pub fn vacancy(vacancy: &Vacancy, head: &Head) -> pb::Vacancy {
    let requirements = vacancy.requirements.iter().map(|requirement| pb::Requirement {
        skill: head.skills[requirement.skill.at()].to_string(),
        desired_level: u32::from(requirement.desired_level),
        weight: u32::from(requirement.weight),
        minimum_level: requirement.minimum_level.map(u32::from),
    });
    pb::Vacancy {
        id: vacancy.id.to_string(),
        city: city_name(&head.geography, vacancy.city),
        employer: vacancy.employer.to_string(),
        title: vacancy.title.to_string(),
        openings: vacancy.openings,
        salary: vacancy.salary,
        requirements: requirements.collect(),
        min_fit_bp: vacancy.min_fit_bp,
        ranking: vacancy.ranking.as_deref().map(ranking),
        target: Some(vacancy.target),
        deadline: vacancy.deadline.map(timestamp),
        labels: labels(&vacancy.labels),
    }
}

fn ranking<T: ToString>(ids: &[T]) -> pb::Ranking {
    pb::Ranking { ids: ids.iter().map(ToString::to_string).collect() }
}

fn labels(labels: &SharedLabels) -> BTreeMap<String, String> {
    let labels = labels.as_deref().into_iter().flatten();
    labels.map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// A worker's status.
pub fn worker_status(status: WorkerStatus) -> pb::WorkerStatus {
    match status {
        WorkerStatus::Searching => pb::WorkerStatus::Searching,
        WorkerStatus::Matched => pb::WorkerStatus::Matched,
        WorkerStatus::Placed => pb::WorkerStatus::Placed,
        WorkerStatus::Withdrawn => pb::WorkerStatus::Withdrawn,
        WorkerStatus::Expired => pb::WorkerStatus::Expired,
    }
}

/// A vacancy's status.
pub fn vacancy_status(status: VacancyStatus) -> pb::VacancyStatus {
    match status {
        VacancyStatus::Open => pb::VacancyStatus::Open,
        VacancyStatus::Filled => pb::VacancyStatus::Filled,
        VacancyStatus::Closed => pb::VacancyStatus::Closed,
        VacancyStatus::Expired => pb::VacancyStatus::Expired,
    }
}

/// A worker from the published pool.
pub fn published_worker(record: &PublishedWorker, head: &Head) -> pb::WorkerRecord {
    pb::WorkerRecord {
        worker: Some(worker(&record.worker, head)),
        status: worker_status(record.status) as i32,
        vacancy_id: record.vacancy.map(|id| id.to_string()).unwrap_or_default(),
        revision: record.revision.0,
    }
}

/// A vacancy from the published pool.
pub fn published_vacancy(record: &PublishedVacancy, head: &Head) -> pb::VacancyRecord {
    pb::VacancyRecord {
        vacancy: Some(vacancy(&record.vacancy, head)),
        status: vacancy_status(record.status) as i32,
        held: record.held,
        placed: record.placed,
        revision: record.revision.0,
    }
}

/// A worker from a snapshot.
pub fn worker_row(row: &WorkerRow, view: &View) -> pb::WorkerRecord {
    let vacancy = row.held.map(|held| view.vacancy(held.vacancy).vacancy.id.to_string());
    pb::WorkerRecord {
        worker: Some(worker(&row.worker, &view.head)),
        status: worker_status(row.status) as i32,
        vacancy_id: vacancy.unwrap_or_default(),
        revision: row.revision.0,
    }
}

/// A vacancy from a snapshot.
pub fn vacancy_row(row: &VacancyRow, view: &View) -> pb::VacancyRecord {
    pb::VacancyRecord {
        vacancy: Some(vacancy(&row.vacancy, &view.head)),
        status: vacancy_status(row.status) as i32,
        held: row.held.len() as u32,
        placed: row.placed,
        revision: row.revision.0,
    }
}

/// Counts of a city's pool.
pub fn city_pool(city: String, counts: CityCounts) -> pb::CityPool {
    let workers = counts.searching + counts.matched;
    let tightness = if workers == 0 { 0.0 } else { counts.openings as f64 / workers as f64 };
    pb::CityPool {
        city,
        searching: counts.searching,
        matched: counts.matched,
        placed: counts.placed,
        vacancies: counts.vacancies,
        openings: counts.openings,
        held: counts.held,
        tightness,
    }
}

/// A worker's match from a snapshot, with its numbers; `None` if there is none.
pub fn match_of(row: &WorkerRow, view: &View) -> Option<pb::Match> {
    let held = row.held?;
    let vacancy = &view.vacancy(held.vacancy).vacancy;
    let pair = view.head.terms().pair(&row.worker, vacancy);
    let status = match row.status {
        WorkerStatus::Placed => pb::MatchStatus::Placed,
        _ => pb::MatchStatus::Held,
    };
    Some(pb::Match {
        worker_id: row.worker.id.to_string(),
        vacancy_id: vacancy.id.to_string(),
        status: status as i32,
        worker_confirmed: held.worker_confirmed,
        employer_confirmed: held.employer_confirmed,
        origin: city_name(&view.head.geography, row.worker.home),
        destination: city_name(&view.head.geography, vacancy.city),
        km: pair.km,
        move_cost: pair.move_cost,
        salary: vacancy.salary,
        expected_salary: row.worker.expected_salary,
        fit_bp: pair.fit,
        score_bp: pair.score,
        value: pair.value,
        revision: held.since.0,
        matched_time: Some(timestamp(held.made)),
    })
}

/// A round; one that runs shows its progress.
pub fn round(round: &Round, market: Option<&Market>) -> pb::Round {
    let running = market.and_then(Market::running).filter(|running| running.id == round.id);
    let progress = running.filter(|_| round.state == RoundState::Running).map(|running| {
        use crate::matching::Phase;
        let progress = running.control.progress();
        let phase = match progress.phase {
            Phase::Waiting | Phase::Indexing => pb::RoundPhase::Indexing,
            Phase::Proposing => pb::RoundPhase::Proposing,
            // Once the certificate is through, the result is on its way to the owner.
            // It counts in strides, past its total in the end.
            Phase::Certifying if progress.done >= progress.total && progress.total > 0 => {
                pb::RoundPhase::Committing
            }
            Phase::Certifying => pb::RoundPhase::Certifying,
        };
        let (done, total) = (progress.done.min(progress.total), progress.total);
        pb::RoundProgress { phase: phase as i32, done, total }
    });
    let state = match round.state {
        RoundState::Running => pb::RoundState::Running,
        RoundState::Cleared => pb::RoundState::Cleared,
        RoundState::Cancelled => pb::RoundState::Cancelled,
    };
    pb::Round {
        id: round.id.to_string(),
        state: state as i32,
        snapshot_revision: round.snapshot.0,
        end_revision: round.end.map_or(0, |revision| revision.0),
        proposing_side: side(round.side) as i32,
        cap_order: cap_order(round.cap_order) as i32,
        started_time: Some(timestamp(round.started)),
        ended_time: round.ended.map(timestamp),
        progress,
        summary: round.summary.as_ref().map(summary),
    }
}

fn summary(summary: &Summary) -> pb::RoundSummary {
    pb::RoundSummary {
        workers: summary.workers,
        vacancies: summary.vacancies,
        openings: summary.openings,
        matched: summary.matched,
        moved: summary.moved,
        proposals: summary.proposals,
        queries: summary.queries,
        evaluations: summary.evaluations,
        blocking_pairs: summary.blocking_pairs,
        pairs_examined: summary.pairs_examined,
        matching_hash: format!("{:016x}", summary.matching_hash),
        dissolved: summary.dissolved,
        clear_ms: summary.clear_ms,
        verify_ms: summary.verify_ms,
        binding_caps: summary.binding_caps,
        displaced: summary.displaced,
        improved: summary.improved,
        placed: summary.placed,
    }
}

/// A position.
pub fn position(market: &Market, position: Position) -> pb::Position {
    pb::Position {
        incarnation: market.incarnation().to_string(),
        revision: position.revision.0,
        index: position.index,
    }
}

/// An event, at its place. Cities are named by `head`, which is of the event's
/// revision or later: a city keeps its index.
pub fn event(event: &Event, at: Position, time: Millis, head: &Head) -> pb::Event {
    use pb::event::Detail;
    let geography = &*head.geography;
    let detail = match event {
        Event::MarketChanged { display_name, settings: changed } => Detail::Market(pb::Market {
            id: head.name.to_string(),
            display_name: display_name.to_string(),
            settings: Some(settings(changed, None)),
            incarnation: head.incarnation.to_string(),
            ..pb::Market::default()
        }),
        Event::RegionChanged(changed) => Detail::Region(region(changed, geography)),
        Event::CityChanged(_, changed) => Detail::City(city(changed, geography)),
        Event::MoveCostChanged { origin, destination, cost } => {
            Detail::MoveCost(move_cost(*origin, *destination, *cost, geography))
        }
        Event::WorkerChanged { worker, home, status, previous } => {
            Detail::Worker(pb::WorkerChange {
                worker_id: worker.to_string(),
                home_city: city_name(geography, *home),
                status: worker_status(*status) as i32,
                previous_status: previous.map_or(0, |status| worker_status(status) as i32),
            })
        }
        Event::VacancyChanged { vacancy, city, status, previous, openings } => {
            Detail::Vacancy(pb::VacancyChange {
                vacancy_id: vacancy.to_string(),
                city: city_name(geography, *city),
                status: vacancy_status(*status) as i32,
                previous_status: previous.map_or(0, |status| vacancy_status(status) as i32),
                openings: *openings,
            })
        }
        Event::Match(change, pairing) => Detail::Match(match_change(*change, pairing, geography)),
        Event::Migration(_, pairing, movement) => Detail::Migration(pb::Migration {
            worker_id: pairing.worker.to_string(),
            vacancy_id: pairing.vacancy.to_string(),
            origin: city_name(geography, pairing.origin),
            destination: city_name(geography, pairing.destination),
            km: movement.km,
            move_cost: movement.cost,
        }),
        Event::Round(ended) => Detail::Round(round(ended, None)),
    };
    pb::Event {
        position: Some(pb::Position {
            incarnation: String::new(),
            revision: at.revision.0,
            index: at.index,
        }),
        kind: kind(event.kind()) as i32,
        time: Some(timestamp(time)),
        detail: Some(detail),
    }
}

fn match_change(change: MatchChange, pairing: &Pairing, geography: &Geography) -> pb::MatchChange {
    let side = match change {
        MatchChange::Confirmed(side) | MatchChange::Declined(side) => Some(side),
        MatchChange::Lapsed(silent) => silent,
        _ => None,
    };
    let side = match side {
        Some(MatchSide::Worker) => pb::MatchSide::Worker,
        Some(MatchSide::Employer) => pb::MatchSide::Employer,
        None => pb::MatchSide::Unspecified,
    };
    pb::MatchChange {
        worker_id: pairing.worker.to_string(),
        vacancy_id: pairing.vacancy.to_string(),
        origin: city_name(geography, pairing.origin),
        destination: city_name(geography, pairing.destination),
        side: side as i32,
        automatic: change == MatchChange::Frozen,
    }
}

/// What happened, without the detail.
pub fn kind(kind: Kind) -> pb::EventKind {
    match kind {
        Kind::MarketChanged => pb::EventKind::MarketChanged,
        Kind::RegionChanged => pb::EventKind::RegionChanged,
        Kind::CityChanged => pb::EventKind::CityChanged,
        Kind::MoveCostChanged => pb::EventKind::MoveCostChanged,
        Kind::WorkerChanged => pb::EventKind::WorkerChanged,
        Kind::VacancyChanged => pb::EventKind::VacancyChanged,
        Kind::Matched => pb::EventKind::Matched,
        Kind::Displaced => pb::EventKind::Displaced,
        Kind::Unmatched => pb::EventKind::Unmatched,
        Kind::Declined => pb::EventKind::Declined,
        Kind::Lapsed => pb::EventKind::Lapsed,
        Kind::Confirmed => pb::EventKind::Confirmed,
        Kind::Placed => pb::EventKind::Placed,
        Kind::MigrationPlanned => pb::EventKind::MigrationPlanned,
        Kind::MigrationCancelled => pb::EventKind::MigrationCancelled,
        Kind::Migrated => pb::EventKind::Migrated,
        Kind::RoundStarted => pb::EventKind::RoundStarted,
        Kind::RoundCleared => pb::EventKind::RoundCleared,
        Kind::RoundCancelled => pb::EventKind::RoundCancelled,
    }
}
