"""Twenty clients at once, and a stop under load.

    load.py GALE

Starts its own servers with the given binary. The market is generated (some 20,000
workers), then twenty connections write while rounds run. What they were told is held
against what is there afterwards. The second part sends SIGTERM to the server while
clients write and streams are open.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import grpc

from client import Client, Failed, Status, Suite, Watcher, equal, new_uuid, place, true

CLIENTS = 20
SECONDS_OF_WRITING = 5
STOP_SECONDS_MAX = 10
MARKET = "load"

suite = Suite("load: twenty clients while it clears, then SIGTERM")
check = suite.check


class Server:
    """A server of our own, on free ports."""

    def __init__(self, binary, *flags):
        command = [binary, "serve", "--json", "--ephemeral", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                   *flags]
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=plain_environment()
        )
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise Failed("a server that starts", self.log.read())
        self.address = json.loads(line)["grpc"]

    def terminate(self):
        """Sends SIGTERM and waits; the exit code, and the seconds it took."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS_MAX + 5)
        except subprocess.TimeoutExpired:
            code = None
        return code, time.monotonic() - start

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def plain_environment():
    """The environment without settings that the caller may have made for Gale."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GALE_")}


class Writer(threading.Thread):
    """One connection that writes one call after another, and remembers what it was told.

    Its workers and vacancies are its own, so that it knows the last value of each: the
    salary, or that it was withdrawn.
    """

    PAUSE_SECONDS = 0.01

    def __init__(self, address, number, cities):
        super().__init__(daemon=True)
        self.gale = Client(address)
        self.draw = random.Random(number)
        self.cities = cities
        self.salary = 30_000
        self.workers = {}
        self.vacancies = {}
        self.calls = []  # (start, end, revisions) of each acknowledged call
        self.errors = []
        self.stop = threading.Event()

    def run(self):
        writes = [self.new_workers, self.change_worker, self.new_vacancy, self.change_vacancy,
                  self.change_worker, self.withdraw, self.bulk]
        while not self.stop.is_set():
            write = self.draw.choice(writes)
            start = time.monotonic()
            try:
                revisions = write()
            except grpc.RpcError as error:
                self.errors.append(Status.of(error))
                if self.errors[-1].code == "UNAVAILABLE":
                    return
            except Failed as error:
                self.errors.append(error)
            else:
                self.calls.append((start, time.monotonic(), revisions))
            self.stop.wait(self.draw.uniform(0, 2 * self.PAUSE_SECONDS))

    def _worker(self, id):
        self.salary += 1
        return {
            "id": id,
            "home_city": self.draw.choice(self.cities),
            "expected_salary": self.salary,
            "skills": [{"skill": f"{self.draw.randrange(8)}", "level": self.draw.randrange(101)}],
        }

    def _vacancy(self, id):
        self.salary += 1
        return {"id": id, "city": self.draw.choice(self.cities), "salary": self.salary,
                "openings": self.draw.randrange(3)}

    def _upsert_workers(self, ids):
        workers = [self._worker(id) for id in ids]
        answer = self.gale.PoolService.UpsertWorkers(
            market=MARKET, workers=workers, request_id=new_uuid()
        )
        equal("refused items", list(answer.errors), [])
        self.workers.update((worker["id"], worker["expected_salary"]) for worker in workers)
        return [answer.revision]

    def new_workers(self):
        return self._upsert_workers([new_uuid() for _ in range(self.draw.randrange(1, 4))])

    def change_worker(self):
        if not self.workers:
            return self.new_workers()
        return self._upsert_workers([self.draw.choice(list(self.workers))])

    def _upsert_vacancy(self, id):
        vacancy = self._vacancy(id)
        answer = self.gale.PoolService.UpsertVacancies(market=MARKET, vacancies=[vacancy])
        equal("refused items", list(answer.errors), [])
        self.vacancies[id] = vacancy["salary"]
        return [answer.revision]

    def new_vacancy(self):
        return self._upsert_vacancy(new_uuid())

    def change_vacancy(self):
        return self._upsert_vacancy(self.draw.choice([*self.vacancies] or [new_uuid()]))

    def withdraw(self):
        seeking = [id for id, value in self.workers.items() if value != "withdrawn"]
        if not seeking:
            return self.new_workers()
        id = self.draw.choice(seeking)
        answer = self.gale.PoolService.WithdrawWorkers(market=MARKET, worker_ids=[id])
        equal("refused items", list(answer.errors), [])
        self.workers[id] = "withdrawn"
        return [answer.revision]

    def bulk(self):
        """Three batches through the import stream, the next sent before the last is acknowledged."""
        method = self.gale.PoolService.ImportWorkers
        batches = [[self._worker(new_uuid()) for _ in range(3)] for _ in range(3)]
        requests = [
            method.request(market=MARKET, sequence=n, workers=batch)
            for n, batch in enumerate(batches)
        ]
        acks = list(method(iter(requests), timeout=20))
        equal("acknowledgements", [(a.sequence, a.accepted) for a in acks], [(0, 3), (1, 3), (2, 3)])
        for batch in batches:
            self.workers.update((worker["id"], worker["expected_salary"]) for worker in batch)
        return [ack.revision for ack in acks]


class Load:
    """What the checks share."""

    def __init__(self, binary):
        self.binary = binary
        self.server = Server(binary)
        self.gale = Client(self.server.address)
        self.cities = []
        self.writers = []
        self.watcher = None
        self.generated = 0

    def start_writers(self):
        writers = [Writer(self.server.address, n, self.cities) for n in range(CLIENTS)]
        for writer in writers:
            writer.start()
        return writers

    def round_state(self, round):
        return self.gale.enum("RoundState")[round.state].removeprefix("ROUND_STATE_")


def percentile(sorted_values, share):
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


@check("a generated market is imported")
def generate(load):
    """Goal: something to clear. Method: `gale generate` and `gale import`."""
    with tempfile.TemporaryDirectory() as folder:
        for arguments in (
            ["generate", "--out", folder, "--metros", "30", "--scale", "0.006"],
            ["import", folder, "--server", load.server.address, "--market", MARKET],
        ):
            done = subprocess.run([load.binary, *arguments], capture_output=True, text=True,
                                  env=plain_environment())
            equal(f"exit code of gale {arguments[0]} ({done.stderr})", done.returncode, 0)
    status = load.gale.MarketService.GetMarket(market=MARKET).market.status
    load.generated = status.workers
    load.cities = [city.id for city in load.gale.MarketService.ListCities(market=MARKET).cities]
    true("some 20,000 workers", 15_000 < status.workers < 25_000, status.workers)
    return f"{status.workers:,} workers, {status.vacancies:,} vacancies in {status.cities} cities"


@check("20 clients write while rounds run: no error")
def write_while_clearing(load):
    """Goal: a clearing never stops or breaks writes. Method: rounds one after another
    for some seconds, while each client writes; times are of the calls during rounds,
    and include this client's own work."""
    load.watcher = Watcher(load.gale, market=MARKET, now={})
    load.writers = load.start_writers()
    rounds = []
    end = time.monotonic() + SECONDS_OF_WRITING
    while time.monotonic() < end or len(rounds) < 3:
        start = time.monotonic()
        answer = load.gale.MatchingService.StartRound(market=MARKET, wait=True, timeout=60)
        rounds.append((start, time.monotonic()))
        equal("state of the round", load.round_state(answer.round), "CLEARED")
        equal("blocking pairs", answer.round.summary.blocking_pairs, 0)
        time.sleep(0.05)
    for writer in load.writers:
        writer.stop.set()
    for writer in load.writers:
        writer.join(30)
        true("a writer that ends", not writer.is_alive())
    errors = [str(error) for writer in load.writers for error in writer.errors]
    true("no error", not errors, f"{len(errors)}, such as {errors[:3]}")
    calls = [call for writer in load.writers for call in writer.calls]
    during = sorted(
        end - start for start, end, _ in calls
        if any(begun < end and start < ended for begun, ended in rounds)
    )
    true("calls during rounds", len(during) > 100, len(during))
    p50, p99 = percentile(during, 0.5), percentile(during, 0.99)
    seconds = sum(end - start for start, end in rounds)
    return (f"{len(calls):,} calls, {len(during):,} of them in {len(rounds)} rounds of "
            f"{seconds / len(rounds):.2f} s: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, "
            f"max {during[-1] * 1000:.0f} ms")


@check("revisions rise for each client, and none is given twice")
def revisions(load):
    """Goal: one total order of writes. Method: all that were acknowledged."""
    given = []
    for writer in load.writers:
        mine = [revision for _, _, revisions in writer.calls for revision in revisions]
        true("revisions that rise", all(a < b for a, b in zip(mine, mine[1:])), mine[:20])
        given += mine
    equal("revisions given twice", len(given) - len(set(given)), 0)
    return f"{len(given):,} revisions"


@check("no lost write: each acknowledged id has its last value")
def no_lost_write(load):
    """Goal: acknowledged means kept. Method: every id of every client, one by one from
    the published pools, and in pages from the columns."""
    get, newest = load.gale.PoolService, load.gale.MarketService.GetMarket(market=MARKET).revision
    withdrawn = 4
    equal("number of WITHDRAWN", load.gale.enum("WorkerStatus")[withdrawn], "WORKER_STATUS_WITHDRAWN")
    value = lambda record: (
        "withdrawn" if record.status == withdrawn else record.worker.expected_salary
    )
    listed, token = {}, ""
    while True:
        page = get.ListWorkers(market=MARKET, page_size=5_000, page_token=token,
                               at_least_revision=newest)
        listed.update((record.worker.id, value(record)) for record in page.workers)
        token = page.next_page_token
        if not token:
            break
    workers = vacancies = 0
    for writer in load.writers:
        for id, last in writer.workers.items():
            equal(f"worker {id}", value(get.GetWorker(market=MARKET, worker_id=id).worker), last)
            equal(f"worker {id} in the list", listed.get(id), last)
        for id, last in writer.vacancies.items():
            got = get.GetVacancy(market=MARKET, vacancy_id=id).vacancy.vacancy.salary
            equal(f"vacancy {id}", got, last)
        workers += len(writer.workers)
        vacancies += len(writer.vacancies)
    equal("workers in the list", len(listed), load.generated + workers)
    return f"{workers:,} workers, {vacancies:,} vacancies"


@check("no lost event: the stream told of each acknowledged revision, in order")
def no_lost_event(load):
    """Goal: promises Ordered and Reliable under load. Method: a Watch that was open all
    the time, against the revisions that the clients were given."""
    newest = load.gale.MarketService.GetMarket(market=MARKET).revision
    load.watcher.wait_for_revision(newest)
    places = [place(event) for event in load.watcher.events]
    true("events in order", all(a < b for a, b in zip(places, places[1:])))
    told = {revision for revision, _ in places}
    given = {r for writer in load.writers for _, _, revisions in writer.calls for r in revisions}
    equal("acknowledged revisions without an event", len(given - told), 0)
    load.watcher.stop()
    return f"{len(places):,} events"


@check("in the end it clears, and verifies with no blocking pair")
def clears_in_the_end(load):
    """Goal: nothing was half-applied. Method: a last round, and the certificate."""
    answer = load.gale.MatchingService.StartRound(market=MARKET, wait=True)
    equal("state of the round", load.round_state(answer.round), "CLEARED")
    *_, last = load.gale.MatchingService.Verify(market=MARKET, timeout=30)
    certificate = last.certificate
    equal("blocking pairs and violations",
          (certificate.blocking_pairs, certificate.violations), (0, 0))
    equal("of the last round alone", certificate.of_last_round, False)
    equal("hash", certificate.matching_hash, answer.round.summary.matching_hash)
    return f"{certificate.matched:,} matched, {certificate.pairs_examined:,} pairs examined"


@check("SIGTERM under load: exit within 10 s, streams told their position")
def stop_under_load(load):
    """Goal: a stop in good order. Method: streams from the earliest, from now and
    filtered, clients that write, a round that runs; then SIGTERM. Each stream must end
    with UNAVAILABLE and the position after the last message that it delivered; calls
    may fail with UNAVAILABLE alone."""
    starts = [
        {"earliest": {}},
        {"earliest": {}},
        {"earliest": {}, "filter": {"cities": load.cities[:3]}},
        {"now": {}},
        {"now": {}},
        {"now": {}, "filter": {"kinds": ["EVENT_KIND_MATCHED"]}, "checkpoint_interval_ms": 100},
    ]
    clients = [Client(load.server.address) for _ in starts]
    watchers = [Watcher(c, market=MARKET, **start) for c, start in zip(clients, starts)]
    writers = load.start_writers()
    for watcher in watchers:
        watcher.wait(lambda w: w.messages, "a first message")
    load.gale.MatchingService.StartRound(market=MARKET)
    time.sleep(0.1)
    code, seconds = load.server.terminate()
    equal("exit code", code, 0)
    true(f"an exit within {STOP_SECONDS_MAX} s", seconds <= STOP_SECONDS_MAX, f"{seconds:.1f} s")
    for start, watcher in zip(starts, watchers):
        status = watcher.end()
        holds = status.code == "UNAVAILABLE" and status.reason == "SHUTTING_DOWN"
        true("UNAVAILABLE, SHUTTING_DOWN", holds, f"{status} for {start}")
        last = watcher.messages[-1].next
        equal(f"the position that ends {start}", status.position,
              (last.incarnation, last.revision, last.index))
    for writer in writers:
        writer.stop.set()
        writer.join(30)
    codes = {error.code for writer in writers for error in writer.errors}
    true("calls that fail with UNAVAILABLE alone", codes <= {"UNAVAILABLE"}, codes)
    written = sum(len(writer.calls) for writer in writers)
    return f"{len(watchers)} streams, {written} calls before; exit after {seconds:.2f} s"


@check("SIGTERM while a client reads nothing: exit within its limit")
def stop_with_a_stalled_reader(load):
    """Goal: one bad client does not hold up the exit. Method: a Watch over gRPC-web on
    a socket that is never read, with a history larger than all buffers on the way, and
    a limit of 3 s (`--stop-seconds`)."""
    load.server = Server(load.binary, "--stop-seconds", "3")
    gale = Client(load.server.address)
    gale.MarketService.CreateMarket(market={"id": MARKET})
    gale.MarketService.UpsertCities(market=MARKET, cities=[{"id": "here"}])
    for _ in range(12):
        people = [{"id": new_uuid(), "home_city": "here", "expected_salary": 1}
                  for _ in range(10_000)]
        gale.PoolService.UpsertWorkers(market=MARKET, workers=people)
    watch = gale.EventService.Watch
    body = watch.request(market=MARKET, earliest={}).SerializeToString()
    body = b"\0" + len(body).to_bytes(4, "big") + body
    head = (f"POST {watch.path} HTTP/1.1\r\nhost: gale\r\n"
            f"content-type: application/grpc-web+proto\r\ncontent-length: {len(body)}\r\n\r\n")
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = load.server.address.rsplit(":", 1)
        stalled.connect((host, int(port)))
        stalled.sendall(head.encode() + body)
        time.sleep(0.5)
        code, seconds = load.server.terminate()
    equal("exit code", code, 0)
    true("an exit within 3 s", seconds <= 3.5, f"{seconds:.1f} s")
    return f"exit after {seconds:.2f} s"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    load = Load(sys.argv[1])
    try:
        code = suite.run(load)
    finally:
        load.server.kill()
    # Threads of the library may still wait for servers that are gone.
    sys.stdout.flush()
    os._exit(code)
