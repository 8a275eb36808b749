// A connection to Gale that holds every answer against what may be answered.
//
// An answer counts as one of three things: in order; a race, where somebody else was
// faster and the caller said that this may be (a match that is gone); or a failure, which
// is everything else, a server that does not answer included. One failure fails the run.

import { Client, StatusOK } from 'k6/net/grpc';
import { Counter } from 'k6/metrics';
import { sleep } from 'k6';

export const ADDRESS = __ENV.ADDRESS || '127.0.0.1:7400';

// What Gale takes and sends at most in one message (docs/LIMITS.md).
const MESSAGE_BYTES_MAX = 16777216;
// Failures that one virtual user prints; the rest is only counted.
const FAILURES_PRINTED_MAX = 2;
// What an answer may take: less than the 30 s in which k6 lets calls end after the duration,
// so that a server which has stopped to answer is a failure and not a call cut off.
const TIMEOUT = '20s';
// What a virtual user waits after a failure, so that a server that is gone is not besieged.
const SECONDS_AFTER_FAILURE = 0.2;

export const answers = new Counter('answers');
export const races = new Counter('races');
export const failures = new Counter('failures');

// Every script has these thresholds: no failure (which ends the run at once), and some
// answers, without which nothing has been shown.
export const THRESHOLDS = {
  failures: [{ threshold: 'count==0', abortOnFail: true }],
  answers: ['count>10'],
};

export const TREND_STATS = ['med', 'p(90)', 'p(99)', 'max'];

// A whole number from the command line (`-e NAME=...`).
export function numberOption(name, fallback) {
  const text = __ENV[name];
  if (text === undefined || text === '') return fallback;
  if (!/^\d+$/.test(text)) throw new Error(`${name} is not a whole number: ${text}`);
  return Number(text);
}

// A duration from the command line, in milliseconds: `500ms`, `30s`, `2m`.
export function durationOption(name, fallback) {
  const text = __ENV[name] || fallback;
  const parts = /^(\d+)(ms|s|m)$/.exec(text);
  if (!parts) throw new Error(`${name} is not a duration such as 30s: ${text}`);
  return Number(parts[1]) * { ms: 1, s: 1000, m: 60000 }[parts[2]];
}

let printed = 0;

// Counts a failure and says what it was.
export function fail(what) {
  failures.add(1);
  printed += 1;
  if (printed <= FAILURES_PRINTED_MAX) console.error(what);
}

// One connection. Make it where k6 initialises a virtual user: the .proto files are read
// here, before the clock runs. It connects with the first call.
export class Gale {
  constructor() {
    this.client = new Client();
    this.client.load(
      ['../proto'],
      'gale/v1/market.proto',
      'gale/v1/pool.proto',
      'gale/v1/matching.proto',
      'gale/v1/event.proto',
    );
    this.connected = false;
  }

  connect() {
    if (this.connected) return;
    this.client.connect(ADDRESS, {
      plaintext: true,
      timeout: '10s',
      maxReceiveSize: MESSAGE_BYTES_MAX,
      maxSendSize: MESSAGE_BYTES_MAX,
    });
    this.connected = true;
  }

  close() {
    this.client.close();
    this.connected = false;
  }

  // Calls a unary method such as `PoolService.GetWorker`. The reply, or null if the call
  // failed or lost a race. `legitimate` are the reasons (ErrorReason without its prefix) that
  // count as races, for the call or for an item of a batch; such items stand in the reply's
  // `errors`.
  call(method, request, legitimate = []) {
    let response;
    try {
      this.connect();
      response = this.client.invoke(path(method), request, parameters(method));
    } catch (error) {
      fail(`${method}: ${error}`);
      sleep(SECONDS_AFTER_FAILURE);
      return null;
    }
    const reply = judge(method, response, legitimate);
    if (reply === undefined) sleep(SECONDS_AFTER_FAILURE);
    return reply || null;
  }

  // The same without holding up the streams of this virtual user.
  async callAsync(method, request, legitimate = []) {
    try {
      this.connect();
      const response = await this.client.asyncInvoke(path(method), request, parameters(method));
      return judge(method, response, legitimate) || null;
    } catch (error) {
      fail(`${method}: ${error}`);
      return null;
    }
  }
}

function path(method) {
  return `gale.v1.${method.replace('.', '/')}`;
}

// Calls are tagged by what they are, so that thresholds can tell reads from writes.
function parameters(method) {
  const name = method.split('.')[1];
  let kind = 'write';
  if (/^(Get|List|Explain)/.test(name)) kind = 'read';
  if (name === 'StartRound') kind = 'round';
  return { tags: { kind }, timeout: TIMEOUT };
}

// The reply; null for a race, undefined for a failure.
function judge(method, response, legitimate) {
  answers.add(1);
  if (response.status !== StatusOK) {
    const reason = reasonOf(response.error);
    if (legitimate.includes(reason)) {
      races.add(1, { reason });
      return null;
    }
    const message = response.error ? response.error.message : '';
    fail(`${method}: code ${response.status} ${reason} ${message}`);
    return undefined;
  }
  for (const error of response.message.errors || []) {
    const reason = error.reason.replace('ERROR_REASON_', '');
    if (legitimate.includes(reason)) {
      races.add(1, { reason });
    } else {
      fail(`${method}: item ${error.index}: code ${error.code} ${reason} ${error.message}`);
    }
  }
  return response.message;
}

function reasonOf(error) {
  const details = (error && error.details) || [];
  const info = details.find((detail) => detail.reason !== undefined);
  return info ? info.reason : '';
}
