//! `MatchingService`: clears a market and answers for the result.

use super::paging::Page;
use super::parse::{self, batch};
use super::pool::{city_filter, no_vacancy, no_worker};
use super::status::{Answer, refuse, refuse_market};
use super::{Shared, at_least, item_errors, render, request_key};
use crate::domain::{Reason, RoundId, VacancyId, Violation, WorkerId};
use crate::market::{Checked, LastCleared, Market, check};
use crate::matching::{Cancelled, Control};
use crate::proto::v1 as pb;
use crate::proto::v1::matching_service_server::MatchingService;
use crate::state::{
    Bar, Bars, CappedPlace, Command, Explainer, Full, PairExplained, RoundState, VacancyStatus,
    Verdict, View, WorkerStatus,
};
use prost::Message;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// `MatchingService` over the server's markets.
#[derive(Clone)]
pub struct MatchingRpc(pub Shared);

/// How often a verification says how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

#[tonic::async_trait]
impl MatchingService for MatchingRpc {
    type VerifyStream = Pin<Box<dyn Stream<Item = Result<pb::VerifyResponse, Status>> + Send>>;

    async fn start_round(
        &self,
        request: Request<pb::StartRoundRequest>,
    ) -> Result<Response<pb::StartRoundResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let key = request_key("StartRound", &request.request_id, &request)?;
        let command = Command::StartRound(RoundId(Uuid::now_v7()));
        let outcome =
            market.submit(command, key, request.encoded_len()).await.map_err(refuse_market)?;
        let id = outcome
            .round
            .ok_or_else(|| refuse(Violation::new(Reason::Internal, "", "no round")))?;
        if request.wait {
            wait_for_end(&market, id).await?;
        }
        let (round, revision) = rendered_round(&market, id)?;
        Ok(Response::new(pb::StartRoundResponse { round: Some(round), revision }))
    }

    async fn get_round(
        &self,
        request: Request<pb::GetRoundRequest>,
    ) -> Result<Response<pb::GetRoundResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let id =
            match parse::optional("round_id", &request.round_id, RoundId::parse).map_err(refuse)? {
                Some(id) => id,
                None => {
                    let newest = market.head().rounds.back().map(|round| round.id);
                    newest.ok_or_else(|| {
                        refuse(Violation::new(
                            Reason::RoundNotFound,
                            "round_id",
                            "there has been no round yet",
                        ))
                    })?
                }
            };
        let (round, revision) = rendered_round(&market, id)?;
        Ok(Response::new(pb::GetRoundResponse { round: Some(round), revision }))
    }

    async fn list_rounds(
        &self,
        request: Request<pb::ListRoundsRequest>,
    ) -> Result<Response<pb::ListRoundsResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let page =
            Page::open(&market, "ListRounds", request.page_size, &request.page_token).await?;
        let rows = page.view.head.rounds.iter().rev().enumerate().skip(page.start);
        let (rounds, next) =
            page.take(rows.map(|(at, round)| (at, render::round(round, Some(&market)))));
        Ok(Response::new(pb::ListRoundsResponse {
            rounds,
            next_page_token: page.token(&market, next),
            revision: page.view.head.revision.0,
        }))
    }

    async fn cancel_round(
        &self,
        request: Request<pb::CancelRoundRequest>,
    ) -> Result<Response<pb::CancelRoundResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let id = RoundId::parse("round_id", &request.round_id).map_err(refuse)?;
        let command = Command::CancelRound(id);
        let outcome =
            market.submit(command, None, request.encoded_len()).await.map_err(refuse_market)?;
        let (round, _) = rendered_round(&market, id)?;
        Ok(Response::new(pb::CancelRoundResponse {
            round: Some(round),
            revision: outcome.revision.0,
        }))
    }

    async fn get_match(
        &self,
        request: Request<pb::GetMatchRequest>,
    ) -> Result<Response<pb::GetMatchResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        at_least(&market, request.at_least_revision)?;
        let id = WorkerId::parse("worker_id", &request.worker_id).map_err(refuse)?;
        let slot = market.pools().worker_slot(id).ok_or_else(|| no_worker(id))?;
        let view = market.snapshot().await.map_err(refuse_market)?;
        let found = render::match_of(view.worker(slot), &view);
        let found = found.ok_or_else(|| {
            refuse(Violation::new(Reason::MatchNotFound, "worker_id", "the worker is not matched"))
        })?;
        Ok(Response::new(pb::GetMatchResponse {
            r#match: Some(found),
            revision: view.head.revision.0,
        }))
    }

    async fn list_matches(
        &self,
        request: Request<pb::ListMatchesRequest>,
    ) -> Result<Response<pb::ListMatchesResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        at_least(&market, request.at_least_revision)?;
        let status: pb::MatchStatus = parse::known("status", request.status).map_err(refuse)?;
        let vacancy =
            parse::optional("vacancy_id", &request.vacancy_id, VacancyId::parse).map_err(refuse)?;
        let call = format!(
            "ListMatches\n{}\n{}\n{}\n{}",
            request.city, request.vacancy_id, request.status, request.moved_only
        );
        let page = Page::open(&market, &call, request.page_size, &request.page_token).await?;
        let view = &page.view;
        let city = city_filter(view, &request.city)?;
        let wanted = |row: &crate::state::WorkerRow| {
            let Some(held) = row.held else { return false };
            let post = &view.vacancy(held.vacancy).vacancy;
            let placed = row.status == WorkerStatus::Placed;
            city.is_none_or(|city| post.city == city)
                && vacancy.is_none_or(|id| post.id == id)
                && (status != pb::MatchStatus::Placed || placed)
                && (status != pb::MatchStatus::Held || !placed)
                && (!request.moved_only || row.worker.home != post.city)
        };
        let rows = view.workers.iter_from(page.start).filter(|(_, row)| wanted(row));
        let rendered = rows.filter_map(|(at, row)| Some((at, render::match_of(row, view)?)));
        let (matches, next) = page.take(rendered);
        Ok(Response::new(pb::ListMatchesResponse {
            matches,
            next_page_token: page.token(&market, next),
            revision: view.head.revision.0,
        }))
    }

    async fn confirm_matches(
        &self,
        request: Request<pb::ConfirmMatchesRequest>,
    ) -> Result<Response<pb::ConfirmMatchesResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let key = request_key("ConfirmMatches", &request.request_id, &request)?;
        let side = parse::match_side(request.side).map_err(refuse)?;
        let id = |pair: &pb::MatchKey| pair.worker_id.clone();
        let parsed = batch("matches", &request.matches, request.atomic, id, |_, pair| {
            parse::match_key(pair)
        })?;
        let command = Command::Confirm { side, batch: parsed.batch };
        let outcome =
            market.submit(command, key, request.encoded_len()).await.map_err(refuse_market)?;
        Ok(Response::new(pb::ConfirmMatchesResponse {
            revision: outcome.revision.0,
            placed: outcome.placed,
            errors: item_errors(&outcome, parsed.errors),
            settlement: Some(render::settlement(&outcome)),
        }))
    }

    async fn decline_matches(
        &self,
        request: Request<pb::DeclineMatchesRequest>,
    ) -> Result<Response<pb::DeclineMatchesResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let key = request_key("DeclineMatches", &request.request_id, &request)?;
        let side = parse::match_side(request.side).map_err(refuse)?;
        let id = |pair: &pb::MatchKey| pair.worker_id.clone();
        let parsed = batch("matches", &request.matches, request.atomic, id, |_, pair| {
            parse::match_key(pair)
        })?;
        let command = Command::Decline { side, batch: parsed.batch };
        let outcome =
            market.submit(command, key, request.encoded_len()).await.map_err(refuse_market)?;
        Ok(Response::new(pb::DeclineMatchesResponse {
            revision: outcome.revision.0,
            errors: item_errors(&outcome, parsed.errors),
            settlement: Some(render::settlement(&outcome)),
        }))
    }

    async fn explain(
        &self,
        request: Request<pb::ExplainRequest>,
    ) -> Result<Response<pb::ExplainResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        at_least(&market, request.at_least_revision)?;
        let worker = WorkerId::parse("worker_id", &request.worker_id).map_err(refuse)?;
        let worker = market.pools().worker_slot(worker).ok_or_else(|| no_worker(worker))?;
        let vacancy =
            parse::optional("vacancy_id", &request.vacancy_id, VacancyId::parse).map_err(refuse)?;
        let vacancy = match vacancy {
            Some(id) => Some(market.pools().vacancy_slot(id).ok_or_else(|| no_vacancy(id))?),
            None => None,
        };
        let view = market.snapshot().await.map_err(refuse_market)?;
        let explain = move || {
            let explainer = Explainer::new(&view);
            let explained = explainer.worker(worker);
            let pair = vacancy.map(|vacancy| explainer.pair(worker, vacancy));
            explain_response(&view, explained, pair)
        };
        // It looks at every open vacancy: off the runtime.
        let response = tokio::task::spawn_blocking(explain).await.map_err(|_| internal())?;
        Ok(Response::new(response))
    }

    async fn verify(
        &self,
        request: Request<pb::VerifyRequest>,
    ) -> Result<Response<Self::VerifyStream>, Status> {
        let market = self.0.market(&request.into_inner().market)?;
        let (subject, of_last_round) = market.to_verify().await.map_err(refuse_market)?;
        let (steps, outgoing) = mpsc::channel(4);
        tokio::spawn(verify_steps(self.0.clone(), subject, of_last_round, steps));
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }

    async fn list_cutoffs(
        &self,
        request: Request<pb::ListCutoffsRequest>,
    ) -> Result<Response<pb::ListCutoffsResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        at_least(&market, request.at_least_revision)?;
        let call = format!("ListCutoffs\n{}", request.city);
        let page = Page::open(&market, &call, request.page_size, &request.page_token).await?;
        let city = city_filter(&page.view, &request.city)?;
        let view = page.view.clone();
        let bars =
            tokio::task::spawn_blocking(move || Bars::of(&view)).await.map_err(|_| internal())?;
        let view = &page.view;
        let rows = view.vacancies.iter_from(page.start).filter(|(_, row)| {
            row.status == VacancyStatus::Open && city.is_none_or(|city| row.vacancy.city == city)
        });
        let rendered = rows.map(|(at, _)| {
            let slot = crate::domain::VacancySlot::from_offset(at);
            (at, cutoff(view, slot, &bars.bar(slot)))
        });
        let (cutoffs, next) = page.take(rendered);
        Ok(Response::new(pb::ListCutoffsResponse {
            cutoffs,
            next_page_token: page.token(&market, next),
            revision: view.head.revision.0,
        }))
    }
}

fn internal() -> Status {
    refuse(Violation::new(Reason::Internal, "", "the computation failed"))
}

/// Waits for the level, not the edge: until the round is no longer running.
async fn wait_for_end(market: &Market, id: RoundId) -> Answer<()> {
    let mut heads = market.watch_head();
    let ended = |head: &Arc<crate::state::Head>| {
        head.round(id).is_none_or(|round| round.state != RoundState::Running)
    };
    tokio::select! {
        head = heads.wait_for(ended) => {
            drop(head.map_err(|_| refuse_market(crate::market::Error::Closed))?);
            Ok(())
        }
        () = market.closed().cancelled() => Err(refuse_market(crate::market::Error::Closed)),
    }
}

fn rendered_round(market: &Market, id: RoundId) -> Answer<(pb::Round, u64)> {
    let head = market.head();
    match head.round(id) {
        Some(round) => Ok((render::round(round, Some(market)), head.revision.0)),
        None => Err(refuse(Violation::new(
            Reason::RoundNotFound,
            "round_id",
            format!("there is no round {id} among the last {}", crate::domain::limits::ROUNDS_MAX),
        ))),
    }
}

/// Runs a verification off the runtime and sends its progress, then its certificate.
/// It stops when the caller leaves or the server stops.
async fn verify_steps(
    shared: Shared,
    subject: Arc<LastCleared>,
    of_last_round: bool,
    steps: mpsc::Sender<Result<pb::VerifyResponse, Status>>,
) {
    let control = Arc::new(Control::default());
    let work = {
        let control = control.clone();
        tokio::task::spawn_blocking(move || check(subject, of_last_round, &control))
    };
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    let finished = loop {
        tokio::select! {
            finished = &mut work => break finished,
            () = steps.closed() => control.cancel(),
            () = shared.stopping.cancelled() => {
                control.cancel();
                let stopping = Violation::new(Reason::ShuttingDown, "", "the server is stopping");
                let _ = steps.send(Err(refuse(stopping))).await;
                return;
            }
            _ = ticks.tick() => {
                let progress = control.progress();
                let progress = pb::VerifyProgress { done: progress.done, total: progress.total };
                let step = pb::verify_response::Step::Progress(progress);
                // A caller who does not read misses steps, not the certificate.
                let _ = steps.try_send(Ok(pb::VerifyResponse { step: Some(step) }));
            }
        }
        if steps.is_closed() {
            control.cancel();
            return;
        }
    };
    let last = match finished {
        Ok(Ok(checked)) => {
            let step = pb::verify_response::Step::Certificate(certificate(&checked));
            Ok(pb::VerifyResponse { step: Some(step) })
        }
        Ok(Err(Cancelled)) => return,
        Err(_) => Err(internal()),
    };
    let _ = steps.send(last).await;
}

fn certificate(checked: &Checked) -> pb::Certificate {
    let (found, problem) = (&checked.certificate, &checked.subject.problem);
    let examples = found.blocking.iter().map(|(w, v)| pb::MatchKey {
        worker_id: problem.workers[*w as usize].worker.id.to_string(),
        vacancy_id: problem.vacancies[*v as usize].vacancy.id.to_string(),
    });
    let violations = found.infeasible.iter().take(100);
    pb::Certificate {
        blocking_pairs: found.blocking_pairs,
        examples: examples.collect(),
        pairs_examined: found.pairs_examined,
        violations: found.infeasible.len() as u64,
        violation_examples: violations.map(ToString::to_string).collect(),
        revision: checked.subject.revision.0,
        of_last_round: checked.of_last_round,
        matching_hash: format!("{:016x}", checked.subject.matching_hash),
        workers: problem.workers.len() as u64,
        matched: checked.subject.matching.vacancy_of.iter().flatten().count() as u64,
        verify_ms: checked.took.as_millis() as u64,
        holds: match (found.is_stable(), checked.worker_optimal) {
            (false, _) => pb::MatchingState::Unspecified,
            (true, false) => pb::MatchingState::Stable,
            (true, true) => pb::MatchingState::WorkerOptimal,
        }
        .into(),
    }
}

fn explain_response(
    view: &View,
    explained: crate::state::Explained,
    asked: Option<PairExplained>,
) -> pb::ExplainResponse {
    let about_pair = asked.is_some();
    let (sentence, verdict) = match &asked {
        Some(pair) => (pair.sentence.clone(), pair.verdict),
        None => (explained.sentence, explained.verdict),
    };
    let preferred = explained.preferred.iter().filter(|_| !about_pair);
    pb::ExplainResponse {
        sentence,
        outcome: outcome(verdict) as i32,
        pair: asked.or(explained.pair).map(|pair| numbers(view, &pair)),
        preferred: preferred.map(|pair| numbers(view, pair)).collect(),
        acceptable_vacancies: explained.acceptable,
        revision: view.head.revision.0,
    }
}

fn numbers(view: &View, explained: &PairExplained) -> pb::PairNumbers {
    let row = view.vacancy(explained.vacancy);
    let pair = &explained.pair;
    pb::PairNumbers {
        vacancy_id: row.vacancy.id.to_string(),
        title: row.vacancy.title.to_string(),
        city: render::city_name(&view.head.geography, row.vacancy.city),
        km: pair.km,
        move_cost: pair.move_cost,
        annual_move: pair.annual_move,
        fit_bp: pair.fit,
        salary: row.vacancy.salary,
        floor_salary: pair.floor_salary,
        asking_salary: pair.asking_salary,
        shortfall_bp: pair.shortfall_bp,
        worker_accepts: pair.worker_accepts,
        vacancy_accepts: pair.vacancy_accepts,
        value: pair.value,
        score_bp: pair.score,
        cutoff: Some(cutoff(view, explained.vacancy, &explained.bar)),
        outcome: outcome(explained.verdict) as i32,
        sentence: explained.sentence.clone(),
    }
}

fn cutoff(view: &View, slot: crate::domain::VacancySlot, bar: &Bar) -> pb::Cutoff {
    let row = view.vacancy(slot);
    let geography = &*view.head.geography;
    let (kind, capped) = match bar.binding {
        None => (pb::CutoffKind::None, String::new()),
        Some(Full::Openings) => (pb::CutoffKind::Openings, String::new()),
        Some(Full::Place(CappedPlace::City(ix))) => {
            (pb::CutoffKind::City, render::city_name(geography, ix))
        }
        Some(Full::Place(CappedPlace::Region(ix))) => {
            (pb::CutoffKind::Region, geography.region(ix).id.to_string())
        }
    };
    pb::Cutoff {
        vacancy_id: row.vacancy.id.to_string(),
        city: render::city_name(geography, row.vacancy.city),
        kind: kind as i32,
        capped,
        closed: bar.closed,
        score_bp: bar.score,
        worker_id: bar
            .worker
            .map(|slot| view.worker(slot).worker.id.to_string())
            .unwrap_or_default(),
        openings: row.free(),
        held: row.held.len() as u32,
    }
}

fn outcome(verdict: Verdict) -> pb::ExplainOutcome {
    match verdict {
        Verdict::Matched => pb::ExplainOutcome::Matched,
        Verdict::Placed => pb::ExplainOutcome::Placed,
        Verdict::HasBetter => pb::ExplainOutcome::HasBetter,
        Verdict::Outranked => pb::ExplainOutcome::Outranked,
        Verdict::CapFull => pb::ExplainOutcome::CapFull,
        Verdict::NoOpening => pb::ExplainOutcome::NoOpening,
        Verdict::WouldNotMove => pb::ExplainOutcome::WouldNotMove,
        Verdict::SalaryTooLow => pb::ExplainOutcome::SalaryTooLow,
        Verdict::SkillMissing => pb::ExplainOutcome::SkillMissing,
        Verdict::FitTooLow => pb::ExplainOutcome::FitTooLow,
        Verdict::AsksTooMuch => pb::ExplainOutcome::AsksTooMuch,
        Verdict::NotRanked => pb::ExplainOutcome::NotRanked,
        Verdict::Declined => pb::ExplainOutcome::Declined,
        Verdict::NotInPool => pb::ExplainOutcome::NotInPool,
        Verdict::Pending => pb::ExplainOutcome::Pending,
        Verdict::NothingAcceptable => pb::ExplainOutcome::NothingAcceptable,
    }
}
