//! What clients ask for, what they are told, and what must then be found in the stream.

use crate::support::Clients;
use gale::proto::v1 as pb;
use std::collections::{BTreeMap, BTreeSet};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// A write. It has a `request_id`, and is sent with it again until it is answered.
#[derive(Clone, Debug)]
pub enum Ask {
    Workers(pb::UpsertWorkersRequest),
    Import(pb::ImportWorkersRequest),
    Vacancies(pb::UpsertVacanciesRequest),
    Withdraw(pb::WithdrawWorkersRequest),
    Close(pb::CloseVacanciesRequest),
    Confirm(pb::ConfirmMatchesRequest),
    Decline(pb::DeclineMatchesRequest),
    Round(pb::StartRoundRequest),
}

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub revision: u64,
    /// Items that were refused.
    pub errors: Vec<pb::ItemError>,
    /// The round that was started.
    pub round: String,
    pub placed: u32,
}

/// What came of asking.
pub enum Came {
    Told(Told),
    /// It is refused as a whole, by its reason.
    Refused(String),
    /// Nobody knows whether it was done.
    Nothing,
}

/// The label by which an upsert is told from every other.
pub const LABEL: &str = "upsert";

/// The label of a record: which upsert it is from.
pub fn label(labels: &BTreeMap<String, String>) -> String {
    labels.get(LABEL).cloned().unwrap_or_default()
}

impl Ask {
    /// Sends it.
    pub async fn send(&self, to: &mut Clients) -> Came {
        let told = |revision, errors| Told { revision, errors, round: String::new(), placed: 0 };
        let answer = match self.clone() {
            Self::Workers(ask) => to
                .pool
                .upsert_workers(ask)
                .await
                .map(|r| r.into_inner())
                .map(|r| told(r.revision, r.errors)),
            Self::Import(ask) => import(to, ask).await.map(|r| told(r.revision, r.errors)),
            Self::Vacancies(ask) => to
                .pool
                .upsert_vacancies(ask)
                .await
                .map(|r| r.into_inner())
                .map(|r| told(r.revision, r.errors)),
            Self::Withdraw(ask) => to
                .pool
                .withdraw_workers(ask)
                .await
                .map(|r| r.into_inner())
                .map(|r| told(r.revision, r.errors)),
            Self::Close(ask) => to
                .pool
                .close_vacancies(ask)
                .await
                .map(|r| r.into_inner())
                .map(|r| told(r.revision, r.errors)),
            Self::Confirm(ask) => to
                .matching
                .confirm_matches(ask)
                .await
                .map(|r| r.into_inner())
                .map(|r| Told { placed: r.placed, ..told(r.revision, r.errors) }),
            Self::Decline(ask) => to
                .matching
                .decline_matches(ask)
                .await
                .map(|r| r.into_inner())
                .map(|r| told(r.revision, r.errors)),
            Self::Round(ask) => {
                to.matching.start_round(ask).await.map(|r| r.into_inner()).map(|r| {
                    let round = r.round.unwrap_or_default();
                    Told { round: round.id, ..told(round.snapshot_revision, Vec::new()) }
                })
            }
        };
        answer.map_or_else(came_of, Came::Told)
    }

    /// How many items it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Workers(ask) => ask.workers.len(),
            Self::Import(ask) => ask.workers.len(),
            Self::Vacancies(ask) => ask.vacancies.len(),
            Self::Withdraw(ask) => ask.worker_ids.len(),
            Self::Close(ask) => ask.vacancy_ids.len(),
            Self::Confirm(ask) => ask.matches.len(),
            Self::Decline(ask) => ask.matches.len(),
            Self::Round(_) => 1,
        }
    }

    /// What it must have caused at its revision.
    pub fn caused(&self, told: &Told) -> Caused {
        let refused: BTreeSet<u32> = told.errors.iter().map(|error| error.index).collect();
        let kept = |index: usize| !refused.contains(&(index as u32));
        let workers = |all: &[pb::Worker]| {
            let kept = all.iter().enumerate().filter(|(index, _)| kept(*index));
            Caused::Workers(kept.map(|(_, w)| (w.id.clone(), label(&w.labels))).collect())
        };
        let ids = |all: &[String]| -> BTreeSet<String> {
            let kept = all.iter().enumerate().filter(|(index, _)| kept(*index));
            kept.map(|(_, id)| id.clone()).collect()
        };
        let pairs = |all: &[pb::MatchKey]| -> BTreeSet<(String, String)> {
            let kept = all.iter().enumerate().filter(|(index, _)| kept(*index));
            kept.map(|(_, key)| (key.worker_id.clone(), key.vacancy_id.clone())).collect()
        };
        match self {
            Self::Workers(ask) => workers(&ask.workers),
            Self::Import(ask) => workers(&ask.workers),
            Self::Vacancies(ask) => {
                let kept = ask.vacancies.iter().enumerate().filter(|(index, _)| kept(*index));
                Caused::Vacancies(kept.map(|(_, v)| (v.id.clone(), label(&v.labels))).collect())
            }
            Self::Withdraw(ask) => Caused::Withdrawn(ids(&ask.worker_ids)),
            Self::Close(ask) => Caused::Closed(ids(&ask.vacancy_ids)),
            Self::Confirm(ask) => Caused::Confirmed(ask.side, pairs(&ask.matches)),
            Self::Decline(ask) => Caused::Declined(pairs(&ask.matches)),
            Self::Round(_) => Caused::Round(told.round.clone()),
        }
    }
}

/// What a write causes, items that were refused left out.
#[derive(Clone, Debug)]
pub enum Caused {
    /// By id, with the label.
    Workers(BTreeMap<String, String>),
    Vacancies(BTreeMap<String, String>),
    Withdrawn(BTreeSet<String>),
    Closed(BTreeSet<String>),
    Confirmed(i32, BTreeSet<(String, String)>),
    Declined(BTreeSet<(String, String)>),
    Round(String),
}

async fn import(
    to: &mut Clients,
    ask: pb::ImportWorkersRequest,
) -> Result<pb::ImportWorkersResponse, Status> {
    let mut acks = to.pool.import_workers(tokio_stream::iter([ask])).await?.into_inner();
    let ack = acks.message().await?;
    ack.ok_or_else(|| Status::unavailable("the import ended without an acknowledgement"))
}

/// A status of Gale's own is an answer, any other the end of a connection.
pub fn came_of(status: Status) -> Came {
    let details = status.get_error_details();
    match details.error_info() {
        None => Came::Nothing,
        Some(_) if is_open(status.code()) => Came::Nothing,
        Some(info) => Came::Refused(info.reason.clone()),
    }
}

/// Codes that leave open whether it was done.
fn is_open(code: Code) -> bool {
    matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded)
}
