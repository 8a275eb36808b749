//! Rounds and certificates, for `gale clear`, `gale verify` and the demo.

use super::client::{Client, incomplete};
use super::error::Error;
use super::output::{Column, Output, Table, bar, percent, spinner, thousands};
use crate::proto::v1::{
    Certificate, GetRoundRequest, MatchingState, Round, RoundPhase, RoundState, RoundSummary,
    StartRoundRequest, VerifyRequest, verify_response::Step,
};
use indicatif::ProgressBar;
use std::time::Duration;

/// First and longest wait between two looks at a running round.
const POLL_FIRST: Duration = Duration::from_millis(5);
const POLL_LONGEST: Duration = Duration::from_millis(250);

/// Starts a round.
pub async fn start(client: &Client, market: &str) -> Result<Round, Error> {
    let request = StartRoundRequest { market: market.to_owned(), ..StartRoundRequest::default() };
    let reply = client.matching().start_round(request).await;
    let reply = reply.map_err(Error::refused("cannot start a round"))?.into_inner();
    reply.round.ok_or_else(|| incomplete("StartRound"))
}

/// Waits until a round has ended, however long it takes, showing its progress.
pub async fn wait(client: &Client, market: &str, mut round: Round) -> Result<Round, Error> {
    let progress = spinner("clearing");
    let mut pause = POLL_FIRST;
    while round.state() == RoundState::Running {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL_LONGEST);
        let request = GetRoundRequest { market: market.to_owned(), round_id: round.id.clone() };
        let reply = client.matching().get_round(request).await;
        let reply = reply.map_err(Error::refused("cannot read the round"))?.into_inner();
        round = reply.round.ok_or_else(|| incomplete("GetRound"))?;
        show(&progress, &round);
    }
    progress.finish_and_clear();
    Ok(round)
}

fn show(progress: &ProgressBar, round: &Round) {
    let Some(now) = &round.progress else { return };
    let phase = match now.phase() {
        RoundPhase::Unspecified => "clearing",
        RoundPhase::Indexing => "indexing",
        RoundPhase::Proposing => "proposing",
        RoundPhase::Certifying => "certifying",
        RoundPhase::Committing => "committing",
    };
    progress.set_message(format!("{phase} {} of {}", thousands(now.done), thousands(now.total)));
}

/// Has the server check its matching pair by pair; the certificate.
pub async fn verify(client: &Client, market: &str) -> Result<Certificate, Error> {
    let refused = Error::refused("cannot verify");
    let request = VerifyRequest { market: market.to_owned() };
    let mut steps = client.matching().verify(request).await.map_err(&refused)?.into_inner();
    let progress = bar("verifying", 0);
    while let Some(reply) = steps.message().await.map_err(&refused)? {
        match reply.step {
            Some(Step::Progress(now)) => {
                progress.set_length(now.total);
                progress.set_position(now.done);
            }
            Some(Step::Certificate(certificate)) => {
                progress.finish_and_clear();
                return Ok(certificate);
            }
            None => {}
        }
    }
    Err(incomplete("Verify"))
}

/// The summary of a cleared round as a table.
pub fn summary_table(summary: &RoundSummary) -> Table {
    let mut table = Table::new(&[Column::Text("cleared"), Column::Number("")]);
    let rows = [
        ("workers", thousands(summary.workers)),
        ("vacancies", thousands(summary.vacancies)),
        ("openings", thousands(summary.openings)),
        ("matched", thousands(summary.matched)),
        ("  of the workers", percent(summary.matched, summary.workers)),
        ("  of the openings", percent(summary.matched, summary.openings)),
        ("moved to another city", thousands(summary.moved)),
        ("  of the matched", percent(summary.moved, summary.matched)),
        ("displaced", thousands(summary.displaced)),
        ("moved on to something better", thousands(summary.improved)),
        ("placed by the market", thousands(summary.placed)),
        ("proposals", thousands(summary.proposals)),
        ("pairs evaluated", thousands(summary.evaluations)),
        ("binding caps", thousands(summary.binding_caps)),
        ("blocking pairs", thousands(summary.blocking_pairs)),
        ("pairs examined", thousands(summary.pairs_examined)),
        ("cleared in", format!("{} ms", thousands(summary.clear_ms))),
        ("checked in", format!("{} ms", thousands(summary.verify_ms))),
        ("matching hash", summary.matching_hash.clone()),
    ];
    for (name, value) in rows {
        table.row([name.to_owned(), value]);
    }
    table
}

/// The certificate as a table.
pub fn certificate_table(certificate: &Certificate) -> Table {
    let mut table = Table::new(&[Column::Text("certificate"), Column::Number("")]);
    let rows = [
        ("workers", thousands(certificate.workers)),
        ("matched", thousands(certificate.matched)),
        ("pairs examined", thousands(certificate.pairs_examined)),
        ("blocking pairs", thousands(certificate.blocking_pairs)),
        ("violations", thousands(certificate.violations)),
        ("holds", holds(certificate)),
        ("revision checked", thousands(certificate.revision)),
        ("checked in", format!("{} ms", thousands(certificate.verify_ms))),
        ("matching hash", certificate.matching_hash.clone()),
    ];
    for (name, value) in rows {
        table.row([name.to_owned(), value]);
    }
    table
}

/// What was found to hold, as the API names it.
fn holds(certificate: &Certificate) -> String {
    match certificate.holds() {
        MatchingState::Unspecified => "nothing".to_owned(),
        state => state.as_str_name().trim_start_matches("MATCHING_STATE_").to_owned(),
    }
}

/// The certificate in one sentence.
pub fn certificate_sentence(certificate: &Certificate, output: Output) -> String {
    let pending = if certificate.of_last_round {
        " (the market is PENDING: as of its last round)"
    } else {
        ""
    };
    if is_stable(certificate) {
        let stable = output.good("Stable");
        let pairs = thousands(certificate.pairs_examined);
        return format!(
            "{stable}: no blocking pair; {pairs} pairs looked at one by one, bounds exclude \
             the rest{pending}."
        );
    }
    format!(
        "{}: {} blocking pairs, {} violations{pending}.",
        output.bad("Not stable"),
        thousands(certificate.blocking_pairs),
        thousands(certificate.violations)
    )
}

/// Whether the certificate found nothing wrong.
pub fn is_stable(certificate: &Certificate) -> bool {
    certificate.blocking_pairs == 0 && certificate.violations == 0
}
