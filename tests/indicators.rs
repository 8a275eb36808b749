//! Indicators: markets made by hand whose figures are known, random ones against a naive
//! recount, and the two calls over gRPC.
//!
//! `GALE_SEED=n` replays one random market, `GALE_MARKETS=n` says how many there are.

#[path = "indicators/hand.rs"]
mod hand;
#[path = "indicators/random.rs"]
mod random;
#[path = "indicators/served.rs"]
mod served;
mod support;

use gale::domain::*;
use gale::matching::Control;
use gale::planning::Error;
use gale::planning::census::Grouping;
use gale::planning::figure::{Figure, Undefined};
use gale::planning::indicators::{self, Cities, City, Group, Measured, Most, Region, Wanted};
use gale::state::View;

/// Everything that can be measured, by occupation.
pub fn everything() -> Wanted {
    Wanted {
        grouping: Grouping { label: OCCUPATION_LABEL.into(), prefix: 0 },
        groups: limits::INDICATOR_ROWS_MAX,
        first_choices: true,
        split: true,
        differentials: true,
        specialities: limits::SPECIALITIES_MAX,
        most: Most::default(),
    }
}

#[track_caller]
pub fn measured(view: &View, wanted: &Wanted) -> Measured {
    indicators::market(view, wanted, &Control::default()).expect("it can be measured")
}

#[track_caller]
pub fn all_cities(view: &View, wanted: &Wanted) -> Cities {
    let all = 0..view.head.geography.cities.len();
    indicators::cities(view, wanted, all, &Control::default()).expect("it can be measured")
}

#[track_caller]
pub fn city<'c>(view: &View, cities: &'c Cities, name: &str) -> &'c City {
    let ix = view.head.geography.city_named(name).expect("the city is known");
    &cities.cities[ix.at()]
}

#[track_caller]
pub fn region<'r>(view: &View, measured: &'r Measured, name: &str) -> &'r Region {
    let ix = view.head.geography.region_named(name).expect("the region is known");
    measured.regions.iter().find(|region| region.ix == ix).expect("the region is there")
}

#[track_caller]
pub fn group<'g>(measured: &'g Measured, name: &str) -> &'g Group {
    measured.groups.iter().find(|group| *group.name == *name).expect("the group is there")
}

/// A figure must have this value.
#[track_caller]
pub fn is(figure: &Figure, value: f64) {
    let found = figure.value.expect("it is defined");
    assert!((found - value).abs() < 1e-9 * (1.0 + value.abs()), "{found} is not {value}");
}

/// A figure must have no value, for this reason.
#[track_caller]
pub fn is_not(figure: &Figure, why: Undefined) {
    assert_eq!(figure.value, Err(why));
}

/// Labels of an occupation.
pub fn occupation(code: &str) -> Labels {
    [(OCCUPATION_LABEL.into(), code.into())].into()
}

/// What was refused.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> Violation {
    match result.expect_err("it must be refused") {
        Error::Refused(violation) => violation,
        other => panic!("not refused: {other}"),
    }
}
