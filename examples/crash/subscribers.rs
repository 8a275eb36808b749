//! Who reads events: subscribers who resume where they were, over all cycles, and one
//! collector for each market who lists all there is.

use crate::checkers::{Began, Session, Subscription, place_of};
use crate::clients::Stage;
use crate::draws::Random;
use crate::promises::{CONTINUED, UNSEEN, broken};
use crate::record::{Market, Record};
use crate::support::{Clients, Place, earliest, place};
use gale::proto::v1 as pb;
use gale::proto::v1::watch_request::Start;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const CHECKPOINT_MS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);
/// Events of one page of the collector.
const PAGE: i32 = 4_000;
/// How far back the collector looks again after each start, in events.
const LOOK_BACK: u64 = 3_000;

/// A subscriber of a market.
pub struct Subscriber {
    pub market: Arc<Market>,
    pub record: Arc<Record>,
    pub stage: watch::Receiver<Stage>,
    pub random: Random,
    /// Forgets where it was with every start of the server, and begins at the earliest.
    pub forgetful: bool,
    pub life: Arc<Mutex<Subscription>>,
}

/// Where a subscription is.
pub fn next(life: &Subscription) -> Option<Place> {
    let began = |session: &Session| match session.began {
        Began::At(at) => Some(at),
        Began::Between(..) => None,
    };
    life.sessions.iter().rev().find_map(|session| session.next().or(began(session)))
}

/// What is checked is forgotten: what comes next is a session that begins there.
pub fn forget(life: &mut Subscription) {
    if let Some(next) = next(life) {
        life.sessions = vec![Session { began: Began::At(next), messages: Vec::new() }];
    }
}

impl Subscriber {
    pub async fn live(mut self) {
        let (mut known, mut number) = (String::new(), 0);
        loop {
            let stage = self.stage.borrow_and_update().clone();
            let up = match stage {
                Stage::Over => return,
                Stage::Up(up) => up,
                Stage::Down => {
                    let _ = self.stage.changed().await;
                    continue;
                }
            };
            if self.forgetful && up.number != number {
                self.life.lock().unwrap().sessions.clear();
            }
            number = up.number;
            let channel = self.random.of(&up.channels);
            if let Err(status) = self.session(Clients::over(channel), &mut known).await {
                self.ended(&status);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// One call to `Watch`, until it ends or it has enough of it.
    async fn session(&mut self, mut to: Clients, incarnation: &mut String) -> Result<(), Status> {
        let resume = next(&self.life.lock().unwrap());
        let oldest = oldest(&mut to, &self.market.name).await?;
        let start = match resume {
            None => earliest(),
            Some((revision, index)) => {
                Start::Position(pb::Position { incarnation: incarnation.clone(), revision, index })
            }
        };
        let request = pb::WatchRequest {
            market: self.market.name.clone(),
            start: Some(start),
            filter: Some(self.life.lock().unwrap().filter.clone()),
            checkpoint_interval_ms: CHECKPOINT_MS,
        };
        let mut stream = to.event.watch(request).await?.into_inner();
        let began = match resume {
            Some(at) => Began::At(at),
            None => Began::Between(oldest, self::oldest(&mut to, &self.market.name).await?),
        };
        self.life.lock().unwrap().sessions.push(Session { began, messages: Vec::new() });
        for _ in 0..self.random.within(5, 400) {
            let Some(message) = stream.message().await? else {
                return Err(Status::unavailable("the stream ended"));
            };
            incarnation.clone_from(&message.next.clone().unwrap_or_default().incarnation);
            if let Some(last) = message.events.last() {
                self.market.saw(place_of(last).0);
            }
            self.market.saw(place(message.next.as_ref()).0.saturating_sub(1));
            let mut life = self.life.lock().unwrap();
            if let Some(session) = life.sessions.last_mut() {
                session.messages.push(message);
            }
        }
        Ok(())
    }

    /// Connections may end; positions may not be lost, unless they are trimmed.
    fn ended(&mut self, status: &Status) {
        let details = status.get_error_details();
        let Some(info) = details.error_info() else { return };
        if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) {
            return;
        }
        let mut life = self.life.lock().unwrap();
        let at = next(&life);
        let number = |name: &str| info.metadata.get(name).and_then(|text| text.parse::<u64>().ok());
        let oldest = (number("revision").unwrap_or(0), number("index").unwrap_or(0) as u32);
        if info.reason == "POSITION_TRIMMED" && at.is_some_and(|at| at < oldest) {
            // History is not for ever: it begins anew.
            life.sessions.clear();
            return;
        }
        let evidence = format!("a subscriber at {at:?} is told {status:?}");
        self.record.violation(broken(CONTINUED, evidence));
    }
}

async fn oldest(to: &mut Clients, market: &str) -> Result<Place, Status> {
    let request = pb::GetWatermarkRequest { market: market.to_owned() };
    Ok(place(to.event.get_watermark(request).await?.into_inner().oldest.as_ref()))
}

/// Lists events as they come, so that there is a reference even of what is trimmed. After
/// each start it looks back first: what it has listed must still be there, as it was.
pub async fn collect(market: Arc<Market>, record: Arc<Record>, mut stage: watch::Receiver<Stage>) {
    let mut number = 0;
    loop {
        let now = stage.borrow_and_update().clone();
        let up = match now {
            Stage::Over => return,
            Stage::Up(up) => up,
            Stage::Down => {
                let _ = stage.changed().await;
                continue;
            }
        };
        let mut to = Clients::over(up.channels[0].clone());
        if up.number != number && look_back(&market, &record, &mut to).await.is_ok() {
            number = up.number;
        }
        if up.number == number {
            let from = market.reference.lock().unwrap().end;
            match page(&market, &mut to, from).await {
                Ok((events, end)) => {
                    let mut reference = market.reference.lock().unwrap();
                    reference.end = end;
                    reference.events.extend(events);
                    market.saw(end.0 - 1);
                }
                Err(status) if status.code() == Code::OutOfRange => {
                    let evidence = format!("who lists events is told {status:?}");
                    return record.violation(broken(CONTINUED, evidence));
                }
                // The server is gone.
                Err(_) => {}
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look_back(market: &Market, record: &Record, to: &mut Clients) -> Result<(), Status> {
    let oldest = oldest(to, &market.name).await?;
    let (from, end) = {
        let reference = market.reference.lock().unwrap();
        let back = reference.events.len().saturating_sub(LOOK_BACK as usize);
        let from = reference.events.get(back).map_or((1, 0), place_of);
        (from.max(oldest), reference.end)
    };
    let mut at = from;
    while at < end {
        let (events, next) = match page(market, to, at).await {
            // Trimmed meanwhile, or not there any more.
            Err(status) if status.code() == Code::OutOfRange => {
                if self::oldest(to, &market.name).await? <= at {
                    let evidence = format!("{end:?} was seen, but {at:?} is told {status:?}");
                    record.violation(broken(UNSEEN, evidence));
                }
                return Ok(());
            }
            page => page?,
        };
        let reference = market.reference.lock().unwrap();
        let first = reference.events.partition_point(|event| place_of(event) < at);
        let known = &reference.events[first..];
        let differs = events.iter().zip(known).find(|(now, before)| now != before);
        if let Some((now, before)) = differs {
            let evidence = format!("{before:?} was seen, now it is {now:?}");
            record.violation(broken(UNSEEN, evidence));
        }
        if next == at {
            record.violation(broken(UNSEEN, format_args!("{end:?} was seen, it ends at {at:?}")));
            return Ok(());
        }
        at = next;
    }
    Ok(())
}

async fn page(
    market: &Market,
    to: &mut Clients,
    from: Place,
) -> Result<(Vec<pb::Event>, Place), Status> {
    let start = pb::Position { incarnation: String::new(), revision: from.0, index: from.1 };
    let request = pb::ListEventsRequest {
        market: market.name.clone(),
        start: Some(start),
        filter: None,
        page_size: PAGE,
    };
    let reply = to.event.list_events(request).await?.into_inner();
    Ok((reply.events, place(reply.next.as_ref())))
}
