//! How the people of a generated market move, and what a move costs: what
//! `gale calibrate` fits to observed flows.

use crate::domain::Violation;
use crate::domain::error::in_range;
use crate::domain::limits::{MONEY_MAX, PER_KM_MAX};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

/// Largest power of a city's size, in thousandths.
pub const SIZE_POWER_MILLI_MAX: u32 = 3_000;
/// Largest power of the distance, in thousandths.
pub const DISTANCE_POWER_MILLI_MAX: u32 = 4_000;

/// Who would move where, and at what cost. The default is the market of `docs/DATA.md`:
/// chosen by hand, fitted to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Moving {
    /// One-off cost of any move, in US dollars.
    pub fixed_cost: i64,
    /// One-off cost of a move per kilometre, in US dollars.
    pub cost_per_km: i64,
    /// Workers who look only at home, in basis points of all.
    pub home_only_bp: u32,
    /// Workers who would move anywhere, in basis points of all; the rest list cities.
    pub anywhere_bp: u32,
    /// People list a city in proportion to its labour force to this power, in thousandths.
    pub size_power_milli: u32,
    /// And inversely to its distance to this power, in thousandths.
    pub distance_power_milli: u32,
    /// How much of the differences in real pay between cities is made up for by what is not
    /// priced there, in basis points. Changes the cities' cost of living, and nothing else.
    pub amenities_bp: u32,
}

impl Default for Moving {
    fn default() -> Self {
        Self {
            fixed_cost: 15_000,
            cost_per_km: 5,
            home_only_bp: 6_000,
            anywhere_bp: 1_500,
            size_power_milli: 1_000,
            distance_power_milli: 1_000,
            amenities_bp: 0,
        }
    }
}

impl Moving {
    /// Refuses what is out of range, and shares that sum to more than everybody.
    pub fn check(&self) -> Result<(), Violation> {
        in_range("fixed_move_cost", self.fixed_cost, 0, MONEY_MAX)?;
        in_range("move_cost_per_km", self.cost_per_km, 0, PER_KM_MAX)?;
        in_range("home_only (basis points)", self.home_only_bp, 0, 10_000)?;
        in_range("anywhere (basis points)", self.anywhere_bp, 0, 10_000 - self.home_only_bp)?;
        let (size, distance) = (self.size_power_milli, self.distance_power_milli);
        in_range("size_power (thousandths)", size, 0, SIZE_POWER_MILLI_MAX)?;
        in_range("distance_power (thousandths)", distance, 0, DISTANCE_POWER_MILLI_MAX)?;
        in_range("amenities (basis points)", self.amenities_bp, 0, 10_000)
    }

    /// What tells this apart from the default in a market's id: nothing, or `-m` and eight
    /// digits.
    pub(super) fn suffix(&self) -> String {
        if *self == Self::default() {
            return String::new();
        }
        let words = [
            self.fixed_cost as u64,
            self.cost_per_km as u64,
            u64::from(self.home_only_bp),
            u64::from(self.anywhere_bp),
            u64::from(self.size_power_milli),
            u64::from(self.distance_power_milli),
            u64::from(self.amenities_bp),
        ];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        format!("-m{:08x}", xxh3_64(&bytes) as u32)
    }
}
