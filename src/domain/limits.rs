//! Every limit of the service, in one place. `docs/LIMITS.md` lists the same
//! values for readers, and `tests/limits.rs` tests each at the limit and one past it.

/// Longest id of a city, region, skill or market, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest display name, employer or title, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 200;
/// Longest name of a currency, in bytes of UTF-8.
pub const CURRENCY_BYTES_MAX: usize = 16;
/// Labels on one record.
pub const LABELS_MAX: usize = 8;
/// Longest label key, in bytes.
pub const LABEL_KEY_BYTES_MAX: usize = 32;
/// Longest label value, in bytes.
pub const LABEL_VALUE_BYTES_MAX: usize = 64;
/// Skills of one worker.
pub const WORKER_SKILLS_MAX: usize = 64;
/// Requirements of one vacancy.
pub const REQUIREMENTS_MAX: usize = 16;
/// Highest skill level.
pub const SKILL_LEVEL_MAX: u8 = 100;
/// Highest weight of a requirement.
pub const WEIGHT_MAX: u16 = 1_000;
/// Ids in one explicit ranking.
pub const RANKING_MAX: usize = 10_000;
/// Cities listed in one mobility set.
pub const MOBILITY_CITIES_MAX: usize = 1_024;
/// Cities of a market. Distances between all pairs are stored, half a matrix of
/// two bytes each: 10,000 cities take 100 MB, 65,000 would take 4.2 GB.
pub const CITIES_MAX: usize = 10_000;
/// Regions of a market.
pub const REGIONS_MAX: usize = 10_000;
/// Distinct skills of a market.
pub const SKILLS_MAX: usize = 65_000;
/// Move-cost overrides of a market.
pub const MOVE_COSTS_MAX: usize = 4_000_000;
/// Workers of a market, whatever their status.
pub const WORKERS_MAX: usize = 50_000_000;
/// Vacancies of a market, whatever their status.
pub const VACANCIES_MAX: usize = 20_000_000;
/// Markets of a server.
pub const MARKETS_MAX: usize = 1_000;
/// Openings (and target) of a vacancy.
pub const OPENINGS_MAX: u32 = 1_000_000;
/// Highest yearly salary, one-off cost, subsidy or `fit_value`, in whole units of the currency.
pub const MONEY_MAX: i64 = 1_000_000_000_000;
/// Highest cost of moving one kilometre.
pub const PER_KM_MAX: i64 = 1_000_000_000;
/// Highest cost of living (1000 = the market's reference level).
pub const COST_OF_LIVING_MAX: i64 = 1_000_000;
/// Highest multiplier on a worker's cost of moving, in per cent.
pub const COST_PERCENT_MAX: u16 = 10_000;
/// Longest horizon over which a one-off cost is spread, in years.
pub const HORIZON_YEARS_MAX: u8 = 50;
/// Highest basis-point setting (shortfall weight, largest shortfall, local bonus).
pub const BASIS_POINTS_MAX: u32 = 100_000;
/// Highest fit, and so highest minimum fit, in basis points.
pub const FIT_MAX: u32 = 10_000;
/// Highest intake cap of a city or region.
pub const INTAKE_CAP_MAX: u64 = 1_000_000_000;
/// Highest population of a city.
pub const POPULATION_MAX: i64 = 10_000_000_000;
/// Shortest and longest interval between clearings, in seconds.
pub const INTERVAL_SECONDS_MIN: u32 = 1;
/// See [`INTERVAL_SECONDS_MIN`].
pub const INTERVAL_SECONDS_MAX: u32 = 31_536_000;
/// Longest confirmation window, and longest time after which a held match is placed, in
/// seconds.
pub const HELD_SECONDS_MAX: u32 = 31_536_000;
/// Most rounds through which a match is held before it is placed.
pub const HELD_ROUNDS_MAX: u32 = 1_000;
/// Items in one upsert, withdrawal, confirmation or decline.
pub const BATCH_MAX: usize = 10_000;
/// Largest message in and out, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Largest chunk of events in one message of a stream, in bytes.
pub const EVENT_CHUNK_BYTES_MAX: usize = 1 << 20;
/// Bytes of encoded chunks that are kept for who subscribes to the same, per market.
pub const RECENT_CHUNKS_BYTES_MAX: usize = 4 << 20;
/// Values in each list of a `Watch` filter.
pub const FILTER_VALUES_MAX: usize = 1_000;
/// Shortest and longest silence after which a `Watch` sends a checkpoint, in milliseconds.
pub const CHECKPOINT_MILLIS_MIN: u32 = 100;
/// See [`CHECKPOINT_MILLIS_MIN`].
pub const CHECKPOINT_MILLIS_MAX: u32 = 60_000;
/// The same when the caller does not say.
pub const CHECKPOINT_MILLIS_DEFAULT: u32 = 5_000;
/// Bytes of bad fields that one status names at most. A status travels in headers, of
/// which clients take little: gRPC's own limit is 8 KiB, some of it for others.
pub const STATUS_FIELDS_BYTES_MAX: usize = 3_000;
/// Bytes of one text in a status or an item error (a field's path, a message, an id):
/// what is longer is cut, for all of these may quote the request.
pub const STATUS_TEXT_BYTES_MAX: usize = 300;
/// Rows of a page when the caller does not say.
pub const PAGE_SIZE_DEFAULT: usize = 1_000;
/// Rows of a page at most; a larger request is coerced.
pub const PAGE_SIZE_MAX: usize = 10_000;
/// Bytes of a page at most, whatever its rows: one with long explicit rankings is
/// shorter than asked for, so that it fits into a message.
pub const PAGE_BYTES_MAX: usize = 8 << 20;
/// Snapshots kept for page tokens, per market.
pub const PINNED_SNAPSHOTS_MAX: usize = 8;
/// Cells of one table of flows.
pub const FLOW_CELLS_MAX: usize = 2_000_000;
/// Tables of flows kept for those who ask for the next page, per market.
pub const FLOW_TABLES_MAX: usize = 4;
/// Bytes of the query of one HTTP export.
pub const EXPORT_QUERY_BYTES_MAX: usize = 4_096;
/// Remembered outcomes of `request_id`s, per market.
pub const OUTCOMES_MAX: usize = 100_000;
/// Bytes of remembered outcomes, per market (ids and item errors of large batches).
pub const OUTCOMES_BYTES_MAX: usize = 64 << 20;
/// Rounds kept in a market's history.
pub const ROUNDS_MAX: usize = 1_000;
/// Subscribers of one market.
pub const SUBSCRIBERS_PER_MARKET_MAX: usize = 1_000;
/// Subscribers of one server.
pub const SUBSCRIBERS_PER_SERVER_MAX: usize = 10_000;
/// A subscriber whose connection accepts nothing for this long is cut.
pub const SUBSCRIBER_STALL_SECONDS_MAX: u64 = 30;
/// Bytes of retained history, per market.
pub const HISTORY_BYTES_MAX: usize = 256 << 20;
/// Bytes of retained history in the data directory, per market.
pub const KEPT_HISTORY_BYTES_MAX: u64 = 4 << 30;
/// Effects of a market after which its state is written as a snapshot.
pub const SNAPSHOT_EFFECTS: u64 = 500_000;
/// Age of retained history, in seconds.
pub const HISTORY_SECONDS_MAX: u64 = 24 * 3_600;
/// Commands waiting for one market's owner.
pub const QUEUE_COMMANDS_MAX: usize = 1_024;
/// Bytes of commands waiting for one market's owner.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;
/// Computations of `PlanningService` at once, on one server; later ones wait.
pub const PLANNING_CALLS_MAX: usize = 2;
/// Groups that indicators tell apart.
pub const INDICATOR_GROUPS_MAX: usize = 20_000;
/// Groups in a reply when the caller does not say.
pub const INDICATOR_GROUPS_DEFAULT: usize = 100;
/// Groups in a reply at most, and regions; the largest.
pub const INDICATOR_ROWS_MAX: usize = 1_000;
/// Specialities of a city when the caller does not say.
pub const SPECIALITIES_DEFAULT: usize = 5;
/// Specialities of a city at most.
pub const SPECIALITIES_MAX: usize = 50;
/// Seekers who are asked for their first choice; beyond, so many are drawn.
pub const FIRST_CHOICES_MAX: usize = 200_000;
/// Seekers who are cleared eight times to split mismatch; beyond, so many are drawn.
pub const SPLIT_SEEKERS_MAX: usize = 20_000;
/// Pairs of a seeker and a city that differentials look at: with more, fewer seekers are
/// drawn, but [`DIFFERENTIAL_SEEKERS_MIN`] at least.
pub const DIFFERENTIAL_PAIRS_MAX: usize = 1_000_000;
/// See [`DIFFERENTIAL_PAIRS_MAX`].
pub const DIFFERENTIAL_SEEKERS_MIN: usize = 100;
/// Changes of policy that one call of `PriceGuidance` tries together.
pub const GUIDANCE_CHANGES_MAX: usize = 1_000;
/// Streams on one connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 200;
/// Connections of one server.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Deadline of a unary call whose caller sets none, in seconds.
pub const UNARY_SECONDS_DEFAULT: u64 = 30;
/// Time from SIGTERM to exit, in seconds.
pub const STOP_SECONDS_MAX: u64 = 10;
/// Entries in each list of a policy.
pub const POLICY_ITEMS_MAX: usize = 10_000;
/// Greatest relative cut of a policy, in basis points.
pub const POLICY_CUT_BP_MAX: i32 = 9_900;
/// Greatest relative rise of a policy, in basis points.
pub const POLICY_RISE_BP_MAX: i32 = 1_000_000;
/// Periods of a scenario.
pub const SCENARIO_PERIODS_MAX: u32 = 200;
/// Seeds of a scenario.
pub const SCENARIO_SEEDS_MAX: usize = 100;
/// Rows of a scenario's result: cities x periods x seeds.
pub const SCENARIO_ROWS_MAX: usize = 250_000;
/// Scenarios that run at once on a server.
pub const SCENARIO_RUNS_MAX: usize = 2;
/// Scenarios that are kept, per market.
pub const SCENARIOS_KEPT_MAX: usize = 32;
/// Bytes of them that are kept, per market; the newest is kept whatever it takes.
pub const SCENARIOS_KEPT_BYTES_MAX: usize = 64 << 20;
/// Cities in one message of a scenario's result, or in one comparison.
pub const SCENARIO_CITIES_MAX: usize = 2_000;
/// Cities of a market in the macro mode, whose matrices have a cell for each pair.
pub const SCENARIO_MACRO_CITIES_MAX: usize = 1_000;
/// Vacancies that one cluster of a policy is spread over.
pub const CLUSTER_VACANCIES_MAX: usize = 1_000;
