//! The words of a labour market as plain types: ids, settings, geography, workers,
//! vacancies, and what can be wrong with them. No I/O, no clock, no transport.
//!
//! Every record exists twice. A *spec* (`WorkerSpec`) is what a client sends: names
//! as text, validated by itself alone. A *record* (`Worker`) is what the market
//! keeps: names interned to small indices, lists sorted, defaults that are not the
//! market's filled in. The state machine turns one into the other.

pub mod error;
pub mod geography;
pub mod ids;
pub mod limits;
pub mod settings;
pub mod vacancy;
pub mod worker;

pub use error::{Reason, Violation};
pub use geography::{City, CitySpec, Geography, MoveCost, MoveCostSpec, Region, RegionSpec};
pub use ids::{
    CityIx, CityName, Incarnation, MarketName, Millis, RegionIx, RegionName, RequestId, Revision,
    RoundId, SkillIx, SkillName, VacancyId, VacancySlot, WorkerId, WorkerSlot,
};
pub use settings::{CapOrder, Clearing, Confirmations, Promise, SettingChange, Settings, Side};
pub use vacancy::{Requirement, RequirementSpec, Vacancy, VacancySpec};
pub use worker::{Level, Mobility, MobilitySpec, Worker, WorkerSpec};

use std::sync::Arc;

/// The label that groups workers and vacancies where nobody names another. Generated ones
/// have the occupation's OEWS code in it, such as `15-1252`.
pub const OCCUPATION_LABEL: &str = "occupation";

/// Labels of a record: short key-value pairs that Gale stores and returns. A label
/// changes nothing that happens; indicators group by one.
pub type Labels = Box<[(Box<str>, Box<str>)]>;

/// Labels as a market keeps them: records with equal labels share one list (see
/// `the state machine`). `None` is none at all.
pub type SharedLabels = Option<Arc<Labels>>;

/// Refuses labels that are too many or too long.
fn check_labels(labels: &[(Box<str>, Box<str>)]) -> Result<(), Violation> {
    use error::Within;
    error::at_most("labels", labels.len(), limits::LABELS_MAX)?;
    for (key, value) in labels {
        let place = || format!("labels[{key}]");
        if key.is_empty() {
            return Err(Violation::invalid(place(), "has an empty key"));
        }
        error::text("", key, limits::LABEL_KEY_BYTES_MAX).within(place)?;
        error::text("", value, limits::LABEL_VALUE_BYTES_MAX).within(place)?;
    }
    Ok(())
}

/// Refuses a ranking that is too long or names an id twice.
fn check_ranking<T: Copy + Ord + std::fmt::Display>(ids: Option<&[T]>) -> Result<(), Violation> {
    let Some(ids) = ids else { return Ok(()) };
    error::at_most("ranking.ids", ids.len(), limits::RANKING_MAX)?;
    match first_duplicate(ids.iter().copied()) {
        Some(id) => {
            Err(Violation::new(Reason::Duplicate, "ranking.ids", format!("{id} stands twice")))
        }
        None => Ok(()),
    }
}

/// The least value that stands twice, if any.
pub fn first_duplicate<T: Ord>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut sorted: Vec<T> = values.collect();
    sorted.sort_unstable();
    let at = sorted.windows(2).position(|pair| pair[0] == pair[1])?;
    Some(sorted.swap_remove(at))
}
