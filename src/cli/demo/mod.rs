//! `gale demo`: a whole market in one command, over the same API as everybody's.

mod paste;
mod picture;
mod watcher;

use super::client::Client;
use super::error::Error;
use super::explain;
use super::files::Records;
use super::generate::{PlanArgs, market};
use super::loader::{Loader, Report, Source};
use super::local::Local;
use super::output::{Output, bar, spinner, thousands};
use super::process;
use super::{rounds, stop_signal};
use crate::generate::{Generated, generate};
use crate::proto::v1::{Certificate, Round, RoundState, RoundSummary};
use crate::telemetry::{self, LogFormat};
use picture::Picture;
use serde::Serialize;
use watcher::{Seen, Watcher};

/// The demo's market.
const MARKET: &str = "demo";
/// Vacancies that an explained worker would rather have, of those shown.
const PREFERRED_MAX: usize = 3;

/// Shows a generated market of US cities: loaded, streamed, cleared, verified, explained.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Starts a server in this process (on free ports if 7400 or 7401 is taken), generates a market
from published statistics, loads it over gRPC, watches its own events, clears it, verifies that
no blocking pair is left, shows what came out, and stays up. The cities are real; workers,
vacancies and employers are generated.

Example:
  gale demo
  gale demo --metros 393 --scale 0.02 --once
  gale demo --once --json | jq .matching_hash")]
pub struct Args {
    #[command(flatten)]
    plan: PlanArgs,
    /// Exit when everything is shown, in place of staying up.
    #[arg(long)]
    once: bool,
}

/// The demo's figures; the names are part of the command line's contract.
#[derive(Debug, Serialize)]
struct Figures {
    workers: u64,
    vacancies: u64,
    openings: u64,
    matched: u64,
    moved: u64,
    blocking_pairs: u64,
    pairs_examined: u64,
    revision: u64,
    events_received: u64,
    matching_hash: String,
    clear_ms: u64,
    import_ms: u64,
    peak_rss_bytes: u64,
    seed: u64,
    scale: f64,
    metros: usize,
}

/// What the market came to.
struct Outcome {
    report: Report,
    round: Round,
    summary: RoundSummary,
    certificate: Certificate,
    seen: Seen,
    revision: u64,
}

/// Runs the demo.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    telemetry::init(LogFormat::Text, "warn").map_err(|error| Error::Usage(error.to_string()))?;
    let say = Narrator(output);
    let local = Local::start().await?;
    say.server(&local)?;
    let generated = make(&args.plan).await?;
    say.market(&generated)?;
    let client = Client::connect(&format!("http://{}", local.grpc)).await?;
    let outcome = live(&client, generated, say).await?;
    let result = check(&outcome);
    if output.json {
        output.json(&figures(&outcome, &args.plan))?;
    } else {
        show(&client, say).await?;
    }
    result?;
    if !args.once {
        say.line("")?;
        say.line("The server stays up; stop it with Ctrl-C.")?;
        stop_signal().await?;
    }
    local.stop().await
}

/// Generates off the runtime, with progress.
async fn make(plan: &PlanArgs) -> Result<Generated, Error> {
    let plan = plan.plan();
    let work = move || {
        let progress = bar("generating workers", 0);
        let generated = generate(&plan, |now| {
            progress.set_length(now.workers_total);
            progress.set_position(now.workers as u64);
        });
        progress.finish_and_clear();
        generated
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(generated) => generated.map_err(|violation| Error::Usage(violation.to_string())),
        Err(error) => Err(Error::Failed(format!("generating failed: {error}"))),
    }
}

/// The market's life: made, watched, filled, cleared, verified.
async fn live(client: &Client, generated: Generated, say: Narrator) -> Result<Outcome, Error> {
    let mut loader = Loader::new(client.clone(), MARKET);
    let source = source(generated);
    loader.create(&source.market).await?;
    let mut watcher = Watcher::start(client.clone(), MARKET);
    let report = loader.fill(source).await?;
    say.imported(&report)?;
    let round = rounds::start(client, MARKET).await?;
    let round = rounds::wait(client, MARKET, round).await?;
    let summary = match (&round.state(), &round.summary) {
        (RoundState::Cleared, Some(summary)) => summary.clone(),
        _ => return Err(Error::Failed("the round did not clear".into())),
    };
    say.cleared(&summary)?;
    let certificate = rounds::verify(client, MARKET).await?;
    say.verified(&certificate)?;
    let waiting = spinner("waiting for the last events");
    let newest = client.newest(MARKET).await?;
    let seen = watcher.caught_up(&newest).await?;
    waiting.finish_and_clear();
    say.watched(&seen)?;
    let status = client.market(MARKET).await?.status.unwrap_or_default();
    Ok(Outcome { report, round, summary, certificate, seen, revision: status.revision })
}

/// The generated market as a source of messages, made as they are sent.
fn source(generated: Generated) -> Source {
    let Generated { frame, workers, vacancies } = generated;
    let mut market = market(&frame);
    market.id = MARKET.to_owned();
    let numbered = |index: usize| index as u64 + 1;
    Source {
        market,
        regions: frame.regions.iter().enumerate().map(|(i, r)| (numbered(i), r.into())).collect(),
        cities: frame.cities.iter().enumerate().map(|(i, c)| (numbered(i), c.into())).collect(),
        move_costs: frame
            .move_costs
            .iter()
            .enumerate()
            .map(|(i, m)| (numbered(i), m.into()))
            .collect(),
        workers: Records::of(workers.into_iter().map(|worker| (&worker).into())),
        vacancies: Records::of(vacancies.into_iter().map(|vacancy| (&vacancy).into())),
    }
}

/// Whether everything that the demo claims was so.
fn check(outcome: &Outcome) -> Result<(), Error> {
    let Outcome { report, round, summary, certificate, seen, revision } = outcome;
    if report.rejected_total > 0 {
        return Err(Error::Failed(format!("{} records were refused", report.rejected_total)));
    }
    if summary.blocking_pairs > 0 || !rounds::is_stable(certificate) {
        return Err(Error::Failed("the matching is not stable".into()));
    }
    if certificate.matching_hash != summary.matching_hash {
        return Err(Error::Failed("the certificate is of another matching".into()));
    }
    if round.end_revision > *revision {
        return Err(Error::Failed("the round ended after the market's newest revision".into()));
    }
    seen.reconcile(report, summary, *revision).map_err(Error::Failed)
}

fn figures(outcome: &Outcome, plan: &PlanArgs) -> Figures {
    let Outcome { report, summary, certificate, seen, revision, .. } = outcome;
    Figures {
        workers: summary.workers,
        vacancies: summary.vacancies,
        openings: summary.openings,
        matched: summary.matched,
        moved: summary.moved,
        blocking_pairs: certificate.blocking_pairs,
        pairs_examined: certificate.pairs_examined,
        revision: *revision,
        events_received: seen.events,
        matching_hash: summary.matching_hash.clone(),
        clear_ms: summary.clear_ms,
        import_ms: u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
        peak_rss_bytes: process::peak_rss_bytes(),
        seed: plan.seed,
        scale: f64::from(plan.scale.millionths()) / 1e6,
        metros: plan.metros,
    }
}

/// Tables, two people, three commands.
async fn show(client: &Client, say: Narrator) -> Result<(), Error> {
    let output = say.0;
    let picture = Picture::read(client, MARKET).await?;
    picture.print(output)?;
    let (matched, unmatched) = (picture.matched_example(), picture.unmatched_example());
    for (title, worker) in [("A matched worker", matched), ("An unmatched worker", unmatched)] {
        let Some(worker) = worker else { continue };
        output.line("")?;
        output.line(output.heading(&format!("{title}: {worker} (generated)")))?;
        let mut answer = explain::ask(client, MARKET, worker, "").await?;
        answer.preferred.truncate(PREFERRED_MAX);
        explain::print(&answer, output)?;
    }
    output.line("")?;
    output.line(output.heading("Try next, in another terminal:"))?;
    let gale = paste::command();
    let target = format!("--server {} --market {MARKET}", client.url());
    if let Some(worker) = matched.or(unmatched) {
        output.line(format_args!("  {gale} explain {worker} {target}"))?;
    }
    let city = picture.busiest_city().map(|city| format!(" --city {city}")).unwrap_or_default();
    output.line(format_args!(
        "  {gale} watch --from earliest --kinds MIGRATION_PLANNED{city} {target}"
    ))?;
    output.line(format_args!("  {gale} verify {target}"))
}

/// Tells a person how far the demo is; silent with `--json`.
#[derive(Clone, Copy)]
struct Narrator(Output);

impl Narrator {
    fn line(self, text: impl std::fmt::Display) -> Result<(), Error> {
        if self.0.json { Ok(()) } else { self.0.line(text) }
    }

    fn server(self, local: &Local) -> Result<(), Error> {
        let why = if local.usual { "" } else { " (free ports: 7400 or 7401 is taken)" };
        self.line(format_args!(
            "Serving gRPC on http://{} and health on http://{}{why}.",
            local.grpc, local.admin
        ))
    }

    fn market(self, generated: &Generated) -> Result<(), Error> {
        self.line(&generated.frame.display_name)?;
        self.line("Cities are real; workers, vacancies and employers are generated, not real.")
    }

    fn imported(self, report: &Report) -> Result<(), Error> {
        self.line(format_args!(
            "Imported over gRPC: {} cities, {} workers, {} vacancies in {} ms.",
            thousands(report.cities),
            thousands(report.workers),
            thousands(report.vacancies),
            thousands(report.elapsed.as_millis() as u64)
        ))
    }

    fn cleared(self, summary: &RoundSummary) -> Result<(), Error> {
        self.line("")?;
        self.line(rounds::summary_table(summary))
    }

    fn verified(self, certificate: &Certificate) -> Result<(), Error> {
        self.line(rounds::certificate_sentence(certificate, self.0))
    }

    fn watched(self, seen: &Seen) -> Result<(), Error> {
        self.line(format_args!(
            "Received {} events of {} revisions, in order and complete.",
            thousands(seen.events),
            thousands(seen.revisions)
        ))
    }
}
