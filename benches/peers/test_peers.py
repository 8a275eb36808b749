"""The rule, the least program, and that every peer answers what it answers."""

import itertools
import random
import unittest

from compare import in_deep_thread
from instances import INSTANCES, Lists, fnv1a64, make_lists, rank_tables, worker_optimal
from programs import PROGRAMS


def random_lists(seed):
    """A small market; who ranks is ranked back, and somebody may stay out."""
    dice = random.Random(seed)
    size = dice.randint(2, 4)
    workers = [dice.sample(range(size), dice.randint(1, size)) for _ in range(dice.randint(2, 5))]
    vacancies = [[w for w, ranked in enumerate(workers) if v in ranked] for v in range(size)]
    for ranked in vacancies:
        dice.shuffle(ranked)
    return Lists(workers, vacancies, [dice.randint(1, 2) for _ in vacancies])


def stable_matchings(lists):
    """All of them, by trying everything."""
    for matched in itertools.product(*([*ranked, None] for ranked in lists.workers)):
        held = [[w for w, at in enumerate(matched) if at == v] for v in range(len(lists.vacancies))]
        if any(len(those) > places for those, places in zip(held, lists.openings)):
            continue
        pairs = ((w, v) for w, row in enumerate(lists.workers) for v in row)
        if not any(blocks(lists, matched, held, *pair) for pair in pairs):
            yield list(matched)


def blocks(lists, matched, held, worker, vacancy):
    row, column = lists.workers[worker], lists.vacancies[vacancy]
    wants = matched[worker] is None or row.index(vacancy) < row.index(matched[worker])
    return wants and (
        len(held[vacancy]) < lists.openings[vacancy]
        or any(column.index(worker) < column.index(other) for other in held[vacancy])
    )


class Instances(unittest.TestCase):
    def test_a_and_b_have_the_known_numbers(self):
        for name in "ab":
            lists = make_lists(INSTANCES[name])
            matched = worker_optimal(lists, rank_tables(lists))
            self.assertEqual(fnv1a64(matched), INSTANCES[name].fnv1a64)

    def test_the_least_program_finds_the_best_stable_matching_for_every_worker(self):
        for seed in range(200):
            lists = random_lists(seed)
            matched = worker_optimal(lists, rank_tables(lists))
            stable = list(stable_matchings(lists))
            self.assertIn(matched, stable)
            for row, mine, others in zip(lists.workers, matched, zip(*stable)):
                order = [*row, None]
                self.assertEqual(order.index(mine), min(map(order.index, others)))


class Peers(unittest.TestCase):
    def test_every_peer_finds_the_worker_optimal_matching(self):
        for name, program in PROGRAMS.items():
            program = program()
            for seed in range(100):
                lists = random_lists(seed)
                if not all(lists.vacancies):
                    continue  # some peers refuse a vacancy that nobody lists
                expected = worker_optimal(lists, rank_tables(lists))
                with self.subTest(program=name, seed=seed):
                    solved = in_deep_thread(
                        lambda: program.solve(program.build(program.convert(lists)))
                    )
                    self.assertEqual(program.read(solved, len(lists.workers)), expected)


if __name__ == "__main__":
    unittest.main()
