//! `gale explain`: why a worker has the job they have, or none, or not a given one.

use super::client::{Client, Target};
use super::error::Error;
use super::output::{Column, Output, Table, thousands};
use crate::proto::v1::{
    Cutoff, CutoffKind, ExplainOutcome, ExplainRequest, ExplainResponse, PairNumbers,
};

/// Explains a worker's situation, or why they do not have a given vacancy.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without VACANCY: the worker's match and the vacancies they would rather have.

Example:
  gale explain 6f1c0d6e-33f5-8a51-9a55-0b5c6f0d7a11
  gale explain 6f1c0d6e-33f5-8a51-9a55-0b5c6f0d7a11 0190d7a2-7c1e-8a51-8b1f-3f1d2c4b5a69")]
pub struct Args {
    /// Id of the worker.
    worker: String,
    /// Id of the vacancy to ask about.
    vacancy: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Asks the server and prints the sentence first, then the numbers.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    let (client, market) = args.target.connect().await?;
    let vacancy = args.vacancy.unwrap_or_default();
    let answer = ask(&client, &market, &args.worker, &vacancy).await?;
    if output.json {
        return output.json(&answer);
    }
    print(&answer, output)
}

/// Asks why; an empty `vacancy` asks about the worker's situation as a whole.
pub async fn ask(
    client: &Client,
    market: &str,
    worker: &str,
    vacancy: &str,
) -> Result<ExplainResponse, Error> {
    let request = ExplainRequest {
        market: market.to_owned(),
        worker_id: worker.to_owned(),
        vacancy_id: vacancy.to_owned(),
        at_least_revision: 0,
    };
    let reply = client.matching().explain(request).await;
    Ok(reply.map_err(Error::refused("cannot explain"))?.into_inner())
}

/// The answer for a person.
pub fn print(answer: &ExplainResponse, output: Output) -> Result<(), Error> {
    output.line(output.heading(&answer.sentence))?;
    if let Some(pair) = &answer.pair {
        output.line(pair_table(pair))?;
    }
    output.line(format_args!(
        "Vacancies acceptable on both sides: {}.",
        thousands(answer.acceptable_vacancies)
    ))?;
    if answer.preferred.is_empty() {
        return Ok(());
    }
    output.line("Would rather have:")?;
    output.line(preferred_table(&answer.preferred))
}

fn pair_table(pair: &PairNumbers) -> Table {
    let mut table = Table::new(&[Column::Text("the pair"), Column::Number("")]);
    let accepts = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let rows = [
        ("vacancy", pair.vacancy_id.clone()),
        ("title", pair.title.clone()),
        ("city", pair.city.clone()),
        ("distance", format!("{} km", thousands(pair.km))),
        ("cost of the move, once", thousands(pair.move_cost)),
        ("cost of the move, a year", thousands(pair.annual_move)),
        ("fit", format!("{} of 10,000", thousands(pair.fit_bp))),
        ("salary", thousands(pair.salary)),
        ("least salary the worker takes there", thousands(pair.floor_salary)),
        ("salary as good as expected at home", thousands(pair.asking_salary)),
        ("shortfall", format!("{} bp", thousands(pair.shortfall_bp))),
        ("worker accepts", accepts(pair.worker_accepts)),
        ("vacancy accepts", accepts(pair.vacancy_accepts)),
        ("worth to the worker, a year", thousands(pair.value)),
        ("score of the worker", thousands(pair.score_bp)),
        ("to beat", pair.cutoff.as_ref().map_or_else(|| "-".to_owned(), cutoff_text)),
    ];
    for (name, value) in rows {
        table.row([name.to_owned(), value]);
    }
    table
}

fn preferred_table(pairs: &[PairNumbers]) -> Table {
    let mut table = Table::new(&[
        Column::Text("vacancy"),
        Column::Text("title"),
        Column::Text("city"),
        Column::Number("salary"),
        Column::Number("worth"),
        Column::Number("score"),
        Column::Number("to beat"),
        Column::Text("why not"),
    ]);
    for pair in pairs {
        table.row([
            pair.vacancy_id.clone(),
            pair.title.clone(),
            pair.city.clone(),
            thousands(pair.salary),
            thousands(pair.value),
            thousands(pair.score_bp),
            pair.cutoff.as_ref().map_or_else(|| "-".to_owned(), cutoff_text),
            outcome_name(pair.outcome()),
        ]);
    }
    table
}

fn cutoff_text(cutoff: &Cutoff) -> String {
    match (cutoff.kind(), cutoff.closed) {
        (_, true) => "closed".to_owned(),
        (CutoffKind::Unspecified | CutoffKind::None, _) => "nothing".to_owned(),
        (CutoffKind::Openings, _) => thousands(cutoff.score_bp),
        (CutoffKind::City | CutoffKind::Region, _) => {
            format!("{} (cap of {})", thousands(cutoff.score_bp), cutoff.capped)
        }
    }
}

fn outcome_name(outcome: ExplainOutcome) -> String {
    let name = outcome.as_str_name().trim_start_matches("EXPLAIN_OUTCOME_");
    name.to_ascii_lowercase().replace('_', " ")
}
