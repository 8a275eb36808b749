// The market that a script works on: made for the run, and deleted with it.
//
// Twelve US metropolitan areas with their real coordinates, price levels and populations
// (from data/cities.csv); the people and jobs are invented. All of it follows from SEED:
// the same virtual user makes the same records in the same order. Who comes first, no
// load generator can fix.

import exec from 'k6/execution';

import { numberOption } from './client.js';

export const SEED = numberOption('SEED', 1);

// Id, name, latitude, longitude, cost of living (1000 = the nation), population.
export const CITIES = [
  ['us-35620', 'New York', 40.72531, -73.95085, 1125, 19498249],
  ['us-31080', 'Los Angeles', 33.98404, -118.15079, 1155, 12799100],
  ['us-16980', 'Chicago', 41.84731, -87.86668, 1026, 9262825],
  ['us-19100', 'Dallas', 32.86183, -96.943, 1033, 8100037],
  ['us-26420', 'Houston', 29.78994, -95.42581, 1002, 7510253],
  ['us-12060', 'Atlanta', 33.83367, -84.33927, 1009, 6307261],
  ['us-47900', 'Washington', 38.89643, -77.21414, 1086, 6304975],
  ['us-37980', 'Philadelphia', 39.97667, -75.24752, 1036, 6246160],
  ['us-33100', 'Miami', 26.09766, -80.23822, 1118, 6183199],
  ['us-38060', 'Phoenix', 33.45202, -111.99816, 1055, 5070110],
  ['us-14460', 'Boston', 42.43071, -71.10601, 1116, 4919179],
  ['us-40140', 'Riverside', 33.983, -117.20262, 1079, 4688053],
].map(([id, display_name, latitude, longitude, cost_of_living, population]) => (
  { id, display_name, latitude, longitude, cost_of_living, population }));

// Title, salary at the national price level, skills, the most telling first.
const OCCUPATIONS = [
  ['nurse', 82000, ['nursing', 'pharmacology', 'communication', 'records', 'teamwork', 'biology']],
  ['physiotherapist', 88000, ['therapy', 'anatomy', 'communication', 'records', 'biology', 'teamwork']],
  ['electrician', 62000, ['wiring', 'safety', 'blueprints', 'diagnosis', 'mathematics', 'tools']],
  ['welder', 51000, ['welding', 'safety', 'blueprints', 'tools', 'metallurgy', 'inspection']],
  ['machinist', 54000, ['machining', 'tools', 'blueprints', 'mathematics', 'inspection', 'metallurgy']],
  ['accountant', 79000, ['accounting', 'mathematics', 'law', 'records', 'spreadsheets', 'communication']],
  ['software engineer', 128000, ['programming', 'mathematics', 'systems', 'diagnosis', 'teamwork', 'writing']],
  ['data analyst', 96000, ['statistics', 'programming', 'spreadsheets', 'mathematics', 'writing', 'communication']],
  ['teacher', 64000, ['teaching', 'communication', 'writing', 'psychology', 'records', 'teamwork']],
  ['cook', 36000, ['cooking', 'hygiene', 'teamwork', 'purchasing', 'tools', 'safety']],
  ['truck driver', 52000, ['driving', 'safety', 'navigation', 'records', 'diagnosis', 'tools']],
  ['warehouse clerk', 41000, ['logistics', 'records', 'safety', 'spreadsheets', 'teamwork', 'tools']],
];

const EMPLOYERS = ['Alder', 'Birch', 'Cedar', 'Elm', 'Hazel', 'Juniper', 'Maple', 'Rowan'];

const SETTINGS = {
  currency: 'USD',
  lottery_seed: SEED,
  fixed_move_cost: 15000,
  move_cost_per_km: 5,
  horizon_years: 3,
  fit_value: 5000,
  min_fit_bp: 8000,
  local_bonus_bp: 500,
};

// Whose records they are: the virtual user's number, or 0 in setup().
export function self() {
  return exec.vu.idInTest;
}

// A stream of pseudorandom numbers of its own for each list of seeds (mulberry32).
export class Draw {
  constructor(...seeds) {
    this.state = seeds.reduce((mixed, seed) => Math.imul(mixed ^ seed, 0x9e3779b1) + 0x85ebca6b, SEED) | 0;
  }

  // In [0, 1).
  unit() {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  // A whole number, both ends included.
  between(low, high) {
    return low + Math.floor(this.unit() * (high - low + 1));
  }

  chance(probability) {
    return this.unit() < probability;
  }

  pick(list) {
    return list[this.between(0, list.length - 1)];
  }
}

// The id of an owner's n-th worker or vacancy: a UUID that needs no chance to be unique.
export function workerId(owner, n) {
  return uuid(1, owner, n);
}

export function vacancyId(owner, n) {
  return uuid(2, owner, n);
}

// Makes a write safe to repeat: the id of an owner's n-th request.
export function requestId(owner, n) {
  return uuid(3, owner, n);
}

function uuid(kind, owner, n) {
  const hex = (value, digits) => value.toString(16).padStart(digits, '0');
  return `${hex(SEED % 4294967296, 8)}-${hex(owner, 4)}-8${hex(kind, 3)}-8000-${hex(n, 12)}`;
}

// A person of one occupation: good or less good at all of it, and paid accordingly. Six in
// ten look for work at home alone, the others anywhere, with moves dear to some and cheap
// to others.
export function worker(draw, id) {
  const city = draw.pick(CITIES);
  const [, salary, skills] = draw.pick(OCCUPATIONS);
  const ability = draw.between(-15, 15);
  const expected = Math.floor((salary * city.cost_of_living * (100 + ability + draw.between(-8, 8))) / 100000);
  return {
    id,
    home_city: city.id,
    skills: skills.map((skill) => ({ skill, level: 72 + ability + draw.between(-12, 12) })),
    expected_salary: expected,
    reservation_salary: Math.floor((expected * draw.between(80, 95)) / 100),
    mobility: draw.chance(0.6)
      ? { scope: 'SCOPE_HOME_ONLY' }
      : { scope: 'SCOPE_ANY', cost_percent: draw.between(25, 200) },
  };
}

// A job of one occupation that asks for its four most telling skills, the first without
// compromise.
export function vacancy(draw, id) {
  const city = draw.pick(CITIES);
  const [title, salary, skills] = draw.pick(OCCUPATIONS);
  const grade = draw.between(-12, 12);
  return {
    id,
    city: city.id,
    employer: draw.pick(EMPLOYERS),
    title,
    openings: draw.between(1, 4),
    salary: Math.floor((salary * city.cost_of_living * (104 + grade)) / 100000),
    requirements: skills.slice(0, 4).map((skill, place) => {
      const requirement = { skill, desired_level: 72 + grade + draw.between(-6, 6), weight: 4 - place };
      if (place === 0) requirement.minimum_level = Math.floor(requirement.desired_level * 0.6);
      return requirement;
    }),
  };
}

// Makes the market, for setup(). Its id is MARKET, or one that nobody else has. What
// exists already is left alone: the run ends with MARKET_EXISTS.
export function openMarket(gale, script) {
  const unique = `${Date.now().toString(36)}-${Math.floor(Math.random() * 1679616).toString(36)}`;
  const id = __ENV.MARKET || `loadtest-${script}-${unique}`;
  const made = gale.call('MarketService.CreateMarket', { market: { id, settings: SETTINGS } });
  if (made === null) throw new Error(`there is no market ${id} to work on`);
  const market = { id, incarnation: made.market.incarnation };
  if (gale.call('MarketService.UpsertCities', { market: id, cities: CITIES }) === null) {
    closeMarket(gale, market);
    throw new Error('the cities were refused');
  }
  return market;
}

// Fills it with people and jobs of owner 0, in batches of a thousand.
export function populate(gale, market, workers, vacancies) {
  const draw = new Draw(0);
  inBatches(workers, (n) => worker(draw, workerId(0, n)), (batch) => (
    gale.call('PoolService.UpsertWorkers', { market: market.id, workers: batch })));
  inBatches(vacancies, (n) => vacancy(draw, vacancyId(0, n)), (batch) => (
    gale.call('PoolService.UpsertVacancies', { market: market.id, vacancies: batch })));
}

function inBatches(count, make, send) {
  for (let start = 0; start < count; start += 1000) {
    const batch = [];
    for (let n = start; n < Math.min(count, start + 1000); n += 1) batch.push(make(n));
    send(batch);
  }
}

// Deletes the market, for teardown(): the one of this run, and no other of that name.
export function closeMarket(gale, market) {
  gale.call('MarketService.DeleteMarket', { market: market.id, incarnation: market.incarnation });
  gale.close();
}
