//! A market directory, loaded into the same state machine that a server runs, and
//! cleared once.

use super::clear;
use crate::cli::error::Error;
use crate::cli::files::{Directory, Line, MARKET_FILE, Record};
use crate::cli::output::{bar, spinner, write};
use crate::domain::limits::BATCH_MAX;
use crate::domain::{Incarnation, MarketName, Millis, Side, Violation, WorkerId};
use crate::grpc;
use crate::preferences::Lottery;
use crate::proto::v1::{City, Market, MoveCost, Region, Vacancy, Worker};
use crate::state::{Batch, Capacity, Command, Creation, Envelope, Item, Outcome, Refusal, State};
use serde::Serialize;
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// Clears the market in `path` and prints each worker's vacancy, in the file's order.
pub fn run(path: &Path, side: Option<Side>) -> Result<(), Error> {
    let directory = Directory::at(path);
    let mut loading = Loading::new(directory)?;
    loading.file::<Region, _>(grpc::region, Command::UpsertRegions, |_| {})?;
    loading.file::<City, _>(grpc::city, Command::UpsertCities, |_| {})?;
    loading.file::<MoveCost, _>(grpc::move_cost, Command::SetMoveCosts, |_| {})?;
    let mut workers = Vec::new();
    loading.file::<Worker, _>(
        |worker| grpc::worker(worker, None),
        |batch| Command::UpsertWorkers { batch, reopen: false, made: None },
        |worker| workers.push(worker.id),
    )?;
    loading.file::<Vacancy, _>(
        |vacancy| grpc::vacancy(vacancy, None),
        |batch| Command::UpsertVacancies { batch, made: None },
        |_| {},
    )?;
    let side = side.unwrap_or(loading.state.view().head.settings.proposing_side);
    print(&loading.state, side, &workers)
}

/// One line of the answer.
#[derive(Serialize)]
struct Row {
    worker_id: String,
    vacancy_id: Option<String>,
}

fn print(state: &State, side: Side, workers: &[WorkerId]) -> Result<(), Error> {
    let problem = state.view().problem();
    let progress = spinner("clearing");
    let matching = clear(&problem, side)?;
    progress.finish_and_clear();
    let pairs = matching.pairs().map(|(w, v)| {
        let worker = problem.workers[w as usize].worker.id;
        (worker, problem.vacancies[v as usize].vacancy.id)
    });
    let vacancy_of: HashMap<_, _> = pairs.collect();
    write(|stdout| {
        for worker in workers {
            let row = Row {
                worker_id: worker.to_string(),
                vacancy_id: vacancy_of.get(worker).map(ToString::to_string),
            };
            serde_json::to_writer(&mut *stdout, &row)?;
            stdout.write_all(b"\n")?;
        }
        Ok(())
    })
}

/// A market that is being loaded.
struct Loading {
    directory: Directory,
    state: State,
}

impl Loading {
    /// Makes the market that `market.json` describes.
    fn new(directory: Directory) -> Result<Self, Error> {
        let market = directory.market()?;
        let path = directory.path(MARKET_FILE);
        let refused = |violation: Violation| content(&path, 1, &violation);
        let creation = creation(&market).map_err(refused)?;
        let mut state = State::new(creation.name.clone(), Capacity::default());
        apply(&mut state, Command::Create(creation)).map_err(|refusal| {
            let Refusal(violations) = refusal;
            Error::Failed(format!("{}: {}", path.display(), join(&violations)))
        })?;
        Ok(Self { directory, state })
    }

    /// Loads one file. Everything in it must be right: half a market has another matching.
    fn file<T: Record, S>(
        &mut self,
        read: impl Fn(&T) -> Result<S, Violation>,
        command: impl Fn(Batch<S>) -> Command,
        mut note: impl FnMut(&S),
    ) -> Result<(), Error> {
        let path = self.directory.path(T::FILE);
        let records = self.directory.records::<T>()?;
        let progress = bar(&format!("reading {}", T::FILE), records.total);
        let (mut items, mut lines) = (Vec::new(), Vec::new());
        for line in records.lines {
            let Line { number, record } = line?;
            let record = record.map_err(|message| Error::Content {
                path: path.clone(),
                line: number,
                message,
            })?;
            let spec = read(&record).map_err(|violation| content(&path, number, &violation))?;
            note(&spec);
            items.push((lines.len() as u32, spec));
            lines.push(number);
            progress.inc(1);
            if items.len() == BATCH_MAX {
                self.batch(&path, std::mem::take(&mut items), &lines, &command)?;
                lines.clear();
            }
        }
        progress.finish_and_clear();
        self.batch(&path, items, &lines, &command)
    }

    fn batch<S>(
        &mut self,
        path: &Path,
        items: Vec<Item<S>>,
        lines: &[u64],
        command: impl Fn(Batch<S>) -> Command,
    ) -> Result<(), Error> {
        if items.is_empty() {
            return Ok(());
        }
        let outcome = apply(&mut self.state, command(Batch { items, atomic: false }));
        let outcome = outcome.map_err(|Refusal(violations)| {
            Error::Failed(format!("{}: {}", path.display(), join(&violations)))
        })?;
        match outcome.errors.first() {
            None => Ok(()),
            Some(error) => {
                let line = lines.get(error.index as usize).copied().unwrap_or_default();
                Err(content(path, line, &error.violation))
            }
        }
    }
}

/// What `market.json` makes. Offline nobody draws a lottery, so an absent seed is 0.
fn creation(market: &Market) -> Result<Creation, Violation> {
    let settings = market.settings.clone().unwrap_or_default();
    Ok(Creation {
        name: MarketName::parse("id", &market.id)?,
        display_name: market.display_name.as_str().into(),
        incarnation: Incarnation(Uuid::nil()),
        settings: grpc::market_settings(&settings)?,
        lottery: Lottery { seed: settings.lottery_seed.unwrap_or(0) },
        lottery_nonce: [0; 16],
    })
}

/// Decides and evolves one command, outside of time.
fn apply(state: &mut State, command: Command) -> Result<Arc<Outcome>, Refusal> {
    let decision = state.decide(&Envelope { at: Millis(0), request: None, command })?;
    for effect in &decision.effects {
        state.evolve(decision.revision, effect);
    }
    Ok(decision.outcome)
}

fn content(path: &Path, line: u64, violation: &Violation) -> Error {
    Error::Content { path: PathBuf::from(path), line, message: violation.to_string() }
}

fn join(violations: &[Violation]) -> String {
    let texts: Vec<_> = violations.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
