//! Protocol buffers become domain specs: names are read, ranges checked, defaults
//! filled in. Every error names its field.

use super::render::item_error;
use super::status::{Answer, refuse, refuse_all};
use crate::domain::error::{Within, at_most};
use crate::domain::limits::{BATCH_MAX, SKILL_LEVEL_MAX};
use crate::domain::{
    CapOrder, CityName, CitySpec, Clearing, Confirmations, Labels, Millis, MobilitySpec,
    MoveCostSpec, Promise, Reason, RegionName, RegionSpec, RequirementSpec, SettingChange,
    Settings, Side, SkillName, VacancyId, VacancySpec, Violation, WorkerId, WorkerSpec,
};
use crate::proto::v1 as pb;
use crate::state::{Batch, ItemError, MatchSide};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// The well-formed items of a batch, and the errors of the rest.
pub struct Parsed<T> {
    /// The items, with their place in the request.
    pub batch: Batch<T>,
    /// What was refused at the door.
    pub errors: Vec<pb::ItemError>,
}

/// Reads a batch item by item. An atomic batch is refused whole for one bad item, and
/// any batch for too many.
pub fn batch<P, T>(
    name: &str,
    items: &[P],
    atomic: bool,
    id: impl Fn(&P) -> String,
    read: impl Fn(usize, &P) -> Result<T, Violation>,
) -> Answer<Parsed<T>> {
    at_most(name, items.len(), BATCH_MAX).map_err(refuse)?;
    let mut parsed = Parsed {
        batch: Batch { items: Vec::with_capacity(items.len()), atomic },
        errors: Vec::new(),
    };
    let mut violations = Vec::new();
    for (i, item) in items.iter().enumerate() {
        match read(i, item) {
            Ok(spec) => parsed.batch.items.push((i as u32, spec)),
            Err(violation) if atomic => violations.push(violation.within(&format!("{name}[{i}]"))),
            Err(violation) => {
                parsed.errors.push(item_error(&ItemError {
                    index: i as u32,
                    id: id(item),
                    violation,
                }));
            }
        }
    }
    if violations.is_empty() { Ok(parsed) } else { Err(refuse_all(&violations, HashMap::new())) }
}

/// Settings of a market; what is absent takes its default.
pub fn market_settings(settings: &pb::Settings) -> Result<Settings, Violation> {
    let read = unchecked_settings(settings)?;
    read.check()?;
    Ok(read)
}

/// The change of settings that a field mask's path asks for; `None` if there is no
/// such path. Ranges are checked once the change meets the market's other settings.
pub fn setting_change(
    path: &str,
    settings: &pb::Settings,
) -> Result<Option<SettingChange>, Violation> {
    let read = unchecked_settings(settings)?;
    Ok(Some(match path {
        "settings" => SettingChange::All(read),
        "settings.currency" => SettingChange::Currency(read.currency),
        "settings.proposing_side" => SettingChange::ProposingSide(read.proposing_side),
        "settings.clearing" => SettingChange::Clearing(read.clearing),
        "settings.cap_order" => SettingChange::CapOrder(read.cap_order),
        "settings.confirmations" => SettingChange::Confirmations(read.confirmations),
        "settings.confirmation_window_seconds" => {
            SettingChange::ConfirmationWindowSeconds(read.confirmation_window_seconds)
        }
        "settings.confirm_after_rounds" => {
            SettingChange::ConfirmAfterRounds(read.confirm_after_rounds)
        }
        "settings.place_after_seconds" => {
            SettingChange::PlaceAfterSeconds(read.place_after_seconds)
        }
        "settings.fixed_move_cost" => SettingChange::FixedMoveCost(read.fixed_move_cost),
        "settings.move_cost_per_km" => SettingChange::MoveCostPerKm(read.move_cost_per_km),
        "settings.horizon_years" => SettingChange::HorizonYears(read.horizon_years),
        "settings.fit_value" => SettingChange::FitValue(read.fit_value),
        "settings.shortfall_weight_bp" => {
            SettingChange::ShortfallWeightBp(read.shortfall_weight_bp)
        }
        "settings.max_shortfall_bp" => SettingChange::MaxShortfallBp(read.max_shortfall_bp),
        "settings.min_fit_bp" => SettingChange::MinFitBp(read.min_fit_bp),
        "settings.local_bonus_bp" => SettingChange::LocalBonusBp(read.local_bonus_bp),
        _ => return Ok(None),
    }))
}

fn unchecked_settings(settings: &pb::Settings) -> Result<Settings, Violation> {
    let defaults = Settings::default();
    Ok(Settings {
        currency: settings.currency.as_str().into(),
        proposing_side: match known("proposing_side", settings.proposing_side)? {
            pb::ProposingSide::Unspecified | pb::ProposingSide::Worker => Side::Worker,
            pb::ProposingSide::Vacancy => Side::Vacancy,
        },
        clearing: clearing(settings.clearing.as_ref())?,
        cap_order: match known("cap_order", settings.cap_order)? {
            pb::CapOrder::Unspecified | pb::CapOrder::Score => CapOrder::Score,
            pb::CapOrder::Targets => CapOrder::Targets,
        },
        confirmations: match known("confirmations", settings.confirmations)? {
            pb::Confirmations::Unspecified | pb::Confirmations::Both => Confirmations::Both,
            pb::Confirmations::Either => Confirmations::Either,
        },
        confirmation_window_seconds: settings.confirmation_window_seconds,
        confirm_after_rounds: settings.confirm_after_rounds,
        place_after_seconds: settings.place_after_seconds,
        fixed_move_cost: settings.fixed_move_cost,
        move_cost_per_km: settings.move_cost_per_km,
        horizon_years: match settings.horizon_years {
            None => defaults.horizon_years,
            Some(years) => narrow("horizon_years", years)?,
        },
        fit_value: settings.fit_value,
        shortfall_weight_bp: settings.shortfall_weight_bp.unwrap_or(defaults.shortfall_weight_bp),
        max_shortfall_bp: settings.max_shortfall_bp.unwrap_or(defaults.max_shortfall_bp),
        min_fit_bp: settings.min_fit_bp.unwrap_or(defaults.min_fit_bp),
        local_bonus_bp: settings.local_bonus_bp,
    })
}

fn clearing(clearing: Option<&pb::Clearing>) -> Result<Clearing, Violation> {
    let Some(clearing) = clearing else { return Ok(Clearing::Manual) };
    let (mode, promise) =
        (known("clearing.mode", clearing.mode)?, known("clearing.promise", clearing.promise)?);
    if mode != pb::clearing::Mode::Interval && clearing.interval_seconds != 0 {
        return Err(Violation::invalid("clearing.interval_seconds", "is only for MODE_INTERVAL"));
    }
    if mode != pb::clearing::Mode::Continuous && promise != pb::Promise::Unspecified {
        return Err(Violation::invalid("clearing.promise", "is only for MODE_CONTINUOUS"));
    }
    Ok(match (mode, promise) {
        (pb::clearing::Mode::Interval, _) => Clearing::Interval(clearing.interval_seconds),
        (pb::clearing::Mode::Continuous, pb::Promise::WorkerOptimal) => {
            Clearing::Continuous(Promise::WorkerOptimal)
        }
        (pb::clearing::Mode::Continuous, _) => Clearing::Continuous(Promise::Stable),
        _ => Clearing::Manual,
    })
}

/// A region.
pub fn region(region: &pb::Region) -> Result<RegionSpec, Violation> {
    let spec = RegionSpec {
        id: RegionName::parse("id", &region.id)?,
        display_name: region.display_name.as_str().into(),
        parent: optional("parent", &region.parent, RegionName::parse)?,
        intake_cap: region.intake_cap,
    };
    spec.check()?;
    Ok(spec)
}

/// A city.
pub fn city(city: &pb::City) -> Result<CitySpec, Violation> {
    let spec = CitySpec {
        id: CityName::parse("id", &city.id)?,
        display_name: city.display_name.as_str().into(),
        region: optional("region", &city.region, RegionName::parse)?,
        latitude: city.latitude,
        longitude: city.longitude,
        cost_of_living: i64::from(city.cost_of_living.unwrap_or(1_000)),
        population: city.population,
        intake_cap: city.intake_cap,
        move_subsidy: city.move_subsidy,
    };
    spec.check()?;
    Ok(spec)
}

/// An override of the cost of moving.
pub fn move_cost(cost: &pb::MoveCost) -> Result<MoveCostSpec, Violation> {
    let spec = MoveCostSpec {
        origin: CityName::parse("origin", &cost.origin)?,
        destination: CityName::parse("destination", &cost.destination)?,
        cost: cost.cost,
        subsidy: cost.subsidy,
    };
    spec.check()?;
    Ok(spec)
}

/// A worker. `made` is the id that it gets if it brings none.
pub fn worker(worker: &pb::Worker, made: Option<Uuid>) -> Result<WorkerSpec, Violation> {
    let id = match (worker.id.is_empty(), made) {
        (true, Some(made)) => WorkerId(made),
        _ => WorkerId::parse("id", &worker.id)?,
    };
    let mut skills = Vec::with_capacity(worker.skills.len());
    for (i, skill) in worker.skills.iter().enumerate() {
        let place = || format!("skills[{i}]");
        let name = SkillName::parse("skill", &skill.skill).within(place)?;
        skills.push((name, level("level", skill.level).within(place)?));
    }
    let mobility = worker.mobility.as_ref();
    let spec = WorkerSpec {
        id,
        home_city: CityName::parse("home_city", &worker.home_city)?,
        skills,
        expected_salary: worker.expected_salary,
        reservation_salary: worker.reservation_salary.unwrap_or(worker.expected_salary),
        mobility: mobility.map_or(Ok(MobilitySpec::Any), mobility_scope)?,
        cost_percent: match mobility.and_then(|m| m.cost_percent) {
            None => 100,
            Some(percent) => narrow("mobility.cost_percent", percent)?,
        },
        ranking: ranking(worker.ranking.as_ref(), VacancyId::parse)?,
        deadline: timestamp("deadline", worker.deadline.as_ref())?,
        labels: labels(&worker.labels),
    };
    spec.check()?;
    Ok(spec)
}

fn mobility_scope(mobility: &pb::Mobility) -> Result<MobilitySpec, Violation> {
    use pb::mobility::Scope;
    let scope = known("mobility.scope", mobility.scope)?;
    if scope != Scope::Listed && !mobility.cities.is_empty() {
        return Err(Violation::invalid("mobility.cities", "is only for SCOPE_LISTED"));
    }
    match scope {
        Scope::Unspecified | Scope::Any => Ok(MobilitySpec::Any),
        Scope::HomeOnly => Ok(MobilitySpec::HomeOnly),
        Scope::Listed => {
            let cities = mobility.cities.iter().enumerate();
            let place = |i| move || format!("mobility.cities[{i}]");
            let cities = cities.map(|(i, name)| CityName::parse("", name).within(place(i)));
            Ok(MobilitySpec::Listed(cities.collect::<Result<_, _>>()?))
        }
    }
}

/// A vacancy. `made` is the id that it gets if it brings none.
pub fn vacancy(vacancy: &pb::Vacancy, made: Option<Uuid>) -> Result<VacancySpec, Violation> {
    let id = match (vacancy.id.is_empty(), made) {
        (true, Some(made)) => VacancyId(made),
        _ => VacancyId::parse("id", &vacancy.id)?,
    };
    let mut requirements = Vec::with_capacity(vacancy.requirements.len());
    for (i, requirement) in vacancy.requirements.iter().enumerate() {
        requirements.push(self::requirement(requirement).within(|| format!("requirements[{i}]"))?);
    }
    let spec = VacancySpec {
        id,
        city: CityName::parse("city", &vacancy.city)?,
        employer: vacancy.employer.as_str().into(),
        title: vacancy.title.as_str().into(),
        openings: vacancy.openings,
        salary: vacancy.salary,
        requirements,
        min_fit_bp: vacancy.min_fit_bp,
        ranking: ranking(vacancy.ranking.as_ref(), WorkerId::parse)?,
        target: vacancy.target.unwrap_or(0),
        deadline: timestamp("deadline", vacancy.deadline.as_ref())?,
        labels: labels(&vacancy.labels),
    };
    spec.check()?;
    Ok(spec)
}

fn requirement(requirement: &pb::Requirement) -> Result<RequirementSpec, Violation> {
    Ok(RequirementSpec {
        skill: SkillName::parse("skill", &requirement.skill)?,
        desired_level: level("desired_level", requirement.desired_level)?,
        weight: narrow("weight", requirement.weight)?,
        minimum_level: match requirement.minimum_level {
            None => None,
            Some(minimum) => Some(level("minimum_level", minimum)?),
        },
    })
}

/// A worker and a vacancy.
pub fn match_key(key: &pb::MatchKey) -> Result<(WorkerId, VacancyId), Violation> {
    Ok((
        WorkerId::parse("worker_id", &key.worker_id)?,
        VacancyId::parse("vacancy_id", &key.vacancy_id)?,
    ))
}

/// Who confirms or declines; must be said.
pub fn match_side(side: i32) -> Result<MatchSide, Violation> {
    match pb::MatchSide::try_from(side) {
        Ok(pb::MatchSide::Worker) => Ok(MatchSide::Worker),
        Ok(pb::MatchSide::Employer) => Ok(MatchSide::Employer),
        _ => Err(Violation::invalid("side", "must be MATCH_SIDE_WORKER or MATCH_SIDE_EMPLOYER")),
    }
}

/// A value of an enum that this version knows.
pub fn known<E: TryFrom<i32>>(field: &str, value: i32) -> Result<E, Violation> {
    E::try_from(value)
        .map_err(|_| Violation::invalid(field, format!("{value} is not a value of this enum")))
}

/// An empty text is absence.
pub fn optional<T>(
    field: &str,
    text: &str,
    parse: impl Fn(&str, &str) -> Result<T, Violation>,
) -> Result<Option<T>, Violation> {
    if text.is_empty() { Ok(None) } else { parse(field, text).map(Some) }
}

fn ranking<T>(
    ranking: Option<&pb::Ranking>,
    parse: impl Fn(&str, &str) -> Result<T, Violation>,
) -> Result<Option<Vec<T>>, Violation> {
    let Some(ranking) = ranking else { return Ok(None) };
    at_most("ranking.ids", ranking.ids.len(), crate::domain::limits::RANKING_MAX)?;
    let ids = ranking.ids.iter().enumerate();
    let place = |i| move || format!("ranking.ids[{i}]");
    ids.map(|(i, id)| parse("", id).within(place(i))).collect::<Result<_, _>>().map(Some)
}

fn timestamp(
    field: &str,
    at: Option<&pbjson_types::Timestamp>,
) -> Result<Option<Millis>, Violation> {
    let Some(at) = at else { return Ok(None) };
    let nanos = i64::from(at.nanos);
    let millis = at.seconds.checked_mul(1_000).and_then(|ms| ms.checked_add(nanos / 1_000_000));
    match millis {
        // 0001-01-01 to 9999-12-31, the range of google.protobuf.Timestamp.
        Some(millis)
            if (-62_135_596_800..=253_402_300_799).contains(&at.seconds)
                && (0..1_000_000_000).contains(&nanos) =>
        {
            Ok(Some(Millis(millis)))
        }
        _ => Err(Violation::invalid(field, "is not a timestamp between the years 1 and 9999")),
    }
}

fn labels(labels: &BTreeMap<String, String>) -> Labels {
    labels.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}

/// A number that the wire carries wider than the domain: what does not fit is out of range.
fn narrow<T: TryFrom<u32>>(field: &str, value: u32) -> Result<T, Violation> {
    T::try_from(value)
        .map_err(|_| Violation::invalid(field, format!("is {value}, which is out of range")))
}

fn level(field: &str, value: u32) -> Result<u8, Violation> {
    match u8::try_from(value) {
        Ok(level) if level <= SKILL_LEVEL_MAX => Ok(level),
        _ => Err(Violation::new(
            Reason::InvalidField,
            field,
            format!("is {value}, must be 0..{SKILL_LEVEL_MAX}"),
        )),
    }
}
