//! `PriceGuidance`.

use super::super::pool::city_filter;
use super::super::status::{Answer, refuse, refuse_market};
use super::super::{Shared, at_least, render};
use super::{CancelOnDrop, stopping};
use crate::domain::error::{at_most, in_range, text};
use crate::domain::limits::{
    GUIDANCE_CHANGES_MAX, INDICATOR_ROWS_MAX, INTAKE_CAP_MAX, LABEL_KEY_BYTES_MAX,
    LABEL_VALUE_BYTES_MAX, MONEY_MAX,
};
use crate::domain::{CityIx, CityName, Geography, Reason, RegionName, Violation};
use crate::matching::Problem;
use crate::planning::census::Grouping;
use crate::planning::guidance::caps::{CapCost, NoPrice};
use crate::planning::guidance::effects::{Effects, Totals};
use crate::planning::guidance::policy::{Change, problem_under};
use crate::planning::guidance::remedy::{self, Ask, Lever};
use crate::planning::guidance::{Price, Question, Work, price};
use crate::proto::v1 as pb;
use crate::state::{CappedPlace, View};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// Progress until the price.
pub type PriceStream =
    Pin<Box<dyn Stream<Item = Result<pb::PriceGuidanceResponse, Status>> + Send>>;

/// How often a pricing says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Starts a pricing.
pub async fn start(shared: &Shared, request: pb::PriceGuidanceRequest) -> Answer<PriceStream> {
    let market = shared.market(&request.market)?;
    at_least(&market, request.at_least_revision)?;
    let view = market.snapshot().await.map_err(refuse_market)?;
    let changes = changes(&view.head.geography, &request.changes).map_err(refuse)?;
    let question = Question {
        grouping: grouping(&request).map_err(refuse)?,
        ask: city_filter(&view, &request.city)?.map(|city| Ask { city, fill: request.fill }),
    };
    let (steps, outgoing) = mpsc::channel(4);
    tokio::spawn(run(shared.clone(), view, changes, question, steps));
    Ok(Box::pin(ReceiverStream::new(outgoing)))
}

type Steps = mpsc::Sender<Result<pb::PriceGuidanceResponse, Status>>;

/// Prices off the runtime and sends progress, then the price. It stops when the caller
/// leaves or the server stops. Few run at once: who comes later waits.
async fn run(
    shared: Shared,
    view: Arc<View>,
    changes: Vec<Change>,
    question: Question,
    steps: Steps,
) {
    let room = tokio::select! {
        room = shared.planning.clone().acquire_owned() => room,
        () = steps.closed() => return,
        () = shared.stopping.cancelled() => {
            let _ = steps.send(Err(stopping())).await;
            return;
        }
    };
    let Ok(room) = room else { return };
    let work = Arc::new(Work::default());
    let _stop = CancelOnDrop(work.clone());
    let priced = {
        let work = work.clone();
        tokio::task::spawn_blocking(move || {
            let (problem, places) = problem_under(&view, &changes);
            let vacancies = problem.clone();
            let priced = price(problem, &question, &work);
            drop(room);
            priced.map(|priced| response(&view, &vacancies, &places, &priced))
        })
    };
    tokio::pin!(priced);
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    let finished = loop {
        tokio::select! {
            finished = &mut priced => break finished,
            () = steps.closed() => return,
            () = shared.stopping.cancelled() => {
                let _ = steps.send(Err(stopping())).await;
                return;
            }
            _ = ticks.tick() => {
                // A caller who does not read misses steps, not the price.
                let _ = steps.try_send(Ok(progress(&work)));
            }
        }
    };
    let last = match finished {
        Ok(Ok(price)) => {
            let step = pb::price_guidance_response::Step::Price(price);
            Ok(pb::PriceGuidanceResponse { step: Some(step) })
        }
        Ok(Err(error)) => match crate::planning::Error::from(error) {
            crate::planning::Error::Refused(violation) => Err(refuse(violation)),
            // Nobody but this task cancels, and it has not.
            crate::planning::Error::Cancelled(_) => return,
        },
        Err(_) => Err(refuse(Violation::new(Reason::Internal, "", "the computation failed"))),
    };
    let _ = steps.send(last).await;
}

fn progress(work: &Work) -> pb::PriceGuidanceResponse {
    let now = work.control.progress();
    let progress =
        pb::GuidanceProgress { clearings: work.clearings(), done: now.done, total: now.total };
    pb::PriceGuidanceResponse { step: Some(pb::price_guidance_response::Step::Progress(progress)) }
}

fn grouping(request: &pb::PriceGuidanceRequest) -> Result<Option<Grouping>, Violation> {
    text("label_key", &request.label_key, LABEL_KEY_BYTES_MAX)?;
    in_range("prefix_length", request.prefix_length, 0, LABEL_VALUE_BYTES_MAX as u32)?;
    let prefix = request.prefix_length as usize;
    let label = request.label_key.as_str();
    Ok((!label.is_empty()).then(|| Grouping { label: label.into(), prefix }))
}

fn changes(geography: &Geography, asked: &[pb::PolicyChange]) -> Result<Vec<Change>, Violation> {
    at_most("changes", asked.len(), GUIDANCE_CHANGES_MAX)?;
    let parsed = asked.iter().enumerate();
    let parsed = parsed.map(|(i, asked)| change(geography, &format!("changes[{i}]"), asked));
    parsed.collect()
}

fn change(geography: &Geography, at: &str, asked: &pb::PolicyChange) -> Result<Change, Violation> {
    use pb::policy_change::Change as Asked;
    let cap = |kind: &str, asked: &pb::CapChange| {
        in_range(&format!("{at}.{kind}.cap"), asked.cap.unwrap_or(0), 0, INTAKE_CAP_MAX)?;
        Ok(asked.cap)
    };
    match &asked.change {
        None => Err(Violation::invalid(at, "must say what changes")),
        Some(Asked::CityCap(asked)) => {
            let city = city(geography, &format!("{at}.city_cap.place"), &asked.place)?;
            Ok(Change::CityCap(city, cap("city_cap", asked)?))
        }
        Some(Asked::RegionCap(asked)) => {
            let field = format!("{at}.region_cap.place");
            let name = RegionName::parse(&field, &asked.place)?;
            let region = geography.region_named(name.as_str()).ok_or_else(|| {
                let message = format!("region {name} does not exist in this market");
                Violation::new(Reason::RegionNotFound, field, message)
            })?;
            Ok(Change::RegionCap(region, cap("region_cap", asked)?))
        }
        Some(Asked::Subsidy(asked)) => {
            let field = |name: &str| format!("{at}.subsidy.{name}");
            let destination = city(geography, &field("destination"), &asked.destination)?;
            in_range(&field("subsidy"), asked.subsidy, 0, MONEY_MAX)?;
            if asked.origin.is_empty() {
                return Ok(Change::CitySubsidy(destination, asked.subsidy));
            }
            let origin = city(geography, &field("origin"), &asked.origin)?;
            if origin == destination {
                let message = "is the origin: staying costs nothing";
                return Err(Violation::invalid(field("destination"), message));
            }
            Ok(Change::PairSubsidy(origin, destination, asked.subsidy))
        }
    }
}

fn city(geography: &Geography, field: &str, name: &str) -> Result<CityIx, Violation> {
    let name = CityName::parse(field, name)?;
    let city = geography.city_named(name.as_str());
    city.ok_or_else(|| Geography::unknown_city(field, &name))
}

fn response(
    view: &View,
    problem: &Problem,
    places: &[CappedPlace],
    priced: &Price,
) -> pb::GuidancePrice {
    let geography = &*view.head.geography;
    let cities = priced.by_city.iter().zip(&priced.fills).enumerate();
    let cities = cities.map(|(at, (residents, fill))| {
        let city = geography.city(CityIx::from_offset(at));
        let name = if city.display_name.is_empty() { city.id.as_str() } else { &city.display_name };
        pb::CityGuidance {
            city: city.id.to_string(),
            residents: Some(effects(residents)),
            openings: fill.openings,
            filled_unguided: fill.unguided,
            filled_guided: fill.guided,
            certain: fill.certain,
            sentence: fill.sentence(name),
        }
    });
    let groups = priced.by_group.iter().take(INDICATOR_ROWS_MAX);
    let groups = groups.map(|(group, workers)| pb::GroupGuidance {
        group: group.clone(),
        workers: Some(effects(workers)),
    });
    let caps = places.iter().zip(&priced.caps);
    pb::GuidancePrice {
        unguided: Some(totals(&priced.unguided)),
        guided: Some(totals(&priced.guided)),
        effects: Some(effects(&priced.effects)),
        cities: cities.collect(),
        groups: groups.collect(),
        groups_total: priced.by_group.len() as u32,
        caps: caps.map(|(place, cost)| cap(geography, problem, *place, cost)).collect(),
        remedies: priced.remedies.iter().map(remedy).collect(),
        clearings: priced.clearings,
        revision: view.head.revision.0,
    }
}

/// A sum as the API has it: cut to the limits of its type.
fn sum(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}

fn totals(totals: &Totals) -> pb::GuidanceTotals {
    pb::GuidanceTotals {
        workers: totals.workers,
        openings: totals.openings,
        matched: totals.matched,
        moved: totals.moved,
        pay: sum(totals.pay),
        real_pay: sum(totals.real_pay),
        move_cost: sum(totals.move_cost),
        subsidies: sum(totals.subsidies),
    }
}

fn effects(effects: &Effects) -> pb::GuidanceEffects {
    pb::GuidanceEffects {
        workers: effects.workers,
        gain: effects.gain,
        lose: effects.lose,
        unaffected: effects.unaffected,
        found: effects.found,
        lost: effects.lost,
        other_job: effects.other_job,
        value_gained: sum(effects.value_gained),
        value_lost: sum(effects.value_lost),
        ranks_gained: effects.ranks_gained,
        ranks_lost: effects.ranks_lost,
        pay_change: sum(effects.pay_change),
        real_pay_change: sum(effects.real_pay_change),
        moved_before: effects.moved_before,
        moved_after: effects.moved_after,
    }
}

fn cap(
    geography: &Geography,
    problem: &Problem,
    place: CappedPlace,
    cost: &CapCost,
) -> pb::CapPrice {
    use pb::cap_price::Price;
    let worker = |w: u32| problem.workers[w as usize].worker.id.to_string();
    let vacancy = |v: u32| problem.vacancies[v as usize].vacancy.id.to_string();
    let price = match cost.pay_rise {
        Ok(rise) => Price::PayRise(rise),
        Err(reason) => Price::NoPrice(no_price(reason).into()),
    };
    pb::CapPrice {
        place: match place {
            CappedPlace::City(ix) => render::city_name(geography, ix),
            CappedPlace::Region(ix) => geography.region(ix).id.to_string(),
        },
        is_region: matches!(place, CappedPlace::Region(_)),
        capacity: cost.capacity,
        held: cost.held,
        refused: cost.refused,
        cutoff_bp: cost.cutoff,
        worker_id: cost.best.map(|best| worker(best.worker)).unwrap_or_default(),
        vacancy_id: cost.best.map(|best| vacancy(best.vacancy)).unwrap_or_default(),
        score_bp: cost.best.map(|best| best.score).unwrap_or_default(),
        price: Some(price),
    }
}

fn no_price(reason: NoPrice) -> pb::NoPriceReason {
    match reason {
        NoPrice::Slack => pb::NoPriceReason::Slack,
        NoPrice::Closed => pb::NoPriceReason::Closed,
        NoPrice::Ranked => pb::NoPriceReason::Ranked,
        NoPrice::Outranked => pb::NoPriceReason::Outranked,
    }
}

fn remedy(remedy: &remedy::Remedy) -> pb::Remedy {
    let lever = match remedy.lever {
        Lever::Pay => pb::Lever::Pay,
        Lever::Subsidy => pb::Lever::Subsidy,
        Lever::CapsElsewhere => pb::Lever::CapsElsewhere,
    };
    let found = remedy.found.as_ref();
    pb::Remedy {
        lever: lever.into(),
        least: remedy.least,
        found: found.is_some(),
        amount: found.map(|found| found.amount).unwrap_or_default(),
        most_tried: remedy.most,
        filled: found.map(|found| found.filled).unwrap_or_default(),
        city_change: found.map(|found| found.city_change).unwrap_or_default(),
        cost: found.map(|found| sum(found.cost)).unwrap_or_default(),
        effects: found.map(|found| effects(&found.effects)),
        clearings: remedy.clearings,
    }
}
