// How many records a second come in by batches of a thousand.
//
// Three batches in four are workers with six skills each, the fourth is vacancies with four
// requirements each. Every batch is one revision, and a request_id makes it safe to repeat:
// one in ten is sent again, must get the same answer, and does not count.
//
// Options: ADDRESS, MARKET, SEED, VUS (4), DURATION (30s), BATCH (1000), P99_MS (600),
// RATE_MIN (2000 records a second).

import { Counter } from 'k6/metrics';

import { Gale, THRESHOLDS, TREND_STATS, durationOption, fail, numberOption } from './lib/client.js';
import {
  Draw, closeMarket, openMarket, requestId, self, vacancy, vacancyId, worker, workerId,
} from './lib/market.js';

export { handleSummary } from './lib/summary.js';

const BATCH = numberOption('BATCH', 1000);
const P99_MS = numberOption('P99_MS', 600);

export const options = {
  scenarios: {
    batches: {
      executor: 'constant-vus',
      vus: numberOption('VUS', 4),
      duration: `${durationOption('DURATION', '30s')}ms`,
    },
  },
  thresholds: Object.assign({}, THRESHOLDS, {
    'grpc_req_duration{scenario:batches,kind:write}': [`p(99)<${P99_MS}`],
    records: [`rate>${numberOption('RATE_MIN', 2000)}`],
  }),
  summaryTrendStats: TREND_STATS,
};

const records = new Counter('records');
const gale = new Gale();
let draw = null;
let sent = 0;
let last = 0;

export function setup() {
  return openMarket(gale, 'batches');
}

export default function (market) {
  draw = draw || new Draw(self());
  const [method, request] = sent % 4 === 3 ? vacancies() : workers();
  request.market = market.id;
  request.request_id = requestId(self(), sent);
  sent += 1;
  const reply = gale.call(method, request);
  if (reply === null) return;
  records.add(BATCH - reply.errors.length);
  const revision = Number(reply.revision);
  if (revision <= last || reply.ids.length !== BATCH) {
    fail(`${method}: revision ${revision} after ${last}, ${reply.ids.length} ids for ${BATCH}`);
  }
  last = revision;
  if (draw.chance(0.1)) repeat(method, request, reply);
}

export function teardown(market) {
  closeMarket(gale, market);
}

function workers() {
  const batch = [];
  for (let n = 0; n < BATCH; n += 1) batch.push(worker(draw, workerId(self(), sent * BATCH + n)));
  return ['PoolService.UpsertWorkers', { workers: batch }];
}

function vacancies() {
  const batch = [];
  for (let n = 0; n < BATCH; n += 1) batch.push(vacancy(draw, vacancyId(self(), sent * BATCH + n)));
  return ['PoolService.UpsertVacancies', { vacancies: batch }];
}

function repeat(method, request, reply) {
  const again = gale.call(method, request);
  if (again !== null && again.revision !== reply.revision) {
    fail(`${method} repeated: revision ${again.revision}, it was ${reply.revision}`);
  }
}
