"""Other people's programs for the many-to-one problem, each behind the same four steps.

    convert   lists to the input that the program documents     not counted
    build     that input to the program's own objects           counted
    solve     objects to a matching                             counted
    read      the vacancy of each worker                        not counted

Imports stand inside, so that a process loads one program alone.
"""

import sys
import types

from instances import rank_tables, worker_optimal


class Reference:
    """The least program, from instances.py: how far plain Python gets."""

    package = None

    def convert(self, lists):
        return lists

    def build(self, lists):
        return lists, rank_tables(lists)

    def solve(self, built):
        return worker_optimal(*built)

    def read(self, matched, workers):
        return matched


class Matching:
    """`matching`: the best-known library for matching games."""

    package = "matching"

    def __init__(self):
        from matching.games import HospitalResident

        self.game = HospitalResident
        # It copies the graph of all players by recursion.
        sys.setrecursionlimit(1_000_000_000)

    def convert(self, lists):
        return tuple(
            dict(enumerate(side)) for side in (lists.workers, lists.vacancies, lists.openings)
        )

    def build(self, dictionaries):
        return self.game.create_from_dictionaries(*dictionaries)

    def solve(self, game):
        return game.solve(optimal="resident")

    def read(self, matching, workers):
        pairs = ((w.name, v.name) for v, held in matching.items() for w in held)
        return by_worker(pairs, workers)


class Algmatch:
    """`algmatch`: matching algorithms, with a check of stability after each solve."""

    package = "algmatch"

    def __init__(self):
        from algmatch import HospitalResidentsProblem

        self.problem = HospitalResidentsProblem

    def convert(self, lists):
        hospitals = (
            {"capacity": openings, "preferences": ranked}
            for ranked, openings in zip(lists.vacancies, lists.openings)
        )
        return {
            "residents": dict(enumerate(lists.workers)),
            "hospitals": dict(enumerate(hospitals)),
        }

    def build(self, dictionary):
        return self.problem(dictionary=dictionary, optimised_side="residents")

    def solve(self, problem):
        return problem.get_stable_matching()

    def read(self, matching, workers):
        sides = matching["resident_sided"].items()
        return by_worker(((int(w[1:]), int(v[1:])) for w, v in sides if v), workers)


class MatchingAlgorithms:
    """`matching-algorithms`: school choice in one function, no objects of its own."""

    package = "matching-algorithms"

    def __init__(self):
        from matching_algorithms.main import school_choice_da

        self.school_choice = school_choice_da

    def convert(self, lists):
        schools = {
            str(v): {"priorities": ranked, "capacity": openings}
            for v, (ranked, openings) in enumerate(zip(lists.vacancies, lists.openings))
        }
        names = list(schools)
        students = {w: [names[v] for v in ranked] for w, ranked in enumerate(lists.workers)}
        return students, schools

    def build(self, dictionaries):
        return dictionaries

    def solve(self, dictionaries):
        return self.school_choice(*dictionaries, student_proposing=True)

    def read(self, matching, workers):
        return by_worker(((w, int(v)) for v, held in matching.items() for w in held), workers)


class PySchoolMatch:
    """`py-school-match`: school choice by priorities, here one for each pair."""

    package = "py-school-match"

    def __init__(self):
        # Its cycle algorithms import graph-tool, which pip does not have; deferred
        # acceptance does without.
        names = ("Graph", "graph_draw", "all_circuits", "arf_layout", "sfdp_layout")
        graph_tool = types.ModuleType("graph_tool.all")
        graph_tool.__dict__.update(dict.fromkeys(names))
        sys.modules["graph_tool"] = sys.modules["graph_tool.all"] = graph_tool
        import py_school_match
        from py_school_match.algorithms.da import DA

        self.library = py_school_match
        self.algorithm = DA

    def convert(self, lists):
        return lists

    def build(self, lists):
        library = self.library
        place = library.Criteria("place", int)
        schools = [library.School(openings) for openings in lists.openings]
        students = [library.Student() for _ in lists.workers]
        for student, ranked in zip(students, lists.workers):
            student.preferences = [schools[vacancy] for vacancy in ranked]
        for school, ranked in zip(schools, lists.vacancies):
            for rank, worker in enumerate(ranked):
                students[worker].add_characteristic(
                    library.Characteristic(place, len(ranked) - rank, recognized_only_in=school)
                )
        rules = library.RuleSet([library.Rule(place)])
        return library.SocialPlanner(students, schools, rules)

    def solve(self, planner):
        planner.run_matching(self.algorithm())
        return planner

    def read(self, planner, workers):
        numbers = {school: v for v, school in enumerate(planner.schools)}
        return [numbers.get(student.assigned_school) for student in planner.students]


class SocialChoiceKit:
    """`socialchoicekit`: takes each side as a dense matrix of ranks, NaN for none."""

    package = "socialchoicekit"

    def __init__(self):
        import numpy
        from socialchoicekit.deterministic_matching import GaleShapley
        from socialchoicekit.profile_utils import StrictIncompleteProfile

        self.numpy = numpy
        self.profile = StrictIncompleteProfile
        self.rule = GaleShapley(resident_oriented=True, zero_indexed=True)

    def convert(self, lists):
        numpy = self.numpy

        def matrix(side, others):
            ranks = numpy.full((len(side), others), numpy.nan)
            for row, ranked in zip(ranks, side):
                row[ranked] = numpy.arange(1, len(ranked) + 1)
            return ranks

        return (
            matrix(lists.workers, len(lists.vacancies)),
            matrix(lists.vacancies, len(lists.workers)),
            numpy.array(lists.openings),
        )

    def build(self, arrays):
        workers, vacancies, openings = arrays
        return self.profile.of(workers), self.profile.of(vacancies), openings

    def solve(self, profiles):
        return self.rule.scf(*profiles)

    def read(self, pairs, workers):
        return by_worker(pairs, workers)


def by_worker(pairs, workers):
    matched = [None] * workers
    for worker, vacancy in pairs:
        matched[worker] = vacancy
    return matched


PROGRAMS = {
    program.package or "reference": program
    for program in (
        Reference,
        Matching,
        Algmatch,
        MatchingAlgorithms,
        PySchoolMatch,
        SocialChoiceKit,
    )
}
