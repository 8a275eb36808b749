"""The instances of `gale bench lists`, by the rule in docs/BENCHMARKS.md, and the least
program that solves them."""

import heapq
from dataclasses import dataclass

MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Instance:
    """An instance by its parameters, as in src/matching/lists/instance.rs."""

    workers: int
    vacancies: int
    openings: int
    length: int
    seed: int
    fnv1a64: str


INSTANCES = {
    "a": Instance(1_000, 100, 10, 100, 1, "47f67b2aea0d42b3"),
    "b": Instance(10_000, 1_000, 10, 100, 2, "a608b26a9e3dc73b"),
    "c": Instance(100_000, 10_000, 10, 50, 3, "f1f638bf0aeea487"),
    "d": Instance(1_000_000, 100_000, 10, 20, 4, "2b6365d2e0d6ed62"),
}


@dataclass
class Lists:
    """Who ranks whom, the best first: workers and vacancies are numbers from 0."""

    workers: list[list[int]]
    vacancies: list[list[int]]
    openings: list[int]


def split_mix(seed):
    """SplitMix64 as a function: `below(n)` is the high half of `next() * n`."""
    state = seed

    def below(n):
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) * n) >> 64

    return below


def make_lists(instance):
    """Each worker draws vacancies by the first steps of a Fisher-Yates shuffle of one
    permutation that lives on; each vacancy shuffles those who drew it."""
    below = split_mix(instance.seed)
    permutation = list(range(instance.vacancies))
    workers = []
    for _ in range(instance.workers):
        for k in range(instance.length):
            other = k + below(instance.vacancies - k)
            permutation[k], permutation[other] = permutation[other], permutation[k]
        workers.append(permutation[: instance.length])
    vacancies = [[] for _ in range(instance.vacancies)]
    for worker, ranked in enumerate(workers):
        for vacancy in ranked:
            vacancies[vacancy].append(worker)
    for ranked in vacancies:
        for k in range(len(ranked), 1, -1):
            other = below(k)
            ranked[k - 1], ranked[other] = ranked[other], ranked[k - 1]
    return Lists(workers, vacancies, [instance.openings] * instance.vacancies)


def rank_tables(lists):
    """For each vacancy, the place of each worker on its list."""
    return [{worker: rank for rank, worker in enumerate(ranked)} for ranked in lists.vacancies]


def worker_optimal(lists, ranks):
    """Deferred acceptance, workers proposing: the vacancy of each worker, or None."""
    matched = [None] * len(lists.workers)
    asked = [0] * len(lists.workers)
    places = [[] for _ in lists.vacancies]  # heaps of -rank: the worst comes out first
    free = list(range(len(lists.workers)))
    while free:
        worker = free.pop()
        for vacancy in lists.workers[worker][asked[worker] :]:
            asked[worker] += 1
            rank = ranks[vacancy].get(worker)
            if rank is None:
                continue
            held = places[vacancy]
            if len(held) < lists.openings[vacancy]:
                heapq.heappush(held, -rank)
            elif held and -held[0] > rank:
                loser = lists.vacancies[vacancy][-heapq.heapreplace(held, -rank)]
                matched[loser] = None
                free.append(loser)
            else:
                continue
            matched[worker] = vacancy
            break
    return matched


def fnv1a64(matched):
    """The number a matching is known by (docs/BENCHMARKS.md, "Explicit lists")."""
    value = 1469598103934665603
    for vacancy in matched:
        for byte in (0xFFFFFFFF if vacancy is None else vacancy).to_bytes(4, "little"):
            value = ((value ^ byte) * 1099511628211) & MASK
    return f"{value:016x}"
