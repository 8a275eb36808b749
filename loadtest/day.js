// A day of a market: people and jobs come, change and go, matches are confirmed and
// declined by both sides and asked about, while one clerk clears the market every second.
//
// Each client owns workers and vacancies that nobody else touches, and knows what must be
// read back of them; besides it acts on the 4,000 workers and 1,200 vacancies that were
// there before, and on other people's matches, where somebody else may be faster. Losing
// such a race has a reason (`races`, by reason); any other refusal is a failure. Each
// round must find no blocking pair.
//
// Options: ADDRESS, MARKET, SEED, VUS (32), DURATION (60s), PAUSE_MS (50: what a client
// waits between two actions, on average), WORKERS (4000), VACANCIES (1200), READ_P99_MS
// (150), WRITE_P99_MS (150), ROUND_P99_MS (750).

import { sleep } from 'k6';
import { Counter, Gauge } from 'k6/metrics';

import { Gale, THRESHOLDS, TREND_STATS, durationOption, fail, numberOption } from './lib/client.js';
import {
  CITIES, Draw, closeMarket, openMarket, populate, self, vacancy, vacancyId, worker, workerId,
} from './lib/market.js';

export { handleSummary } from './lib/summary.js';

const PAUSE_MS = numberOption('PAUSE_MS', 50);
const WORKERS = numberOption('WORKERS', 4000);
const VACANCIES = numberOption('VACANCIES', 1200);
const DURATION_MS = durationOption('DURATION', '60s');
const SECONDS_BETWEEN_ROUNDS = 1;

// What clients do, and in which shares.
const ACTIONS = [
  [14, workerComes],
  [10, workerChanges],
  [4, workerWithdraws],
  [28, workerLooks],
  [6, vacancyComes],
  [4, vacancyChanges],
  [2, vacancyCloses],
  [8, employerDecides],
  [10, workerAsksWhy],
  [6, readsMatches],
  [8, readsCity],
];
const SHARES = ACTIONS.reduce((sum, [share]) => sum + share, 0);

export const options = {
  scenarios: {
    people: {
      executor: 'constant-vus',
      exec: 'people',
      vus: numberOption('VUS', 32),
      duration: `${DURATION_MS}ms`,
    },
    clerk: {
      executor: 'constant-vus',
      exec: 'clerk',
      vus: 1,
      duration: `${DURATION_MS}ms`,
    },
  },
  thresholds: Object.assign({}, THRESHOLDS, {
    'grpc_req_duration{scenario:people,kind:read}': [`p(99)<${numberOption('READ_P99_MS', 150)}`],
    'grpc_req_duration{scenario:people,kind:write}': [`p(99)<${numberOption('WRITE_P99_MS', 150)}`],
    'grpc_req_duration{scenario:clerk,kind:round}': [`p(99)<${numberOption('ROUND_P99_MS', 750)}`],
    rounds: ['count>=3'],
    placed: ['count>0'],
    declined: ['count>0'],
    moved: ['value>0'],
  }),
  summaryTrendStats: TREND_STATS,
};
// A day on which something never happened would show less than it says.
for (const [, action] of ACTIONS) options.thresholds[`actions{action:${action.name}}`] = ['count>0'];
// No thresholds of their own, but counted apart.
for (const reason of ['MATCH_NOT_FOUND', 'WRONG_STATUS', 'WORKER_PLACED', 'PAGE_TOKEN_EXPIRED']) {
  options.thresholds[`races{reason:${reason}}`] = [];
}

const actions = new Counter('actions');
const rounds = new Counter('rounds');
const placed = new Counter('placed');
const declined = new Counter('declined');
const moved = new Gauge('moved');
const matched = new Gauge('matched');

const gale = new Gale();
// Of this virtual user alone: what it has brought, and what must be true of it.
const workers = [];
const vacancies = [];
let draw = null;
let market = null;
// Workers that it has brought, those forgotten included: their ids go by it.
let brought = 0;
// The last revision that this client was told of.
let seen = 0;

export function setup() {
  const opened = openMarket(gale, 'day');
  populate(gale, opened, WORKERS, VACANCIES);
  // Why somebody has no job can be asked once there has been a round.
  clear(opened.id);
  return opened;
}

export function people(opened) {
  market = opened.id;
  draw = draw || new Draw(self());
  const action = pickAction();
  actions.add(1, { action: action.name });
  action();
  sleep((PAUSE_MS * 2 * draw.unit()) / 1000);
}

export function clerk(opened) {
  const round = clear(opened.id);
  if (round === null) return;
  rounds.add(1);
  moved.add(Number(round.summary.moved));
  matched.add(Number(round.summary.matched));
  const after = gale.call('MarketService.GetMarket', {
    market: opened.id, at_least_revision: Number(round.endRevision),
  });
  if (after !== null && after.market.status.lastRoundId !== round.id) {
    fail(`GetMarket: the last round is ${after.market.status.lastRoundId}, not ${round.id}`);
  }
  sleep(SECONDS_BETWEEN_ROUNDS);
}

export function teardown(opened) {
  // The day ends with everybody's changes matched, and certified.
  clear(opened.id);
  closeMarket(gale, opened);
}

function clear(id) {
  const reply = gale.call('MatchingService.StartRound', { market: id, wait: true });
  if (reply === null) return null;
  const { round } = reply;
  if (round.state !== 'ROUND_STATE_CLEARED' || round.summary.blockingPairs !== '0') {
    fail(`StartRound: ${JSON.stringify(round)}`);
    return null;
  }
  return round;
}

function pickAction() {
  let place = draw.between(1, SHARES);
  for (const [share, action] of ACTIONS) {
    place -= share;
    if (place <= 0) return action;
  }
  return null;
}

// Calls a method on the market; what it says of revisions must go forwards.
function ask(method, request, legitimate) {
  const reply = gale.call(method, Object.assign({ market }, request), legitimate);
  if (reply !== null && reply.revision !== undefined) {
    const revision = Number(reply.revision);
    if (revision < seen) fail(`${method}: revision ${revision} after ${seen}`);
    seen = revision;
  }
  return reply;
}

function someWorker() {
  if (workers.length > 0 && draw.chance(0.5)) return draw.pick(workers).record.id;
  return workerId(0, draw.between(0, WORKERS - 1));
}

function workerComes() {
  const record = worker(draw, workerId(self(), brought));
  brought += 1;
  const reply = ask('PoolService.UpsertWorkers', { workers: [record] });
  if (reply !== null) workers.push({ record, gone: false });
}

function workerChanges() {
  if (workers.length === 0) return;
  const own = draw.pick(workers);
  own.record.expected_salary += draw.between(1, 500);
  // They may have been placed meanwhile: by this client's confirmation and another's.
  const reply = ask('PoolService.UpsertWorkers', { workers: [own.record] }, ['WORKER_PLACED']);
  if (reply === null) return;
  if (reply.errors.length === 0) own.gone = false;
  // Placed workers stay as they are; this client forgets them.
  else workers.splice(workers.indexOf(own), 1);
}

function workerWithdraws() {
  const request = { worker_ids: [workerId(0, draw.between(0, WORKERS - 1))] };
  const own = workers.length > 0 && draw.chance(0.5) ? draw.pick(workers) : null;
  if (own !== null) request.worker_ids = [own.record.id];
  const reply = ask('PoolService.WithdrawWorkers', request, ['WRONG_STATUS']);
  if (own !== null && reply !== null && reply.errors.length === 0) own.gone = true;
}

// A worker reads how they stand; whoever has been matched takes it, or in one case of five
// does not.
function workerLooks() {
  const own = workers.length > 0 && draw.chance(0.5) ? draw.pick(workers) : null;
  const id = own === null ? workerId(0, draw.between(0, WORKERS - 1)) : own.record.id;
  const reply = ask('PoolService.GetWorker', { worker_id: id, at_least_revision: seen });
  if (reply === null) return;
  const found = reply.worker;
  if (own !== null) checkOwn(own, found);
  if (found.status !== 'WORKER_STATUS_MATCHED') return;
  decide('MATCH_SIDE_WORKER', [{ worker_id: id, vacancy_id: found.vacancyId }], draw.chance(0.2));
}

// Whom nobody else touches must be as written.
function checkOwn(own, found) {
  const salary = Number(found.worker.expectedSalary);
  const gone = found.status === 'WORKER_STATUS_WITHDRAWN';
  if (salary !== own.record.expected_salary || gone !== own.gone) {
    fail(`GetWorker: ${JSON.stringify(found)}, written: ${JSON.stringify(own)}`);
  }
}

function vacancyComes() {
  const record = vacancy(draw, vacancyId(self(), vacancies.length));
  const reply = ask('PoolService.UpsertVacancies', { vacancies: [record] });
  if (reply !== null) vacancies.push(record);
}

// More pay and another opening: fewer could be less than are placed.
function vacancyChanges() {
  if (vacancies.length === 0) return;
  const record = draw.pick(vacancies);
  record.salary += draw.between(1, 1000);
  record.openings += draw.between(0, 1);
  if (ask('PoolService.UpsertVacancies', { vacancies: [record] }) === null) return;
  const reply = ask('PoolService.GetVacancy', { vacancy_id: record.id, at_least_revision: seen });
  if (reply === null) return;
  const found = reply.vacancy;
  if (Number(found.vacancy.salary) !== record.salary || found.placed + found.held > record.openings) {
    fail(`GetVacancy: ${JSON.stringify(found)}, written: salary ${record.salary}, openings ${record.openings}`);
  }
}

function vacancyCloses() {
  const own = vacancies.length > 0 && draw.chance(0.5);
  const id = own ? draw.pick(vacancies).id : vacancyId(0, draw.between(0, VACANCIES - 1));
  ask('PoolService.CloseVacancies', { vacancy_ids: [id] });
}

// An employer looks at whom one of its vacancies holds, an agency at whom a city holds: they
// take up to ten, first those who have said yes themselves, or in one case of ten refuse one.
function employerDecides() {
  const request = { status: 'MATCH_STATUS_HELD', page_size: 100, at_least_revision: seen };
  if (vacancies.length > 0 && draw.chance(0.5)) request.vacancy_id = draw.pick(vacancies).id;
  else request.city = draw.pick(CITIES).id;
  const reply = ask('MatchingService.ListMatches', request);
  if (reply === null || reply.matches.length === 0) return;
  const willing = reply.matches.filter((match) => match.workerConfirmed).slice(0, 5);
  const taken = new Map();
  for (const match of willing) taken.set(match.workerId, match);
  while (taken.size < Math.min(10, reply.matches.length)) {
    const match = draw.pick(reply.matches);
    taken.set(match.workerId, match);
  }
  const matches = Array.from(taken.values(), (match) => (
    { worker_id: match.workerId, vacancy_id: match.vacancyId }));
  decide('MATCH_SIDE_EMPLOYER', matches, draw.chance(0.1));
}

// Confirms or declines. Meanwhile a match may have ended (MATCH_NOT_FOUND), or been placed
// by the other side's confirmation, after which nobody can decline (WRONG_STATUS).
function decide(side, matches, declines) {
  if (declines) {
    const request = { side, matches: matches.slice(0, 1) };
    const reply = ask('MatchingService.DeclineMatches', request, ['MATCH_NOT_FOUND', 'WRONG_STATUS']);
    if (reply !== null) declined.add(1 - reply.errors.length);
    return;
  }
  const reply = ask('MatchingService.ConfirmMatches', { side, matches }, ['MATCH_NOT_FOUND']);
  if (reply !== null) placed.add(reply.placed);
}

function workerAsksWhy() {
  const reply = ask('MatchingService.Explain', { worker_id: someWorker(), at_least_revision: seen });
  if (reply === null) return;
  if (reply.sentence === '' || reply.outcome === 'EXPLAIN_OUTCOME_UNSPECIFIED') {
    fail(`Explain: ${JSON.stringify(reply)}`);
  }
}

// Two pages of those who move, which must be of one revision; and one match by itself.
function readsMatches() {
  const request = { moved_only: true, page_size: 50, at_least_revision: seen };
  const first = ask('MatchingService.ListMatches', request);
  if (first === null) return;
  const stranger = first.matches.find((match) => match.origin === match.destination);
  if (stranger !== undefined) fail(`ListMatches of movers: ${JSON.stringify(stranger)}`);
  if (first.nextPageToken !== '') {
    const next = gale.call('MatchingService.ListMatches', {
      market, moved_only: true, page_size: 50, page_token: first.nextPageToken,
    }, ['PAGE_TOKEN_EXPIRED']);
    if (next !== null && next.revision !== first.revision) {
      fail(`ListMatches: pages of revisions ${first.revision} and ${next.revision}`);
    }
  }
  ask('MatchingService.GetMatch', { worker_id: someWorker() }, ['MATCH_NOT_FOUND']);
}

function readsCity() {
  const reply = ask('PoolService.GetCityPool', { city: draw.pick(CITIES).id, at_least_revision: seen });
  if (reply === null) return;
  if (Number(reply.pool.vacancies) > 0 && Number(reply.pool.openings) === 0) {
    fail(`GetCityPool: ${JSON.stringify(reply.pool)}`);
  }
}
