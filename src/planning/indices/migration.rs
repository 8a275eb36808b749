//! Net migration, and how much of all moving nets out.

use super::{not_negative, total};
use crate::planning::figure::{Undefined, Value, ratio};

/// Moves into a city and out of it, people in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moves {
    /// I: who came from another city.
    pub arrivals: f64,
    /// O: who left for another city.
    pub departures: f64,
}

/// Net migration rate: 1000 (I - O)/N per 1,000 residents.
///
/// # Errors
/// [`NoPopulation`](Undefined::NoPopulation) if nobody lives there.
pub fn net_rate(moves: Moves, population: f64) -> Value {
    total([moves.arrivals, moves.departures])?;
    let net = moves.arrivals - moves.departures;
    ratio(1000.0 * net, not_negative(population)?, Undefined::NoPopulation)
}

/// Migration effectiveness of a city: 100 (I - O)/(I + O) per cent, from -100 (all leave) to
/// 100 (all come). Source: Shryock and Siegel, *The Methods and Materials of Demography*.
///
/// # Errors
/// [`NoMoves`](Undefined::NoMoves) if nobody comes or leaves.
pub fn effectiveness(moves: Moves) -> Value {
    let all = total([moves.arrivals, moves.departures])?;
    ratio(100.0 * (moves.arrivals - moves.departures), all, Undefined::NoMoves)
}

/// Migration effectiveness of all cities: 100 Σ|I - O|/Σ(I + O) per cent, from 0 (each city
/// gains whom it loses) to 100. Source: Plane and Rogerson, *The Geographical Analysis of
/// Population* (1994).
///
/// # Errors
/// [`NoMoves`](Undefined::NoMoves) if nobody moves.
pub fn system_effectiveness(cities: &[Moves]) -> Value {
    let all = total(cities.iter().flat_map(|city| [city.arrivals, city.departures]))?;
    let net: f64 = cities.iter().map(|city| (city.arrivals - city.departures).abs()).sum();
    ratio(100.0 * net, all, Undefined::NoMoves)
}

/// Crude migration intensity: 100 M/N, moves per 100 residents of all cities.
///
/// # Errors
/// [`NoPopulation`](Undefined::NoPopulation) if nobody lives anywhere.
pub fn crude_intensity(moves: f64, population: f64) -> Value {
    ratio(100.0 * not_negative(moves)?, not_negative(population)?, Undefined::NoPopulation)
}

/// Aggregate net migration rate: CMI · MEI/100, net moves per 100 residents: how much
/// migration redistributes the population. Source: Bell and others, "Cross-national
/// comparison of internal migration" (2002).
///
/// # Errors
/// Of either input.
pub fn aggregate_net_rate(crude_intensity: Value, system_effectiveness: Value) -> Value {
    ratio(crude_intensity? * system_effectiveness?, 100.0, Undefined::ZeroDenominator)
}

/// The share of cities, 0..1, that more people come to than leave.
///
/// # Errors
/// [`Empty`](Undefined::Empty) without cities.
pub fn gaining_share(cities: &[Moves]) -> Value {
    total(cities.iter().flat_map(|city| [city.arrivals, city.departures]))?;
    let gaining = cities.iter().filter(|city| city.arrivals > city.departures).count();
    ratio(gaining as f64, cities.len() as f64, Undefined::Empty)
}

#[cfg(test)]
mod tests {
    use super::super::assert_near;
    use super::*;
    use proptest::prelude::*;

    fn moves(arrivals: f64, departures: f64) -> Moves {
        Moves { arrivals, departures }
    }

    /// Goal: the goldens of I = 120, 30, 50 and O = 80, 70, 50: effectiveness 20, -40, 0;
    /// of the system 20.
    #[test]
    fn goldens() {
        let cities = [moves(120.0, 80.0), moves(30.0, 70.0), moves(50.0, 50.0)];
        for (city, known) in cities.iter().zip([20.0, -40.0, 0.0]) {
            assert_near(effectiveness(*city), known, 1e-13);
        }
        assert_near(system_effectiveness(&cities), 20.0, 1e-13);
        assert_near(gaining_share(&cities), 1.0 / 3.0, 1e-15);
    }

    /// Goal: the rates by hand; the aggregate one is half of all net moves per 100 residents.
    #[test]
    fn rates() {
        let cities = [moves(120.0, 80.0), moves(30.0, 70.0), moves(50.0, 50.0)];
        assert_near(net_rate(cities[1], 8_000.0), -5.0, 1e-13);
        assert_near(crude_intensity(200.0, 10_000.0), 2.0, 1e-13);
        let aggregate =
            aggregate_net_rate(crude_intensity(200.0, 10_000.0), system_effectiveness(&cities));
        assert_near(aggregate, 100.0 * 80.0 / 2.0 / 10_000.0, 1e-13);
    }

    /// Goal: each edge gives its reason.
    #[test]
    fn edges() {
        assert_eq!(effectiveness(moves(0.0, 0.0)), Err(Undefined::NoMoves));
        assert_eq!(system_effectiveness(&[Moves::default()]), Err(Undefined::NoMoves));
        assert_eq!(system_effectiveness(&[]), Err(Undefined::NoMoves));
        assert_eq!(net_rate(moves(1.0, 0.0), 0.0), Err(Undefined::NoPopulation));
        assert_near(net_rate(Moves::default(), 5.0), 0.0, 0.0);
        assert_eq!(crude_intensity(1.0, 0.0), Err(Undefined::NoPopulation));
        assert_eq!(aggregate_net_rate(Ok(1.0), Err(Undefined::NoMoves)), Err(Undefined::NoMoves));
        assert_eq!(gaining_share(&[]), Err(Undefined::Empty));
        assert_eq!(effectiveness(moves(-1.0, 3.0)), Err(Undefined::OutOfRange));
    }

    proptest! {
        #![proptest_config(crate::seeded::cases(256))]
        /// Goal: ranges hold, and mirrored moves mirror the city's effectiveness and leave the
        /// system's. Method: random moves.
        #[test]
        fn laws(rows in prop::collection::vec((0.0..1e6_f64, 0.1..1e6_f64), 1..30)) {
            let cities: Vec<Moves> = rows.iter().map(|(i, o)| moves(*i, *o)).collect();
            let mirrored: Vec<Moves> = rows.iter().map(|(i, o)| moves(*o, *i)).collect();
            for (city, mirror) in cities.iter().zip(&mirrored) {
                let index = effectiveness(*city).unwrap();
                prop_assert!((-100.0..=100.0).contains(&index));
                prop_assert!((effectiveness(*mirror).unwrap() + index).abs() < 1e-12);
            }
            let system = system_effectiveness(&cities).unwrap();
            prop_assert!((0.0..=100.0 + 1e-9).contains(&system));
            prop_assert!((system_effectiveness(&mirrored).unwrap() - system).abs() < 1e-9);
        }
    }
}
