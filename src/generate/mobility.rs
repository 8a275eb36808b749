//! Where people would move: the shares of each kind, and which cities they list.

use super::moving::Moving;
use super::noise::Noise;
use super::tables::{Metro, distance_km};
use crate::domain::MobilitySpec;

/// Fewest cities that a worker lists, if the market has as many.
const LISTED_MIN: u64 = 2;
/// Most cities that a worker lists.
const LISTED_MAX: u64 = 8;
/// Tries at a city that is not listed yet, before a shorter list is accepted.
const TRIES_MAX: u32 = 32;
/// Distances below this count as this much: metros side by side are one search.
const NEAR_KM: f64 = 50.0;
/// A city of this labour force at [`USUAL_KM`] pulls the same whatever the powers are, so that
/// the pulls of a market are large enough to be told apart as whole numbers.
const USUAL_FORCE: f64 = 1e6;
/// See [`USUAL_FORCE`].
const USUAL_KM: f64 = 1e3;
/// Standard deviation of the logarithm of `cost_percent`.
const COST_LOG_SD: f64 = 0.5;

/// Draws cities as people list them, from one home.
pub(super) struct Neighbours {
    home: usize,
    moving: Moving,
    /// Pull of each metro and all before it; the home's own is 0.
    reached: Vec<u64>,
}

impl Neighbours {
    /// The pull of a metro is its labour force over the distance, each to its power. Of the
    /// simple gravity rules the power 1 of both, the default, comes nearest to how far people
    /// really move between the metros of a market (`docs/DATA.md` compares);
    /// `docs/CALIBRATION.md` has the powers that fit their flows best.
    pub(super) fn new(metros: &[Metro], home: usize, moving: Moving) -> Self {
        let mut sum = 0;
        let reached = metros.iter().enumerate().map(|(i, metro)| {
            if i != home {
                let km = distance_km(metros[home].place(), metro.place()).max(NEAR_KM);
                sum += pull(metro.labour_force as f64, km, moving) as u64 + 1;
            }
            sum
        });
        Self { home, moving, reached: reached.collect() }
    }

    /// The mobility set of one worker; `purpose` and the 64 after it are its draws.
    pub(super) fn draw(&self, metros: &[Metro], noise: Noise, purpose: u32) -> MobilitySpec {
        let kind = noise.below(purpose, 10_000) as u32;
        let home_only = self.moving.home_only_bp;
        if kind < home_only || self.reached.len() < 2 {
            return MobilitySpec::HomeOnly;
        }
        if kind < home_only + self.moving.anywhere_bp {
            return MobilitySpec::Any;
        }
        let wanted = LISTED_MIN + noise.below(purpose + 1, LISTED_MAX - LISTED_MIN + 1);
        let wanted = wanted.min(self.reached.len() as u64 - 1) as usize;
        let mut listed: Vec<usize> = Vec::with_capacity(wanted);
        for purpose in purpose + 2..purpose + 2 + TRIES_MAX {
            if listed.len() == wanted {
                break;
            }
            let city = self.pulled(noise, purpose);
            if !listed.contains(&city) {
                listed.push(city);
            }
        }
        listed.sort_unstable();
        MobilitySpec::Listed(listed.into_iter().map(|city| metros[city].id.clone()).collect())
    }

    /// One metro, as likely as its pull is strong; never the home.
    fn pulled(&self, noise: Noise, purpose: u32) -> usize {
        let sum = self.reached[self.reached.len() - 1];
        let point = noise.below(purpose, sum);
        let city = self.reached.partition_point(|reached| *reached <= point);
        debug_assert_ne!(city, self.home);
        city
    }
}

/// `force^a / km^b`, in a unit that makes it `force / km` where both powers are 1.
fn pull(force: f64, km: f64, moving: Moving) -> f64 {
    let beyond_one = |milli: u32| f64::from(milli) / 1e3 - 1.0;
    let size = libm::pow(force / USUAL_FORCE, beyond_one(moving.size_power_milli));
    let distance = libm::pow(km / USUAL_KM, beyond_one(moving.distance_power_milli));
    force * size / (km * distance)
}

/// The worker's own multiplier on the cost of moving: log-normal around 100, 10..400.
pub(super) fn cost_percent(draw: f64) -> u16 {
    libm::round(100.0 * libm::exp(COST_LOG_SD * draw)).clamp(10.0, 400.0) as u16
}
