//! Price levels of the cities as people feel them: with or without what is not priced.
//!
//! Where pay buys more than elsewhere, people would flock until it did not; that they do not
//! is put down to amenities, all that a place offers and does not charge for (Roback, "Wages,
//! Rents, and the Quality of Life", 1982). In the limit nobody gains by where they live, and
//! pay is felt relative to what the place usually pays.

use super::tables::Tables;

/// Cost of living by metro, 1000 = the average, with so many basis points of the differences
/// in real pay made up for by amenities: none leaves the price levels as published, all of
/// them puts the usual pay of the metro in their place.
pub(super) fn felt(tables: &Tables, amenities_bp: u32) -> Vec<i64> {
    let published = tables.metros.iter().map(|metro| metro.cost_of_living);
    if amenities_bp == 0 {
        return published.collect();
    }
    let share = f64::from(amenities_bp) / 10_000.0;
    let blend = |(prices, pay): (i64, f64)| {
        let felt = libm::pow(prices as f64, 1.0 - share) * libm::pow(1_000.0 * pay, share);
        (libm::round(felt) as i64).max(1)
    };
    published.zip(usual_pay(tables)).map(blend).collect()
}

/// What each metro pays for its jobs, relative to what the same occupations are paid in all
/// metros of the plan together: medians, weighted by its employment.
fn usual_pay(tables: &Tables) -> Vec<f64> {
    let mut anywhere = vec![(0.0, 0.0); tables.occupations.len()];
    let cells = tables.metros.iter().flat_map(|metro| &metro.cells);
    for cell in cells {
        let (pay, jobs) = &mut anywhere[usize::from(cell.occupation)];
        *pay += f64::from(cell.employment) * f64::from(cell.pay.0[2]);
        *jobs += f64::from(cell.employment);
    }
    let of_metro = |metro: &super::tables::Metro| {
        let (mut here, mut there) = (0.0, 0.0);
        for cell in &metro.cells {
            let (pay, jobs) = anywhere[usize::from(cell.occupation)];
            here += f64::from(cell.employment) * f64::from(cell.pay.0[2]);
            there += f64::from(cell.employment) * pay / jobs;
        }
        if there > 0.0 { here / there } else { 1.0 }
    };
    tables.metros.iter().map(of_metro).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Country;

    /// Goal: without amenities prices are the published ones, with all of them they follow pay
    /// alone, and half way lies between; San Francisco pays more than Miami.
    #[test]
    fn prices_follow_pay_as_amenities_make_up_for_it() {
        let tables = Tables::load(Country::Us, 12);
        let at = |city: &str| {
            tables.metros.iter().position(|metro| &*metro.principal_city == city).unwrap()
        };
        let [none, half, all] = [0, 5_000, 10_000].map(|bp| felt(&tables, bp));
        assert!(none.iter().zip(&tables.metros).all(|(felt, m)| *felt == m.cost_of_living));
        let pay = usual_pay(&tables);
        assert!(all.iter().zip(&pay).all(|(felt, pay)| (*felt as f64 - 1e3 * pay).abs() <= 0.5));
        assert!(pay[at("San Francisco")] > 1.1 && pay[at("Miami")] < 0.95, "{pay:?}");
        for ((none, half), all) in none.iter().zip(&half).zip(&all) {
            assert!((none.min(all)..=none.max(all)).contains(&half));
        }
    }
}
