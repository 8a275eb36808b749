//! Scenarios: runs off the runtime whose periods are streamed as they are found, and the
//! runs that a market keeps.

use super::figure::figure;
use super::policies::{parameters, parameters_in_full, policy, policy_hash};
use super::stopping;
use crate::domain::error::{Within, in_range};
use crate::domain::limits::{SCENARIO_CITIES_MAX, SCENARIO_RUNS_MAX};
use crate::domain::{Reason, Violation};
use crate::grpc::parse::known;
use crate::grpc::status::{Answer, refuse, refuse_market};
use crate::grpc::{Shared, at_least, render};
use crate::market::{KeptScenario, Market};
use crate::matching::{Control, Means, Phase};
use crate::planning::Error;
use crate::planning::figure::{Figure, Undefined};
use crate::planning::scenario::aggregate;
use crate::planning::scenario::compare::{self, Delta, Measure};
use crate::planning::scenario::economy::{Charted, MacroRun};
use crate::planning::scenario::results::{CityPeriod, Manifest, Period};
use crate::planning::scenario::{Parameters, Plan, Run, Scenario};
use crate::proto::v1 as pb;
use crate::proto::v1::run_scenario_response::Step;
use crate::state::View;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

/// How often a run says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);
/// Messages on their way to a caller; a run waits for one who does not read them, but not for
/// ever.
const MESSAGES_MAX: usize = 8;
/// Periods and cities of a comparison, and the seeds of a run, when the caller does not say.
const PERIODS_DEFAULT: u32 = 10;
const CITIES_DEFAULT: usize = 100;
const SEEDS_DEFAULT: [u64; 3] = [1, 2, 3];

type Sender = mpsc::Sender<Result<pb::RunScenarioResponse, Status>>;
type Receiver = mpsc::Receiver<Result<pb::RunScenarioResponse, Status>>;

/// A run that is to be made.
struct Job {
    market: Arc<Market>,
    view: Arc<View>,
    scenario: Scenario,
    plan: Arc<Plan>,
    /// In the macro mode: the market as an economy.
    charted: Option<Charted>,
    number: u64,
    policy_hash: u64,
    control: Control,
    /// Periods done, over all seeds.
    done: AtomicU32,
    steps: Sender,
    /// How long it waits for a caller who does not read, and whether it has waited that long.
    stall: Duration,
    stalled: AtomicBool,
    /// Its place among the runs of the server.
    _room: OwnedSemaphorePermit,
}

/// Starts a run; its steps.
pub async fn run(shared: &Shared, request: pb::RunScenarioRequest) -> Answer<Receiver> {
    let market = shared.market(&request.market)?;
    at_least(&market, request.at_least_revision)?;
    let asked = request.policy.unwrap_or_default();
    let mode: pb::ScenarioMode = known("mode", request.mode).map_err(refuse)?;
    if mode == pb::ScenarioMode::Macro && !request.seeds.is_empty() {
        let message = "are for the micro mode: the macro mode draws nothing";
        return Err(refuse(Violation::invalid("seeds", message)));
    }
    let scenario = Scenario {
        policy: policy(&asked).within(|| "policy".to_owned()).map_err(refuse)?,
        parameters: request.parameters.as_ref().map_or_else(Parameters::default, parameters),
        periods: if request.periods == 0 { PERIODS_DEFAULT } else { request.periods },
        seeds: if request.seeds.is_empty() { SEEDS_DEFAULT.to_vec() } else { request.seeds },
    };
    scenario.check().map_err(refuse)?;
    let room = shared.scenarios.clone().try_acquire_owned().map_err(|_| {
        let message = format!("{SCENARIO_RUNS_MAX} run already, as many as the server allows");
        refuse(Violation::new(Reason::LimitReached, "market", message))
    })?;
    let view = market.snapshot().await.map_err(refuse_market)?;
    let planned = {
        let (view, scenario) = (view.clone(), scenario.clone());
        // A cluster looks at every vacancy.
        tokio::task::spawn_blocking(move || scenario.plan(&view))
    };
    let plan = planned.await.map_err(|_| failed())?.map_err(refuse)?;
    let (steps, outgoing) = mpsc::channel(MESSAGES_MAX);
    let is_macro = mode == pb::ScenarioMode::Macro;
    let charted = if is_macro { Some(chart(&view, &scenario, &plan).await?) } else { None };
    let job = Job {
        charted,
        number: if is_macro { 0 } else { market.scenarios().number() },
        market,
        view,
        scenario,
        plan,
        policy_hash: policy_hash(&asked),
        control: Control::default(),
        done: AtomicU32::new(0),
        steps,
        stall: shared.stall,
        stalled: AtomicBool::new(false),
        _room: room,
    };
    // There is room: it is the first message, before any progress.
    let step = Some(Step::Started(job.started()));
    let _ = job.steps.try_send(Ok(pb::RunScenarioResponse { step }));
    tokio::spawn(watch(shared.clone(), Arc::new(job)));
    Ok(outgoing)
}

/// Has a job done off the runtime and tells of its progress; stops it when the caller
/// leaves, the market is deleted or the server stops.
async fn watch(shared: Shared, job: Arc<Job>) {
    let work = {
        let job = job.clone();
        tokio::task::spawn_blocking(move || job.work())
    };
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    let finished = loop {
        tokio::select! {
            finished = &mut work => break finished,
            () = job.steps.closed() => {
                job.control.cancel();
                return;
            }
            () = job.market.closed().cancelled() => {
                job.control.cancel();
                return end(job, Err(refuse_market(crate::market::Error::Closed))).await;
            }
            () = shared.stopping.cancelled() => {
                job.control.cancel();
                return end(job, Err(stopping())).await;
            }
            _ = ticks.tick() => {
                let step = Some(Step::Progress(job.progress()));
                // A caller who does not read misses progress, never a result.
                let _ = job.steps.try_send(Ok(pb::RunScenarioResponse { step }));
            }
        }
    };
    let last = match finished {
        Ok(Ok(last)) => Ok(pb::RunScenarioResponse { step: Some(last) }),
        Ok(Err(Error::Cancelled(_))) if job.stalled.load(Relaxed) => {
            let message = "the connection accepted nothing for too long: the run has ended";
            Err(refuse(Violation::new(Reason::SubscriberStalled, "", message)))
        }
        // Told to stop: nobody listens.
        Ok(Err(Error::Cancelled(_))) => return,
        Ok(Err(Error::Refused(violation))) => Err(refuse(violation)),
        Err(_) => Err(failed()),
    };
    end(job, last).await;
}

/// Sends the last message. Its run has ended and holds no room any more, however long the
/// caller takes to read it.
async fn end(job: Arc<Job>, last: Result<pb::RunScenarioResponse, Status>) {
    let steps = job.steps.clone();
    drop(job);
    let _ = steps.send(last).await;
}

/// The market as an economy, off the runtime.
async fn chart(view: &Arc<View>, scenario: &Scenario, plan: &Arc<Plan>) -> Answer<Charted> {
    let (view, scenario, plan) = (view.clone(), scenario.clone(), plan.clone());
    let charted = tokio::task::spawn_blocking(move || scenario.chart(&view, &plan));
    charted.await.map_err(|_| failed())?.map_err(refuse)
}

fn failed() -> Status {
    refuse(Violation::new(Reason::Internal, "", "the computation failed"))
}

impl Job {
    /// The run as it begins.
    fn started(&self) -> pb::ScenarioRun {
        let manifest = self.scenario.manifest(&self.view);
        let started = manifest_of(&manifest, &self.scenario.parameters, self.policy_hash);
        // The macro mode is not kept, and has no id.
        let id = if self.charted.is_some() { String::new() } else { id_of(self.number) };
        pb::ScenarioRun { id, ..started }
    }

    /// Does the run and tells of its periods; the last step.
    fn work(&self) -> Result<Step, Error> {
        match &self.charted {
            Some(charted) => self.aggregate(charted).map(Step::MacroEnd),
            None => self.simulate().map(|kept| Step::Finished(scenario_run(&kept))),
        }
    }

    /// Runs all seeds of the micro mode, and keeps the run.
    fn simulate(&self) -> Result<Arc<KeptScenario>, Error> {
        // One core is left for those whom the server serves meanwhile.
        let all = Means::all();
        let means = Means { threads: all.threads.saturating_sub(1).max(1), ..all };
        let told = |number: usize, period: &Period| {
            self.done.fetch_add(1, Relaxed);
            let seed = self.scenario.seeds[number];
            parts(&self.view, seed, period).for_each(|part| self.tell(Step::Period(part)));
        };
        let run = self.scenario.run(&self.view, &self.plan, (&self.control, means), told)?;
        let result_hash = run.hash();
        Ok(self.market.scenarios().keep(KeptScenario {
            number: self.number,
            run,
            parameters: self.scenario.parameters.clone(),
            policy_hash: self.policy_hash,
            result_hash,
            ended: self.market.now(),
        }))
    }

    /// Runs the macro mode.
    fn aggregate(&self, charted: &Charted) -> Result<pb::MacroEnd, Error> {
        self.tell(Step::MacroPeriod(macro_start(&self.view, charted)));
        let found = charted.run(self.scenario.periods, &self.control, |number, step| {
            self.done.fetch_add(1, Relaxed);
            self.tell(Step::MacroPeriod(macro_period(&self.view, number, step)));
        })?;
        Ok(macro_end(&found))
    }

    /// Sends a step, waiting for room; stops the run if nobody listens, or reads.
    fn tell(&self, step: Step) {
        let message = Ok(pb::RunScenarioResponse { step: Some(step) });
        let sent = Handle::current()
            .block_on(async { self.steps.send_timeout(message, self.stall).await });
        if let Err(unsent) = sent {
            if matches!(unsent, SendTimeoutError::Timeout(_)) {
                self.stalled.store(true, Relaxed);
            }
            self.control.cancel();
        }
    }

    fn progress(&self) -> pb::ScenarioProgress {
        let periods = self.scenario.periods;
        let seeds = if self.charted.is_some() { 1 } else { self.scenario.seeds.len() as u32 };
        let total = periods * seeds;
        let done = self.done.load(Relaxed);
        let current = done.min(total - 1);
        let clearing = self.control.progress();
        let phase = match clearing.phase {
            Phase::Proposing => pb::RoundPhase::Proposing,
            _ => pb::RoundPhase::Indexing,
        };
        pb::ScenarioProgress {
            seed_number: current / periods,
            period: current % periods + 1,
            periods_done: done,
            periods_total: total,
            phase: phase.into(),
            done: clearing.done.min(clearing.total),
            total: clearing.total,
        }
    }
}

/// A period in parts.
fn parts<'a>(
    view: &'a View,
    seed: u64,
    period: &'a Period,
) -> impl Iterator<Item = pb::ScenarioPeriod> + 'a {
    let names = view.head.geography.cities.chunks(SCENARIO_CITIES_MAX);
    let count = names.len();
    let rows = period.cities.chunks(SCENARIO_CITIES_MAX);
    // A market without cities has a period too.
    let empty = (count == 0).then(|| last_part(seed, period, Vec::new()));
    let parts = names.zip(rows).enumerate().map(move |(at, (names, rows))| {
        let rows = names.iter().zip(rows).map(|(city, row)| scenario_city(city.id.as_str(), row));
        let cities = rows.collect();
        if at + 1 == count {
            return last_part(seed, period, cities);
        }
        let number = period.number;
        pb::ScenarioPeriod { seed, period: number, cities, ..pb::ScenarioPeriod::default() }
    });
    parts.chain(empty)
}

fn last_part(seed: u64, period: &Period, cities: Vec<pb::ScenarioCity>) -> pb::ScenarioPeriod {
    let without_inputs = |value| figure(&Figure::new(value, []));
    pb::ScenarioPeriod {
        seed,
        period: period.number,
        cities,
        last_part: true,
        total: Some(scenario_city("", &period.total())),
        pay_theil: without_inputs(period.pay_theil()),
        pay_gini: without_inputs(period.pay_gini()),
        size_gini: without_inputs(period.size_gini()),
        matching_hash: format!("{:016x}", period.matching_hash),
    }
}

fn scenario_city(name: &str, row: &CityPeriod) -> pb::ScenarioCity {
    let money = |sum: i128| i64::try_from(sum).unwrap_or(i64::MAX);
    pb::ScenarioCity {
        city: name.to_owned(),
        residents: row.residents,
        seekers: row.seekers,
        openings: row.openings,
        matched: row.matched,
        placed: row.placed,
        moved_in: row.moved_in,
        moved_out: row.moved_out,
        employed: row.employed,
        separated: row.separated,
        posted: row.posted,
        withdrawn: row.withdrawn,
        pay: money(row.pay),
        real_pay: money(row.real_pay),
        subsidy: money(row.subsidy),
        cost_of_living: row.cost_of_living,
        productivity: row.productivity,
        delay: row.delay,
    }
}

/// The start of a macro run, as a period in which nobody has moved.
fn macro_start(view: &View, charted: &Charted) -> pb::MacroPeriod {
    let still = vec![0.0; charted.residents.len()];
    let wages = charted.economy.wages(&charted.residents);
    let prices = charted.economy.prices(&charted.residents);
    let columns = [&charted.residents, &still, &still, &wages, &prices, &still];
    pb::MacroPeriod { period: 0, cities: macro_cities(view, columns) }
}

fn macro_period(view: &View, number: u32, step: &aggregate::Step) -> pb::MacroPeriod {
    let (inflows, outflows) = (step.inflows(), step.outflows());
    let columns = [&step.residents, &inflows, &outflows, &step.wages, &step.prices, &step.shadow];
    pb::MacroPeriod { period: number, cities: macro_cities(view, columns) }
}

/// Rows of cities from columns: residents, in, out, wages, prices over the reference, cap
/// prices.
fn macro_cities(view: &View, columns: [&Vec<f64>; 6]) -> Vec<pb::MacroCity> {
    let cities = view.head.geography.cities.iter().enumerate();
    cities
        .map(|(at, city)| {
            let [residents, moved_in, moved_out, wage, prices, cap_price] =
                columns.map(|column| column[at]);
            let (city, cost_of_living) = (city.id.to_string(), 1_000.0 * prices);
            pb::MacroCity { city, residents, moved_in, moved_out, wage, cost_of_living, cap_price }
        })
        .collect()
}

fn macro_end(found: &MacroRun) -> pb::MacroEnd {
    let first = &found.steady[0];
    pb::MacroEnd {
        steady_residents: first.residents.clone(),
        converged: first.converged,
        residual: first.residual,
        iterations: first.iterations,
        steady_states: found.steady.len() as u32,
        growth: found.growth,
        settled_residual: found.settled,
    }
}

fn id_of(number: u64) -> String {
    format!("s{number}")
}

fn manifest_of(manifest: &Manifest, parameters: &Parameters, policy_hash: u64) -> pb::ScenarioRun {
    pb::ScenarioRun {
        policy: manifest.policy.to_string(),
        policy_version: manifest.policy_version,
        baseline: manifest.is_baseline,
        revision: manifest.revision.0,
        periods: manifest.periods,
        seeds: manifest.seeds.clone(),
        parameters: Some(parameters_in_full(parameters)),
        parameters_hash: format!("{:016x}", manifest.parameters_hash),
        policy_hash: format!("{policy_hash:016x}"),
        engine_version: manifest.engine.to_owned(),
        margin: Some(pb::StabilityMargin {
            runaway: manifest.margin.runaway,
            swing: manifest.margin.swing,
        }),
        ..pb::ScenarioRun::default()
    }
}

fn scenario_run(kept: &KeptScenario) -> pb::ScenarioRun {
    pb::ScenarioRun {
        id: id_of(kept.number),
        ended_time: Some(render::timestamp(kept.ended)),
        result_hash: format!("{:016x}", kept.result_hash),
        ..manifest_of(&kept.run.manifest, &kept.parameters, kept.policy_hash)
    }
}

/// The runs that a market keeps.
pub fn list(
    shared: &Shared,
    request: &pb::ListScenariosRequest,
) -> Answer<pb::ListScenariosResponse> {
    let market = shared.market(&request.market)?;
    let runs = market.scenarios().list();
    Ok(pb::ListScenariosResponse { runs: runs.iter().map(|run| scenario_run(run)).collect() })
}

/// What a policy has changed.
pub async fn compare(
    shared: &Shared,
    request: pb::CompareScenariosRequest,
) -> Answer<pb::CompareScenariosResponse> {
    let market = shared.market(&request.market)?;
    let after = kept(&market, "run", &request.run)?;
    let before = match request.against.as_str() {
        "" => market.scenarios().baseline_of(&after).ok_or_else(|| refuse(no_baseline()))?,
        id => kept(&market, "against", id)?,
    };
    compare::comparable(&before.run, &after.run).map_err(refuse)?;
    let periods = after.run.manifest.periods;
    in_range("period", request.period, 0, periods).map_err(refuse)?;
    in_range("city_limit", request.city_limit as usize, 0, SCENARIO_CITIES_MAX).map_err(refuse)?;
    let period = if request.period == 0 { periods } else { request.period };
    let limit = match request.city_limit {
        0 => CITIES_DEFAULT,
        limit => limit as usize,
    };
    let head = market.head();
    let names = move |city: usize| head.geography.cities[city].id.as_str().to_owned();
    let compared = move || pb::CompareScenariosResponse {
        market: market_deltas(&before.run, &after.run),
        cities: city_deltas(&before.run, &after.run, period, limit, names),
        before: Some(scenario_run(&before)),
        after: Some(scenario_run(&after)),
    };
    tokio::task::spawn_blocking(compared).await.map_err(|_| failed())
}

fn kept(market: &Market, field: &str, id: &str) -> Answer<Arc<KeptScenario>> {
    let number = id.strip_prefix('s').and_then(|digits| digits.parse().ok());
    let number = number
        .ok_or_else(|| refuse(Violation::invalid(field, "is not the id of a run, such as s7")))?;
    market.scenarios().get(field, number).map_err(refuse)
}

fn no_baseline() -> Violation {
    let message = "no baseline of the same revision, seeds, periods and parameters is kept: \
                   run one, or name the run to compare with";
    Violation::new(Reason::ScenarioNotFound, "against", message)
}

fn market_deltas(before: &Run, after: &Run) -> Vec<pb::ScenarioDelta> {
    let mut deltas = Vec::new();
    for period in 1..=after.manifest.periods {
        for measure in Measure::OF_CITIES.into_iter().chain(Measure::OF_MARKETS) {
            let delta = compare::delta(before, after, period, None, measure);
            deltas.push(scenario_delta(measure, period, String::new(), delta));
        }
    }
    deltas
}

fn city_deltas(
    before: &Run,
    after: &Run,
    period: u32,
    limit: usize,
    name: impl Fn(usize) -> String,
) -> Vec<pb::ScenarioDelta> {
    let mut deltas = Vec::new();
    for city in compare::most_changed(before, after, period, limit) {
        for measure in Measure::OF_CITIES {
            let delta = compare::delta(before, after, period, Some(city), measure);
            deltas.push(scenario_delta(measure, period, name(city), delta));
        }
    }
    deltas
}

fn scenario_delta(
    measure: Measure,
    period: u32,
    city: String,
    delta: Result<Delta, Undefined>,
) -> pb::ScenarioDelta {
    let measure = measure_of(measure).into();
    let place = pb::ScenarioDelta { measure, period, city, ..pb::ScenarioDelta::default() };
    let Ok(delta) = delta else { return place };
    pb::ScenarioDelta {
        seeds: delta.seeds,
        before: delta.before,
        after: delta.after,
        mean: delta.mean,
        standard_error: delta.standard_error.ok(),
        least: delta.least,
        greatest: delta.greatest,
        low: delta.interval.ok().map(|(low, _)| low),
        high: delta.interval.ok().map(|(_, high)| high),
        ..place
    }
}

fn measure_of(measure: Measure) -> pb::ScenarioMeasure {
    match measure {
        Measure::Residents => pb::ScenarioMeasure::Residents,
        Measure::Seekers => pb::ScenarioMeasure::Seekers,
        Measure::Openings => pb::ScenarioMeasure::Openings,
        Measure::Placed => pb::ScenarioMeasure::Placed,
        Measure::MovedIn => pb::ScenarioMeasure::MovedIn,
        Measure::MovedOut => pb::ScenarioMeasure::MovedOut,
        Measure::Employed => pb::ScenarioMeasure::Employed,
        Measure::Tightness => pb::ScenarioMeasure::Tightness,
        Measure::MeanPay => pb::ScenarioMeasure::MeanPay,
        Measure::MeanRealPay => pb::ScenarioMeasure::MeanRealPay,
        Measure::CostOfLiving => pb::ScenarioMeasure::CostOfLiving,
        Measure::Subsidy => pb::ScenarioMeasure::Subsidy,
        Measure::PayTheil => pb::ScenarioMeasure::PayTheil,
        Measure::PayGini => pb::ScenarioMeasure::PayGini,
        Measure::SizeGini => pb::ScenarioMeasure::SizeGini,
    }
}
