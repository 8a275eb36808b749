// Watchers that come and go while others write: what is told them must be complete, in
// order and told once.
//
// Each watcher follows the whole market from its first event, hangs up at random (by
// closing its connection, or by a deadline) and resumes at the `next` of the last message
// that it took. Every event must stand where the last one ends: after (revision, index)
// comes (revision, index + 1), or (revision + 1, 0) where the message said
// `last_in_revision`. Later is a gap, earlier a double. The market begins with a revision
// of over 1 MiB, which comes in several messages; every watcher hangs up inside it. At the
// end all go on to the newest event.
//
// Each watcher also writes workers of its own, one at a time, and waits for their events:
// `delivery` is the time from sending the write to having its event (times without a
// connection included), `lost` are those that were acknowledged at a revision and whose
// event did not come exactly there, exactly once.
//
// Options: ADDRESS, MARKET, SEED, VUS (8 watchers), WRITERS (4), DURATION (30s),
// DELIVERY_P99_MS (2500), EVENTS_MIN (10,000 for each watcher).

import { sleep } from 'k6';
import exec from 'k6/execution';
import { Counter, Trend } from 'k6/metrics';
import { StatusDeadlineExceeded, Stream } from 'k6/net/grpc';

import { Gale, THRESHOLDS, TREND_STATS, durationOption, fail, numberOption } from './lib/client.js';
import {
  Draw, closeMarket, openMarket, populate, self, worker, workerId,
} from './lib/market.js';

export { handleSummary } from './lib/summary.js';

const VUS = numberOption('VUS', 8);
const DURATION_MS = durationOption('DURATION', '30s');
const LARGE_REVISION = 10000;
const EVENTS_MIN = numberOption('EVENTS_MIN', LARGE_REVISION * VUS);
// What a watcher has, after the writers stopped, to reach the newest event.
const CATCH_UP_MS = 30000;

export const options = {
  scenarios: {
    watchers: {
      executor: 'per-vu-iterations',
      exec: 'watch',
      vus: VUS,
      iterations: 1,
      maxDuration: `${DURATION_MS + 2 * CATCH_UP_MS}ms`,
    },
    writers: {
      executor: 'constant-vus',
      exec: 'write',
      vus: numberOption('WRITERS', 4),
      duration: `${DURATION_MS}ms`,
    },
    clerk: {
      executor: 'constant-vus',
      exec: 'clear',
      vus: 1,
      duration: `${DURATION_MS}ms`,
    },
  },
  thresholds: Object.assign({}, THRESHOLDS, {
    gaps: ['count==0'],
    doubles: ['count==0'],
    lost: ['count==0'],
    events: [`count>=${EVENTS_MIN}`],
    sessions: [`count>${2 * VUS}`],
    resumed_inside: [`count>=${VUS}`],
    finished: [`count==${VUS}`],
    delivery: [`p(99)<${numberOption('DELIVERY_P99_MS', 2500)}`],
  }),
  summaryTrendStats: TREND_STATS,
};

const events = new Counter('events');
const sessions = new Counter('sessions');
const resumedInside = new Counter('resumed_inside');
const gaps = new Counter('gaps');
const doubles = new Counter('doubles');
const lost = new Counter('lost');
const finished = new Counter('finished');
const delivery = new Trend('delivery', true);

// A watcher has one connection to read and one to write, since it closes the former.
const gale = new Gale();
const reader = new Gale();
let draw = null;
let written = 0;

export function setup() {
  const market = openMarket(gale, 'watchers');
  populate(gale, market, 2000, 600);
  const home = 'the-largest-city-of-the-market-its-name-alone-has-some-64-bytes';
  gale.call('MarketService.UpsertCities', { market: market.id, cities: [{ id: home }] });
  const crowd = [];
  for (let n = 0; n < LARGE_REVISION; n += 1) {
    crowd.push({ id: workerId(0, 2000 + n), home_city: home, expected_salary: 30000 + n });
  }
  gale.call('PoolService.UpsertWorkers', { market: market.id, workers: crowd });
  return market;
}

export function teardown(market) {
  closeMarket(gale, market);
}

// Mostly single workers; now and then a batch, or several who withdraw.
export function write(market) {
  draw = draw || new Draw(self());
  const count = draw.chance(0.05) ? 50 : 1;
  if (written > 50 && draw.chance(0.1)) {
    const first = draw.between(0, written - 6);
    const gone = [0, 1, 2, 3, 4].map((n) => workerId(self(), first + n));
    gale.call('PoolService.WithdrawWorkers', { market: market.id, worker_ids: gone });
  } else {
    const batch = [];
    for (let n = 0; n < count; n += 1) batch.push(worker(draw, workerId(self(), written + n)));
    written += count;
    gale.call('PoolService.UpsertWorkers', { market: market.id, workers: batch });
  }
  sleep(draw.between(10, 50) / 1000);
}

// Rounds are revisions of many events.
export function clear(market) {
  gale.call('MatchingService.StartRound', { market: market.id, wait: true });
  sleep(2);
}

export async function watch(market) {
  try {
    await live(market);
    finished.add(1);
  } catch (error) {
    fail(`watcher: ${error}`);
  }
}

// Catches up with what was before it, follows and writes until the time has come, and goes
// on to the newest event.
async function live(market) {
  const until = exec.scenario.startTime + DURATION_MS;
  const watcher = new Watcher(market);
  await watcher.follow(await newest(market), Date.now() + CATCH_UP_MS);
  const writing = watcher.write(until);
  await watcher.follow(null, until);
  await writing;
  const end = await newest(market);
  await watcher.follow(end, Date.now() + CATCH_UP_MS);
  if (before(watcher.expected, end)) fail(`Watch: at ${show(watcher.expected)}, the newest is ${show(end)}`);
  watcher.account();
}

async function newest(market) {
  const reply = await gale.callAsync('EventService.GetWatermark', { market: market.id });
  if (reply === null) throw new Error('there is no watermark');
  return place(reply.newest);
}

class Watcher {
  constructor(market) {
    this.market = market;
    this.draw = new Draw(self());
    // Where the next event must stand; absent fields of a position are zeros.
    this.expected = { revision: 1, index: 0 };
    // Own writes by worker: when sent, acknowledged at which revision, seen at which.
    this.own = new Map();
  }

  // Session after session, until an end is reached or the time has come.
  async follow(end, until) {
    while (Date.now() < until && (end === null || before(this.expected, end))) {
      await this.session(end, until);
    }
  }

  // One connection: from where the last one ended to a random number of messages or
  // milliseconds later, or to the end if that comes first.
  session(end, until) {
    const resumed = this.expected;
    const byDeadline = this.draw.chance(0.3);
    // A deadline of 0 would be none.
    const lifeMs = Math.max(1, Math.min(until - Date.now(), this.draw.between(200, 3000)));
    let messages = this.draw.between(1, 400);
    let open = true;
    sessions.add(1);
    if (resumed.index > 0) resumedInside.add(1);
    return new Promise((resolve, reject) => {
      reader.connect();
      const stream = new Stream(reader.client, 'gale.v1.EventService/Watch', byDeadline ? { timeout: lifeMs } : {});
      const hangUp = () => {
        if (!open) return;
        open = false;
        reader.close();
      };
      // What is on its way when a watcher hangs up has not been taken.
      stream.on('data', (message) => {
        if (!open) return;
        const inside = this.take(message);
        messages -= 1;
        const done = end !== null && !before(this.expected, end);
        if (done || (inside && resumed.index === 0) || (messages <= 0 && !byDeadline)) hangUp();
      });
      stream.on('error', (error) => {
        if (open && !(byDeadline && error.code === StatusDeadlineExceeded)) {
          fail(`Watch: code ${error.code} ${error.message}`);
          reject(new Error(error.message));
        } else if (open) {
          this.checkDeadline(error);
        }
        open = false;
        // Whoever hung up is told so by an error, and then by an end; of a thousand such
        // ends, k6 1.1.0 on a busy machine loses one.
        resolve();
      });
      stream.on('end', () => {
        if (open) fail('Watch: an end without an error (or k6 has been interrupted)');
        open = false;
        resolve();
      });
      if (!byDeadline) setTimeout(hangUp, lifeMs);
      stream.write({
        market: this.market.id,
        position: Object.assign({ incarnation: this.market.incarnation }, resumed),
        checkpoint_interval_ms: 100,
      });
    });
  }

  // One message. Whether its revision goes on in the next.
  take(message) {
    const told = message.events || [];
    for (const event of told) {
      const position = place(event.position);
      if (before(position, this.expected)) doubles.add(1);
      if (before(this.expected, position)) gaps.add(1);
      if (different(position, this.expected)) fail(`Watch: ${show(position)} where ${show(this.expected)} was due`);
      this.expected = { revision: position.revision, index: position.index + 1 };
      if (event.worker) this.see(event.worker.workerId, position.revision);
    }
    events.add(told.length);
    const inside = told.length > 0 && !message.lastInRevision;
    if (told.length > 0 && !inside) this.expected = { revision: this.expected.revision + 1, index: 0 };
    const next = place(message.next);
    if (different(next, this.expected)) fail(`Watch: next is ${show(next)}, due is ${show(this.expected)}`);
    return inside;
  }

  // The server has handed over at least what has arrived.
  checkDeadline(error) {
    const info = error.details.find((detail) => detail.reason === 'DEADLINE_EXCEEDED');
    if (info === undefined) return;
    const last = place(info.metadata);
    if (before(last, this.expected)) fail(`Watch: cut at ${show(last)}, after ${show(this.expected)}`);
  }

  see(id, revision) {
    const own = this.own.get(id);
    if (own === undefined) return;
    own.seen.push(revision);
    delivery.add(Date.now() - own.sent);
  }

  async write(until) {
    for (let n = 0; Date.now() < until; n += 1) {
      const record = worker(this.draw, workerId(self(), n));
      const own = { sent: Date.now(), revision: null, seen: [] };
      this.own.set(record.id, own);
      const request = { market: this.market.id, workers: [record] };
      const reply = await gale.callAsync('PoolService.UpsertWorkers', request);
      if (reply !== null) own.revision = Number(reply.revision);
      const pause = this.draw.between(50, 250);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  // Holds what was acknowledged against what was seen.
  account() {
    for (const [id, own] of this.own) {
      if (own.seen.length !== 1 || own.seen[0] !== own.revision) {
        lost.add(1);
        fail(`worker ${id}: acknowledged at ${own.revision}, seen at [${own.seen}]`);
      }
    }
  }
}

function place(position) {
  return { revision: Number(position.revision || 0), index: Number(position.index || 0) };
}

function before(one, other) {
  return one.revision < other.revision || (one.revision === other.revision && one.index < other.index);
}

function different(one, other) {
  return one.revision !== other.revision || one.index !== other.index;
}

function show(position) {
  return `(${position.revision}, ${position.index})`;
}
