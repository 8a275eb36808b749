// How long a single upsert takes, and how many a second there are, with many clients that
// each wait for one answer before they send the next write.
//
// Half of the upserts bring a new worker, half change one that this client has brought:
// another salary. Each has a revision of its own, later than the one before; one in
// twenty is read back at that revision and must be there.
//
// Options: ADDRESS, MARKET, SEED, VUS (64), DURATION (30s), P99_MS (250),
// RATE_MIN (500 upserts a second).

import { Counter } from 'k6/metrics';

import { Gale, THRESHOLDS, TREND_STATS, durationOption, fail, numberOption } from './lib/client.js';
import { Draw, closeMarket, openMarket, self, worker, workerId } from './lib/market.js';

export { handleSummary } from './lib/summary.js';

const P99_MS = numberOption('P99_MS', 250);

export const options = {
  scenarios: {
    upserts: {
      executor: 'constant-vus',
      vus: numberOption('VUS', 64),
      duration: `${durationOption('DURATION', '30s')}ms`,
    },
  },
  thresholds: Object.assign({}, THRESHOLDS, {
    'grpc_req_duration{scenario:upserts,kind:write}': [`p(99)<${P99_MS}`],
    upserts: [`rate>${numberOption('RATE_MIN', 500)}`],
  }),
  summaryTrendStats: TREND_STATS,
};

const upserts = new Counter('upserts');
const gale = new Gale();
const mine = [];
let draw = null;
let last = 0;

export function setup() {
  return openMarket(gale, 'upserts');
}

export default function (market) {
  draw = draw || new Draw(self());
  const record = draw.chance(0.5) || mine.length === 0 ? newcomer() : changed(draw.pick(mine));
  const reply = gale.call('PoolService.UpsertWorkers', { market: market.id, workers: [record] });
  if (reply === null) return;
  upserts.add(1);
  const revision = Number(reply.revision);
  if (revision <= last) fail(`UpsertWorkers: revision ${revision} after ${last}`);
  last = revision;
  if (draw.chance(0.05)) readBack(market, record, revision);
}

export function teardown(market) {
  closeMarket(gale, market);
}

function newcomer() {
  const record = worker(draw, workerId(self(), mine.length));
  mine.push(record);
  return record;
}

function changed(record) {
  record.expected_salary += 1;
  return record;
}

function readBack(market, record, revision) {
  const reply = gale.call('PoolService.GetWorker', {
    market: market.id, worker_id: record.id, at_least_revision: revision,
  });
  if (reply === null) return;
  const found = reply.worker.worker;
  if (found.id !== record.id || Number(found.expectedSalary) !== record.expected_salary) {
    fail(`GetWorker at revision ${revision}: ${record.expected_salary} was written, ${found.expectedSalary} is read`);
  }
}
