//! `gale watch`: streams a market's events.

use super::client::Target;
use super::error::Error;
use super::events::{Follower, describe, parse_kind, parse_position};
use super::output::{Output, write};
use crate::proto::v1::watch_request::Start;
use crate::proto::v1::{EarliestStart, Event, EventFilter, EventKind};
use std::io::Write;

/// Streams a market's events, one line each.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Goes on for ever; when the server or the connection goes away it connects again and resumes
where it was. Each line begins with the event's position, REVISION:INDEX, which --from takes.

Kinds: MARKET_CHANGED REGION_CHANGED CITY_CHANGED MOVE_COST_CHANGED WORKER_CHANGED
VACANCY_CHANGED MATCHED DISPLACED UNMATCHED DECLINED LAPSED CONFIRMED PLACED
MIGRATION_PLANNED MIGRATION_CANCELLED MIGRATED ROUND_STARTED ROUND_CLEARED ROUND_CANCELLED

Example:
  gale watch --market us --from earliest --kinds MIGRATION_PLANNED,MIGRATED --city us-12060
  gale watch --json | jq -c 'select(.kind == \"EVENT_KIND_ROUND_CLEARED\")'")]
pub struct Args {
    /// Where to start: earliest, now, or a position REVISION[:INDEX], inclusive.
    #[arg(long, value_name = "START", default_value = "now", value_parser = parse_from)]
    from: From,
    /// Only these kinds.
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = parse_kind)]
    kinds: Vec<EventKind>,
    /// Only events of these cities (home, origin or destination).
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    city: Vec<String>,
    /// Only events of these workers.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    worker: Vec<String>,
    /// Only events of these vacancies.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    vacancy: Vec<String>,
    /// Stop after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    #[command(flatten)]
    target: Target,
}

/// Where to start.
#[derive(Clone, Debug)]
enum From {
    Earliest,
    Now,
    At(crate::proto::v1::Position),
}

/// Streams until the limit, the end of the output, or an error that is not passing.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    let (client, market) = args.target.connect().await?;
    let start = match args.from {
        From::Earliest => Start::Earliest(EarliestStart {}),
        From::At(position) => Start::Position(position),
        // A position, so that nothing is missed if the connection goes before the first event.
        From::Now => Start::Position(client.newest(&market).await?),
    };
    let filter = EventFilter {
        kinds: args.kinds.into_iter().map(Into::into).collect(),
        cities: args.city,
        worker_ids: args.worker,
        vacancy_ids: args.vacancy,
    };
    let filter = (filter != EventFilter::default()).then_some(filter);
    let mut follower = Follower::new(client, &market, start, filter);
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0 {
        let message = follower.next().await?;
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(message.events.len());
        print(&message.events[..wanted], output)?;
        left -= wanted as u64;
    }
    Ok(())
}

fn print(events: &[Event], output: Output) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    write(|stdout| {
        for event in events {
            if output.json {
                serde_json::to_writer(&mut *stdout, event)?;
                stdout.write_all(b"\n")?;
            } else {
                writeln!(stdout, "{}", describe(event))?;
            }
        }
        Ok(())
    })
}

fn parse_from(text: &str) -> Result<From, String> {
    match text {
        "earliest" => Ok(From::Earliest),
        "now" => Ok(From::Now),
        _ => parse_position(text)
            .map(From::At)
            .ok_or_else(|| "must be earliest, now, or REVISION[:INDEX]".to_owned()),
    }
}
