"""The main path of Gale over gRPC, from the address alone.

    conformance.py HOST:PORT

Each check is a function that says its goal and method; they run in order, on markets
of their own, and share what the ones before made (class Hire). Workers, vacancies and
places are made up.
"""

import concurrent.futures
import hashlib
import random
import sys
import time
import uuid

import grpc
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from brute import CappedMarket, RankedMarket
from client import (
    Client,
    Failed,
    Suite,
    Watcher,
    ended_with,
    equal,
    grpc_web,
    new_uuid,
    place,
    refused,
    true,
)

suite = Suite("conformance: the main path, by reflection")
check = suite.check

SERVICES = {
    "MarketService",
    "PoolService",
    "MatchingService",
    "EventService",
    "PlanningService",
}
STARTS_EARLIEST = {"earliest": {}}


class Hire:
    """The connection, the market that most checks share, and what is in it.

    Region `east` takes three people; `alba` and `brio` are in it, `corva` is not.
    """

    def __init__(self, address):
        self.address = address
        self.gale = Client(address)
        self.market = f"hire-{uuid.uuid4().hex[:8]}"
        self.made = None
        self.watcher = None
        self.workers = {}
        self.vacancies = {}
        self.matches = {}

    def revision(self, market=None):
        return self.gale.MarketService.GetMarket(market=market or self.market).revision

    def state(self, market=None):
        got = self.gale.MarketService.GetMarket(market=market or self.market)
        return got.market.status

    def kind(self, event):
        return self.gale.enum("EventKind")[event.kind].removeprefix("EVENT_KIND_")

    def kinds(self, events):
        return [self.kind(event) for event in events]

    def market_with(self, name, cities, **settings):
        """Makes another market with these cities; its id."""
        market = f"{name}-{uuid.uuid4().hex[:8]}"
        self.gale.MarketService.CreateMarket(market={"id": market, "settings": settings})
        answer = self.gale.MarketService.UpsertCities(market=market, cities=cities)
        equal("errors of the cities", list(answer.errors), [])
        return market

    def fill(self, market, workers, vacancies):
        """Upserts both, all of which must go in."""
        pool = self.gale.PoolService
        for answer in (
            pool.UpsertVacancies(market=market, vacancies=vacancies),
            pool.UpsertWorkers(market=market, workers=workers),
        ):
            equal("refused items", list(answer.errors), [])

    def clear(self, market):
        """Runs a round to its end; its summary, which must be of a stable matching."""
        answer = self.gale.MatchingService.StartRound(market=market, wait=True)
        states = self.gale.enum("RoundState")
        equal("state of the round", states[answer.round.state], "ROUND_STATE_CLEARED")
        equal("blocking pairs", answer.round.summary.blocking_pairs, 0)
        return answer.round

    def matching(self, market):
        """Vacancy by worker, read page by page."""
        return {m.worker_id: m.vacancy_id for m in self.pages("ListMatches", "matches", market)}

    def pages(self, method, rows, market, page_size=3, **filters):
        """All rows of a list, read in pages that must all be of one revision."""
        service = "MatchingService" if "Match" in method or "Cutoff" in method else "PoolService"
        call = getattr(getattr(self.gale, service), method)
        token, revisions, found = "", set(), []
        while True:
            page = call(market=market, page_size=page_size, page_token=token, **filters)
            found += getattr(page, rows)
            revisions.add(page.revision)
            true(f"at most {page_size} rows", len(getattr(page, rows)) <= page_size)
            token = page.next_page_token
            if not token:
                equal("revisions of the pages", len(revisions), 1)
                return found


def worker(city, skills, expected, **more):
    skills = [{"skill": skill, "level": level} for skill, level in skills.items()]
    return {"home_city": city, "skills": skills, "expected_salary": expected, **more}


def vacancy(city, needs, salary, openings=1, **more):
    needs = [
        {"skill": skill, "desired_level": level, "weight": 1, "minimum_level": level // 2}
        for skill, level in needs.items()
    ]
    more = {"title": "/".join(item["skill"] for item in needs), "employer": "Made Up Ltd", **more}
    return {"city": city, "requirements": needs, "salary": salary, "openings": openings, **more}


# --- what the server says of itself ---------------------------------------------------


@check("reflection lists the services")
def services_by_reflection(hire):
    """Goal: a client can find out what there is. Method: ask reflection v1alpha."""
    listed = set(hire.gale.reflection.get_services())
    expected = {f"gale.v1.{name}" for name in SERVICES} | {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    true(f"at least {sorted(expected)}", expected <= listed, sorted(listed))
    return f"{len(listed)} services"


@check("reflection v1 answers as v1alpha does")
def reflection_v1(hire):
    """Goal: both versions work. Method: the same bytes to the other version's path
    (the messages are the same but for their package)."""
    call = hire.gale.channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    answer = next(call(iter([question]), timeout=5)).list_services_response
    listed = {service.name for service in answer.service}
    equal("services", listed, set(hire.gale.reflection.get_services()))


@check("every method of gale.v1 has its messages; google.rpc is known")
def messages_by_reflection(hire):
    """Goal: nothing is missing from the descriptors. Method: build the request and
    response class of each method, and look up the types of error details."""
    count = 0
    for name in SERVICES:
        for method in getattr(hire.gale, name).methods.values():
            method.request()
            method.response()
            count += 1
    for name in ("ErrorInfo", "BadRequest"):
        hire.gale.pool.FindMessageTypeByName(f"google.rpc.{name}")
    return f"{count} methods"


@check("health: the server and each service are SERVING")
def health(hire):
    """Goal: probes work per service. Method: Check for "" and each, one unknown."""
    stub = health_pb2_grpc.HealthStub(hire.gale.channel)
    for name in ["", *(f"gale.v1.{name}" for name in SERVICES)]:
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        equal(f"health of {name!r}", answer.status, health_pb2.HealthCheckResponse.SERVING)
    try:
        stub.Check(health_pb2.HealthCheckRequest(service="no.such.Service"), timeout=5)
    except grpc.RpcError as error:
        equal("code for an unknown service", error.code().name, "NOT_FOUND")
    else:
        raise Failed("NOT_FOUND for an unknown service", "an answer")


@check("health: Watch says SERVING at once")
def health_watch(hire):
    """Goal: balancers can watch. Method: first message of Watch for a service."""
    stub = health_pb2_grpc.HealthStub(hire.gale.channel)
    call = stub.Watch(health_pb2.HealthCheckRequest(service="gale.v1.PoolService"), timeout=5)
    equal("first status", next(call).status, health_pb2.HealthCheckResponse.SERVING)
    call.cancel()


# --- a market -------------------------------------------------------------------------


@check("a market is made, with a committed lottery and the defaults")
def create(hire):
    """Goal: creation fixes incarnation, defaults and a lottery that nobody sees yet."""
    settings = {
        "currency": "USD",
        "fixed_move_cost": 3000,
        "move_cost_per_km": 2,
        "fit_value": 5000,
        "min_fit_bp": 6000,
    }
    market = {"id": hire.market, "display_name": "Hire", "settings": settings}
    answer = hire.gale.MarketService.CreateMarket(market=market)
    hire.made = answer.market
    uuid.UUID(answer.market.incarnation)
    true("a first revision of at least 1", answer.revision >= 1, answer.revision)
    equal("hex digits of the commitment", len(answer.market.lottery_commitment), 64)
    equal("nonce before the first round", answer.market.lottery_nonce, "")
    true("no seed yet", not answer.market.settings.HasField("lottery_seed"))
    got = answer.market.settings
    defaults = (got.horizon_years, got.shortfall_weight_bp, got.max_shortfall_bp)
    equal("horizon, shortfall weight and maximum", defaults, (3, 5000, 2000))
    refused(
        lambda: hire.gale.MarketService.CreateMarket(market=market),
        "ALREADY_EXISTS", "MARKET_EXISTS", "market.id",
    )
    listed = [market.id for market in hire.gale.MarketService.ListMarkets().markets]
    true(f"{hire.market} is listed", hire.market in listed, listed)
    equal("order of the markets", listed, sorted(listed))


@check("a watch from the earliest starts with MARKET_CHANGED")
def watch(hire):
    """Goal: the stream begins with the market's birth. Method: the thread that is
    started here records all that happens from now on."""
    hire.watcher = Watcher(hire.gale, market=hire.market, **STARTS_EARLIEST)
    hire.watcher.wait(lambda watcher: watcher.events, "a first event")
    first = hire.watcher.events[0]
    equal("first kind", hire.kind(first), "MARKET_CHANGED")
    equal("incarnation", first.market.incarnation, hire.made.incarnation)
    equal("incarnation to resume with", hire.watcher.messages[0].next.incarnation,
          hire.made.incarnation)
    equal("market", first.market.id, hire.market)


@check("regions and cities; unknown parent, cycle and unknown region are refused")
def places(hire):
    """Goal: the forest of capacities goes in and stays a forest; bad items fail alone."""
    service = hire.gale.MarketService
    reasons = hire.gale.enum("ErrorReason")
    regions = [
        {"id": "east", "display_name": "East", "intake_cap": 3},
        {"id": "coast", "parent": "east"},
        {"id": "lost", "parent": "nowhere"},
    ]
    answer = service.UpsertRegions(market=hire.market, regions=regions)
    errors = [(e.index, e.id, reasons[e.reason]) for e in answer.errors]
    equal("errors", errors, [(2, "lost", "ERROR_REASON_REGION_NOT_FOUND")])
    cycle = [{"id": "east", "parent": "coast", "intake_cap": 3}]
    answer = service.UpsertRegions(market=hire.market, regions=cycle)
    equal("a cycle", [reasons[e.reason] for e in answer.errors], ["ERROR_REASON_REGION_CYCLE"])
    cities = [
        {"id": "alba", "region": "coast", "latitude": 40.0, "longitude": 0.0},
        {"id": "brio", "region": "east", "latitude": 40.0, "longitude": 3.0},
        {"id": "corva", "latitude": 48.0, "longitude": 3.0, "cost_of_living": 900},
        {"id": "dune", "region": "nowhere"},
    ]
    answer = service.UpsertCities(market=hire.market, cities=cities)
    errors = [(e.index, e.id, reasons[e.reason]) for e in answer.errors]
    equal("errors", errors, [(3, "dune", "ERROR_REASON_REGION_NOT_FOUND")])
    listed = service.ListCities(market=hire.market)
    equal("cities", [city.id for city in listed.cities], ["alba", "brio", "corva"])
    listed = service.ListRegions(market=hire.market)
    equal("regions", [(r.id, r.parent) for r in listed.regions], [("east", ""), ("coast", "east")])


@check("move costs are set, listed and removed")
def move_costs(hire):
    """Goal: overrides of the distance formula. Method: two in, one out again."""
    service = hire.gale.MarketService
    costs = [
        {"origin": "corva", "destination": "alba", "cost": 4000, "subsidy": 500},
        {"origin": "alba", "destination": "corva", "cost": 0},
    ]
    equal("errors", list(service.SetMoveCosts(market=hire.market, move_costs=costs).errors), [])
    gone = [{"origin": "alba", "destination": "corva"}]
    service.SetMoveCosts(market=hire.market, move_costs=gone)
    listed = service.ListMoveCosts(market=hire.market).move_costs
    equal("overrides", [(c.origin, c.destination, c.cost, c.subsidy) for c in listed],
          [("corva", "alba", 4000, 500)])


# --- pools ----------------------------------------------------------------------------


@check("workers and vacancies are upserted; the server makes ids of version 7")
def upsert(hire):
    """Goal: batches go in and can be read at their revision. Method: upsert, read back."""
    pool = hire.gale.PoolService
    hire.vacancies = {
        "nurse in alba": vacancy("alba", {"nursing": 70}, 60_000),
        "baker in alba": vacancy("alba", {"baking": 60}, 41_000, openings=2),
        "baker in brio": vacancy("brio", {"baking": 60}, 43_000, openings=2),
    }
    answer = pool.UpsertVacancies(market=hire.market, vacancies=hire.vacancies.values())
    equal("errors", list(answer.errors), [])
    for value, made in zip(hire.vacancies.values(), answer.ids):
        equal("version of a made id", uuid.UUID(made).version, 7)
        value["id"] = made
    hire.workers = {
        "nina": worker("corva", {"nursing": 90}, 50_000, reservation_salary=45_000),
        "olga": worker("alba", {"nursing": 60}, 52_000, id=new_uuid()),
        "bert": worker("alba", {"baking": 80}, 40_000, id=new_uuid(), labels={"from": "tests"}),
    }
    answer = pool.UpsertWorkers(market=hire.market, workers=hire.workers.values())
    equal("errors", list(answer.errors), [])
    hire.workers["nina"]["id"] = answer.ids[0]
    equal("ids that were brought", list(answer.ids[1:]),
          [hire.workers["olga"]["id"], hire.workers["bert"]["id"]])
    got = pool.GetWorker(
        market=hire.market, worker_id=hire.workers["bert"]["id"], at_least_revision=answer.revision
    )
    record = got.worker
    equal("status", hire.gale.enum("WorkerStatus")[record.status], "WORKER_STATUS_SEARCHING")
    equal("labels", dict(record.worker.labels), {"from": "tests"})
    equal("skills", [(s.skill, s.level) for s in record.worker.skills], [("baking", 80)])
    equal("revision of the record", record.revision, answer.revision)


@check("import streams acknowledge batch by batch, in order")
def imports(hire):
    """Goal: bulk loading tells what went in, at which revision. Method: three batches
    of workers and two of vacancies; one item is bad."""
    people = {
        name: worker(city, {"baking": level}, expected, id=new_uuid())
        for name, city, level, expected in [
            ("cleo", "brio", 70, 41_000),
            ("dora", "corva", 75, 38_000),
            ("emil", "brio", 65, 40_000),
            ("finn", "alba", 95, 42_000),
        ]
    }
    hire.workers.update(people)
    cleo, dora, emil, finn = people.values()
    bad = worker("nowhere", {}, 1, id=new_uuid())
    request = hire.gale.PoolService.ImportWorkers.request
    batches = [
        request(market=hire.market, sequence=7, workers=[cleo, dora], request_id=new_uuid()),
        request(sequence=8, workers=[bad, emil]),
        request(market=hire.market, sequence=9, workers=[finn]),
    ]
    acks = list(hire.gale.PoolService.ImportWorkers(iter(batches), timeout=10))
    equal("sequence and accepted", [(a.sequence, a.accepted) for a in acks], [(7, 2), (8, 1), (9, 1)])
    revisions = [ack.revision for ack in acks]
    true("revisions that rise", revisions == sorted(set(revisions)), revisions)
    errors = [(e.index, e.id, e.field) for e in acks[1].errors]
    equal("errors of batch 8", errors, [(0, bad["id"], "home_city")])

    hire.vacancies["baker in corva"] = vacancy("corva", {"baking": 90}, 39_000, id=new_uuid())
    hire.vacancies["guard in corva"] = vacancy("corva", {"guarding": 50}, 45_000, id=new_uuid())
    request = hire.gale.PoolService.ImportVacancies.request
    batches = [
        request(market=hire.market, sequence=1, vacancies=[hire.vacancies["baker in corva"]]),
        request(sequence=2, vacancies=[hire.vacancies["guard in corva"]]),
    ]
    acks = list(hire.gale.PoolService.ImportVacancies(iter(batches), timeout=10))
    equal("sequence and accepted", [(a.sequence, a.accepted) for a in acks], [(1, 1), (2, 1)])
    state = hire.state()
    equal("workers, vacancies, openings", (state.workers, state.vacancies, state.openings), (7, 5, 7))


@check("one bad item fails alone; atomic refuses the whole batch")
def bad_items(hire):
    """Goal: per-item results. Method: a good and a bad worker, both ways; then a count."""
    pool = hire.gale.PoolService
    good = worker("alba", {"baking": 10}, 30_000, id=new_uuid())
    bad = worker("alba", {"baking": 101}, 30_000, id=new_uuid())
    before = hire.revision()
    refused(
        lambda: pool.UpsertWorkers(market=hire.market, workers=[good, bad], atomic=True),
        "INVALID_ARGUMENT", "INVALID_FIELD", "workers[1].skills[0].level",
    )
    equal("revision after a refused batch", hire.revision(), before)
    refused(
        lambda: pool.GetWorker(market=hire.market, worker_id=good["id"]),
        "NOT_FOUND", "WORKER_NOT_FOUND", "worker_id",
    )
    answer = pool.UpsertWorkers(market=hire.market, workers=[bad, good])
    errors = [(e.index, e.code, e.field) for e in answer.errors]
    equal("errors", errors, [(0, grpc.StatusCode.INVALID_ARGUMENT.value[0], "skills[0].level")])
    pool.GetWorker(market=hire.market, worker_id=good["id"])
    pool.WithdrawWorkers(market=hire.market, worker_ids=[good["id"]])
    status = pool.GetWorker(market=hire.market, worker_id=good["id"]).worker.status
    equal("status after WithdrawWorkers", hire.gale.enum("WorkerStatus")[status],
          "WORKER_STATUS_WITHDRAWN")


@check("a bad field is a decoded BadRequest with ErrorInfo of domain gale")
def bad_fields(hire):
    """Goal: a client can point at the field. Method: one bad value each in several
    methods; google.rpc details are decoded by grpcio-status."""
    gale, market = hire.gale, hire.market
    bad = [
        (lambda: gale.PoolService.ListWorkers(market=market, page_size=-1), "page_size"),
        (lambda: gale.PoolService.GetWorker(market=market, worker_id="tomorrow"), "worker_id"),
        (lambda: gale.MarketService.CreateMarket(market={"id": "a b"}), "market.id"),
        (lambda: gale.EventService.Watch(market=market).next(), "start"),
        (
            lambda: gale.MarketService.CreateMarket(
                market={"id": f"{market}-2", "settings": {"horizon_years": 51}}
            ),
            "market.settings.horizon_years",
        ),
        (
            lambda: gale.MatchingService.ConfirmMatches(market=market, matches=[], side=0),
            "side",
        ),
        (
            lambda: gale.PoolService.UpsertWorkers(market=market, request_id="again"),
            "request_id",
        ),
    ]
    for call, field in bad:
        refused(call, "INVALID_ARGUMENT", "INVALID_FIELD", field)
    item = vacancy("alba", {}, 0)
    refused(
        lambda: gale.PoolService.UpsertVacancies(market=market, vacancies=[item], atomic=True),
        "INVALID_ARGUMENT", "INVALID_FIELD", "vacancies[0].salary",
    )
    return f"{len(bad) + 1} fields"


@check("an unknown market is NOT_FOUND everywhere")
def unknown_market(hire):
    """Goal: no method takes a market that is not there. Method: every method of
    gale.v1 that names one, with nothing else in the request."""
    count = 0
    for name in sorted(SERVICES - {"MarketService"}) + ["MarketService"]:
        for method in getattr(hire.gale, name).methods.values():
            kind = method.request.DESCRIPTOR.fields_by_name.get("market")
            if kind is None or kind.message_type is not None:
                continue
            request = method.request(market="no-such-market")
            if method.client_streams:
                call = lambda: next(method(iter([request]), timeout=5))
            elif method.server_streams:
                call = lambda: next(method(request, timeout=5))
            else:
                call = lambda: method(request)
            refused(call, "NOT_FOUND", "MARKET_NOT_FOUND", "market")
            count += 1
    return f"{count} methods"


@check("a request_id replays the former answer, and refuses another request")
def request_ids(hire):
    """Goal: retries are safe. Method: the same bytes twice, then others under the same id."""
    pool = hire.gale.PoolService
    request = dict(
        market=hire.market,
        workers=[worker("alba", {}, 30_000), worker("nowhere", {}, 30_000)],
        request_id=new_uuid(),
    )
    first = pool.UpsertWorkers(**request)
    revision = hire.revision()
    again = pool.UpsertWorkers(**request)
    equal("the answer to a retry", again, first)
    equal("revision after the retry", hire.revision(), revision)
    request["workers"] = [worker("alba", {}, 31_000)]
    refused(
        lambda: pool.UpsertWorkers(**request),
        "FAILED_PRECONDITION", "REQUEST_ID_REUSED", "request_id",
    )
    pool.WithdrawWorkers(market=hire.market, worker_ids=[first.ids[0]])


@check("at_least_revision: the present is read, the future is OUT_OF_RANGE")
def at_least_revision(hire):
    """Goal: read your writes, never a wait for what may not come. Method: every read
    that has the field, at the newest revision and at the next."""
    gale, count = hire.gale, 0
    now = hire.revision()
    ids = {
        "worker_id": hire.workers["nina"]["id"],
        "vacancy_id": hire.vacancies["nurse in alba"]["id"],
        "city": "alba",
    }
    for name in SERVICES:
        for method in getattr(gale, name).methods.values():
            known = method.request.DESCRIPTOR.fields_by_name
            if "at_least_revision" not in known:
                continue
            given = {k: v for k, v in ids.items() if k in known and method.path[-4:] != "ches"}
            if method.path.endswith("/RunScenario"):
                run = lambda method=method, **r: next(method(timeout=10, **r)).started
                given["periods"] = 1
            elif method.path.endswith("/PriceGuidance"):
                run = lambda method=method, **r: list(method(timeout=10, **r))[-1].price
            else:
                run = method
            if not method.path.endswith("/GetMatch"):
                answer = run(market=hire.market, at_least_revision=now, **given)
                true(f"{method.path} at {now} or later", answer.revision >= now, answer.revision)
            status = refused(
                lambda: run(market=hire.market, at_least_revision=now + 1, **given),
                "OUT_OF_RANGE", "POSITION_IN_FUTURE",
            )
            equal("newest revision in the error", status.info.metadata["revision"], str(now))
            count += 1
    return f"{count} methods"


@check("page tokens pin one revision; a foreign or spoilt token is refused")
def page_tokens(hire):
    """Goal: a list is a snapshot. Method: write between two pages, then misuse tokens."""
    pool = hire.gale.PoolService
    first = pool.ListWorkers(market=hire.market, page_size=2)
    added = pool.UpsertWorkers(market=hire.market, workers=[worker("alba", {}, 30_000)])
    second = pool.ListWorkers(market=hire.market, page_size=100, page_token=first.next_page_token)
    equal("revision of the second page", second.revision, first.revision)
    ids = [record.worker.id for record in [*first.workers, *second.workers]]
    equal("rows that stand twice", len(ids) - len(set(ids)), 0)
    true("no row from after the first page", added.ids[0] not in ids)
    true("all workers", {w["id"] for w in hire.workers.values()} <= set(ids))
    token = first.next_page_token
    for call in (
        lambda: pool.ListVacancies(market=hire.market, page_token=token),
        lambda: pool.ListWorkers(market=hire.market, city="alba", page_token=token),
        lambda: pool.ListWorkers(market=hire.market, page_token=token[:-1] + "~"),
    ):
        refused(call, "INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", "page_token")
    pool.WithdrawWorkers(market=hire.market, worker_ids=[added.ids[0]])


# --- clearing -------------------------------------------------------------------------


@check("before the first round there is nothing to verify, and the state is PENDING")
def not_cleared(hire):
    """Goal: no claim before a clearing."""
    gale = hire.gale
    refused(
        lambda: next(gale.MatchingService.Verify(market=hire.market, timeout=5)),
        "FAILED_PRECONDITION", "NOT_CLEARED",
    )
    state = hire.state()
    equal("state", gale.enum("MatchingState")[state.state], "MATCHING_STATE_PENDING")
    true("pending changes", state.pending_changes > 0, state.pending_changes)


@check("a round clears the market, and what it says adds up")
def clear(hire):
    """Goal: StartRound with wait answers with the round's summary. Method: compare it
    with the market's state and with the stream."""
    before = hire.revision()
    request = dict(market=hire.market, wait=True, request_id=new_uuid())
    answer = hire.gale.MatchingService.StartRound(**request)
    found = answer.round
    equal("state", hire.gale.enum("RoundState")[found.state], "ROUND_STATE_CLEARED")
    true("a snapshot from before the round", found.snapshot_revision in (before, before + 1),
         f"{found.snapshot_revision} after {before}")
    summary = found.summary
    equal("blocking pairs", summary.blocking_pairs, 0)
    true("pairs examined", summary.pairs_examined > 0)
    equal("workers, vacancies, openings", (summary.workers, summary.vacancies, summary.openings),
          (7, 5, 7))
    state = hire.state()
    equal("matched in the market", state.matched, summary.matched)
    equal("pending changes", state.pending_changes, 0)
    equal("claim", hire.gale.enum("MatchingState")[state.state], "MATCHING_STATE_WORKER_OPTIMAL")
    equal("last round", state.last_round_id, found.id)
    again = hire.gale.MatchingService.StartRound(**request)
    equal("round of a retried StartRound", again.round.id, found.id)
    rounds = hire.gale.MatchingService.ListRounds(market=hire.market).rounds
    equal("rounds", [round.id for round in rounds], [found.id])
    hire.watcher.wait_for_revision(found.end_revision)
    kinds = hire.kinds(hire.watcher.events)
    equal("MATCHED events", kinds.count("MATCHED"), summary.matched)
    equal("MIGRATION_PLANNED events", kinds.count("MIGRATION_PLANNED"), summary.moved)
    return f"{summary.matched} matched, {summary.moved} moving"


@check("the lottery checks out after the first round")
def lottery(hire):
    """Goal: the lottery was drawn before ids were known. Method: SHA-256 of the nonce
    and the seed (8 bytes, big-endian) is what the market committed to when it was made."""
    market = hire.gale.MarketService.GetMarket(market=hire.market).market
    true("the seed is shown", market.settings.HasField("lottery_seed"))
    nonce = bytes.fromhex(market.lottery_nonce)
    equal("bytes of the nonce", len(nonce), 16)
    opened = hashlib.sha256(nonce + market.settings.lottery_seed.to_bytes(8, "big")).hexdigest()
    equal("commitment", opened, hire.made.lottery_commitment)
    equal("commitment now", market.lottery_commitment, hire.made.lottery_commitment)


@check("matches are read, one by one and in pages, within openings and caps")
def matches(hire):
    """Goal: one matching, however it is read. Method: ListMatches against GetMatch,
    GetWorker, GetVacancy, GetCityPool and the region's cap."""
    gale = hire.gale
    listed = hire.pages("ListMatches", "matches", hire.market)
    hire.matches = {m.worker_id: m for m in listed}
    for found in listed:
        one = gale.MatchingService.GetMatch(market=hire.market, worker_id=found.worker_id).match
        equal("GetMatch", one, found)
        record = gale.PoolService.GetWorker(market=hire.market, worker_id=found.worker_id).worker
        equal("vacancy of the worker", record.vacancy_id, found.vacancy_id)
        equal("status", gale.enum("WorkerStatus")[record.status], "WORKER_STATUS_MATCHED")
    for value in hire.vacancies.values():
        record = gale.PoolService.GetVacancy(market=hire.market, vacancy_id=value["id"]).vacancy
        held = sum(found.vacancy_id == value["id"] for found in listed)
        equal(f"held by {value['title']} in {value['city']}", record.held, held)
        true("no more than openings", held <= value["openings"], held)
    by_city = {city: sum(m.destination == city for m in listed) for city in ("alba", "brio", "corva")}
    for city, held in by_city.items():
        pool = gale.PoolService.GetCityPool(market=hire.market, city=city).pool
        equal(f"held in {city}", pool.held, held)
    equal("people in the capped region", by_city["alba"] + by_city["brio"], 3)
    moved = gale.MatchingService.ListMatches(market=hire.market, moved_only=True).matches
    equal("moved only", {m.worker_id for m in moved},
          {m.worker_id for m in listed if m.origin != m.destination})
    nina = hire.matches[hire.workers["nina"]["id"]]
    equal("what nina's move costs (4,000, subsidy 500)", nina.move_cost, 3_500)
    kinds = {gale.enum("CutoffKind")[c.kind].removeprefix("CUTOFF_KIND_")
             for c in hire.pages("ListCutoffs", "cutoffs", hire.market)}
    true("a cutoff by the region's cap", "REGION" in kinds, kinds)
    return f"{by_city}"


@check("Explain answers in a sentence: matched, outside, and by pair")
def explain(hire):
    """Goal: everybody can ask why. Method: each worker as a whole, and each pair; the
    outcome must agree with the matching."""
    gale, outcomes = hire.gale, hire.gale.enum("ExplainOutcome")
    count = {}
    for name, person in hire.workers.items():
        whole = gale.MatchingService.Explain(market=hire.market, worker_id=person["id"])
        outcome = outcomes[whole.outcome].removeprefix("EXPLAIN_OUTCOME_")
        true(f"a sentence for {name}", len(whole.sentence) > 10, whole.sentence)
        mine = hire.matches.get(person["id"])
        equal(f"{name} is matched", outcome == "MATCHED", mine is not None)
        if mine:
            equal("pair of the match", whole.pair.vacancy_id, mine.vacancy_id)
            equal("score", whole.pair.score_bp, mine.score_bp)
        count[outcome] = count.get(outcome, 0) + 1
        for job in hire.vacancies.values():
            answer = gale.MatchingService.Explain(
                market=hire.market, worker_id=person["id"], vacancy_id=job["id"]
            )
            outcome = outcomes[answer.outcome].removeprefix("EXPLAIN_OUTCOME_")
            together = mine is not None and mine.vacancy_id == job["id"]
            equal(f"{name} and {job['title']} together", outcome == "MATCHED", together)
            true("a sentence", len(answer.sentence) > 10, answer.sentence)
            equal("pair asked about", answer.pair.vacancy_id, job["id"])
    finn = gale.MatchingService.Explain(
        market=hire.market,
        worker_id=hire.workers["finn"]["id"],
        vacancy_id=hire.vacancies["nurse in alba"]["id"],
    )
    equal("finn as a nurse", outcomes[finn.outcome], "EXPLAIN_OUTCOME_SKILL_MISSING")
    return str(count)


def verified(hire, market):
    """Progress, if it takes long enough, then one certificate, which is the last message."""
    steps = list(hire.gale.MatchingService.Verify(market=market, timeout=20))
    kinds = [step.WhichOneof("step") for step in steps]
    true("progress, then one certificate",
         kinds[-1:] == ["certificate"] and kinds.count("certificate") == 1, kinds)
    done = [step.progress.done for step in steps[:-1]]
    equal("progress", done, sorted(done))
    return steps[-1].certificate, len(done)


@check("Verify streams progress, then a certificate of no blocking pair")
def verify(hire):
    """Goal: the proof can be had by anybody."""
    certificate, _ = verified(hire, hire.market)
    equal("blocking pairs", certificate.blocking_pairs, 0)
    equal("violations", certificate.violations, 0)
    equal("of the last round alone", certificate.of_last_round, False)
    equal("matched", certificate.matched, len(hire.matches))
    found = hire.gale.MatchingService.GetRound(market=hire.market).round
    equal("hash", certificate.matching_hash, found.summary.matching_hash)
    return f"{certificate.pairs_examined} pairs examined"


# --- confirmations --------------------------------------------------------------------


@check("confirmed on both sides: PLACED and MIGRATED come in the stream")
def confirm(hire):
    """Goal: a match is placed by both sides, and a move becomes real. Method: nina of
    corva works in alba; confirm one side, look, confirm the other, look at the stream."""
    gale, nina = hire.gale, hire.workers["nina"]["id"]
    key = {"worker_id": nina, "vacancy_id": hire.matches[nina].vacancy_id}
    confirm = gale.MatchingService.ConfirmMatches
    answer = confirm(market=hire.market, side="MATCH_SIDE_WORKER", matches=[key])
    equal("placed by one side", (answer.placed, list(answer.errors)), (0, []))
    found = gale.MatchingService.GetMatch(market=hire.market, worker_id=nina).match
    equal("who confirmed", (found.worker_confirmed, found.employer_confirmed), (True, False))
    answer = confirm(market=hire.market, side="MATCH_SIDE_EMPLOYER", matches=[key])
    equal("placed by both", (answer.placed, list(answer.errors)), (1, []))
    found = gale.MatchingService.GetMatch(market=hire.market, worker_id=nina).match
    equal("status", gale.enum("MatchStatus")[found.status], "MATCH_STATUS_PLACED")
    hire.watcher.wait_for_revision(answer.revision)
    events = [e for e in hire.watcher.events if e.position.revision == answer.revision]
    kinds = hire.kinds(events)
    true("PLACED and MIGRATED", {"PLACED", "MIGRATED"} <= set(kinds), kinds)
    moved = events[kinds.index("MIGRATED")].migration
    equal("the migration",
          (moved.worker_id, moved.vacancy_id, moved.origin, moved.destination, moved.move_cost),
          (nina, key["vacancy_id"], "corva", "alba", 3_500))
    record = gale.PoolService.GetVacancy(market=hire.market, vacancy_id=key["vacancy_id"]).vacancy
    equal("the only opening", gale.enum("VacancyStatus")[record.status], "VACANCY_STATUS_FILLED")
    return ", ".join(kinds)


@check("a placed worker is not upserted, unless they look again")
def placed(hire):
    """Goal: the table of lives. Method: upsert with and without `reopen`."""
    pool, nina = hire.gale.PoolService, hire.workers["nina"]
    refused(
        lambda: pool.UpsertWorkers(market=hire.market, workers=[nina], atomic=True),
        "FAILED_PRECONDITION", "WORKER_PLACED", "workers[0].id",
    )
    again = {**nina, "home_city": "alba"}
    answer = pool.UpsertWorkers(market=hire.market, workers=[again], reopen=True, atomic=True)
    record = pool.GetWorker(market=hire.market, worker_id=nina["id"],
                            at_least_revision=answer.revision).worker
    equal("status and home", (hire.gale.enum("WorkerStatus")[record.status], record.worker.home_city),
          ("WORKER_STATUS_SEARCHING", "alba"))
    old = pool.GetVacancy(market=hire.market, vacancy_id=hire.vacancies["nurse in alba"]["id"])
    equal("the old opening stays filled", old.vacancy.placed, 1)


@check("a declined pair never meets again; the rest is cleared anew")
def decline(hire):
    """Goal: declines last. Method: an employer declines; clear; the pair is apart."""
    gale = hire.gale
    found = next(m for m in hire.matches.values() if m.destination == "brio")
    key = {"worker_id": found.worker_id, "vacancy_id": found.vacancy_id}
    answer = gale.MatchingService.DeclineMatches(
        market=hire.market, side="MATCH_SIDE_EMPLOYER", matches=[key]
    )
    equal("errors", list(answer.errors), [])
    refused(
        lambda: gale.MatchingService.GetMatch(market=hire.market, worker_id=found.worker_id),
        "NOT_FOUND", "MATCH_NOT_FOUND", "worker_id",
    )
    state = hire.state()
    equal("claim", gale.enum("MatchingState")[state.state], "MATCHING_STATE_PENDING")
    true("the last round's snapshot is what is verified meanwhile",
         verified(hire, hire.market)[0].of_last_round)
    hire.clear(hire.market)
    now = hire.matching(hire.market)
    true("the pair is apart", now.get(found.worker_id) != found.vacancy_id)
    pair = gale.MatchingService.Explain(market=hire.market, **key)
    equal("why", gale.enum("ExplainOutcome")[pair.outcome], "EXPLAIN_OUTCOME_DECLINED")
    equal("blocking pairs", verified(hire, hire.market)[0].blocking_pairs, 0)


@check("withdrawing and closing dissolve matches at once")
def withdraw(hire):
    """Goal: nobody waits for a round to leave. Method: withdraw a matched worker, close
    a vacancy that holds one; read both, see UNMATCHED in the stream."""
    gale = hire.gale
    listed = gale.MatchingService.ListMatches(market=hire.market, status="MATCH_STATUS_HELD").matches
    found = [(match.worker_id, match.vacancy_id) for match in listed]
    gone, vacancy_of_gone = found[0]
    closing = next(v for w, v in found if v != vacancy_of_gone)
    gale.PoolService.WithdrawWorkers(market=hire.market, worker_ids=[gone])
    answer = gale.PoolService.CloseVacancies(market=hire.market, vacancy_ids=[closing])
    now = hire.matching(hire.market)
    true("no match of either is left", gone not in now and closing not in now.values(), now)
    hire.watcher.wait_for_revision(answer.revision)
    kinds = hire.kinds(e for e in hire.watcher.events if e.position.revision == answer.revision)
    true("UNMATCHED by the closing", "UNMATCHED" in kinds, kinds)


# --- the stream -----------------------------------------------------------------------


def ordered(events):
    """Positions rise, and the indices of each revision run from 0."""
    last = (0, -1)
    for event in events:
        now = place(event)
        following = now == (last[0], last[1] + 1) or (now[0] > last[0] and now[1] == 0)
        true(f"an event that follows {last}", following, now)
        last = now


@check("the stream is ordered, unique and whole, revision by revision")
def stream_is_ordered(hire):
    """Goal: promises Ordered, Unique and Atomic. Method: over all that the thread has
    recorded since the market was made."""
    hire.watcher.wait_for_revision(hire.revision())
    ordered(hire.watcher.events)
    for message in hire.watcher.messages:
        revisions = {event.position.revision for event in message.events}
        true("one revision a message", len(revisions) <= 1, revisions)
        if message.events:
            true("each small revision in one message", message.last_in_revision)
            true("`next` after the events", place(message.next) > place(message.events[-1]))
        else:
            true("an empty message is a checkpoint", message.checkpoint)
    return f"{len(hire.watcher.events)} events"


@check("ListEvents in pages is what was watched")
def list_events(hire):
    """Goal: one history, however it is read. Method: pages of 7 against the recording."""
    listed, start = [], None
    while True:
        request = {"start": start} if start else {}
        page = hire.gale.EventService.ListEvents(market=hire.market, page_size=7, **request)
        true("at most 7 events", len(page.events) <= 7, len(page.events))
        listed += page.events
        start = page.next
        if page.caught_up:
            break
    hire.watcher.wait_for_revision(hire.revision())
    equal("events listed", len(listed), len(hire.watcher.events))
    true("the same events", listed == hire.watcher.events)
    newest = hire.gale.EventService.GetWatermark(market=hire.market).newest
    equal("the end of the last page", start, newest)


@check("resumed at any position: no gap, no duplicate")
def resume(hire):
    """Goal: promise Resumable; positions are inclusive. Method: start again at every
    fifth event, in the middle of revisions too, and compare with the recording."""
    whole = hire.watcher.events
    middles = [i for i, event in enumerate(whole) if event.position.index > 0]
    starts = sorted({*range(0, len(whole), 5), *middles[:: max(1, len(middles) // 10)]})
    for at in starts:
        watcher = Watcher(hire.gale, market=hire.market, position=whole[at].position)
        watcher.wait(lambda w: len(w.events) >= len(whole) - at, "the rest of the events")
        watcher.stop()
        true(f"the events from {place(whole[at])} on", watcher.events == whole[at:],
             [place(event) for event in watcher.events[:5]])
    return f"{len(starts)} positions"


@check("resumed after the newest event: only what comes next")
def resume_at_the_end(hire):
    """Goal: the caught-up position is allowed, and NowStart is the same. Method: start
    at both, write once, see exactly that revision."""
    newest = hire.gale.EventService.GetWatermark(market=hire.market).newest
    watchers = [
        Watcher(hire.gale, market=hire.market, position=newest, checkpoint_interval_ms=100),
        Watcher(hire.gale, market=hire.market, now={}, checkpoint_interval_ms=100),
    ]
    for watcher in watchers:
        watcher.wait(lambda w: w.messages, "a checkpoint")
        true("a checkpoint at the newest position",
             watcher.messages[0].checkpoint and place(watcher.messages[0].next) == place(newest))
    answer = hire.gale.PoolService.UpsertWorkers(
        market=hire.market, workers=[worker("brio", {}, 30_000)]
    )
    for watcher in watchers:
        watcher.wait_for_revision(answer.revision)
        watcher.stop()
        equal("revisions", {e.position.revision for e in watcher.events}, {answer.revision})


@check("filters let through what they name; checkpoints pass nothing by")
def filters(hire):
    """Goal: promise Bookmarkable. Method: filtered streams against the filtered
    recording; no event lies before a checkpoint that came before it."""
    nina = hire.workers["nina"]["id"]
    of_nina = lambda e: nina in (e.worker.worker_id, e.match.worker_id, e.migration.worker_id)
    wanted = [
        ({"kinds": ["EVENT_KIND_MATCHED", "EVENT_KIND_PLACED"]},
         lambda e: hire.kind(e) in ("MATCHED", "PLACED")),
        ({"worker_ids": [nina]}, of_nina),
        ({"worker_ids": [nina], "kinds": ["EVENT_KIND_MIGRATED"]},
         lambda e: of_nina(e) and hire.kind(e) == "MIGRATED"),
    ]
    newest = hire.gale.EventService.GetWatermark(market=hire.market).newest
    hire.watcher.wait_for_revision(newest.revision - 1)
    for filter, lets_through in wanted:
        watcher = Watcher(hire.gale, market=hire.market, filter=filter,
                          checkpoint_interval_ms=100, **STARTS_EARLIEST)
        watcher.wait(lambda w: w.messages and place(w.messages[-1].next) >= place(newest),
                     "a position at the newest")
        watcher.stop()
        equal("filtered events", watcher.events, [e for e in hire.watcher.events if lets_through(e)])
        true("some events", watcher.events)
        reached = (0, 0)
        for message in watcher.messages:
            true("no event before a checkpoint",
                 all(place(event) >= reached for event in message.events))
            reached = place(message.next)


@check("a start in the future or of another incarnation is refused")
def bad_starts(hire):
    """Goal: no silent gap. Method: beyond the newest position; another incarnation."""
    newest = hire.gale.EventService.GetWatermark(market=hire.market).newest
    beyond = {"incarnation": newest.incarnation, "revision": newest.revision + 1}
    for call in (
        lambda: next(hire.gale.EventService.Watch(market=hire.market, position=beyond, timeout=5)),
        lambda: hire.gale.EventService.ListEvents(market=hire.market, start=beyond),
    ):
        status = refused(call, "OUT_OF_RANGE", "POSITION_IN_FUTURE")
        equal("the newest position in the error", status.position,
              (newest.incarnation, newest.revision, newest.index))
    other = {"incarnation": new_uuid(), "revision": 1}
    status = refused(
        lambda: next(hire.gale.EventService.Watch(market=hire.market, position=other, timeout=5)),
        "FAILED_PRECONDITION", "INCARNATION_MISMATCH", "position.incarnation",
    )
    equal("the incarnation in the error", status.position[0], newest.incarnation)


# --- settings and time ----------------------------------------------------------------


@check("an update changes what its mask names, nothing else")
def update(hire):
    """Goal: field masks and expected revisions. Method: two fields of many; then no
    mask, an unknown path, a stale revision, and a combination without a mechanism."""
    update = hire.gale.MarketService.UpdateMarket
    before = hire.gale.MarketService.GetMarket(market=hire.market)
    new = {"id": hire.market, "display_name": "Hired",
           "settings": {"fit_value": 6000, "local_bonus_bp": 77}}
    mask = {"paths": ["display_name", "settings.local_bonus_bp"]}
    answer = update(market=new, update_mask=mask, expected_revision=before.revision)
    expected = type(before.market.settings)()
    expected.CopyFrom(before.market.settings)
    expected.local_bonus_bp = 77
    equal("name", answer.market.display_name, "Hired")
    equal("settings", answer.market.settings, expected)
    refused(lambda: update(market=new), "INVALID_ARGUMENT", "INVALID_FIELD", "update_mask")
    refused(lambda: update(market=new, update_mask={"paths": ["settings.luck"]}),
            "INVALID_ARGUMENT", "INVALID_FIELD")
    status = refused(
        lambda: update(market=new, update_mask=mask, expected_revision=before.revision),
        "ABORTED", "REVISION_MISMATCH",
    )
    equal("revision in the error", status.info.metadata["revision"], str(answer.revision))
    new["settings"] = {"proposing_side": "PROPOSING_SIDE_VACANCY", "cap_order": "CAP_ORDER_TARGETS"}
    mask = {"paths": ["settings.proposing_side", "settings.cap_order"]}
    refused(lambda: update(market=new, update_mask=mask),
            "FAILED_PRECONDITION", "UNSUPPORTED_MECHANISM")


@check("INTERVAL clearing runs by itself, and only when something changed")
def interval(hire):
    """Goal: a market clears itself. Method: interval of 1 s; fill it and wait for the
    rounds in the stream; then nothing changes, and no round comes."""
    market = hire.market_with(
        "interval", [{"id": "here"}], clearing={"mode": "MODE_INTERVAL", "interval_seconds": 1}
    )
    watcher = Watcher(hire.gale, market=market, **STARTS_EARLIEST)
    hire.fill(market, [worker("here", {}, 100)], [vacancy("here", {}, 100)])
    # One who comes with a deadline is taken out by the market's clock.
    soon = json_format.ParseDict(
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2)),
        hire.gale.PoolService.UpsertWorkers.request().workers.add().deadline,
    )
    hire.fill(market, [worker("here", {}, 100, deadline=soon)], [])
    matched = lambda w: "MATCHED" in hire.kinds(w.events)
    watcher.wait(matched, "a match without StartRound", seconds=5)
    expired = lambda w: any(
        e.worker.status == 5 for e in w.events if hire.kind(e) == "WORKER_CHANGED"
    )
    equal("number of EXPIRED", hire.gale.enum("WorkerStatus")[5], "WORKER_STATUS_EXPIRED")
    watcher.wait(expired, "the worker's deadline passes", seconds=6)
    pending = lambda: hire.state(market).pending_changes
    end = time.monotonic() + 5
    while pending() and time.monotonic() < end:
        time.sleep(0.05)
    equal("pending changes", pending(), 0)
    rounds = len(hire.gale.MatchingService.ListRounds(market=market).rounds)
    time.sleep(1.6)
    now = len(hire.gale.MatchingService.ListRounds(market=market).rounds)
    equal("rounds after a quiet interval", now, rounds)
    watcher.stop()
    hire.gale.MarketService.DeleteMarket(market=market)
    return f"{rounds} rounds"


def heavy(hire):
    """A market whose clearing takes a while: everybody fits everything."""
    cities = [{"id": f"c{i}", "latitude": i % 80, "longitude": i} for i in range(60)]
    market = hire.market_with("heavy", cities, move_cost_per_km=1, fit_value=1000)
    draw = random.Random(1)
    skills = [f"s{i}" for i in range(12)]
    workers = [
        worker(f"c{i % 60}", {s: draw.randrange(101) for s in draw.sample(skills, 8)},
               draw.randrange(20_000, 30_000))
        for i in range(5_000)
    ]
    vacancies = [
        vacancy(f"c{i % 60}", {s: draw.randrange(1, 40) for s in draw.sample(skills, 3)},
                draw.randrange(25_000, 60_000), openings=2)
        for i in range(2_500)
    ]
    hire.fill(market, workers, vacancies)
    return market


@check("a unary call past its deadline is DEADLINE_EXCEEDED; the round outlives it")
def unary_deadline(hire):
    """Goal: deadlines are answered by the server, and rounds survive their callers.
    Method: wait 100 ms for a round that takes longer, through gRPC-web, where nothing on
    this side ends the call, and through the library."""
    market = heavy(hire)
    method = hire.gale.MatchingService.StartRound
    start = time.monotonic()
    _, status = grpc_web(hire.address, method, dict(market=market, wait=True), timeout="100m")
    waited = time.monotonic() - start
    ended_with(status, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    true("an answer soon after the deadline", waited < 1, f"{waited:.2f} s")
    rounds = hire.gale.MatchingService
    states = hire.gale.enum("RoundState")
    status = refused(lambda: rounds.StartRound(market=market), "FAILED_PRECONDITION", "ROUND_RUNNING")
    running = rounds.GetRound(market=market).round.id
    equal("round in the error", status.info.metadata["round_id"], running)
    end = time.monotonic() + 20
    while True:
        found = rounds.GetRound(market=market).round
        if states[found.state] != "ROUND_STATE_RUNNING" or time.monotonic() > end:
            break
        time.sleep(0.02)
    equal("state of the round in the end", states[found.state], "ROUND_STATE_CLEARED")
    certificate, steps = verified(hire, market)
    equal("blocking pairs", certificate.blocking_pairs, 0)
    true("progress while it verifies", steps > 0)
    try:
        rounds.StartRound(market=market, wait=True, timeout=0.1)
    except grpc.RpcError as error:
        equal("code", error.code().name, "DEADLINE_EXCEEDED")
    else:
        raise Failed("DEADLINE_EXCEEDED", "an answer")
    hire.heavy = market
    return f"the round took {found.summary.clear_ms + found.summary.verify_ms} ms"


@check("a running round is cancelled; the matching stays as it was")
def cancel_round(hire):
    """Goal: CancelRound. Method: cancel the round that the check before left running."""
    rounds, market = hire.gale.MatchingService, hire.heavy
    states = hire.gale.enum("RoundState")
    found = rounds.GetRound(market=market).round
    equal("state", states[found.state], "ROUND_STATE_RUNNING")
    before = hire.state(market).matched
    cancelled = rounds.CancelRound(market=market, round_id=found.id).round
    equal("state", states[cancelled.state], "ROUND_STATE_CANCELLED")
    equal("matched", hire.state(market).matched, before)
    refused(lambda: rounds.CancelRound(market=market, round_id=found.id),
            "FAILED_PRECONDITION", "ROUND_ENDED", "round_id")
    hire.gale.MarketService.DeleteMarket(market=market)


@check("a stream ends at its deadline with DEADLINE_EXCEEDED and its position")
def stream_deadline(hire):
    """Goal: streams do not outlive their deadline. Method: Watch for 300 ms, through
    the library and through gRPC-web; then two hundred that end close together, so that
    the server is busy when their time comes."""
    watcher = Watcher(hire.gale, market=hire.market, timeout=0.3, **STARTS_EARLIEST)
    equal("code", watcher.end(5).code, "DEADLINE_EXCEEDED")
    start = time.monotonic()
    request = dict(market=hire.market, **STARTS_EARLIEST)
    messages, status = grpc_web(hire.address, hire.gale.EventService.Watch, request, "300m")
    waited = time.monotonic() - start
    ended_with(status, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    true("an end at the deadline", 0.2 < waited < 1.5, f"{waited:.2f} s")
    last = messages[-1].next
    position = (last.incarnation, last.revision, last.index)
    equal("position in the error", status.position, position)
    watch = lambda ms: grpc_web(hire.address, hire.gale.EventService.Watch, request, f"{ms}m")[1]
    with concurrent.futures.ThreadPoolExecutor(40) as threads:
        for status in threads.map(watch, range(100, 300)):
            ended_with(status, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
            equal("position in the error", status.position, position)
    return "202 streams"


@check("gRPC-web on the same port, over HTTP/1.1, framed by hand")
def web(hire):
    """Goal: browsers can call. Method: a unary call, an error with its details, and a
    verification that streams, over plain http.client."""
    gale = hire.gale
    messages, status = grpc_web(hire.address, gale.MarketService.GetMarket,
                                dict(market=hire.market))
    equal("code", status.code, "OK")
    equal("answers", [m.market.id for m in messages], [hire.market])
    _, status = grpc_web(hire.address, gale.MarketService.GetMarket, dict(market="nowhere"))
    ended_with(status, "NOT_FOUND", "MARKET_NOT_FOUND", "market")
    messages, status = grpc_web(hire.address, gale.MatchingService.Verify, dict(market=hire.market))
    equal("code", status.code, "OK")
    equal("last step", messages[-1].WhichOneof("step"), "certificate")


# --- brute force ----------------------------------------------------------------------


def solve(hire, market, side):
    """Loads a market of rankings, clears it; vacancy index by worker index."""
    settings = {"proposing_side": f"PROPOSING_SIDE_{side}"}
    id = hire.market_with("ranked", market.cities(), **settings)
    if market.regions():
        hire.gale.MarketService.UpsertRegions(market=id, regions=market.regions())
        hire.gale.MarketService.UpsertCities(market=id, cities=market.cities(True))
    hire.fill(id, market.workers(), market.vacancies())
    hire.clear(id)
    certificate, _ = verified(hire, id)
    equal("violations", certificate.violations, 0)
    found = market.positions(hire.matching(id))
    hire.gale.MarketService.DeleteMarket(market=id)
    return found


@check("rankings: the best stable matching of the proposing side, by enumeration")
def enumerate_rankings(hire):
    """Goal: stable, and optimal for who proposes. Method: small random markets of
    explicit rankings; enumerate all matchings here, keep the stable ones, and take
    the best for the workers and the worst."""
    several = 0
    for seed in range(24):
        market = RankedMarket(seed)
        stable = market.stable_matchings()
        several += len(stable) > 1
        for side, best in (("WORKER", min), ("VACANCY", max)):
            expected = market.extreme(stable, best)
            equal(f"{side.lower()}s propose, seed {seed}", solve(hire, market, side), expected)
    true("several stable matchings somewhere", several > 0)
    return f"24 markets, {several} with several stable matchings"


@check("rankings under caps of cities and regions: stable by the choice function")
def stable_under_caps(hire):
    """Goal: stable under caps. Method: random markets of rankings in a forest of caps;
    all contracts that a worker likes at least as much as their match are offered to the
    choice function (greedy by score within openings and caps), which must choose the
    matching itself. Rankings are padded so that no two scores are equal."""
    binding = 0
    for seed in range(16):
        market = CappedMarket(seed)
        for side in ("WORKER", "VACANCY"):
            found = solve(hire, market, side)
            equal(f"the choice, seed {seed}, {side.lower()}s propose", market.choice(found), found)
        binding += market.caps_bind(found)
    true("a cap that binds somewhere", binding > 0)
    return f"16 markets, caps bind in {binding}"


# --- planning -------------------------------------------------------------------------


def figure(found):
    """A figure's value, or the reason why there is none."""
    if found.WhichOneof("result") == "value":
        return found.value
    reasons = found.DESCRIPTOR.fields_by_name["undefined"].enum_type
    return reasons.values_by_number[found.undefined].name.removeprefix("UNDEFINED_REASON_")


@check("indicators of a market and its cities: known values, reasons, pages, fields")
def indicators(hire):
    """Goal: both calls of indicators from another language. Method: two workers and one
    job, cleared; every figure is known. Cities are listed one by one."""
    planning = hire.gale.PlanningService
    cities = [
        {"id": "north", "latitude": 50, "population": 3000},
        {"id": "south", "latitude": 40, "population": 1000},
    ]
    market = hire.market_with("indicators", cities)
    hire.fill(
        market,
        [worker("north", {"s": level}, 30_000) for level in (80, 40)],
        [{"city": "south", "openings": 1, "salary": 33_000, "labels": {"occupation": "11-1"}}],
    )
    hire.clear(market)
    found = planning.GetIndicators(
        market=market, prefix_length=2, first_choices=True, mismatch_split=True
    )
    equal("revision", found.revision, hire.revision(market))
    pools = found.market.pools
    equal("tightness", figure(pools.tightness), 0.5)
    equal(
        "its inputs",
        {i.name: i.value for i in pools.tightness.inputs},
        {"openings": 1.0, "seekers": 2.0},
    )
    equal("at or above expected pay", figure(pools.at_or_above_expected), 1.0)
    equal("first choice", figure(pools.first_choice), 1.0)
    equal("mismatch by city", figure(found.market.mismatch_by_city.index), 1.0)
    equal(
        "matches lost",
        figure(found.market.mismatch_by_city.matches_lost),
        "ZERO_DENOMINATOR",
    )
    equal("rank-size", figure(found.market.sizes.zipf), "TOO_FEW")
    equal("primacy", figure(found.market.sizes.primacy), 0.75)
    equal("the eight clearings", list(found.market.mismatch_split.matches), [1] * 8)
    equal("groups", {g.group for g in found.groups}, {"", "11"})
    rows, token, revisions = [], "", set()
    while True:
        page = planning.ListCityIndicators(
            market=market, page_size=1, page_token=token, differentials=True
        )
        rows += page.cities
        revisions.add(page.revision)
        token = page.next_page_token
        if not token:
            break
    equal("revisions", revisions, {found.revision})
    north, south = rows
    equal("cities", [north.city, south.city], ["north", "south"])
    equal("net migration per 1,000", [figure(c.migration.net_rate) for c in rows], [-1 / 3, 1.0])
    equal("no fill rate", figure(north.pools.fill_rate), "NO_OPENINGS")
    equal("who would come", south.differential.accepting, 2)
    refused(
        lambda: planning.GetIndicators(market=market, prefix_length=65),
        "INVALID_ARGUMENT", "INVALID_FIELD", "prefix_length",
    )


@check("scenarios: a stream of periods, kept, compared; the market stays as it is")
def scenarios(hire):
    """Goal: the three calls of scenarios from another language. Method: three workers and
    two jobs of known pay; a baseline, nothing under another name, and a cluster."""
    planning = hire.gale.PlanningService
    cities = [
        {"id": "north", "latitude": 50, "population": 3000},
        {"id": "south", "latitude": 40, "population": 1000},
    ]
    market = hire.market_with("scenarios", cities)
    job = {"openings": 1, "labels": {"occupation": "15-1252"}}
    hire.fill(
        market,
        [worker("north", {"s": level}, 30_000) for level in (80, 60, 40)],
        [{"city": "north", "salary": 31_000, **job}, {"city": "south", "salary": 33_000, **job}],
    )
    revision = hire.revision(market)

    def run(policy, **more):
        request = dict(market=market, policy=policy, periods=2, seeds=[7, 8], **more)
        steps = list(planning.RunScenario(timeout=30, **request))
        kinds = [step.WhichOneof("step") for step in steps]
        equal("first and last", [kinds[0], kinds[-1]], ["started", "finished"])
        periods = [s.period for s in steps if s.WhichOneof("step") == "period"]
        equal("periods", [(p.seed, p.period) for p in periods], [(7, 1), (7, 2), (8, 1), (8, 2)])
        return steps[-1].finished, periods

    base, periods = run({})
    north, south = periods[0].cities
    equal("placed", [north.placed, south.placed], [1, 1])
    equal("moved", [north.moved_out, south.moved_in], [1, 1])
    equal("pay", periods[0].total.pay, 64_000)
    equal("residents", [north.residents, south.residents], [2_999, 1_001])
    same, periods_again = run({"name": "nothing"})
    equal("nothing changes nothing", periods_again, periods)
    equal("hashes", same.result_hash, base.result_hash)
    group = {"label": "occupation", "prefix": "15"}
    policy = {"name": "more", "clusters": [{"city": "south", "group": group, "openings": 1}]}
    more, periods = run(policy)
    equal("one more", periods[0].total.placed, 3)
    listed = planning.ListScenarios(market=market).runs
    equal("listed", [r.id for r in listed], [more.id, same.id, base.id])
    found = planning.CompareScenarios(market=market, run=more.id, against=base.id)
    placed = [d for d in found.market if d.measure == 4 and d.period == 1]
    equal("difference", [(d.mean, d.least, d.greatest, d.seeds) for d in placed], [(1, 1, 1, 2)])
    equal("the market's revision", hire.revision(market), revision)
    refused(
        lambda: next(planning.RunScenario(market=market, periods=201, timeout=5)),
        "INVALID_ARGUMENT", "INVALID_FIELD", "periods",
    )
    refused(
        lambda: planning.CompareScenarios(market=market, run="s99"),
        "NOT_FOUND", "SCENARIO_NOT_FOUND", "run",
    )


# --- the end --------------------------------------------------------------------------


@check("a deleted market ends its streams with NOT_FOUND; made again, it is another")
def delete(hire):
    """Goal: no stream of the dead, no position across incarnations. Method: delete
    under the open stream; make the market again; resume from the old position."""
    gale, old = hire.gale, hire.made.incarnation
    status = refused(
        lambda: gale.MarketService.DeleteMarket(market=hire.market, incarnation=new_uuid()),
        "FAILED_PRECONDITION", "INCARNATION_MISMATCH", "incarnation",
    )
    equal("incarnation in the error", status.info.metadata["incarnation"], old)
    true("the stream is open", hire.watcher.status is None, hire.watcher.status)
    gale.MarketService.DeleteMarket(market=hire.market, incarnation=old)
    status = hire.watcher.end()
    ended_with(status, "NOT_FOUND", "MARKET_NOT_FOUND")
    last = hire.watcher.messages[-1].next
    equal("position in the error", status.position, (old, last.revision, last.index))
    refused(lambda: gale.MarketService.GetMarket(market=hire.market),
            "NOT_FOUND", "MARKET_NOT_FOUND", "market")
    again = gale.MarketService.CreateMarket(market={"id": hire.market}).market
    true("another incarnation", again.incarnation != old)
    refused(
        lambda: next(gale.EventService.Watch(market=hire.market, position=last, timeout=5)),
        "FAILED_PRECONDITION", "INCARNATION_MISMATCH",
    )
    gale.MarketService.DeleteMarket(market=hire.market)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(suite.run(Hire(sys.argv[1])))
