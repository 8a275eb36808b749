//! `GetIndicators` and `ListCityIndicators`.

use super::super::paging::Page;
use super::super::status::{Answer, refuse, refuse_market};
use super::super::{Shared, at_least, render};
use super::figure::figure;
use super::off_runtime;
use crate::domain::error::{in_range, text};
use crate::domain::limits::{
    INDICATOR_GROUPS_DEFAULT, INDICATOR_ROWS_MAX, LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX,
    SPECIALITIES_DEFAULT, SPECIALITIES_MAX,
};
use crate::domain::{Geography, OCCUPATION_LABEL, Violation};
use crate::planning::census::Grouping;
use crate::planning::indicators::cutoffs::Cutoffs;
use crate::planning::indicators::differential::Differential;
use crate::planning::indicators::disparity::{Disparity, Sizes};
use crate::planning::indicators::migration::{Migration, System};
use crate::planning::indicators::mismatch::Mismatch;
use crate::planning::indicators::pools::Pools;
use crate::planning::indicators::reach::Coupling;
use crate::planning::indicators::split::Split;
use crate::planning::indicators::structure::Specialisation;
use crate::planning::indicators::{self, City, Group, Market, Most, Region, Sample, Wanted};
use crate::proto::v1 as pb;

/// The market, its regions and its groups.
pub async fn get(
    shared: &Shared,
    request: pb::GetIndicatorsRequest,
) -> Answer<pb::GetIndicatorsResponse> {
    let market = shared.market(&request.market)?;
    at_least(&market, request.at_least_revision)?;
    let groups = ("groups_max", request.groups_max);
    let wanted = Wanted {
        grouping: grouping(&request.label_key, request.prefix_length).map_err(refuse)?,
        groups: rows(groups, INDICATOR_GROUPS_DEFAULT, INDICATOR_ROWS_MAX).map_err(refuse)?,
        first_choices: request.first_choices,
        split: request.mismatch_split,
        differentials: false,
        specialities: 0,
        most: Most::default(),
    };
    let view = market.snapshot().await.map_err(refuse_market)?;
    let (geography, revision) = (view.head.geography.clone(), view.head.revision.0);
    let (label_key, prefix_length) = (wanted.grouping.label.to_string(), request.prefix_length);
    let work = move |control: &_| indicators::market(&view, &wanted, control);
    let measured = off_runtime(shared, work).await?;
    Ok(pb::GetIndicatorsResponse {
        market: Some(market_indicators(&measured.market)),
        regions: measured.regions.iter().map(|row| region(row, &geography)).collect(),
        groups: measured.groups.iter().map(group).collect(),
        regions_total: measured.regions_total as u32,
        groups_total: measured.groups_total as u32,
        label_key,
        prefix_length,
        revision,
    })
}

/// A page of cities.
pub async fn list_cities(
    shared: &Shared,
    request: pb::ListCityIndicatorsRequest,
) -> Answer<pb::ListCityIndicatorsResponse> {
    let market = shared.market(&request.market)?;
    at_least(&market, request.at_least_revision)?;
    let specialities = ("specialities_max", request.specialities_max);
    let wanted = Wanted {
        grouping: grouping(&request.label_key, request.prefix_length).map_err(refuse)?,
        groups: 0,
        first_choices: request.first_choices,
        split: false,
        differentials: request.differentials,
        specialities: rows(specialities, SPECIALITIES_DEFAULT, SPECIALITIES_MAX).map_err(refuse)?,
        most: Most::default(),
    };
    let call = format!(
        "ListCityIndicators\n{:?}\n{} {} {}",
        wanted.grouping, wanted.first_choices, wanted.differentials, wanted.specialities
    );
    let page = Page::open(&market, &call, request.page_size, &request.page_token).await?;
    let view = page.view.clone();
    let geography = view.head.geography.clone();
    // One more than a page: where the next one starts.
    let end = geography.cities.len().min(page.start + page.size + 1);
    let range = page.start.min(end)..end;
    let work = move |control: &_| indicators::cities(&view, &wanted, range, control);
    let measured = off_runtime(shared, work).await?;
    let rows = measured.cities.iter().map(|row| (row.ix.at(), city(row, &geography)));
    let (cities, next) = page.take(rows);
    Ok(pb::ListCityIndicatorsResponse {
        cities,
        next_page_token: page.token(&market, next),
        revision: page.view.head.revision.0,
        first_choice_sample: measured.choices_sample.map(sample),
        differential_sample: measured.differentials_sample.map(sample),
    })
}

/// What makes a group.
fn grouping(label_key: &str, prefix_length: u32) -> Result<Grouping, Violation> {
    text("label_key", label_key, LABEL_KEY_BYTES_MAX)?;
    in_range("prefix_length", prefix_length, 0, LABEL_VALUE_BYTES_MAX as u32)?;
    let label = if label_key.is_empty() { OCCUPATION_LABEL } else { label_key };
    Ok(Grouping { label: label.into(), prefix: prefix_length as usize })
}

/// Rows wanted of a part of the reply: 0 is the default, too many are coerced, fewer than
/// none are refused.
fn rows((field, asked): (&str, i32), default: usize, most: usize) -> Result<usize, Violation> {
    match usize::try_from(asked) {
        Ok(0) => Ok(default),
        Ok(rows) => Ok(rows.min(most)),
        Err(_) => Err(Violation::invalid(field, format!("is {asked}, must not be negative"))),
    }
}

fn sample(sample: Sample) -> pb::Sample {
    pb::Sample {
        workers: sample.workers,
        workers_of: sample.workers_of,
        openings: sample.openings,
        openings_of: sample.openings_of,
    }
}

fn pools(pools: &Pools) -> Option<pb::PoolIndicators> {
    let tally = &pools.tally;
    Some(pb::PoolIndicators {
        searching: tally.searching,
        matched: tally.matched,
        placed: tally.placed,
        vacancies: tally.vacancies,
        openings: tally.openings,
        held: tally.held,
        filled: tally.filled,
        tightness: figure(&pools.tightness),
        residual_tightness: figure(&pools.residual_tightness),
        match_rate: figure(&pools.match_rate),
        fill_rate: figure(&pools.fill_rate),
        vacancy_rate: figure(&pools.vacancy_rate),
        at_or_above_expected: figure(&pools.at_or_above_expected),
        same_group: figure(&pools.same_group),
        mean_fit_bp: figure(&pools.mean_fit),
        mean_pay: figure(&pools.mean_pay),
        mean_real_pay: figure(&pools.mean_real_pay),
        pay_to_asking: figure(&pools.pay_to_asking),
        first_choice: pools.first_choice.as_ref().and_then(figure),
    })
}

fn migration(migration: &Migration) -> Option<pb::MigrationIndicators> {
    let balance = &migration.balance;
    Some(pb::MigrationIndicators {
        planned_in: balance.inward.planned,
        planned_out: balance.outward.planned,
        moved_in: balance.inward.moved,
        moved_out: balance.outward.moved,
        net_rate: figure(&migration.net_rate),
        effectiveness: figure(&migration.effectiveness),
    })
}

fn market_indicators(market: &Market) -> pb::MarketIndicators {
    pb::MarketIndicators {
        pools: pools(&market.pools),
        cities: market.cities as u32,
        population: market.population,
        mismatch_by_city: mismatch(&market.mismatch_by_city),
        mismatch_by_group: mismatch(&market.mismatch_by_group),
        mismatch_by_city_and_group: mismatch(&market.mismatch_by_cell),
        mismatch_split: market.split.as_ref().map(split),
        pay_disparity: disparity(&market.pay),
        tightness_disparity: disparity(&market.tightness),
        sizes: sizes(&market.sizes),
        migration: system(&market.migration),
        cutoffs: cutoffs(&market.cutoffs),
        first_choice_sample: market.sample.map(sample),
    }
}

fn mismatch(mismatch: &Mismatch) -> Option<pb::MismatchIndicators> {
    Some(pb::MismatchIndicators {
        cells: mismatch.cells as u32,
        index: figure(&mismatch.index),
        matches_lost: figure(&mismatch.matches_lost),
    })
}

fn split(split: &Split) -> pb::MismatchSplit {
    pb::MismatchSplit {
        matches: split.matches.clone(),
        seekers: split.seekers,
        openings: split.openings,
        gained: figure(&split.gained),
        place: figure(&split.place),
        skill: figure(&split.skill),
        pay: figure(&split.pay),
        sample: split.sample.map(sample),
    }
}

fn disparity(disparity: &Disparity) -> Option<pb::DisparityIndicators> {
    Some(pb::DisparityIndicators {
        theil: figure(&disparity.theil),
        theil_between: figure(&disparity.theil_between),
        theil_within: figure(&disparity.theil_within),
        gini: figure(&disparity.gini),
        williamson: figure(&disparity.williamson),
    })
}

fn sizes(sizes: &Sizes) -> Option<pb::SizeIndicators> {
    Some(pb::SizeIndicators {
        zipf: figure(&sizes.zipf),
        zipf_standard_error: figure(&sizes.zipf_standard_error),
        primacy: figure(&sizes.primacy),
        primacy_ratio: figure(&sizes.primacy_ratio),
        gini: figure(&sizes.gini),
    })
}

fn system(system: &System) -> Option<pb::SystemMigration> {
    Some(pb::SystemMigration {
        planned: system.moves.planned,
        moved: system.moves.moved,
        gaining: system.gaining as u32,
        losing: system.losing as u32,
        intensity: figure(&system.intensity),
        effectiveness: figure(&system.effectiveness),
        moving: figure(&system.moving),
    })
}

fn cutoffs(cutoffs: &Cutoffs) -> Option<pb::CutoffIndicators> {
    Some(pb::CutoffIndicators {
        vacancies: cutoffs.vacancies,
        full: cutoffs.full,
        capped: cutoffs.capped,
        closed: cutoffs.closed,
        mean_bp: figure(&cutoffs.mean),
        p10_bp: figure(&cutoffs.p10),
        p50_bp: figure(&cutoffs.p50),
        p90_bp: figure(&cutoffs.p90),
    })
}

fn region(row: &Region, geography: &Geography) -> pb::RegionIndicators {
    let region = geography.region(row.ix);
    let parent = region.parent.map(|parent| geography.region(parent).id.to_string());
    pb::RegionIndicators {
        region: region.id.to_string(),
        parent: parent.unwrap_or_default(),
        cities: row.cities as u32,
        population: row.population,
        pools: pools(&row.pools),
        migration: migration(&row.migration),
        gaining: row.gaining as u32,
        losing: row.losing as u32,
    }
}

fn group(row: &Group) -> pb::GroupIndicators {
    pb::GroupIndicators {
        group: row.name.to_string(),
        pools: pools(&row.pools),
        mismatch_by_city: mismatch(&row.mismatch),
        concentration: figure(&row.concentration),
    }
}

fn city(row: &City, geography: &Geography) -> pb::CityIndicators {
    let city = geography.city(row.ix);
    let region = city.region.map(|region| geography.region(region).id.to_string());
    pb::CityIndicators {
        city: city.id.to_string(),
        display_name: city.display_name.to_string(),
        region: region.unwrap_or_default(),
        population: city.population,
        pools: pools(&row.pools),
        migration: migration(&row.migration),
        attractiveness: row.attractiveness.as_ref().and_then(figure),
        specialisation: Some(specialisation(&row.specialisation, geography)),
        coupling: coupling(&row.coupling),
        market_potential: figure(&row.potential),
        cutoffs: cutoffs(&row.cutoffs),
        differential: row.differential.as_ref().map(differential),
    }
}

fn specialisation(found: &Specialisation, geography: &Geography) -> pb::SpecialisationIndicators {
    let specialities = found.specialities.iter().map(|speciality| pb::Speciality {
        group: speciality.group.to_string(),
        jobs: speciality.jobs,
        location_quotient: figure(&speciality.quotient),
    });
    pb::SpecialisationIndicators {
        jobs: found.jobs,
        krugman: figure(&found.krugman),
        herfindahl: figure(&found.herfindahl),
        specialities: specialities.collect(),
        twin: found.twin.map(|twin| render::city_name(geography, twin)).unwrap_or_default(),
        similarity: figure(&found.similarity),
        redundant: found.redundant,
        repeated_groups: found.repeated.iter().map(ToString::to_string).collect(),
    }
}

fn coupling(found: &Coupling) -> Option<pb::CouplingIndicators> {
    Some(pb::CouplingIndicators {
        coupling: figure(&found.coupling),
        development: figure(&found.development),
        degree: figure(&found.degree),
    })
}

fn differential(found: &Differential) -> pb::DifferentialIndicators {
    let [pay_p25, pay_p50, pay_p75] = &found.pay;
    let [subsidy_p25, subsidy_p50, subsidy_p75] = &found.subsidy;
    pb::DifferentialIndicators {
        asked: found.asked,
        qualified: found.qualified,
        accepting: found.accepting,
        pay_p25: figure(pay_p25),
        pay_p50: figure(pay_p50),
        pay_p75: figure(pay_p75),
        subsidy_p25: figure(subsidy_p25),
        subsidy_p50: figure(subsidy_p50),
        subsidy_p75: figure(subsidy_p75),
    }
}
