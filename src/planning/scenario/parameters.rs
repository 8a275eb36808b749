//! The parameters of the feedback between people, jobs and cities: one table with the
//! meaning, range, default and source of each.
//!
//! A source that starts with "assumption" is no published estimate: it is a starting point
//! to be varied, and is printed as such wherever the parameters are.

use crate::domain::Violation;
use crate::domain::error::in_range;
use xxhash_rust::xxh3::xxh3_64;

macro_rules! parameters {
    ($($(#[$doc:meta])+ $name:ident: $default:expr, $low:expr => $high:expr, $source:expr;)+) => {
        /// The parameters of the feedback. Rates are per period; a period is a quarter with
        /// the defaults.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Parameters {
            $($(#[$doc])+ pub $name: f64,)+
        }

        impl Default for Parameters {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Parameters {
            /// What is known of each parameter, in the order of the fields.
            pub const TABLE: &'static [Entry] = &[
                $(Entry {
                    name: stringify!($name),
                    default: $default,
                    low: $low,
                    high: $high,
                    source: $source,
                },)+
            ];

            /// The values in the order of [`Self::TABLE`].
            pub fn values(&self) -> [f64; Self::TABLE.len()] {
                [$(self.$name,)+]
            }
        }
    };
}

/// What is known of one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// Its value where nobody says otherwise.
    pub default: f64,
    /// The least value allowed.
    pub low: f64,
    /// The greatest value allowed.
    pub high: f64,
    /// Where the default comes from.
    pub source: &'static str,
}

impl Entry {
    /// Whether the default is an assumption and no published estimate.
    pub fn is_assumed(&self) -> bool {
        self.source.starts_with("assumption")
    }
}

parameters! {
    /// Elasticity of the choice of a city to real income (ε). Literature: 0.5 to 4.
    income_elasticity: 1.5, 0.0 => 20.0, "Tombe and Zhu 2019: 1.5, by instrumental variables";
    /// Share of income that a move within a region leaves is 1/μ: its barrier μ.
    barrier_within: 3.0, 1.0 => 1e6,
        "Tombe and Zhu 2019: a factor of nearly 3 between countryside and city within a province, 2000";
    /// The same of a move between regions, or where a city has no region.
    barrier_between: 25.0, 1.0 => 1e6,
        "Tombe and Zhu 2019: 25.2 from agriculture to other work between provinces, 2000";
    /// Elasticity of productivity to a city's size (λ). Literature: 0.02 to 0.19.
    density_elasticity: 0.05, 0.0 => 1.0,
        "0.04 to 0.05 in advanced economies; 0.19 China and 0.12 India (Chauvin et al., by the World Bank)";
    /// Elasticity of the cost of living to a city's size over its capacity (γ).
    /// Literature: 0.03 (100,000 people) to 0.08 (Paris).
    cost_elasticity: 0.05, 0.0 => 1.0, "Combes, Duranton and Gobillon 2019: 0.03 to 0.08";
    /// Elasticity of productivity to the jobs of the same group in the city (λ_s).
    localisation_elasticity: 0.03, 0.0 => 1.0, "assumption, after Combes and Gobillon 2015";
    /// How much the growth of other cities adds to a city's productivity, before distance.
    spillover: 0.0, 0.0 => 1.0, "assumption: none";
    /// How fast that falls with distance, per kilometre.
    spillover_decay_per_km: 0.0268, 0.0 => 10.0,
        "assumption: as job applications do (Marinescu and Rathelot 2018: 35 % fewer at 10 miles)";
    /// Share of those employed who lose or leave their job in a period.
    separation: 0.03, 0.0 => 1.0, "assumption: 3 % a quarter";
    /// Share of the residents who reconsider where they live in a period (ρ; macro mode).
    reconsider: 0.025, 0.0 => 1.0, "assumption: a tenth a year";
    /// Share of the free openings that are given up in a period (δ_v).
    withdrawal: 0.0, 0.0 => 1.0, "assumption: a free opening stays open";
    /// Share of the gap between wanted and free openings that is posted in a period (ζ).
    posting: 1.0, 0.0 => 1.0, "assumption: the whole of it";
    /// Elasticity of wanted openings to productivity (ψ).
    vacancy_elasticity: 1.0, 0.0 => 10.0, "assumption: in proportion";
    /// Extra travel time at capacity, over the free way (b0).
    delay_base: 0.15, 0.0 => 100.0, "assumption: the BPR curve of road planning";
    /// How steeply it grows with the load (b1).
    delay_power: 4.0, 0.0 => 20.0, "assumption: the BPR curve of road planning";
    /// Levels that each skill of an employed person gains in a period, per unit of
    /// ln(residents of the city / residents of the smallest city).
    learning: 0.0, 0.0 => 100.0, "assumption: none; the form is De la Roca and Puga 2017";
    /// Residents who move with a worker: the household, and whom a worker of a sample stands
    /// for. A whole number.
    residents_per_worker: 1.0, 1.0 => 1e6, "assumption: a worker stands for one person";
}

impl Parameters {
    /// Refuses values out of range, by name.
    pub fn check(&self) -> Result<(), Violation> {
        for (entry, value) in Self::TABLE.iter().zip(self.values()) {
            if !value.is_finite() {
                return Err(Violation::invalid(entry.name, "must be a number"));
            }
            in_range(entry.name, value, entry.low, entry.high)?;
        }
        if self.residents_per_worker.fract() != 0.0 {
            let message = format!("is {}, must be a whole number", self.residents_per_worker);
            return Err(Violation::invalid("residents_per_worker", message));
        }
        Ok(())
    }

    /// XXH3-64 of the values: what tells two sets of parameters apart.
    pub fn hash(&self) -> u64 {
        let bytes: Vec<u8> =
            self.values().iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
        xxh3_64(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the defaults are in range, every range is enforced on both sides by the name
    /// of its field, and NaN never gets in.
    #[test]
    fn ranges_are_checked_by_name() {
        Parameters::default().check().expect("the defaults are in range");
        type Set = fn(&mut Parameters, f64);
        let some: [(&str, Set, f64); 4] = [
            ("separation", |p, v| p.separation = v, 1.1),
            ("barrier_within", |p, v| p.barrier_within = v, 0.5),
            ("income_elasticity", |p, v| p.income_elasticity = v, f64::NAN),
            ("residents_per_worker", |p, v| p.residents_per_worker = v, 2.5),
        ];
        for (name, set, value) in some {
            let mut parameters = Parameters::default();
            set(&mut parameters, value);
            let violation = parameters.check().expect_err(name);
            assert_eq!(violation.field, name);
        }
    }

    /// Goal: whoever prints the parameters can tell estimates from assumptions, and every
    /// value counts in the hash.
    #[test]
    fn assumptions_are_told_apart() {
        let assumed =
            |name| Parameters::TABLE.iter().find(|entry| entry.name == name).unwrap().is_assumed();
        assert!(!assumed("income_elasticity") && !assumed("cost_elasticity"));
        assert!(assumed("separation") && assumed("posting") && assumed("delay_base"));
        let other = Parameters { delay_power: 3.0, ..Parameters::default() };
        assert_ne!(other.hash(), Parameters::default().hash());
    }
}
