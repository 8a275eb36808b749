"""Published matching instances with known answers, through the API.

    cases.py HOST:PORT [FOLDER]

Reads the files of tests/data/cases (their README.md names the sources). Each case is a
market of its own: workers and vacancies with explicit rankings, and ids made from
positions, so that ascending ids are ascending positions.
"""

import json
import pathlib
import sys
import uuid

from google.protobuf import json_format

from brute import ranked_market, vacancy_id, worker_id
from client import Client, Suite, equal, refused, true

FOLDER = pathlib.Path(__file__).parent.parent / "data" / "cases"


class Solver:
    """Loads markets into a server and clears them."""

    def __init__(self, address):
        self.gale = Client(address)

    def make(self, settings, cities):
        market = f"case-{uuid.uuid4().hex[:8]}"
        service = self.gale.MarketService
        service.CreateMarket(market={"id": market, "settings": settings})
        equal("errors", list(service.UpsertCities(market=market, cities=cities).errors), [])
        return market

    def fill(self, market, workers, vacancies):
        pool = self.gale.PoolService
        for answer in (
            pool.UpsertVacancies(market=market, vacancies=vacancies),
            pool.UpsertWorkers(market=market, workers=workers),
        ):
            equal("errors", list(answer.errors), [])

    def clear(self, market):
        """Vacancy id by worker id, after a round that must be certified."""
        answer = self.gale.MatchingService.StartRound(market=market, wait=True)
        equal("blocking pairs", answer.round.summary.blocking_pairs, 0)
        found = self.gale.MatchingService.ListMatches(market=market, page_size=10_000)
        equal("pages", found.next_page_token, "")
        return {match.worker_id: match.vacancy_id for match in found.matches}

    def solve(self, case, side="WORKER", capacities=None, city=None, settings=None, targets=None):
        """The matching of a case of rankings, as vacancy positions by worker position."""
        settings = {"proposing_side": f"PROPOSING_SIDE_{side}", **(settings or {})}
        market = self.make(settings, [{"id": "here", **(city or {})}])
        people, jobs = case["workers"], case["vacancies"]
        self.fill(market, *ranked_market(people, jobs, capacities or case["capacities"],
                                         targets=targets))
        matching = self.clear(market)
        self.gale.MarketService.DeleteMarket(market=market)
        numbers = {vacancy_id(v): v for v in range(len(jobs))}
        return [numbers.get(matching.get(worker_id(w))) for w in range(len(people))]


def published(case, side):
    """One side proposes, and gets the matching that the source gives for it."""

    def check(solver):
        expected = case[f"{side.lower()}_optimal"]
        found = solver.solve(case, side)
        equal("vacancies by worker", found, expected)
        if "all_stable" in case:
            true("one of the stable matchings of the source", found in case["all_stable"], found)
        return f"{sum(v is not None for v in found)} of {len(found)} matched"

    return check


def kamada_kojima(case):
    """The three mechanisms of the paper's example, each as a market: the region of the
    case is one city with that intake cap."""
    (cap,), targets = case["regional_caps"], case["target_capacities"]

    def plain(solver):
        """No cap: plain deferred acceptance."""
        equal("vacancies by worker", solver.solve(case), case["plain_da"])

    def jrmp(solver):
        """Targets as hard capacities, as in the Japanese programme."""
        equal("vacancies by worker", solver.solve(case, capacities=targets), case["jrmp"])

    def flexible(solver):
        """The city's cap in the TARGETS order: flexible deferred acceptance."""
        found = solver.solve(case, city={"intake_cap": cap}, targets=targets,
                             settings={"cap_order": "CAP_ORDER_TARGETS"})
        equal("vacancies by worker", found, case["flexible_da"])

    def refusal(solver):
        """Vacancies cannot propose there, and no market is made that says so."""
        settings = {"proposing_side": "PROPOSING_SIDE_VACANCY", "cap_order": "CAP_ORDER_TARGETS"}
        refused(lambda: solver.make(settings, []), "FAILED_PRECONDITION", "UNSUPPORTED_MECHANISM")

    return {
        "plain deferred acceptance": plain,
        "targets as hard caps (JRMP)": jrmp,
        "flexible deferred acceptance (TARGETS)": flexible,
        "TARGETS with vacancies proposing is refused": refusal,
    }


class Golden:
    """The worked market of the preference model."""

    # What the file says, and what Explain calls it.
    NUMBERS = {
        "km": "km",
        "move_cost": "move_cost",
        "annual_move": "annual_move",
        "fit": "fit_bp",
        "floor_salary": "floor_salary",
        "asking_salary": "asking_salary",
        "shortfall_bp": "shortfall_bp",
        "worker_accepts": "worker_accepts",
        "vacancy_accepts": "vacancy_accepts",
        "value": "value",
        "score": "score_bp",
    }

    def __init__(self, path):
        self.text = json.loads(path.read_text())
        for worker in self.text["workers"]:
            mobility = worker.get("mobility", {})
            if "scope" in mobility:
                mobility["scope"] = "SCOPE_" + mobility["scope"].removeprefix("SCOPE_")

    def message(self, method, name, key):
        """A request whose list `name` is the file's list `key`: proto3 JSON, as it is."""
        return json_format.ParseDict({"market": self.market, name: self.text[key]}, method.request())

    def load(self, solver, side):
        gale = solver.gale
        self.market = f"golden-{uuid.uuid4().hex[:8]}"
        market = {**self.text["market"], "id": self.market}
        market["settings"] = {**market["settings"], "proposingSide": f"PROPOSING_SIDE_{side}"}
        create = gale.MarketService.CreateMarket
        create(json_format.ParseDict({"market": market}, create.request()))
        for method, name, key in (
            (gale.MarketService.UpsertCities, "cities", "cities"),
            (gale.MarketService.SetMoveCosts, "moveCosts", "move_costs"),
            (gale.PoolService.UpsertWorkers, "workers", "workers"),
            (gale.PoolService.UpsertVacancies, "vacancies", "vacancies"),
        ):
            answer = method(self.message(method, name, key))
            equal(f"errors of the {name}", list(answer.errors), [])
        return solver.clear(self.market)

    def optimal(self, side):
        """One side proposes; the whole matching is the file's."""

        def check(solver):
            found = self.load(solver, side)
            expected = {w: v for w, v in self.text[f"{side.lower()}_optimal"].items() if v}
            equal("vacancies by worker", found, expected)
            return f"{len(found)} matched"

        return check

    def numbers(self, solver):
        """Explain gives every number of every pair, to the last unit."""
        explain = solver.gale.MatchingService.Explain
        for pair in self.text["pairs"]:
            got = explain(market=self.market, worker_id=pair["worker"], vacancy_id=pair["vacancy"])
            for key, field in self.NUMBERS.items():
                what = f"{field} of {pair['worker'][-2:]} and {pair['vacancy'][-2:]}"
                equal(what, getattr(got.pair, field), pair[key])
        compared = len(self.text["pairs"]) * len(self.NUMBERS)
        true("pairs to compare", compared > 0)
        return f"{compared} numbers of {len(self.text['pairs'])} pairs"

    def matches(self, solver):
        """The numbers of a match are those of its pair."""
        pairs = {(pair["worker"], pair["vacancy"]): pair for pair in self.text["pairs"]}
        listed = solver.gale.MatchingService.ListMatches(market=self.market).matches
        for found in listed:
            pair = pairs[found.worker_id, found.vacancy_id]
            for key in ("km", "move_cost", "fit", "value", "score"):
                equal(f"{key} of {found.worker_id}", getattr(found, self.NUMBERS[key]), pair[key])
        return f"{len(listed)} matches"


def suite_of(folder):
    suite = Suite("cases: published instances, and the golden market")
    golden = folder / "preferences_golden.json"
    for path in sorted(folder.glob("*.json")):
        if path == golden:
            continue
        for case in json.loads(path.read_text())["cases"]:
            if "flexible_da" in case:
                for title, check in kamada_kojima(case).items():
                    suite.add(f"{case['id']}: {title}", check)
                continue
            for side in ("WORKER", "VACANCY"):
                word = "workers" if side == "WORKER" else "vacancies"
                suite.add(f"{case['id']}: {word} propose", published(case, side))
    market = Golden(golden)
    for side, word in (("VACANCY", "vacancies"), ("WORKER", "workers")):
        suite.add(f"golden market: {word} propose", market.optimal(side))
        suite.add(f"golden market: Explain's numbers, {word} proposing", market.numbers)
    suite.add("golden market: the numbers of the matches", market.matches)
    return suite


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[2]) if len(sys.argv) == 3 else FOLDER
    sys.exit(suite_of(folder).run(Solver(sys.argv[1])))
