//! The lines of the feedback, each a pure function (`docs/SCENARIOS.md` numbers them).

use super::Parameters;
use crate::domain::limits::{COST_OF_LIVING_MAX, MONEY_MAX};

/// A city's size over that at the start; both count at least one person.
pub fn growth(residents: i64, reference: i64) -> f64 {
    residents.max(1) as f64 / reference.max(1) as f64
}

/// Productivity of a city over that at the start, from its growth and what spills over from
/// others: `growth^λ · exp(Σ share · ln growth of the other)`.
pub fn productivity(parameters: &Parameters, growth: f64, spilled: f64) -> f64 {
    libm::pow(growth, parameters.density_elasticity) * libm::exp(spilled)
}

/// How much of a city's growth reaches another one that many kilometres away.
pub fn spillover(parameters: &Parameters, km: u32) -> f64 {
    parameters.spillover * libm::exp(-parameters.spillover_decay_per_km * f64::from(km))
}

/// Productivity of a group in a city over that at the start, from the city's share of the
/// group's jobs over that at the start: `(share / share then)^λ_s`; 1 where there were or
/// are no jobs.
pub fn localisation(parameters: &Parameters, now: (u64, u64), then: (u64, u64)) -> f64 {
    let counts = [now.0, now.1, then.0, then.1];
    if counts.contains(&0) || parameters.localisation_elasticity == 0.0 {
        return 1.0;
    }
    let share = |(jobs, all): (u64, u64)| jobs as f64 / all as f64;
    let change = share(now) / share(then);
    // Not the share of a share: equal counts must give exactly 1.
    if change == 1.0 { 1.0 } else { libm::pow(change, parameters.localisation_elasticity) }
}

/// What is paid at that productivity, in whole money.
pub fn salary(base: i64, productivity: f64) -> i64 {
    if productivity == 1.0 {
        return base;
    }
    (libm::round(base as f64 * productivity) as i64).clamp(1, MONEY_MAX)
}

/// The cost of living at that growth, where there is `room` times the housing:
/// `base · (growth / room)^γ`.
pub fn cost_of_living(parameters: &Parameters, base: i64, growth: f64, room: f64) -> i64 {
    let crowding = growth / room;
    if crowding == 1.0 {
        return base;
    }
    let cost = base as f64 * libm::pow(crowding, parameters.cost_elasticity);
    (libm::round(cost) as i64).clamp(1, COST_OF_LIVING_MAX)
}

/// Travel time over that on empty roads: `1 + b0 · (growth / room)^b1`.
pub fn delay(parameters: &Parameters, growth: f64, room: f64) -> f64 {
    1.0 + parameters.delay_base * libm::pow(growth / room, parameters.delay_power)
}

/// Openings that a city wants of a group, of `wanted` at the start:
/// `wanted · productivity^ψ`.
pub fn wanted(parameters: &Parameters, wanted: u64, productivity: f64) -> f64 {
    wanted as f64 * libm::pow(productivity, parameters.vacancy_elasticity)
}

/// Levels, in thousandths, that each skill gains in a period of work in a city that is
/// `growth` times as large as the smallest.
pub fn learned(parameters: &Parameters, over_smallest: f64) -> i32 {
    libm::round(1_000.0 * parameters.learning * libm::log(over_smallest)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: where nothing has grown, every line leaves what was, to the bit.
    #[test]
    fn without_growth_nothing_changes() {
        let parameters = Parameters::default();
        assert_eq!(growth(0, 0), 1.0);
        assert_eq!(productivity(&parameters, 1.0, 0.0), 1.0);
        assert_eq!(localisation(&parameters, (3, 7), (3, 7)), 1.0);
        assert_eq!(salary(51_234, 1.0), 51_234);
        assert_eq!(cost_of_living(&parameters, 1_123, 1.0, 1.0), 1_123);
        assert_eq!(delay(&parameters, 1.0, 1.0), 1.15);
        assert_eq!(wanted(&parameters, 40, 1.0), 40.0);
        assert_eq!(learned(&parameters, 50.0), 0);
    }

    /// Goal: every line goes the way it should, by known values.
    #[test]
    fn lines_go_the_right_way() {
        let parameters = Parameters { learning: 1.0, spillover: 0.5, ..Parameters::default() };
        assert!((productivity(&parameters, 2.0, 0.0) - 1.035_264_923_841_377_6).abs() < 1e-12);
        assert!(localisation(&parameters, (4, 7), (3, 7)) > 1.0);
        assert_eq!(localisation(&parameters, (4, 7), (0, 7)), 1.0);
        assert_eq!(salary(50_000, 1.05), 52_500);
        assert_eq!(cost_of_living(&parameters, 1_000, 2.0, 1.0), 1_035);
        assert_eq!(cost_of_living(&parameters, 1_000, 2.0, 2.0), 1_000);
        assert_eq!(cost_of_living(&parameters, 1_000, 1.0, 2.0), 966);
        assert!((delay(&parameters, 2.0, 1.0) - 3.4).abs() < 1e-12);
        assert_eq!(learned(&parameters, std::f64::consts::E), 1_000);
        assert!((spillover(&parameters, 0) - 0.5).abs() < 1e-15);
        assert!(spillover(&parameters, 100) < 0.05);
    }
}
