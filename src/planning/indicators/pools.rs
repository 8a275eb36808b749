//! Who seeks, what is open, and how well they have come together.

use super::choices::Share;
use super::figure;
use crate::planning::census::Tally;
use crate::planning::figure::{Figure, Undefined, ratio};
use crate::planning::indices::tightness::tightness;

/// Of a market, a city, a region or a group.
#[derive(Clone, Debug)]
pub struct Pools {
    /// The counts.
    pub tally: Tally,
    /// Openings per seeker.
    pub tightness: Figure,
    /// The same without those who are matched.
    pub residual_tightness: Figure,
    /// Share of the seekers who are matched.
    pub match_rate: Figure,
    /// Share of the openings that are held.
    pub fill_rate: Figure,
    /// Share of all jobs that stand empty.
    pub vacancy_rate: Figure,
    /// Share of the workers with a job whose job pays what they ask.
    pub at_or_above_expected: Figure,
    /// Share of the workers with a job whose job is of their group.
    pub same_group: Figure,
    /// Mean fit, in basis points.
    pub mean_fit: Figure,
    /// Mean salary.
    pub mean_pay: Figure,
    /// Mean real salary.
    pub mean_real_pay: Figure,
    /// Salaries against what is asked.
    pub pay_to_asking: Figure,
    /// Share of the matched who hold their first choice, if they were asked.
    pub first_choice: Option<Figure>,
}

impl Pools {
    /// What a tally says.
    pub fn of(tally: &Tally, first: Option<Share>) -> Self {
        let count = |number: u64| number as f64;
        let (searching, seekers) = (count(tally.searching), count(tally.seekers()));
        let (matched, openings, held) =
            (count(tally.matched), count(tally.openings), count(tally.held));
        let empty = openings - held;
        let employed = ("employed", count(tally.employed()));
        let (pairs, jobs) = (count(tally.pairs), count(tally.jobs()));
        let of_employed = |name, part: u64| {
            let value = ratio(count(part), employed.1, Undefined::NoMatches);
            figure(value, &[(name, count(part)), employed])
        };
        let mean = |name, sum: f64| {
            figure(ratio(sum, pairs, Undefined::NoMatches), &[(name, sum), ("pairs", pairs)])
        };
        let (pay, asking) = (tally.pay as f64, tally.asking as f64);
        Self {
            tally: *tally,
            tightness: figure(
                tightness(openings, seekers),
                &[("openings", openings), ("seekers", seekers)],
            ),
            residual_tightness: figure(
                tightness(empty, searching),
                &[("openings_not_held", empty), ("searching", searching)],
            ),
            match_rate: figure(
                ratio(matched, seekers, Undefined::NoSeekers),
                &[("matched", matched), ("seekers", seekers)],
            ),
            fill_rate: figure(
                ratio(held, openings, Undefined::NoOpenings),
                &[("held", held), ("openings", openings)],
            ),
            vacancy_rate: figure(
                ratio(empty, jobs, Undefined::NoOpenings),
                &[("openings_not_held", empty), ("jobs", jobs)],
            ),
            at_or_above_expected: of_employed("at_or_above", tally.at_or_above),
            same_group: of_employed("same_group", tally.same_group),
            mean_fit: mean("fit_bp", count(tally.fit)),
            mean_pay: mean("pay", pay),
            mean_real_pay: mean("real_pay", tally.real_pay as f64),
            pay_to_asking: figure(
                ratio(pay, asking, Undefined::NoMatches),
                &[("pay", pay), ("asking", asking)],
            ),
            first_choice: first.map(|share| {
                let (first, asked) = (count(share.first), count(share.matched));
                let value = ratio(first, asked, Undefined::NoMatches);
                figure(value, &[("first_choice", first), ("matched_asked", asked)])
            }),
        }
    }
}
