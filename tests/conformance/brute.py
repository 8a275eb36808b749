"""Small random markets of explicit rankings, and the slow obvious truth about them."""

import itertools
import random
import uuid


def worker_id(position):
    return str(uuid.UUID(int=(0x4 << 76) | (0x8 << 60) | (position + 1)))


def vacancy_id(position):
    return str(uuid.UUID(int=(0x4 << 76) | (0x9 << 60) | (position + 1)))


def ranked_market(workers, vacancies, capacities, city="here", targets=None):
    """Workers and vacancies as the API takes them. Rankings are lists of positions;
    ids are made from positions, so that ascending ids are ascending positions."""
    targets = targets or [None] * len(vacancies)
    return (
        [
            {
                "id": worker_id(w),
                "home_city": city,
                "expected_salary": 1,
                "ranking": {"ids": [vacancy_id(v) for v in ranking]},
            }
            for w, ranking in enumerate(workers)
        ],
        [
            {
                "id": vacancy_id(v),
                "city": city,
                "salary": 1,
                "openings": capacities[v],
                "ranking": {"ids": [worker_id(w) for w in ranking]},
                **({} if target is None else {"target": target}),
            }
            for (v, ranking), target in zip(enumerate(vacancies), targets)
        ],
    )


class RankedMarket:
    """Few workers and vacancies who know each other by explicit rankings, some of them
    leaving others out. Even seeds are marriage markets (five each, everybody ranked),
    where several stable matchings are common; odd ones are many-to-one."""

    def __init__(self, seed, size=None):
        draw = random.Random(seed)
        marriage = size is None and seed % 2 == 0
        workers, vacancies, openings = size or ((5, 5, 1) if marriage else (6, 3, 2))
        some = lambda n: draw.sample(range(n), n if marriage else draw.choice([n, n, n - 1, n - 2]))
        self.likes = [some(vacancies) for _ in range(workers)]
        self.ranks = [some(workers) for _ in range(vacancies)]
        least = 0 if seed % 4 == 1 else 1
        self.openings = [draw.randrange(least, openings + 1) for _ in range(vacancies)]

    def cities(self, with_caps=False):
        return [{"id": "here"}]

    def regions(self):
        return []

    def workers(self):
        return ranked_market(self.likes, self.ranks, self.openings)[0]

    def vacancies(self):
        return ranked_market(self.likes, self.ranks, self.openings)[1]

    def positions(self, matching):
        """Vacancy positions by worker position, None where there is none."""
        numbers = {vacancy_id(v): v for v in range(len(self.ranks))}
        return [numbers.get(matching.get(worker_id(w))) for w in range(len(self.likes))]

    def acceptable(self, w):
        """Vacancies acceptable on both sides, best first."""
        return [v for v in self.likes[w] if w in self.ranks[v]]

    def stable_matchings(self):
        """All of them: every assignment that keeps to openings and has no blocking pair."""
        choices = [[*self.acceptable(w), None] for w in range(len(self.likes))]
        return [list(m) for m in itertools.product(*choices) if self.stable(m)]

    def stable(self, matching):
        held = [[w for w, at in enumerate(matching) if at == v] for v in range(len(self.ranks))]
        if any(len(held[v]) > self.openings[v] for v in range(len(held))):
            return False
        for w, at in enumerate(matching):
            for v in self.acceptable(w):
                if v == at:
                    break
                free = len(held[v]) < self.openings[v]
                if free or any(self.ranks[v].index(w) < self.ranks[v].index(o) for o in held[v]):
                    return False
        return True

    def extreme(self, stable, best):
        """Each worker's best (min) or worst (max) vacancy over all stable matchings:
        by the lattice theorem a stable matching itself."""
        rank = lambda w, v: len(self.likes[w]) if v is None else self.likes[w].index(v)
        return [best((m[w] for m in stable), key=lambda v: rank(w, v))
                for w in range(len(self.likes))]


class CappedMarket(RankedMarket):
    """Five vacancies in three cities: two of them in a capped region, itself in another;
    one city has a cap of its own.

    A ranked vacancy scores a worker by position alone. Strangers pad the rankings so
    that position p of vacancy v is 5 * p + v: no two scores in the market are equal.
    """

    CITIES = ["one", "two", "three"]

    def __init__(self, seed):
        super().__init__(1000 + seed, size=(10, 5, 3))
        draw = random.Random(seed)
        self.city_of = [draw.randrange(3) for _ in self.ranks]
        self.caps = {"city": draw.randrange(4), "inner": draw.randrange(5), "outer": draw.randrange(7)}
        # What each vacancy stands in, beyond its own openings.
        around = [["city", "inner", "outer"], ["inner", "outer"], []]
        self.around = [around[city] for city in self.city_of]
        self.stranger = itertools.count(10_000)

    def regions(self):
        return [
            {"id": "outer", "intake_cap": self.caps["outer"]},
            {"id": "inner", "parent": "outer", "intake_cap": self.caps["inner"]},
        ]

    def cities(self, with_caps=False):
        if not with_caps:
            return [{"id": name} for name in self.CITIES]
        return [
            {"id": "one", "region": "inner", "intake_cap": self.caps["city"]},
            {"id": "two", "region": "inner"},
            {"id": "three"},
        ]

    def workers(self):
        workers = super().workers()
        return [{**worker, "home_city": "three"} for worker in workers]

    def vacancies(self):
        vacancies = super().vacancies()
        for v, vacancy in enumerate(vacancies):
            vacancy["city"] = self.CITIES[self.city_of[v]]
            ids = []
            for w in self.ranks[v]:
                while len(ids) < self.score(w, v):
                    ids.append(worker_id(next(self.stranger)))
                ids.append(worker_id(w))
            vacancy["ranking"] = {"ids": ids}
        return vacancies

    def score(self, w, v):
        """Position of a worker in a padded ranking: smaller is better."""
        return 5 * self.ranks[v].index(w) + v

    def choice(self, matching):
        """The choice function over all contracts that workers like at least as much as
        what they have: greedy by score, within openings and caps. A worker who is
        chosen twice shows as a list."""
        offered = []
        for w, at in enumerate(matching):
            for v in self.acceptable(w):
                offered.append((self.score(w, v), w, v))
                if v == at:
                    break
        room = {**self.caps, **{v: openings for v, openings in enumerate(self.openings)}}
        chosen = [[] for _ in self.likes]
        for _, w, v in sorted(offered):
            sets = [v, *self.around[v]]
            if all(room[s] > 0 for s in sets):
                for s in sets:
                    room[s] -= 1
                chosen[w].append(v)
        return [vs[0] if len(vs) == 1 else (vs or None) for vs in chosen]

    def caps_bind(self, matching):
        """Whether a cap, rather than openings, is full and keeps somebody out."""
        held = {name: 0 for name in self.caps}
        for v in matching:
            for name in self.around[v] if v is not None else []:
                held[name] += 1
        openings = {name: sum(o for v, o in enumerate(self.openings) if name in self.around[v])
                    for name in self.caps}
        return any(held[n] == self.caps[n] < openings[n] for n in self.caps)
