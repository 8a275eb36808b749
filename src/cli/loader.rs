//! Loads a whole market over gRPC: places first, then workers and vacancies through
//! the import streams, each batch acknowledged with what was refused in it.

use super::client::Client;
use super::error::Error;
use super::files::{Directory, Line, Record, Records};
use super::output::bar;
use crate::proto::v1::{
    City, CreateMarketRequest, ImportVacanciesRequest, ImportVacanciesResponse,
    ImportWorkersRequest, ImportWorkersResponse, ItemError, Market, MoveCost, Region,
    SetMoveCostsRequest, UpsertCitiesRequest, UpsertRegionsRequest, Vacancy, Worker,
};
use indicatif::ProgressBar;
use prost::Message;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

/// Records of one batch at most: enough to be quick, few enough that progress shows
/// and that other writers get their turn.
const BATCH_RECORDS_MAX: usize = 2_000;
/// Bytes of one batch at most, well under the limit of a message.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// Batches that wait to be sent.
const BATCHES_WAITING_MAX: usize = 4;
/// Places of one call at most.
const PLACES_MAX: usize = 1_000;
/// Refused records that are kept for the report; all are counted.
const REJECTED_KEPT_MAX: usize = 1_000;

/// A whole market, ready to load. Places carry their lines.
pub struct Source {
    /// The market.
    pub market: Market,
    /// Parents before their children.
    pub regions: Vec<(u64, Region)>,
    /// Its cities.
    pub cities: Vec<(u64, City)>,
    /// Overrides of the cost of moving.
    pub move_costs: Vec<(u64, MoveCost)>,
    /// Its workers.
    pub workers: Records<Worker>,
    /// Its vacancies.
    pub vacancies: Records<Vacancy>,
}

/// What went in and what did not.
#[derive(Debug, Default)]
pub struct Report {
    /// The market's revision after the last write.
    pub revision: u64,
    /// Regions accepted.
    pub regions: u64,
    /// Cities accepted.
    pub cities: u64,
    /// Overrides accepted.
    pub move_costs: u64,
    /// Workers accepted.
    pub workers: u64,
    /// Vacancies accepted.
    pub vacancies: u64,
    /// The first records that were refused.
    pub rejected: Vec<Rejected>,
    /// How many were.
    pub rejected_total: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// A record that was refused.
#[derive(Debug)]
pub struct Rejected {
    file: &'static str,
    line: u64,
    id: String,
    message: String,
}

impl Rejected {
    /// The refusal as compilers write theirs: `dir/workers.jsonl:17: ID: ...`.
    pub fn with_path(&self, directory: &Directory) -> String {
        let path = directory.path(self.file);
        let id = if self.id.is_empty() { String::new() } else { format!("{}: ", self.id) };
        format!("{}:{}: {id}{}", path.display(), self.line, self.message)
    }
}

impl Report {
    fn reject(&mut self, rejected: Rejected) {
        self.rejected_total += 1;
        if self.rejected.len() < REJECTED_KEPT_MAX {
            self.rejected.push(rejected);
        }
    }

    /// Files the refusals of one batch whose records stood on `lines`.
    fn reject_items<T: Record>(&mut self, lines: &[u64], errors: Vec<ItemError>) {
        for error in errors {
            let reason = error.reason().as_str_name().trim_start_matches("ERROR_REASON_");
            let field = match error.field.as_str() {
                "" => String::new(),
                field => format!("{field}: "),
            };
            self.reject(Rejected {
                file: T::FILE,
                line: lines.get(error.index as usize).copied().unwrap_or_default(),
                message: format!("{field}{} [{reason}]", error.message),
                id: error.id,
            });
        }
    }
}

/// Loads markets into one server.
pub struct Loader {
    client: Client,
    market: String,
    update: bool,
    report: Report,
}

impl Loader {
    /// A loader of `market`.
    pub fn new(client: Client, market: &str) -> Self {
        Self { client, market: market.to_owned(), update: false, report: Report::default() }
    }

    /// Whether a market that exists already is added to.
    #[must_use]
    pub fn update(mut self, update: bool) -> Self {
        self.update = update;
        self
    }

    /// Makes the market and fills it.
    pub async fn load(mut self, source: Source) -> Result<Report, Error> {
        self.create(&source.market).await?;
        self.fill(source).await
    }

    /// Loads everything into a market that exists.
    pub async fn fill(mut self, source: Source) -> Result<Report, Error> {
        let start = Instant::now();
        self.load_regions(&source.regions).await?;
        self.load_cities(&source.cities).await?;
        self.load_move_costs(&source.move_costs).await?;
        self.report.workers = self.stream(source.workers).await?;
        self.report.vacancies = self.stream(source.vacancies).await?;
        self.report.elapsed = start.elapsed();
        Ok(self.report)
    }

    /// Makes the market, empty.
    pub async fn create(&mut self, market: &Market) -> Result<(), Error> {
        let request = CreateMarketRequest { market: Some(market.clone()) };
        match self.client.markets().create_market(request).await {
            Ok(reply) => self.report.revision = reply.into_inner().revision,
            Err(status) if self.update && status.code() == Code::AlreadyExists => {}
            Err(status) => return Err(Error::refused("cannot make the market")(status)),
        }
        Ok(())
    }

    async fn load_regions(&mut self, regions: &[(u64, Region)]) -> Result<(), Error> {
        for batch in regions.chunks(PLACES_MAX) {
            let (lines, regions) = unzip(batch);
            let request =
                UpsertRegionsRequest { market: self.market.clone(), regions, ..Default::default() };
            let reply = self.client.markets().upsert_regions(request).await;
            let reply = reply.map_err(Error::refused("cannot load the regions"))?.into_inner();
            self.report.revision = self.report.revision.max(reply.revision);
            self.report.regions += (lines.len() - reply.errors.len()) as u64;
            self.report.reject_items::<Region>(&lines, reply.errors);
        }
        Ok(())
    }

    async fn load_cities(&mut self, cities: &[(u64, City)]) -> Result<(), Error> {
        for batch in cities.chunks(PLACES_MAX) {
            let (lines, cities) = unzip(batch);
            let request =
                UpsertCitiesRequest { market: self.market.clone(), cities, ..Default::default() };
            let reply = self.client.markets().upsert_cities(request).await;
            let reply = reply.map_err(Error::refused("cannot load the cities"))?.into_inner();
            self.report.revision = self.report.revision.max(reply.revision);
            self.report.cities += (lines.len() - reply.errors.len()) as u64;
            self.report.reject_items::<City>(&lines, reply.errors);
        }
        Ok(())
    }

    async fn load_move_costs(&mut self, move_costs: &[(u64, MoveCost)]) -> Result<(), Error> {
        for batch in move_costs.chunks(PLACES_MAX) {
            let (lines, move_costs) = unzip(batch);
            let request = SetMoveCostsRequest {
                market: self.market.clone(),
                move_costs,
                ..Default::default()
            };
            let reply = self.client.markets().set_move_costs(request).await;
            let reply = reply.map_err(Error::refused("cannot load the move costs"))?.into_inner();
            self.report.revision = self.report.revision.max(reply.revision);
            self.report.move_costs += (lines.len() - reply.errors.len()) as u64;
            self.report.reject_items::<MoveCost>(&lines, reply.errors);
        }
        Ok(())
    }

    /// Sends records through their import stream; how many were accepted.
    async fn stream<T: Streamed>(&mut self, records: Records<T>) -> Result<u64, Error> {
        if records.total == 0 {
            return Ok(0);
        }
        let progress =
            bar(&format!("importing {}", T::FILE.trim_end_matches(".jsonl")), records.total);
        let (requests, sending) = mpsc::channel(BATCHES_WAITING_MAX);
        let (sent, mut acknowledging) = mpsc::unbounded_channel();
        let market = self.market.clone();
        // Reading and parsing block, so they have a thread of their own.
        let reader = tokio::task::spawn_blocking(move || feed(market, records, &requests, &sent));
        let call = T::stream(&self.client, ReceiverStream::new(sending)).await;
        let mut acks = call.map_err(Error::refused(T::REFUSED))?;
        let mut accepted = 0;
        while let Some(sent) = acknowledging.recv().await {
            match sent {
                Sent::Unreadable(rejected) => self.report.reject(rejected),
                Sent::Batch(lines) => {
                    accepted += self.acknowledge::<T>(&mut acks, &lines, &progress).await?;
                }
            }
        }
        progress.finish_and_clear();
        match reader.await {
            Ok(result) => result.map(|()| accepted),
            Err(error) => Err(Error::Failed(format!("reading {} failed: {error}", T::FILE))),
        }
    }

    /// Waits for one batch's acknowledgement; how many of it were accepted.
    async fn acknowledge<T: Streamed>(
        &mut self,
        acks: &mut Streaming<T::Response>,
        lines: &[u64],
        progress: &ProgressBar,
    ) -> Result<u64, Error> {
        let ack = match acks.message().await.map_err(Error::refused(T::REFUSED))? {
            Some(reply) => T::ack(reply),
            None => return Err(super::client::incomplete("an import")),
        };
        self.report.revision = self.report.revision.max(ack.revision);
        self.report.reject_items::<T>(lines, ack.errors);
        progress.inc(lines.len() as u64);
        Ok(u64::from(ack.accepted))
    }
}

fn unzip<T: Clone>(batch: &[(u64, T)]) -> (Vec<u64>, Vec<T>) {
    batch.iter().cloned().unzip()
}

/// What the reader tells the acknowledging side, in order.
enum Sent {
    /// A batch went out, whose records stood on these lines.
    Batch(Vec<u64>),
    /// A line was not a record.
    Unreadable(Rejected),
}

/// Reads all records and sends them in batches. If the call ends early there is
/// nobody to send to, and the call's own error is what the user sees.
fn feed<T: Streamed>(
    market: String,
    records: Records<T>,
    requests: &mpsc::Sender<T::Request>,
    sent: &mpsc::UnboundedSender<Sent>,
) -> Result<(), Error> {
    let mut batch = Batch { market, sequence: 0, bytes: 0, lines: Vec::new(), items: Vec::new() };
    for line in records.lines {
        let Line { number, record } = line?;
        let record = match record {
            Ok(record) => record,
            Err(message) => {
                let rejected = Rejected { file: T::FILE, line: number, id: String::new(), message };
                let _ = sent.send(Sent::Unreadable(rejected));
                continue;
            }
        };
        let bytes = record.encoded_len();
        let full = batch.items.len() >= BATCH_RECORDS_MAX || batch.bytes + bytes > BATCH_BYTES_MAX;
        if full && !batch.send(requests, sent) {
            return Ok(());
        }
        batch.bytes += bytes;
        batch.lines.push(number);
        batch.items.push(record);
    }
    batch.send(requests, sent);
    Ok(())
}

/// A batch in the making.
struct Batch<T> {
    market: String,
    sequence: u64,
    bytes: usize,
    lines: Vec<u64>,
    items: Vec<T>,
}

impl<T: Streamed> Batch<T> {
    /// Sends what has gathered, if anything; false if nobody listens any more.
    fn send(
        &mut self,
        requests: &mpsc::Sender<T::Request>,
        sent: &mpsc::UnboundedSender<Sent>,
    ) -> bool {
        if self.items.is_empty() {
            return true;
        }
        self.sequence += 1;
        self.bytes = 0;
        let items = std::mem::take(&mut self.items);
        let request = T::request(self.market.clone(), self.sequence, items);
        let listened = requests.blocking_send(request).is_ok();
        listened && sent.send(Sent::Batch(std::mem::take(&mut self.lines))).is_ok()
    }
}

/// An import's acknowledgement of one batch.
struct Ack {
    revision: u64,
    accepted: u32,
    errors: Vec<ItemError>,
}

/// A record that is imported through a stream.
trait Streamed: Record + Message {
    type Request: Send + 'static;
    type Response: Send + 'static;
    const REFUSED: &'static str;

    fn request(market: String, sequence: u64, items: Vec<Self>) -> Self::Request;
    fn ack(response: Self::Response) -> Ack;
    async fn stream(
        client: &Client,
        requests: ReceiverStream<Self::Request>,
    ) -> Result<Streaming<Self::Response>, Status>;
}

impl Streamed for Worker {
    type Request = ImportWorkersRequest;
    type Response = ImportWorkersResponse;
    const REFUSED: &'static str = "cannot import the workers";

    fn request(market: String, sequence: u64, workers: Vec<Self>) -> ImportWorkersRequest {
        ImportWorkersRequest { market, sequence, workers, ..Default::default() }
    }

    fn ack(response: ImportWorkersResponse) -> Ack {
        let ImportWorkersResponse { revision, accepted, errors, .. } = response;
        Ack { revision, accepted, errors }
    }

    async fn stream(
        client: &Client,
        requests: ReceiverStream<ImportWorkersRequest>,
    ) -> Result<Streaming<ImportWorkersResponse>, Status> {
        Ok(client.pools().import_workers(requests).await?.into_inner())
    }
}

impl Streamed for Vacancy {
    type Request = ImportVacanciesRequest;
    type Response = ImportVacanciesResponse;
    const REFUSED: &'static str = "cannot import the vacancies";

    fn request(market: String, sequence: u64, vacancies: Vec<Self>) -> ImportVacanciesRequest {
        ImportVacanciesRequest { market, sequence, vacancies, ..Default::default() }
    }

    fn ack(response: ImportVacanciesResponse) -> Ack {
        let ImportVacanciesResponse { revision, accepted, errors, .. } = response;
        Ack { revision, accepted, errors }
    }

    async fn stream(
        client: &Client,
        requests: ReceiverStream<ImportVacanciesRequest>,
    ) -> Result<Streaming<ImportVacanciesResponse>, Status> {
        Ok(client.pools().import_vacancies(requests).await?.into_inner())
    }
}
