//! Markets that come and go: made, used and deleted, one after the other.

use crate::ask::{Came, came_of};
use crate::clients::Stage;
use crate::promises::{Checked, DURABLE, broken};
use crate::support::{Clients, worker};
use gale::proto::v1 as pb;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tonic::Status;

const PAUSE: Duration = Duration::from_millis(30);

/// What is known of the markets that come and go.
#[derive(Debug, Default)]
pub struct Estate {
    /// Made, as it was acknowledged, and not asked to be deleted.
    pub standing: BTreeSet<String>,
    /// Deleted, as it was acknowledged.
    pub deleted: BTreeSet<String>,
}

impl Estate {
    /// Whether the server has the markets that it must, and none that it must not.
    pub fn check(&self, listed: &BTreeSet<String>) -> Checked {
        if let Some(lost) = self.standing.iter().find(|name| !listed.contains(*name)) {
            return broken(DURABLE, format_args!("the market {lost} was made, and is gone"));
        }
        match self.deleted.iter().find(|name| listed.contains(*name)) {
            Some(back) => {
                broken(DURABLE, format_args!("the market {back} was deleted, and is back"))
            }
            None => Ok(()),
        }
    }
}

pub async fn live(estate: Arc<Mutex<Estate>>, mut stage: watch::Receiver<Stage>) {
    let (mut number, mut step) = (0, 0);
    loop {
        let now = stage.borrow_and_update().clone();
        let up = match now {
            Stage::Over => return,
            Stage::Up(up) if up.loads => up,
            Stage::Up(_) | Stage::Down => {
                let _ = stage.changed().await;
                continue;
            }
        };
        let mut to = Clients::over(up.channels[0].clone());
        let name = format!("brief-{number}");
        let done = match step {
            0 => create(&mut to, &name).await,
            1 => fill(&mut to, &name).await,
            _ => {
                estate.lock().unwrap().standing.remove(&name);
                delete(&mut to, &name).await
            }
        };
        // Done, or done before by a call that was not answered.
        if !matches!(done.map_or_else(came_of, |()| Came::Refused(String::new())), Came::Nothing) {
            let mut estate = estate.lock().unwrap();
            match step {
                0 => drop(estate.standing.insert(name)),
                1 => {}
                _ => {
                    estate.deleted.insert(name);
                    number += 1;
                }
            }
            step = (step + 1) % 3;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn create(to: &mut Clients, name: &str) -> Result<(), Status> {
    let market = Some(pb::Market { id: name.into(), ..Default::default() });
    to.market.create_market(pb::CreateMarketRequest { market }).await.map(drop)
}

async fn fill(to: &mut Clients, name: &str) -> Result<(), Status> {
    let city = pb::City { id: "a".into(), ..Default::default() };
    let market = name.to_owned();
    let cities = vec![city];
    let request = pb::UpsertCitiesRequest { market: market.clone(), cities, ..Default::default() };
    to.market.upsert_cities(request).await?;
    let workers = (0..50).map(|number| worker(number, "a", 40_000)).collect();
    let request = pb::UpsertWorkersRequest { market, workers, ..Default::default() };
    to.pool.upsert_workers(request).await.map(drop)
}

async fn delete(to: &mut Clients, name: &str) -> Result<(), Status> {
    let request = pb::DeleteMarketRequest { market: name.into(), ..Default::default() };
    to.market.delete_market(request).await.map(drop)
}
