//! `PoolService`: fills and reads the pools.

use super::paging::Page;
use super::parse::{self, Parsed, batch};
use super::status::{Answer, clip, refuse, refuse_market};
use super::{Shared, at_least, item_errors, render, request_key};
use crate::domain::{CityIx, CityName, Geography, Reason, VacancyId, Violation, WorkerId};
use crate::market::Market;
use crate::proto::v1 as pb;
use crate::proto::v1::pool_service_server::PoolService;
use crate::state::{Command, Outcome, View};
use prost::Message;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;

/// `PoolService` over the server's markets.
#[derive(Clone)]
pub struct PoolRpc(pub Shared);

/// Batches of an import that wait behind the one that is being applied. More would bring
/// nothing: while one is applied the next is read. And others want their turn.
const BATCHES_AHEAD: usize = 1;

/// An acknowledgement that comes once its batch is applied.
type Ack<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;
type Acks<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// One id per item that brings none; `None` if all bring theirs.
fn made_ids<T>(items: &[T], id: impl Fn(&T) -> &str) -> Option<Arc<[Uuid]>> {
    let missing = items.iter().any(|item| id(item).is_empty());
    missing.then(|| {
        items
            .iter()
            .map(|item| Uuid::try_parse(id(item)).unwrap_or_else(|_| Uuid::now_v7()))
            .collect()
    })
}

/// Ids of a reply: those that the server made and those that came in, which are short
/// unless they are wrong.
fn reply_ids<'a, T>(
    outcome: &Outcome,
    items: &'a [T],
    id: impl Fn(&'a T) -> &'a str,
) -> Vec<String> {
    match &outcome.made {
        Some(made) => made.iter().map(Uuid::to_string).collect(),
        None => items.iter().map(|item| clip(id(item))).collect(),
    }
}

fn worker_batch(
    workers: &[pb::Worker],
    reopen: bool,
    atomic: bool,
) -> Answer<(Command, Vec<pb::ItemError>)> {
    let made = made_ids(workers, |worker| &worker.id);
    let read =
        |i: usize, worker: &pb::Worker| parse::worker(worker, made.as_ref().map(|ids| ids[i]));
    let Parsed { batch, errors } =
        batch("workers", workers, atomic, |worker: &pb::Worker| worker.id.clone(), read)?;
    Ok((Command::UpsertWorkers { batch, reopen, made }, errors))
}

fn vacancy_batch(vacancies: &[pb::Vacancy], atomic: bool) -> Answer<(Command, Vec<pb::ItemError>)> {
    let made = made_ids(vacancies, |vacancy| &vacancy.id);
    let read =
        |i: usize, vacancy: &pb::Vacancy| parse::vacancy(vacancy, made.as_ref().map(|ids| ids[i]));
    let Parsed { batch, errors } =
        batch("vacancies", vacancies, atomic, |vacancy: &pb::Vacancy| vacancy.id.clone(), read)?;
    Ok((Command::UpsertVacancies { batch, made }, errors))
}

/// The market of an import: named by the first message, and the same ever after.
fn import_market(
    shared: &Shared,
    known: &mut Option<Arc<Market>>,
    name: &str,
) -> Answer<Arc<Market>> {
    let market = match known {
        Some(market) if name.is_empty() || market.name().as_str() == name => market.clone(),
        Some(_) => {
            return Err(refuse(Violation::invalid(
                "market",
                "must stay the same within one import",
            )));
        }
        None => shared.market(name)?,
    };
    *known = Some(market.clone());
    Ok(market)
}

/// Answers each message of a bidirectional stream in order, until either side ends it
/// or the server stops. The next message is read while the one before it is applied: after
/// an error some that were read may be applied and have no answer.
fn acknowledge<P, R, F, Fut>(shared: Shared, mut incoming: Streaming<P>, mut enqueue: F) -> Acks<R>
where
    P: Send + 'static,
    R: Send + 'static,
    F: FnMut(Shared, Option<Arc<Market>>, P) -> Fut + Send + 'static,
    Fut: Future<Output = Answer<(Arc<Market>, Ack<R>)>> + Send + 'static,
{
    let (acks, outgoing) = mpsc::channel::<Ack<R>>(BATCHES_AHEAD);
    tokio::spawn(async move {
        let mut market = None;
        loop {
            let message = tokio::select! {
                () = shared.stopping.cancelled() => {
                    let stopping = Violation::new(Reason::ShuttingDown, "", "the server is stopping");
                    let _ = acks.send(failed(refuse(stopping))).await;
                    return;
                }
                // Ended from outside, at its deadline: nothing that comes now is wanted.
                () = acks.closed() => return,
                message = incoming.next() => message,
            };
            let enqueued = match message {
                None => return,
                Some(Err(status)) => Err(super::deadline::right_status(status)),
                Some(Ok(message)) => enqueue(shared.clone(), market.take(), message).await,
            };
            let sent = match enqueued {
                Ok((of, ack)) => {
                    market = Some(of);
                    acks.send(ack).await
                }
                Err(status) => {
                    let _ = acks.send(failed(status)).await;
                    return;
                }
            };
            if sent.is_err() {
                return;
            }
        }
    });
    Box::pin(ReceiverStream::new(outgoing).then(|ack| ack))
}

/// The acknowledgement of a message that was not taken.
fn failed<R: Send + 'static>(status: Status) -> Ack<R> {
    Box::pin(std::future::ready(Err(status)))
}

#[tonic::async_trait]
impl PoolService for PoolRpc {
    type ImportWorkersStream = Acks<pb::ImportWorkersResponse>;
    type ImportVacanciesStream = Acks<pb::ImportVacanciesResponse>;

    async fn upsert_workers(
        &self,
        request: Request<pb::UpsertWorkersRequest>,
    ) -> Result<Response<pb::UpsertWorkersResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let key = request_key("UpsertWorkers", &request.request_id, &request)?;
        let (command, errors) = worker_batch(&request.workers, request.reopen, request.atomic)?;
        let outcome =
            market.submit(command, key, request.encoded_len()).await.map_err(refuse_market)?;
        Ok(Response::new(pb::UpsertWorkersResponse {
            revision: outcome.revision.0,
            ids: reply_ids(&outcome, &request.workers, |worker| &worker.id),
            errors: item_errors(&outcome, errors),
            settlement: Some(render::settlement(&outcome)),
        }))
    }

    async fn upsert_vacancies(
        &self,
        request: Request<pb::UpsertVacanciesRequest>,
    ) -> Result<Response<pb::UpsertVacanciesResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let key = request_key("UpsertVacancies", &request.request_id, &request)?;
        let (command, errors) = vacancy_batch(&request.vacancies, request.atomic)?;
        let outcome =
            market.submit(command, key, request.encoded_len()).await.map_err(refuse_market)?;
        Ok(Response::new(pb::UpsertVacanciesResponse {
            revision: outcome.revision.0,
            ids: reply_ids(&outcome, &request.vacancies, |vacancy| &vacancy.id),
            errors: item_errors(&outcome, errors),
            settlement: Some(render::settlement(&outcome)),
        }))
    }

    async fn import_workers(
        &self,
        request: Request<Streaming<pb::ImportWorkersRequest>>,
    ) -> Result<Response<Self::ImportWorkersStream>, Status> {
        let enqueue = |shared: Shared,
                       mut known: Option<Arc<Market>>,
                       mut message: pb::ImportWorkersRequest| async move {
            let market = import_market(&shared, &mut known, &message.market)?;
            let sequence = std::mem::take(&mut message.sequence);
            // A batch is the same wherever in an import it stands.
            message.market = market.name().to_string();
            let key = request_key("ImportWorkers", &message.request_id, &message)?;
            let (command, errors) = worker_batch(&message.workers, message.reopen, false)?;
            let count = message.workers.len();
            let bytes = message.encoded_len();
            let enqueued = market.enqueue(command, key, bytes).await.map_err(refuse_market)?;
            let ack: Ack<_> = Box::pin(async move {
                let outcome = enqueued.wait().await.map_err(refuse_market)?;
                let errors = item_errors(&outcome, errors);
                Ok(pb::ImportWorkersResponse {
                    sequence,
                    revision: outcome.revision.0,
                    accepted: (count - errors.len()) as u32,
                    errors,
                    settlement: Some(render::settlement(&outcome)),
                })
            });
            Ok((market, ack))
        };
        Ok(Response::new(acknowledge(self.0.clone(), request.into_inner(), enqueue)))
    }

    async fn import_vacancies(
        &self,
        request: Request<Streaming<pb::ImportVacanciesRequest>>,
    ) -> Result<Response<Self::ImportVacanciesStream>, Status> {
        let enqueue = |shared: Shared,
                       mut known: Option<Arc<Market>>,
                       mut message: pb::ImportVacanciesRequest| async move {
            let market = import_market(&shared, &mut known, &message.market)?;
            let sequence = std::mem::take(&mut message.sequence);
            // A batch is the same wherever in an import it stands.
            message.market = market.name().to_string();
            let key = request_key("ImportVacancies", &message.request_id, &message)?;
            let (command, errors) = vacancy_batch(&message.vacancies, false)?;
            let count = message.vacancies.len();
            let bytes = message.encoded_len();
            let enqueued = market.enqueue(command, key, bytes).await.map_err(refuse_market)?;
            let ack: Ack<_> = Box::pin(async move {
                let outcome = enqueued.wait().await.map_err(refuse_market)?;
                let errors = item_errors(&outcome, errors);
                Ok(pb::ImportVacanciesResponse {
                    sequence,
                    revision: outcome.revision.0,
                    accepted: (count - errors.len()) as u32,
                    errors,
                    settlement: Some(render::settlement(&outcome)),
                })
            });
            Ok((market, ack))
        };
        Ok(Response::new(acknowledge(self.0.clone(), request.into_inner(), enqueue)))
    }

    async fn withdraw_workers(
        &self,
        request: Request<pb::WithdrawWorkersRequest>,
    ) -> Result<Response<pb::WithdrawWorkersResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let key = request_key("WithdrawWorkers", &request.request_id, &request)?;
        let ids = &request.worker_ids;
        let parsed = batch("worker_ids", ids, request.atomic, String::clone, |_, id| {
            WorkerId::parse("", id)
        })?;
        let command = Command::WithdrawWorkers(parsed.batch);
        let outcome =
            market.submit(command, key, request.encoded_len()).await.map_err(refuse_market)?;
        Ok(Response::new(pb::WithdrawWorkersResponse {
            revision: outcome.revision.0,
            errors: item_errors(&outcome, parsed.errors),
            settlement: Some(render::settlement(&outcome)),
        }))
    }

    async fn close_vacancies(
        &self,
        request: Request<pb::CloseVacanciesRequest>,
    ) -> Result<Response<pb::CloseVacanciesResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let key = request_key("CloseVacancies", &request.request_id, &request)?;
        let ids = &request.vacancy_ids;
        let parsed = batch("vacancy_ids", ids, request.atomic, String::clone, |_, id| {
            VacancyId::parse("", id)
        })?;
        let command = Command::CloseVacancies(parsed.batch);
        let outcome =
            market.submit(command, key, request.encoded_len()).await.map_err(refuse_market)?;
        Ok(Response::new(pb::CloseVacanciesResponse {
            revision: outcome.revision.0,
            errors: item_errors(&outcome, parsed.errors),
            settlement: Some(render::settlement(&outcome)),
        }))
    }

    async fn get_worker(
        &self,
        request: Request<pb::GetWorkerRequest>,
    ) -> Result<Response<pb::GetWorkerResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let id = WorkerId::parse("worker_id", &request.worker_id).map_err(refuse)?;
        let revision = at_least(&market, request.at_least_revision)?.revision;
        let record = market.pools().worker(id).ok_or_else(|| no_worker(id))?;
        // Names are read after the record, so that all of its own are known.
        let head = super::head_naming(&market, record.revision).await;
        let worker = Some(render::published_worker(&record, &head));
        Ok(Response::new(pb::GetWorkerResponse { worker, revision: revision.0 }))
    }

    async fn get_vacancy(
        &self,
        request: Request<pb::GetVacancyRequest>,
    ) -> Result<Response<pb::GetVacancyResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let id = VacancyId::parse("vacancy_id", &request.vacancy_id).map_err(refuse)?;
        let revision = at_least(&market, request.at_least_revision)?.revision;
        let record = market.pools().vacancy(id).ok_or_else(|| no_vacancy(id))?;
        let head = super::head_naming(&market, record.revision).await;
        let vacancy = Some(render::published_vacancy(&record, &head));
        Ok(Response::new(pb::GetVacancyResponse { vacancy, revision: revision.0 }))
    }

    async fn list_workers(
        &self,
        request: Request<pb::ListWorkersRequest>,
    ) -> Result<Response<pb::ListWorkersResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        at_least(&market, request.at_least_revision)?;
        let status: pb::WorkerStatus = parse::known("status", request.status).map_err(refuse)?;
        let call = format!("ListWorkers\n{}\n{}", request.city, request.status);
        let page = Page::open(&market, &call, request.page_size, &request.page_token).await?;
        let view = &page.view;
        let city = city_filter(view, &request.city)?;
        let rows = view.workers.iter_from(page.start).filter(|(_, row)| {
            city.is_none_or(|city| row.worker.home == city)
                && (status == pb::WorkerStatus::Unspecified
                    || render::worker_status(row.status) == status)
        });
        let (workers, next) = page.take(rows.map(|(at, row)| (at, render::worker_row(row, view))));
        Ok(Response::new(pb::ListWorkersResponse {
            workers,
            next_page_token: page.token(&market, next),
            revision: view.head.revision.0,
        }))
    }

    async fn list_vacancies(
        &self,
        request: Request<pb::ListVacanciesRequest>,
    ) -> Result<Response<pb::ListVacanciesResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        at_least(&market, request.at_least_revision)?;
        let status: pb::VacancyStatus = parse::known("status", request.status).map_err(refuse)?;
        let call = format!("ListVacancies\n{}\n{}", request.city, request.status);
        let page = Page::open(&market, &call, request.page_size, &request.page_token).await?;
        let view = &page.view;
        let city = city_filter(view, &request.city)?;
        let rows = view.vacancies.iter_from(page.start).filter(|(_, row)| {
            city.is_none_or(|city| row.vacancy.city == city)
                && (status == pb::VacancyStatus::Unspecified
                    || render::vacancy_status(row.status) == status)
        });
        let (vacancies, next) =
            page.take(rows.map(|(at, row)| (at, render::vacancy_row(row, view))));
        Ok(Response::new(pb::ListVacanciesResponse {
            vacancies,
            next_page_token: page.token(&market, next),
            revision: view.head.revision.0,
        }))
    }

    async fn get_city_pool(
        &self,
        request: Request<pb::GetCityPoolRequest>,
    ) -> Result<Response<pb::GetCityPoolResponse>, Status> {
        let request = request.into_inner();
        let market = self.0.market(&request.market)?;
        let head = at_least(&market, request.at_least_revision)?;
        let name = CityName::parse("city", &request.city).map_err(refuse)?;
        let city = head.geography.city_named(name.as_str());
        let city = city.ok_or_else(|| refuse(Geography::unknown_city("city", &name)))?;
        let pool = render::city_pool(request.city, market.pools().counts(city));
        Ok(Response::new(pb::GetCityPoolResponse { pool: Some(pool), revision: head.revision.0 }))
    }
}

/// The city that a list is limited to, if any.
pub(super) fn city_filter(view: &View, name: &str) -> Answer<Option<CityIx>> {
    let Some(name) = parse::optional("city", name, CityName::parse).map_err(refuse)? else {
        return Ok(None);
    };
    match view.head.geography.city_named(name.as_str()) {
        Some(city) => Ok(Some(city)),
        None => Err(refuse(Geography::unknown_city("city", &name))),
    }
}

/// The status of a worker that the market has not.
pub(super) fn no_worker(id: WorkerId) -> Status {
    refuse(Violation::new(Reason::WorkerNotFound, "worker_id", format!("there is no worker {id}")))
}

/// The status of a vacancy that the market has not.
pub(super) fn no_vacancy(id: VacancyId) -> Status {
    refuse(Violation::new(
        Reason::VacancyNotFound,
        "vacancy_id",
        format!("there is no vacancy {id}"),
    ))
}
