//! A market's settings: the weights of the preference model, who proposes, when it clears.

use super::error::{Reason, Violation, in_range, text};
use super::limits::{
    BASIS_POINTS_MAX, CURRENCY_BYTES_MAX, FIT_MAX, HELD_ROUNDS_MAX, HELD_SECONDS_MAX,
    HORIZON_YEARS_MAX, INTERVAL_SECONDS_MAX, INTERVAL_SECONDS_MIN, MONEY_MAX, PER_KM_MAX,
};
use serde::{Deserialize, Serialize};

/// The side that proposes, and whose optimum a clearing finds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// Workers propose: the worker-optimal stable matching.
    #[default]
    Worker,
    /// Vacancies propose: the worker-pessimal stable matching.
    Vacancy,
}

/// Whose offers a full city or region keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CapOrder {
    /// The best keys, compared across vacancies.
    #[default]
    Score,
    /// First each vacancy's places up to its target, then the rest in turn
    /// (the flexible deferred acceptance of Kamada and Kojima, 2015).
    Targets,
}

/// When a market is cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Clearing {
    /// On request alone.
    #[default]
    Manual,
    /// Also when this many seconds have passed since the last round started and
    /// something has changed since.
    Interval(u32),
    /// With every command, before it is answered; what holds then is promised.
    Continuous(Promise),
}

/// What a continuously cleared market promises of its matching.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Promise {
    /// It is stable.
    #[default]
    Stable,
    /// It is the stable matching that is best for every worker.
    WorkerOptimal,
}

/// Whose confirmation places a match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confirmations {
    /// The worker's and the employer's.
    #[default]
    Both,
    /// Either one's.
    Either,
}

/// The settings of a market; all money is per year in whole units of `currency`
/// unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What one unit of money is, such as `USD`; Gale never converts.
    pub currency: Box<str>,
    /// Who proposes.
    pub proposing_side: Side,
    /// When the market is cleared.
    pub clearing: Clearing,
    /// Whose offers a full city or region keeps.
    pub cap_order: CapOrder,
    /// Whose confirmation places a match.
    pub confirmations: Confirmations,
    /// Seconds that a held match waits for its confirmations, from when it was made, before
    /// it lapses; 0 = for ever.
    pub confirmation_window_seconds: u32,
    /// Commits of rounds in a row through which a match is held, the one that made it
    /// included, until it is placed; 0 = never.
    pub confirm_after_rounds: u32,
    /// Seconds that a match is held, from when it was made, until it is placed; 0 = never.
    pub place_after_seconds: u32,
    /// One-off cost of any move, before subsidies.
    pub fixed_move_cost: i64,
    /// One-off cost of a move per kilometre.
    pub move_cost_per_km: i64,
    /// Years over which a one-off cost of moving is spread.
    pub horizon_years: u8,
    /// What a perfect fit is worth to a worker, a year.
    pub fit_value: i64,
    /// How much of a salary shortfall is taken off a worker's score, in basis points.
    pub shortfall_weight_bp: u32,
    /// Largest salary shortfall that a vacancy accepts, in basis points.
    pub max_shortfall_bp: u32,
    /// Least fit that a vacancy accepts when it sets none, in basis points.
    pub min_fit_bp: u32,
    /// Added to the score of a worker whose home is the vacancy's city, in basis points.
    pub local_bonus_bp: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            currency: "".into(),
            proposing_side: Side::default(),
            clearing: Clearing::default(),
            cap_order: CapOrder::default(),
            confirmations: Confirmations::default(),
            confirmation_window_seconds: 0,
            confirm_after_rounds: 0,
            place_after_seconds: 0,
            fixed_move_cost: 0,
            move_cost_per_km: 0,
            horizon_years: 3,
            fit_value: 0,
            shortfall_weight_bp: 5_000,
            max_shortfall_bp: 2_000,
            min_fit_bp: 0,
            local_bonus_bp: 0,
        }
    }
}

impl Settings {
    /// Refuses values out of range and combinations without a proven mechanism.
    pub fn check(&self) -> Result<(), Violation> {
        text("currency", &self.currency, CURRENCY_BYTES_MAX)?;
        if let Clearing::Interval(seconds) = self.clearing {
            in_range(
                "clearing.interval_seconds",
                seconds,
                INTERVAL_SECONDS_MIN,
                INTERVAL_SECONDS_MAX,
            )?;
        }
        in_range("fixed_move_cost", self.fixed_move_cost, 0, MONEY_MAX)?;
        in_range("move_cost_per_km", self.move_cost_per_km, 0, PER_KM_MAX)?;
        in_range("horizon_years", self.horizon_years, 1, HORIZON_YEARS_MAX)?;
        in_range("fit_value", self.fit_value, 0, MONEY_MAX)?;
        in_range("shortfall_weight_bp", self.shortfall_weight_bp, 0, BASIS_POINTS_MAX)?;
        in_range("max_shortfall_bp", self.max_shortfall_bp, 0, BASIS_POINTS_MAX)?;
        in_range("min_fit_bp", self.min_fit_bp, 0, FIT_MAX)?;
        in_range("local_bonus_bp", self.local_bonus_bp, 0, BASIS_POINTS_MAX)?;
        if self.proposing_side == Side::Vacancy && self.cap_order == CapOrder::Targets {
            return Err(Violation::new(
                Reason::UnsupportedMechanism,
                "proposing_side",
                "vacancies cannot propose under the TARGETS cap order: no stable outcome is proved",
            ));
        }
        self.check_held()?;
        self.check_continuous()
    }

    /// Refuses what would never happen to a held match.
    fn check_held(&self) -> Result<(), Violation> {
        let (window, rounds, place_after) =
            (self.confirmation_window_seconds, self.confirm_after_rounds, self.place_after_seconds);
        in_range("confirmation_window_seconds", window, 0, HELD_SECONDS_MAX)?;
        in_range("confirm_after_rounds", rounds, 0, HELD_ROUNDS_MAX)?;
        in_range("place_after_seconds", place_after, 0, HELD_SECONDS_MAX)?;
        if window > 0 && place_after >= window {
            return Err(Violation::invalid(
                "place_after_seconds",
                format!(
                    "is {place_after}, must be less than confirmation_window_seconds ({window}): \
                     every match would have lapsed before"
                ),
            ));
        }
        if rounds > 0 && matches!(self.clearing, Clearing::Continuous(_)) {
            return Err(Violation::invalid(
                "confirm_after_rounds",
                "is only for markets that are cleared in rounds, not for MODE_CONTINUOUS",
            ));
        }
        Ok(())
    }

    /// The seconds after which the first thing happens to a held match by time alone, if
    /// anything does.
    pub fn held_seconds_min(&self) -> Option<u32> {
        let waits = [self.confirmation_window_seconds, self.place_after_seconds];
        waits.into_iter().filter(|seconds| *seconds > 0).min()
    }

    /// Refuses to promise the workers' optimum after every command where there are caps.
    pub fn check_promise_in_caps(&self, field: &str) -> Result<(), Violation> {
        match self.clearing {
            Clearing::Continuous(Promise::WorkerOptimal) => Err(Violation::new(
                Reason::UnsupportedMechanism,
                field,
                "a market with intake caps that is cleared continuously is STABLE: \
                 no rule is proved that keeps it WORKER_OPTIMAL",
            )),
            _ => Ok(()),
        }
    }

    /// Refuses what cannot be promised after every command.
    fn check_continuous(&self) -> Result<(), Violation> {
        let Clearing::Continuous(promise) = self.clearing else { return Ok(()) };
        let refuse = |field, why| Err(Violation::new(Reason::UnsupportedMechanism, field, why));
        if self.cap_order == CapOrder::Targets {
            return refuse(
                "clearing.mode",
                "a market with the TARGETS cap order cannot be cleared continuously: \
                 no rule is proved that keeps it stable",
            );
        }
        if promise == Promise::WorkerOptimal && self.proposing_side == Side::Vacancy {
            return refuse(
                "clearing.promise",
                "WORKER_OPTIMAL is what workers' proposals lead to; vacancies propose here",
            );
        }
        Ok(())
    }
}

/// A change of one setting, so that two callers who change different settings at once
/// do not undo each other's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the field of `Settings` of the same name")]
pub enum SettingChange {
    All(Settings),
    Currency(Box<str>),
    ProposingSide(Side),
    Clearing(Clearing),
    CapOrder(CapOrder),
    Confirmations(Confirmations),
    ConfirmationWindowSeconds(u32),
    ConfirmAfterRounds(u32),
    PlaceAfterSeconds(u32),
    FixedMoveCost(i64),
    MoveCostPerKm(i64),
    HorizonYears(u8),
    FitValue(i64),
    ShortfallWeightBp(u32),
    MaxShortfallBp(u32),
    MinFitBp(u32),
    LocalBonusBp(u32),
}

impl Settings {
    /// Changes one setting; what comes out may need a [`Settings::check`].
    pub fn apply(&mut self, change: &SettingChange) {
        match change {
            SettingChange::All(settings) => *self = settings.clone(),
            SettingChange::Currency(currency) => self.currency = currency.clone(),
            SettingChange::ProposingSide(side) => self.proposing_side = *side,
            SettingChange::Clearing(clearing) => self.clearing = *clearing,
            SettingChange::CapOrder(order) => self.cap_order = *order,
            SettingChange::Confirmations(confirmations) => self.confirmations = *confirmations,
            SettingChange::ConfirmationWindowSeconds(seconds) => {
                self.confirmation_window_seconds = *seconds;
            }
            SettingChange::ConfirmAfterRounds(rounds) => self.confirm_after_rounds = *rounds,
            SettingChange::PlaceAfterSeconds(seconds) => self.place_after_seconds = *seconds,
            SettingChange::FixedMoveCost(cost) => self.fixed_move_cost = *cost,
            SettingChange::MoveCostPerKm(cost) => self.move_cost_per_km = *cost,
            SettingChange::HorizonYears(years) => self.horizon_years = *years,
            SettingChange::FitValue(value) => self.fit_value = *value,
            SettingChange::ShortfallWeightBp(weight) => self.shortfall_weight_bp = *weight,
            SettingChange::MaxShortfallBp(most) => self.max_shortfall_bp = *most,
            SettingChange::MinFitBp(least) => self.min_fit_bp = *least,
            SettingChange::LocalBonusBp(bonus) => self.local_bonus_bp = *bonus,
        }
    }
}
