//! `gale bench waiting`: what it is worth to wait before matches are made and final.

use super::Threads;
use super::clear::ratio;
use super::policies::{Fate, Ledger, Policy, run as simulate};
use super::rolling::{Calendar, DAY, Rolling};
use crate::cli::error::Error;
use crate::cli::generate::metros;
use crate::cli::output::{Column, Output, Table, bar, count, thousands};
use crate::domain::limits::WORKERS_MAX;
use crate::generate::{Generator, Plan, Scale};
use serde::Serialize;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Simulates a market that people come to and leave, under several rules of clearing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Workers and vacancies of a generated market arrive at random over simulated days, and leave
unplaced after stays of their own: exponential, cut off at three times the mean. All policies meet
the same ones. `continuous` matches and places everybody at once; `interval T` clears every T
days and places all; the next two keep the market stable at every moment, and `held T` places a
match when it has stood for T days, `patient` when one of its sides is about to leave. `last
minute` matches nobody before that, and then with the best who is there: not a stable matching,
and here for comparison. Shares and means are of those who arrive in the counted days, after three
mean stays and before as long again. Exit code 1 if a placement is not possible.

With --json, one line: metros, openings_per_worker, days, stay_days, seeds, and under markets, one
for each number of workers a day: workers_per_day, partners, partners_per_worker,
partners_per_opening, without_chance_percent, placeable_percent and policies. A policy has
policy, workers and openings (arrived, placed, lost, over all days and seeds), workers_lost_percent,
openings_lost_percent, spared_points (percentage points of workers whom continuous loses and it
does not), placed_of_placeable_percent, wait_days, value, fit_bp, score_bp, first_choice_percent,
displaced_per_placed, pool_partners (each a mean over the seeds and their sd) and violations. With
--partners, value, fit_bp and score_bp are null.

Example:
  gale bench waiting
  gale bench waiting --partners 4 --openings-per-worker 1 --workers-per-day 40
  gale bench waiting --metros 1 --workers-per-day 20,80 --stay 30 --intervals 7,14,28 --seeds 5")]
pub struct Args {
    /// Workers who arrive a day, separated by commas: one market for each.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "10,40,160",
          value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    workers_per_day: Vec<u64>,
    /// Openings for each of them, 0.001 to 100.
    #[arg(long, value_name = "R", default_value = "0.75", value_parser = ratio)]
    openings_per_worker: f64,
    /// Days whose arrivals are counted.
    #[arg(long, value_name = "DAYS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    days: u64,
    /// Mean stay of those who are not placed, in days.
    #[arg(long, value_name = "DAYS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_650))]
    stay: u64,
    /// Days between clearings, separated by commas: one policy for each.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1,7,30",
          value_parser = clap::value_parser!(u64).range(1..=3_650))]
    intervals: Vec<u64>,
    /// Days that a match stands before it is final, separated by commas: one policy for each.
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "1,7",
          value_parser = clap::value_parser!(u64).range(1..=3_650))]
    held: Vec<u64>,
    /// First seed: the same options and seeds give the same figures on every machine.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// How many seeds, from that one on.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    seeds: u64,
    /// In place of what the generated ones want: every worker and opening accept each other
    /// with the same chance, so that each has so many acceptable partners before them, and
    /// rank each other at random.
    #[arg(long, value_name = "D", value_parser = ratio)]
    partners: Option<f64>,
    /// How many US metropolitan areas, largest labour force first (1..393).
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = metros)]
    metros: usize,
    #[command(flatten)]
    threads: Threads,
}

/// What the policies came to; the names are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Figures {
    metros: usize,
    openings_per_worker: f64,
    days: u64,
    stay_days: u64,
    seeds: Vec<u64>,
    markets: Vec<Market>,
}

/// One number of workers a day.
#[derive(Debug, Serialize)]
struct Market {
    workers_per_day: u64,
    /// Acceptable partners that are there, if nobody is placed: of workers and openings alike.
    partners: Spread,
    partners_per_worker: Spread,
    partners_per_opening: Spread,
    /// Workers who never meet an opening that they accept and that accepts them.
    without_chance_percent: Spread,
    /// Workers whom somebody could place who knows who will come.
    placeable_percent: Spread,
    policies: Vec<Line>,
}

/// One policy.
#[derive(Debug, Serialize)]
struct Line {
    policy: String,
    workers: Tally,
    openings: Tally,
    workers_lost_percent: Spread,
    openings_lost_percent: Spread,
    spared_points: Spread,
    placed_of_placeable_percent: Spread,
    wait_days: Spread,
    /// This and the next two: none where chance decides what people want.
    value: Option<Spread>,
    fit_bp: Option<Spread>,
    score_bp: Option<Spread>,
    /// Of the placed: the best of all that they met and that accepted them.
    first_choice_percent: Spread,
    displaced_per_placed: Spread,
    /// Acceptable openings that are there for a worker who is there.
    pool_partners: Spread,
    violations: u64,
}

/// Everybody who came, in all seeds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Tally {
    arrived: u64,
    placed: u64,
    lost: u64,
}

/// A figure over the seeds.
#[derive(Clone, Copy, Debug, Serialize)]
struct Spread {
    mean: f64,
    /// Standard deviation between seeds; none of one seed.
    sd: Option<f64>,
}

/// One policy in the market of one seed.
struct Sample {
    workers: Tally,
    openings: Tally,
    violations: u64,
    measures: Measures,
}

/// What is averaged over seeds.
struct Measures {
    workers_lost_percent: f64,
    openings_lost_percent: f64,
    placed_of_placeable_percent: f64,
    wait_days: f64,
    value: f64,
    fit_bp: f64,
    score_bp: f64,
    first_choice_percent: f64,
    displaced_per_placed: f64,
    pool_partners: f64,
}

/// Simulates, and prints what came of it.
pub fn run(args: &Args, output: Output) -> Result<(), Error> {
    let figures = measure(args)?;
    if output.json {
        output.json(&figures)?;
    } else {
        for market in &figures.markets {
            output.line(headline(market))?;
            output.line(table(market))?;
        }
    }
    let lines = figures.markets.iter().flat_map(|market| &market.policies);
    match lines.map(|line| line.violations).sum::<u64>() {
        0 => Ok(()),
        wrong => Err(Error::Failed(format!("{} not possible", count(wrong, "placement")))),
    }
}

fn measure(args: &Args) -> Result<Figures, Error> {
    let threads = args.threads.number();
    let calendar = Calendar { days: args.days, stay: args.stay };
    let seeds: Vec<u64> = (0..args.seeds).map(|seed| args.seed.wrapping_add(seed)).collect();
    let of_rate = |rate: &u64| seeds.iter().map(move |seed| (*rate, *seed)).collect::<Vec<_>>();
    let kinds: Vec<(u64, u64)> = args.workers_per_day.iter().flat_map(of_rate).collect();
    let markets = in_parallel(threads, "making markets", &kinds, |(rate, seed)| {
        let market = market(args, calendar, *rate, *seed)?;
        let placeable = market.placeable();
        Ok((market, placeable))
    })?;
    let mut policies = vec![Policy::Continuous];
    policies.extend(args.intervals.iter().map(|days| Policy::Interval(*days)));
    policies.extend(args.held.iter().map(|days| Policy::Held(*days)));
    policies.extend([Policy::Patient, Policy::LastMinute]);
    let jobs: Vec<(usize, Policy)> = (0..markets.len())
        .flat_map(|market| policies.iter().map(move |policy| (market, *policy)))
        .collect();
    let samples = in_parallel(threads, "simulating", &jobs, |(at, policy)| {
        let (market, placeable) = &markets[*at];
        Ok(sample(market, *placeable, &simulate(market, *policy)?))
    })?;
    let per_rate = markets.chunks(seeds.len()).zip(samples.chunks(seeds.len() * policies.len()));
    let computed = args.partners.is_none();
    let markets = args.workers_per_day.iter().zip(per_rate);
    let markets = markets
        .map(|(rate, (markets, samples))| figures(*rate, markets, &policies, samples, computed));
    Ok(Figures {
        metros: args.metros,
        openings_per_worker: args.openings_per_worker,
        days: args.days,
        stay_days: args.stay,
        markets: markets.collect(),
        seeds,
    })
}

/// So many workers a day, and the openings for them, as one seed has them.
fn market(args: &Args, calendar: Calendar, rate: u64, seed: u64) -> Result<Rolling, Error> {
    let workers = rate * calendar.arrival_days();
    if workers > WORKERS_MAX as u64 {
        let all = thousands(WORKERS_MAX as u64);
        return Err(Error::Usage(format!(
            "--workers-per-day: more than {all} workers in all days"
        )));
    }
    let openings = (workers as f64 * args.openings_per_worker).round() as u64;
    let plan = Plan { metros: args.metros, scale: Scale::WHOLE, seed, ..Plan::default() };
    let generator = Generator::new(&plan)
        .map_err(|violation| Error::Usage(violation.to_string()))?
        .with_totals(workers, openings);
    Rolling::of(&generator, calendar, args.partners, seed)
}

/// Does all jobs, the last ones first: they are the largest. The results are in the order
/// of the jobs.
fn in_parallel<J: Sync, R: Send>(
    threads: usize,
    label: &str,
    jobs: &[J],
    work: impl Fn(&J) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let progress = bar(label, jobs.len() as u64);
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        while let Some(at) = jobs.len().checked_sub(1 + next.fetch_add(1, Relaxed)) {
            done.push((at, work(&jobs[at])));
            progress.inc(1);
        }
        done
    };
    let mut all: Vec<(usize, Result<R, Error>)> = std::thread::scope(|scope| {
        let crew: Vec<_> = (0..threads).map(|_| scope.spawn(some)).collect();
        let done = crew.into_iter().flat_map(|one| one.join().expect("simulating does not panic"));
        done.collect()
    });
    progress.finish_and_clear();
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, result)| result).collect()
}

fn sample(market: &Rolling, placeable: u64, ledger: &Ledger) -> Sample {
    let fates = || ledger.fates.iter();
    let placed = fates().filter(|fate| matches!(fate, Fate::Placed(..))).count() as u64;
    let lost = fates().filter(|fate| **fate == Fate::Lost).count() as u64;
    let openings_lost: u64 = ledger.lost.iter().map(|lost| u64::from(*lost)).sum();
    Sample {
        workers: Tally { arrived: market.workers.len() as u64, placed, lost },
        openings: Tally { arrived: market.openings(), placed, lost: openings_lost },
        violations: ledger.violations(market),
        measures: measures(market, percent(placed as f64, placeable as f64), ledger),
    }
}

/// The shares and means of those who are counted.
fn measures(market: &Rolling, placed_of_placeable_percent: f64, ledger: &Ledger) -> Measures {
    let is_counted = |stay: &std::ops::Range<u64>| market.counted.contains(&stay.start);
    let mut sums = [0_f64; 5];
    let (mut workers, mut placed, mut displaced, mut first) = (0_u64, 0_u64, 0_u64, 0_u64);
    for (w, stay) in market.workers.iter().enumerate().filter(|(_, stay)| is_counted(stay)) {
        workers += 1;
        displaced += u64::from(ledger.displaced[w]);
        let Fate::Placed(v, at) = ledger.fates[w] else { continue };
        let pair = market.problem.pair(w, v as usize);
        let days = (at - stay.start) as f64 / DAY as f64;
        let all = [days, pair.value as f64, f64::from(pair.fit), pair.score as f64, 1.0];
        sums.iter_mut().zip(all).for_each(|(sum, one)| *sum += one);
        placed += 1;
        first += u64::from(market.choice(w as u32, v) == Some(0));
    }
    let vacancies = market.vacancies.iter().zip(&market.problem.vacancies).zip(&ledger.lost);
    let (mut openings, mut lost) = (0_u64, 0_u64);
    for ((_, post), gone) in vacancies.filter(|((stay, _), _)| is_counted(stay)) {
        openings += u64::from(post.openings);
        lost += u64::from(*gone);
    }
    let until: Vec<u64> = ledger
        .fates
        .iter()
        .zip(&market.workers)
        .map(|(fate, stay)| if let Fate::Placed(_, at) = fate { *at } else { stay.end })
        .collect();
    let pool = market.thickness_until(&until, &ledger.openings_until(market));
    let each = |sum: f64| sum / (placed as f64).max(1.0);
    Measures {
        workers_lost_percent: percent((workers - placed) as f64, workers as f64),
        openings_lost_percent: percent(lost as f64, openings as f64),
        placed_of_placeable_percent,
        wait_days: each(sums[0]),
        value: each(sums[1]),
        fit_bp: each(sums[2]),
        score_bp: each(sums[3]),
        first_choice_percent: percent(first as f64, placed as f64),
        displaced_per_placed: each(displaced as f64),
        pool_partners: pool.of_workers(),
    }
}

/// The samples stand seed by seed, and in each by policy.
fn figures(
    rate: u64,
    markets: &[(Rolling, u64)],
    policies: &[Policy],
    samples: &[Sample],
    computed: bool,
) -> Market {
    let spread = |of: &dyn Fn(&Rolling, u64) -> f64| {
        Spread::of(markets.iter().map(|(market, placeable)| of(market, *placeable)))
    };
    let workers = |market: &Rolling| market.workers.len() as f64;
    let lonely = |market: &Rolling| market.chances.iter().filter(|all| all.is_empty()).count();
    let lines = policies.iter().enumerate().map(|(at, policy)| {
        let of_policy = |policy: usize| samples.iter().skip(policy).step_by(policies.len());
        let continuous: Vec<_> = of_policy(0).collect();
        line(policy, &of_policy(at).collect::<Vec<_>>(), &continuous, computed)
    });
    Market {
        workers_per_day: rate,
        partners: spread(&|market, _| market.thickness().of_all()),
        partners_per_worker: spread(&|market, _| market.thickness().of_workers()),
        partners_per_opening: spread(&|market, _| market.thickness().of_openings()),
        without_chance_percent: spread(&|market, _| {
            percent(lonely(market) as f64, workers(market))
        }),
        placeable_percent: spread(&|market, most| percent(most as f64, workers(market))),
        policies: lines.collect(),
    }
}

fn line(policy: &Policy, samples: &[&Sample], continuous: &[&Sample], computed: bool) -> Line {
    let spread =
        |of: fn(&Measures) -> f64| Spread::of(samples.iter().map(|sample| of(&sample.measures)));
    let sum = |of: fn(&Sample) -> Tally| {
        samples.iter().map(|sample| of(sample)).fold(Tally::default(), Tally::plus)
    };
    let spared = continuous.iter().zip(samples).map(|(continuous, sample)| {
        continuous.measures.workers_lost_percent - sample.measures.workers_lost_percent
    });
    Line {
        policy: policy.to_string(),
        workers: sum(|sample| sample.workers),
        openings: sum(|sample| sample.openings),
        workers_lost_percent: spread(|of| of.workers_lost_percent),
        openings_lost_percent: spread(|of| of.openings_lost_percent),
        spared_points: Spread::of(spared),
        placed_of_placeable_percent: spread(|of| of.placed_of_placeable_percent),
        wait_days: spread(|of| of.wait_days),
        value: computed.then(|| spread(|of| of.value)),
        fit_bp: computed.then(|| spread(|of| of.fit_bp)),
        score_bp: computed.then(|| spread(|of| of.score_bp)),
        first_choice_percent: spread(|of| of.first_choice_percent),
        displaced_per_placed: spread(|of| of.displaced_per_placed),
        pool_partners: spread(|of| of.pool_partners),
        violations: samples.iter().map(|sample| sample.violations).sum(),
    }
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        Self {
            arrived: self.arrived + other.arrived,
            placed: self.placed + other.placed,
            lost: self.lost + other.lost,
        }
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let sd = (values.len() > 1).then(|| thousandths((squares / (count - 1.0)).sqrt()));
        Self { mean: thousandths(mean), sd }
    }

    fn shown(self, decimals: usize) -> String {
        let Self { mean, sd } = self;
        let sd = sd.map_or_else(String::new, |sd| format!(" ±{sd:.decimals$}"));
        format!("{mean:.decimals$}{sd}")
    }
}

fn thousandths(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// A part in per cent; of nothing, 0, since JSON has no NaN.
fn percent(part: f64, whole: f64) -> f64 {
    100.0 * part / whole.max(1.0)
}

fn headline(market: &Market) -> String {
    format!(
        "{} a day. If nobody were placed, a worker would have {} acceptable openings before \
         them, an opening {} workers; d = {}.\n{}% of the workers never meet an opening that \
         both would take; {}% could be placed by somebody who knew who would come.",
        count(market.workers_per_day, "worker"),
        market.partners_per_worker.shown(2),
        market.partners_per_opening.shown(2),
        market.partners.shown(2),
        market.without_chance_percent.shown(1),
        market.placeable_percent.shown(1),
    )
}

fn table(market: &Market) -> Table {
    let number = Column::Number;
    let mean = |of: Option<Spread>, shown: fn(f64) -> String| {
        of.map_or_else(|| "-".to_owned(), |spread| shown(spread.mean))
    };
    let mut table = Table::new(&[
        Column::Text("policy"),
        number("workers lost %"),
        number("spared points"),
        number("openings lost %"),
        number("of placeable %"),
        number("wait days"),
        number("value"),
        number("fit bp"),
        number("score bp"),
        number("1st choice %"),
        number("displaced"),
        number("pool"),
    ]);
    for line in &market.policies {
        table.row([
            line.policy.clone(),
            line.workers_lost_percent.shown(1),
            line.spared_points.shown(1),
            line.openings_lost_percent.shown(1),
            line.placed_of_placeable_percent.shown(1),
            line.wait_days.shown(1),
            mean(line.value, |value| thousands(value.round() as i128)),
            mean(line.fit_bp, |fit| format!("{fit:.0}")),
            mean(line.score_bp, |score| format!("{score:.0}")),
            line.first_choice_percent.shown(1),
            format!("{:.2}", line.displaced_per_placed.mean),
            format!("{:.2}", line.pool_partners.mean),
        ]);
    }
    table
}
