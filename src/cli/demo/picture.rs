//! What the demo shows of a cleared market: pools, flows, who gained. All of it is
//! read over the API.

use crate::cli::client::{Client, PAGE_SIZE};
use crate::cli::error::Error;
use crate::cli::explain;
use crate::cli::output::{Column, Output, Table, percent, thousands};
use crate::proto::v1::{
    City, CityPool, ExplainOutcome, GetCityPoolRequest, ListMatchesRequest, ListWorkersRequest,
    Match, WorkerStatus,
};
use std::collections::HashMap;

/// Rows of each table.
const ROWS_MAX: usize = 10;
/// Unmatched workers read, and those of them looked at for one with a story.
const UNMATCHED_READ: usize = 1_000;
const CANDIDATES_MAX: usize = 20;

/// The picture of a market.
pub struct Picture {
    pools: Vec<(City, CityPool)>,
    names: HashMap<String, String>,
    /// Largest first: origin, destination, workers, mean distance.
    flows: Vec<Flow>,
    stayed: Gain,
    moved: Gain,
    matched_example: Option<String>,
    unmatched_example: Option<String>,
}

/// Workers who move from one city to another.
struct Flow {
    origin: String,
    destination: String,
    workers: u64,
    km: u32,
    salaries: i128,
    /// The first of them.
    example: String,
}

/// Pay against expected pay of a group of matched workers.
#[derive(Clone, Copy, Default)]
struct Gain {
    workers: u64,
    gained: u64,
    expected: i128,
    salary: i128,
    expected_real: i128,
    salary_real: i128,
    move_cost: i128,
}

impl Picture {
    /// Reads the market.
    pub async fn read(client: &Client, market: &str) -> Result<Self, Error> {
        let cities = client.cities(market).await?;
        let prices = cities.iter().map(|city| (city.id.clone(), price_level(city))).collect();
        let mut tally = Tally { prices, ..Tally::default() };
        let mut request = ListMatchesRequest {
            market: market.to_owned(),
            page_size: PAGE_SIZE,
            ..ListMatchesRequest::default()
        };
        loop {
            let page = client.matching().list_matches(request.clone()).await;
            let page = page.map_err(Error::refused("cannot list the matches"))?.into_inner();
            page.matches.into_iter().for_each(|pair| tally.add(pair));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        let names =
            cities.iter().map(|city| (city.id.clone(), city.display_name.clone())).collect();
        let mut flows: Vec<Flow> = tally.flows.into_values().collect();
        flows.sort_by(|a, b| {
            let key = |flow: &Flow| (flow.origin.clone(), flow.destination.clone());
            b.workers.cmp(&a.workers).then_with(|| key(a).cmp(&key(b)))
        });
        Ok(Self {
            pools: pools(client, market, cities).await?,
            names,
            stayed: tally.stayed,
            moved: tally.moved,
            matched_example: flows.first().map(|flow| flow.example.clone()).or(tally.stayer),
            flows,
            unmatched_example: unmatched(client, market).await?,
        })
    }

    /// A worker of the largest flow, or any matched worker.
    pub fn matched_example(&self) -> Option<&str> {
        self.matched_example.as_deref()
    }

    /// A worker without a job, of those who might have had one.
    pub fn unmatched_example(&self) -> Option<&str> {
        self.unmatched_example.as_deref()
    }

    /// The city that the largest flow goes to.
    pub fn busiest_city(&self) -> Option<&str> {
        self.flows.first().map(|flow| flow.destination.as_str())
    }

    /// Prints the tables.
    pub fn print(&self, output: Output) -> Result<(), Error> {
        for (title, table) in [
            ("Pools of the largest cities (generated data)", self.pools_table()),
            ("Largest flows between cities (generated data)", self.flows_table()),
            ("Who gained: pay against expected pay, a year (generated data)", self.gains_table()),
        ] {
            output.line("")?;
            output.line(output.heading(title))?;
            output.line(table)?;
        }
        output.line("Real = at reference prices: money divided by the city's price level.")
    }

    fn pools_table(&self) -> Table {
        let mut table = Table::new(&[
            Column::Text("city"),
            Column::Number("workers"),
            Column::Number("openings"),
            Column::Number("tightness"),
            Column::Number("workers matched"),
            Column::Number("openings filled"),
        ]);
        for (city, pool) in &self.pools {
            let workers = pool.searching + pool.matched;
            table.row([
                city.display_name.clone(),
                thousands(workers),
                thousands(pool.openings),
                format!("{:.2}", pool.tightness),
                percent(pool.matched, workers),
                percent(pool.held, pool.openings),
            ]);
        }
        table
    }

    fn flows_table(&self) -> Table {
        let mut table = Table::new(&[
            Column::Text("from"),
            Column::Text("to"),
            Column::Number("workers"),
            Column::Number("km"),
            Column::Number("mean pay"),
        ]);
        for flow in self.flows.iter().take(ROWS_MAX) {
            table.row([
                self.name(&flow.origin),
                self.name(&flow.destination),
                thousands(flow.workers),
                thousands(flow.km),
                thousands(flow.salaries / i128::from(flow.workers.max(1))),
            ]);
        }
        table
    }

    fn gains_table(&self) -> Table {
        let mut table = Table::new(&[
            Column::Text("matched workers"),
            Column::Number("number"),
            Column::Number("expected"),
            Column::Number("pay"),
            Column::Number("real expected"),
            Column::Number("real pay"),
            Column::Number("real change"),
            Column::Number("who gained"),
            Column::Number("cost of move"),
        ]);
        let rows = [
            ("at home", self.stayed),
            ("moved", self.moved),
            ("all", self.stayed.plus(self.moved)),
        ];
        for (name, gain) in rows {
            table.row(gain.row(name));
        }
        table
    }

    fn name(&self, city: &str) -> String {
        self.names.get(city).cloned().unwrap_or_else(|| city.to_owned())
    }
}

impl Gain {
    fn plus(self, other: Self) -> Self {
        Self {
            workers: self.workers + other.workers,
            gained: self.gained + other.gained,
            expected: self.expected + other.expected,
            salary: self.salary + other.salary,
            expected_real: self.expected_real + other.expected_real,
            salary_real: self.salary_real + other.salary_real,
            move_cost: self.move_cost + other.move_cost,
        }
    }

    fn row(&self, name: &str) -> [String; 9] {
        let mean = |sum: i128| match self.workers {
            0 => "-".to_owned(),
            workers => thousands(sum / i128::from(workers)),
        };
        let change = match self.expected_real {
            0 => "-".to_owned(),
            expected => {
                format!("{:+.1}%", 100.0 * (self.salary_real - expected) as f64 / expected as f64)
            }
        };
        [
            name.to_owned(),
            thousands(self.workers),
            mean(self.expected),
            mean(self.salary),
            mean(self.expected_real),
            mean(self.salary_real),
            change,
            percent(self.gained, self.workers),
            mean(self.move_cost),
        ]
    }
}

/// Sums over the matches, as their pages come in.
#[derive(Default)]
struct Tally {
    prices: HashMap<String, i128>,
    flows: HashMap<(String, String), Flow>,
    stayed: Gain,
    moved: Gain,
    stayer: Option<String>,
}

impl Tally {
    fn add(&mut self, pair: Match) {
        let gain = self.gain(&pair);
        if pair.origin == pair.destination {
            self.stayed = self.stayed.plus(gain);
            self.stayer.get_or_insert(pair.worker_id);
            return;
        }
        self.moved = self.moved.plus(gain);
        let key = (pair.origin.clone(), pair.destination.clone());
        let flow = self.flows.entry(key).or_insert_with(|| Flow {
            origin: pair.origin,
            destination: pair.destination,
            workers: 0,
            km: pair.km,
            salaries: 0,
            example: pair.worker_id,
        });
        flow.workers += 1;
        flow.salaries += i128::from(pair.salary);
    }

    fn gain(&self, pair: &Match) -> Gain {
        let price = |city: &str| self.prices.get(city).copied().unwrap_or(1000);
        let expected_real = 1000 * i128::from(pair.expected_salary) / price(&pair.origin);
        let salary_real = 1000 * i128::from(pair.salary) / price(&pair.destination);
        Gain {
            workers: 1,
            gained: u64::from(salary_real >= expected_real),
            expected: pair.expected_salary.into(),
            salary: pair.salary.into(),
            expected_real,
            salary_real,
            move_cost: pair.move_cost.into(),
        }
    }
}

fn price_level(city: &City) -> i128 {
    i128::from(city.cost_of_living.unwrap_or(1000).max(1))
}

/// The pools of the largest cities.
async fn pools(
    client: &Client,
    market: &str,
    mut cities: Vec<City>,
) -> Result<Vec<(City, CityPool)>, Error> {
    cities.sort_by(|a, b| b.population.cmp(&a.population).then_with(|| a.id.cmp(&b.id)));
    let mut pools = Vec::new();
    for city in cities.into_iter().take(ROWS_MAX) {
        let request = GetCityPoolRequest {
            market: market.to_owned(),
            city: city.id.clone(),
            at_least_revision: 0,
        };
        let reply = client.pools().get_city_pool(request).await;
        let reply = reply.map_err(Error::refused("cannot read a pool"))?.into_inner();
        pools.push((city, reply.pool.unwrap_or_default()));
    }
    Ok(pools)
}

/// A worker without a match: one who was outranked rather than one for whom there is
/// nothing, if a few looks find one.
async fn unmatched(client: &Client, market: &str) -> Result<Option<String>, Error> {
    let request = ListWorkersRequest {
        market: market.to_owned(),
        status: WorkerStatus::Searching.into(),
        page_size: UNMATCHED_READ as i32,
        ..ListWorkersRequest::default()
    };
    let reply = client.pools().list_workers(request).await;
    let reply = reply.map_err(Error::refused("cannot list the workers"))?.into_inner();
    let ids: Vec<String> =
        reply.workers.into_iter().filter_map(|record| Some(record.worker?.id)).collect();
    // Neighbours in the list have the same city and occupation, so take them from all over it.
    let step = (ids.len() / CANDIDATES_MAX).max(1);
    for id in ids.iter().skip(step / 2).step_by(step) {
        let answer = explain::ask(client, market, id, "").await?;
        if answer.outcome() != ExplainOutcome::NothingAcceptable && answer.acceptable_vacancies > 0
        {
            return Ok(Some(id.clone()));
        }
    }
    Ok(ids.into_iter().next())
}
