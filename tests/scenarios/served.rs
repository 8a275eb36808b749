//! Scenarios over gRPC.

use crate::support::audit;
use crate::support::server::*;
use gale::domain::limits::*;
use gale::proto::v1 as pb;
use gale::proto::v1::run_scenario_response::Step;
use std::time::Duration;
use tonic::{Code, Status, Streaming};

/// A server with a market of two cities, forty workers and thirty openings.
async fn server() -> Server {
    server_with(options()).await
}

/// The same with those options.
async fn server_with(options: gale::server::Options) -> Server {
    let mut server = Server::with_market(options).await;
    let settings = pb::Settings { fixed_move_cost: 2_000, ..Default::default() };
    server
        .api
        .market
        .update_market(pb::UpdateMarketRequest {
            market: Some(pb::Market { settings: Some(settings), ..market(MARKET) }),
            update_mask: Some(pbjson_types::FieldMask {
                paths: vec!["settings.fixed_move_cost".into()],
            }),
            ..Default::default()
        })
        .await
        .unwrap();
    let home = |number: u64| if number.is_multiple_of(3) { "b" } else { "a" };
    let workers = (1..=40).map(|n| pb::Worker { home_city: home(n).into(), ..worker(n) });
    server.workers(workers.collect()).await;
    let vacancies = (1..=15).map(|n| pb::Vacancy {
        city: home(n + 1).into(),
        openings: 2,
        salary: 48_000 + 500 * n as i64,
        labels: [("occupation".to_owned(), "15-1252".to_owned())].into(),
        ..vacancy(n)
    });
    server.vacancies(vacancies.collect()).await;
    server
}

fn request(policy: pb::Policy) -> pb::RunScenarioRequest {
    let parameters = pb::Parameters { separation: Some(0.3), ..Default::default() };
    pb::RunScenarioRequest {
        market: MARKET.into(),
        policy: Some(policy),
        parameters: Some(parameters),
        periods: 4,
        ..Default::default()
    }
}

fn named(name: &str) -> pb::Policy {
    pb::Policy { name: name.into(), ..Default::default() }
}

fn in_city(name: &str) -> Option<pb::PolicyPlace> {
    Some(pb::PolicyPlace { place: Some(pb::policy_place::Place::City(name.into())) })
}

/// Moves to `b` are paid for.
fn subsidy() -> pb::Policy {
    let subsidy = pb::MoveSubsidy { origin: None, destination: in_city("b"), amount: 2_000 };
    pb::Policy { subsidies: vec![subsidy], ..named("come-to-b") }
}

/// What a run has told.
#[derive(Default, Debug)]
struct Told {
    started: Option<pb::ScenarioRun>,
    periods: Vec<pb::ScenarioPeriod>,
    finished: Option<pb::ScenarioRun>,
}

async fn listen(mut steps: Streaming<pb::RunScenarioResponse>) -> Result<Told, Status> {
    let mut told = Told::default();
    while let Some(reply) = steps.message().await? {
        match reply.step.expect("every message is a step") {
            Step::Started(run) => told.started = Some(run),
            Step::Progress(now) => {
                assert!(now.periods_done <= now.periods_total && now.period >= 1);
            }
            Step::Period(period) => told.periods.push(period),
            Step::Finished(run) => told.finished = Some(run),
            Step::MacroPeriod(_) | Step::MacroEnd(_) => panic!("the mode is MICRO"),
        }
    }
    Ok(told)
}

impl Server {
    async fn scenario(&self, request: pb::RunScenarioRequest) -> Told {
        let steps = self.api.planning.clone().run_scenario(request).await.unwrap().into_inner();
        listen(steps).await.unwrap()
    }

    async fn compared(
        &self,
        run: &str,
        against: &str,
    ) -> Result<pb::CompareScenariosResponse, Status> {
        let request = pb::CompareScenariosRequest {
            market: MARKET.into(),
            run: run.into(),
            against: against.into(),
            ..Default::default()
        };
        let reply = self.api.planning.clone().compare_scenarios(request).await;
        reply.map(tonic::Response::into_inner)
    }

    async fn listed(&self) -> Vec<pb::ScenarioRun> {
        let request = pb::ListScenariosRequest { market: MARKET.into() };
        self.api.planning.clone().list_scenarios(request).await.unwrap().into_inner().runs
    }

    /// The market as anybody may see it, in words.
    async fn rendering(&self) -> String {
        audit::rendering(&self.markets.get(MARKET).unwrap().snapshot().await.unwrap())
    }
}

/// Goal: a run tells every period of every seed, and a policy that changes nothing is the
/// baseline byte for byte but for its labels; the market is as it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_zero_change_is_the_baseline_and_the_market_stays() {
    let server = server().await;
    let (revision, before) = (server.revision(), server.rendering().await);
    let baseline = server.scenario(request(pb::Policy::default())).await;
    let renamed = server.scenario(request(named("nothing-new"))).await;
    assert_eq!(baseline.periods.len(), 4 * 3);
    assert_eq!(baseline.periods, renamed.periods);
    let (a, b) = (baseline.finished.unwrap(), renamed.finished.unwrap());
    assert_eq!((a.result_hash.as_str(), a.baseline), (b.result_hash.as_str(), b.baseline));
    assert_eq!((a.policy.as_str(), b.policy.as_str()), ("baseline", "nothing-new"));
    assert_eq!((a.revision, a.periods, &a.seeds), (revision, 4, &vec![1, 2, 3]));
    let started = baseline.started.unwrap();
    assert_eq!((&started.id, &started.parameters_hash), (&a.id, &a.parameters_hash));
    assert_eq!(a.parameters.unwrap().separation, Some(0.3));
    assert!(a.margin.unwrap().runaway > 0.0);
    let listed: Vec<String> = server.listed().await.into_iter().map(|run| run.id).collect();
    assert_eq!(listed, [b.id.clone(), a.id.clone()]);

    let same = server.compared(&b.id, "").await.unwrap();
    assert_eq!(same.before.unwrap().id, b.id, "the newest baseline is the run itself");
    let same = server.compared(&b.id, &a.id).await.unwrap();
    for delta in same.market.iter().chain(&same.cities).filter(|delta| delta.seeds > 0) {
        assert_eq!((delta.mean, delta.low, delta.high), (0.0, Some(0.0), Some(0.0)));
    }
    assert_eq!((server.revision(), server.rendering().await), (revision, before));
    server.stop().await;
}

/// Goal: a period's rows add up, and what a policy changes is told with an interval.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_compared_with_the_baseline() {
    let server = server().await;
    let baseline = server.scenario(request(pb::Policy::default())).await;
    for period in &baseline.periods {
        let total = period.total.as_ref().unwrap();
        let sum = |of: fn(&pb::ScenarioCity) -> u64| period.cities.iter().map(of).sum::<u64>();
        assert_eq!(sum(|city| city.placed), total.placed);
        assert_eq!(sum(|city| city.moved_in), sum(|city| city.moved_out));
        assert!(period.last_part && period.matching_hash.len() == 16);
        let names: Vec<&str> = period.cities.iter().map(|city| city.city.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }
    let tried = server.scenario(request(subsidy())).await;
    let id = tried.finished.unwrap().id;
    let compared = server.compared(&id, "").await.unwrap();
    assert!(compared.before.unwrap().baseline);
    let market = |measure: pb::ScenarioMeasure, period| {
        let found = compared.market.iter().find(|d| d.measure() == measure && d.period == period);
        *found.map(|delta| (delta.mean, delta.low, delta.seeds)).as_ref().unwrap()
    };
    let (paid, low, seeds) = market(pb::ScenarioMeasure::Subsidy, 1);
    assert!(paid > 0.0 && low.is_some() && seeds == 3);
    // Four periods of fifteen measures; two cities of twelve in the last period.
    assert_eq!((compared.market.len(), compared.cities.len()), (60, 24));
    let moved = compared
        .cities
        .iter()
        .find(|delta| delta.city == "b" && delta.measure() == pb::ScenarioMeasure::MovedIn);
    assert!(moved.unwrap().seeds == 3);
    server.stop().await;
}

/// Goal: the market is served while a run is under way, and the run is of the revision at
/// which it began.
#[tokio::test(flavor = "multi_thread")]
async fn the_market_goes_on_meanwhile() {
    let mut server = server().await;
    let revision = server.revision();
    // It waits for its caller, so it is under way for as long as nobody reads.
    let long = pb::RunScenarioRequest { periods: 100, ..request(pb::Policy::default()) };
    let steps = server.api.planning.run_scenario(long).await.unwrap().into_inner();
    let after = server.workers(vec![worker(99)]).await;
    server.clear().await;
    assert!(after > revision && server.revision() > after);
    let told = listen(steps).await.unwrap();
    assert_eq!(told.finished.unwrap().revision, revision);
    assert_eq!(told.periods.len(), 300);
    assert_eq!(told.periods[0].total.as_ref().unwrap().seekers, 40);
    server.stop().await;
}

/// Goal: a run ends when its caller leaves, leaves nothing behind, and makes room; so many
/// run at once and no more.
#[tokio::test(flavor = "multi_thread")]
async fn callers_who_leave_end_their_runs() {
    let mut server = server().await;
    let long = pb::RunScenarioRequest { periods: SCENARIO_PERIODS_MAX, ..request(subsidy()) };
    let mut running = Vec::new();
    for _ in 0..SCENARIO_RUNS_MAX {
        running.push(server.api.planning.run_scenario(long.clone()).await.unwrap());
    }
    let answer = server.api.planning.run_scenario(long.clone()).await;
    refused_as(answer, Code::ResourceExhausted, "LIMIT_REACHED", "market");
    drop(running);
    let admitted = async {
        loop {
            let short = pb::RunScenarioRequest { periods: 1, ..request(subsidy()) };
            match server.api.planning.run_scenario(short).await {
                Ok(steps) => return listen(steps.into_inner()).await.unwrap(),
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
            }
            tokio::task::yield_now().await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(60), admitted).await.expect("room is made");
    let kept = server.listed().await;
    assert_eq!(kept.len(), 1, "who left has left nothing");
    assert_eq!(kept[0].id, told.finished.unwrap().id);
    server.stop().await;
}

/// Goal: a caller who does not read holds up nobody: the run ends, makes room and says why.
/// Method: all places are taken by runs of more than a connection takes unread; a short run is
/// let in all the same, and then all are read to their ends. One at least has been cut; others
/// may have been slower, and are read before they would be.
#[tokio::test(flavor = "multi_thread")]
async fn callers_who_do_not_read_are_cut() {
    let stall = Duration::from_millis(300);
    let options = gale::server::Options { subscriber_stall: stall, ..options() };
    let mut server = server_with(options).await;
    server.cities((0..398).map(|number| city(&format!("c{number}")))).await;
    let long = pb::RunScenarioRequest { periods: SCENARIO_PERIODS_MAX, ..request(subsidy()) };
    let mut unread = Vec::new();
    for _ in 0..SCENARIO_RUNS_MAX {
        unread.push(server.api.planning.run_scenario(long.clone()).await.unwrap().into_inner());
    }
    let admitted = async {
        loop {
            let short = pb::RunScenarioRequest { periods: 1, ..request(subsidy()) };
            match server.api.planning.run_scenario(short).await {
                Ok(steps) => return steps.into_inner(),
                Err(status) => assert_eq!(status.code(), Code::ResourceExhausted),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), admitted).await;
    drop(waited.expect("who does not read makes room"));
    let (mut finished, mut cut) = (0, 0);
    for steps in unread {
        let told = listen(steps).await;
        if told.is_ok() {
            finished += 1;
        } else {
            refused_as(told, Code::ResourceExhausted, "SUBSCRIBER_STALLED", "");
            cut += 1;
        }
    }
    assert!(cut > 0, "a short run was let in because a long one was cut");
    let kept = server.listed().await;
    let kept = kept.iter().filter(|run| run.periods > 1).count();
    assert_eq!(kept, finished, "what was not read to its end is not kept");
    server.stop().await;
}

/// Goal: a server that stops ends runs and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_runs() {
    let mut server = server().await;
    let long = pb::RunScenarioRequest { periods: SCENARIO_PERIODS_MAX, ..request(subsidy()) };
    let mut steps = server.api.planning.run_scenario(long).await.unwrap().into_inner();
    assert!(steps.message().await.unwrap().is_some());
    server.ask_to_stop();
    refused_as(listen(steps).await, Code::Unavailable, "SHUTTING_DOWN", "");
    server.stop().await;
}

/// Goal: limits at the limit and one past it, by name.
#[tokio::test(flavor = "multi_thread")]
async fn limits_of_scenarios() {
    let mut server = server().await;
    let base = || request(pb::Policy::default());
    let seeds = |count: usize| (1..=count as u64).collect::<Vec<_>>();
    let fine = [
        pb::RunScenarioRequest { periods: SCENARIO_PERIODS_MAX, seeds: vec![1], ..base() },
        pb::RunScenarioRequest { periods: 1, seeds: seeds(SCENARIO_SEEDS_MAX), ..base() },
    ];
    for request in fine {
        assert!(server.scenario(request).await.finished.is_some());
    }
    let refused = [
        (
            pb::RunScenarioRequest { periods: SCENARIO_PERIODS_MAX + 1, ..base() },
            "INVALID_FIELD",
            "periods",
        ),
        (
            pb::RunScenarioRequest { seeds: seeds(SCENARIO_SEEDS_MAX + 1), ..base() },
            "TOO_MANY",
            "seeds",
        ),
        (pb::RunScenarioRequest { seeds: vec![4, 5, 4], ..base() }, "DUPLICATE", "seeds"),
    ];
    for (request, reason, field) in refused {
        let answer = server.api.planning.run_scenario(request).await;
        refused_as(answer, Code::InvalidArgument, reason, field);
    }
    let too_many = pb::Policy {
        salaries: vec![pb::RelativeChange::default(); POLICY_ITEMS_MAX + 1],
        ..named("many")
    };
    let answer = server.api.planning.run_scenario(request(too_many)).await;
    refused_as(answer, Code::InvalidArgument, "TOO_MANY", "policy.salaries");
    // 1,250 cities x 200 periods are the limit for one seed.
    let more = (0..1_248).map(|number| city(&format!("c{number}")));
    server.cities(more).await;
    let rows = pb::RunScenarioRequest { periods: 200, seeds: vec![1, 2], ..base() };
    let answer = server.api.planning.run_scenario(rows).await;
    refused_as(answer, Code::InvalidArgument, "TOO_MANY", "periods");
    let at_limit = pb::RunScenarioRequest { periods: 200, seeds: vec![1], ..base() };
    assert!(server.api.planning.run_scenario(at_limit).await.is_ok());
    server.stop().await;
}

/// Goal: the macro mode tells its start, its periods and where they lead, and keeps nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_macro_mode_is_served() {
    let mut server = server().await;
    server
        .cities(
            [("a", 1_000), ("b", 500)].map(|(id, population)| pb::City { population, ..city(id) }),
        )
        .await;
    let mode = pb::ScenarioMode::Macro.into();
    let asked = pb::RunScenarioRequest { mode, periods: 6, ..request(subsidy()) };
    let reply = server.api.planning.run_scenario(asked.clone()).await.unwrap();
    let (mut steps, mut periods, mut end) = (reply.into_inner(), Vec::new(), None);
    while let Some(reply) = steps.message().await.unwrap() {
        match reply.step.unwrap() {
            Step::MacroPeriod(period) => periods.push(period),
            Step::MacroEnd(last) => end = Some(last),
            _ => {}
        }
    }
    let numbers: Vec<u32> = periods.iter().map(|period| period.period).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(periods[0].cities[0].residents, 1_000.0);
    assert!(periods[6].cities[1].residents > 500.0);
    let end = end.unwrap();
    assert!(end.converged && end.steady_states == 1 && end.growth < 1.0);
    assert_eq!(end.steady_residents.len(), 2);
    assert_eq!(server.listed().await, []);

    let seeds = pb::RunScenarioRequest { seeds: vec![1], ..asked.clone() };
    let answer = server.api.planning.run_scenario(seeds).await;
    refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", "seeds");
    let more = (0..=SCENARIO_MACRO_CITIES_MAX - 2).map(|number| city(&format!("c{number}")));
    server.cities(more).await;
    let answer = server.api.planning.run_scenario(asked).await;
    refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", "mode");
    server.stop().await;
}

/// Goal: many cities come in parts, all of them once and in order.
#[tokio::test(flavor = "multi_thread")]
async fn many_cities_come_in_parts() {
    let mut server = server().await;
    server.cities((0..SCENARIO_CITIES_MAX).map(|number| city(&format!("c{number}")))).await;
    let short = pb::RunScenarioRequest { periods: 1, seeds: vec![1], ..request(subsidy()) };
    let told = server.scenario(short).await;
    let parts: Vec<(usize, bool)> =
        told.periods.iter().map(|part| (part.cities.len(), part.last_part)).collect();
    assert_eq!(parts, [(SCENARIO_CITIES_MAX, false), (2, true)]);
    assert!(told.periods[0].total.is_none() && told.periods[1].total.is_some());
    assert_eq!(told.periods[1].cities[1].city, format!("c{}", SCENARIO_CITIES_MAX - 1));
    server.stop().await;
}

/// Goal: what is wrong is named as the request spells it.
#[tokio::test(flavor = "multi_thread")]
async fn errors_name_their_fields() {
    let mut server = server().await;
    let group = || Some(pb::PolicyGroup { label: "occupation".into(), prefix: "99".into() });
    let cluster = |group| pb::Cluster { city: "a".into(), group, openings: 1, salary: None };
    let parameters = pb::Parameters { separation: Some(1.5), ..Default::default() };
    let cases = [
        (request(named("a b")), "INVALID_FIELD", "policy.name"),
        (
            request(pb::Policy { caps: vec![pb::IntakeCap::default()], ..named("p") }),
            "INVALID_FIELD",
            "policy.caps[0].place",
        ),
        (
            request(pb::Policy {
                subsidies: vec![pb::MoveSubsidy {
                    origin: None,
                    destination: in_city("nowhere"),
                    amount: 1,
                }],
                ..named("p")
            }),
            "CITY_NOT_FOUND",
            "policy.subsidies[0].destination.city",
        ),
        (
            request(pb::Policy { clusters: vec![cluster(None)], ..named("p") }),
            "INVALID_FIELD",
            "policy.clusters[0].group",
        ),
        (
            request(pb::Policy { clusters: vec![cluster(group())], ..named("p") }),
            "INVALID_FIELD",
            "policy.clusters[0].group",
        ),
        (request(pb::Policy { cap_order: 7, ..named("p") }), "INVALID_FIELD", "policy.cap_order"),
        (
            pb::RunScenarioRequest { parameters: Some(parameters), ..request(named("p")) },
            "INVALID_FIELD",
            "parameters.separation",
        ),
    ];
    for (request, reason, field) in cases {
        let answer = server.api.planning.run_scenario(request).await;
        refused_as(answer, Code::InvalidArgument, reason, field);
    }
    let target = pb::IntakeTarget { place: in_city("a"), share_bp: 1 };
    let targets = request(pb::Policy { targets: vec![target], ..named("p") });
    let answer = server.api.planning.run_scenario(targets).await;
    refused_as(answer, Code::FailedPrecondition, "UNSUPPORTED_MECHANISM", "policy.targets");
    let later = pb::RunScenarioRequest { at_least_revision: 1 << 40, ..request(named("p")) };
    let answer = server.api.planning.run_scenario(later).await;
    refused_as(answer, Code::OutOfRange, "POSITION_IN_FUTURE", "at_least_revision");
    let elsewhere = pb::RunScenarioRequest { market: "x".into(), ..request(named("p")) };
    let answer = server.api.planning.run_scenario(elsewhere).await;
    refused_as(answer, Code::NotFound, "MARKET_NOT_FOUND", "market");
    assert_eq!(server.listed().await.len(), 0, "nothing that was refused is kept");
    server.stop().await;
}

/// Goal: runs that are not, and runs that cannot be compared, are refused with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn runs_that_cannot_be_compared() {
    let mut server = server().await;
    let none = server.compared("s1", "").await;
    refused_as(none, Code::NotFound, "SCENARIO_NOT_FOUND", "run");
    refused_as(server.compared("1", "").await, Code::InvalidArgument, "INVALID_FIELD", "run");
    let id = server.scenario(request(subsidy())).await.finished.unwrap().id;
    let alone = server.compared(&id, "").await;
    refused_as(alone, Code::NotFound, "SCENARIO_NOT_FOUND", "against");
    let others = [
        pb::RunScenarioRequest { periods: 3, ..request(pb::Policy::default()) },
        pb::RunScenarioRequest { seeds: vec![1, 2], ..request(pb::Policy::default()) },
    ];
    for other in others {
        let other = server.scenario(other).await.finished.unwrap().id;
        let answer = server.compared(&id, &other).await;
        refused_as(answer, Code::FailedPrecondition, "WRONG_STATUS", "against");
    }
    server.workers(vec![worker(77)]).await;
    let later = server.scenario(request(pb::Policy::default())).await.finished.unwrap().id;
    let answer = server.compared(&id, &later).await;
    refused_as(answer, Code::FailedPrecondition, "WRONG_STATUS", "against");
    let beyond = pb::CompareScenariosRequest {
        market: MARKET.into(),
        run: id.clone(),
        against: id,
        period: 5,
        ..Default::default()
    };
    let answer = server.api.planning.compare_scenarios(beyond).await;
    refused_as(answer, Code::InvalidArgument, "INVALID_FIELD", "period");
    server.stop().await;
}
