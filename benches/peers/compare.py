"""Times Gale and other programs on the instances of `gale bench lists`.

    compare.py GALE [--instances abcd] [--programs NAME ...] [--limit SECONDS]

Prints the table of docs/PERFORMANCE.md, and each run as it ends on standard error. A run
is a process of its own, and runs come one after another. It makes the lists, brings them
into the form that the program takes, and only then starts the clock.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time

from instances import INSTANCES, fnv1a64, make_lists
from programs import PROGRAMS

MEMORY_MAX = 16 << 30
STACK = 1 << 30
OUT_OF_MEMORY = 3
QUICK_SECONDS = 20
QUICK_RUNS = 3


def in_deep_thread(work):
    """What `work` returns, on a thread with room for deep recursion."""
    results = []
    threading.stack_size(STACK)
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    (result,) = results
    return result


def run_once(program, instance, limit):
    """The child: one run, its figures as JSON. SIGALRM ends it when it takes too long."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_MAX, MEMORY_MAX))
    program, instance = PROGRAMS[program](), INSTANCES[instance]

    def work():
        try:
            converted = program.convert(make_lists(instance))
            signal.alarm(limit)
            start = time.perf_counter()
            built = program.build(converted)
            between = time.perf_counter()
            solved = program.solve(built)
            end = time.perf_counter()
            signal.alarm(0)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        matched = program.read(solved, instance.workers)
        return {"build": between - start, "solve": end - between, "fnv1a64": fnv1a64(matched)}

    print(json.dumps(in_deep_thread(work)), flush=True)
    os._exit(0)  # taking a deep graph of objects apart is nobody's business


def run_child(command):
    """What a process printed, how it ended, and its peak resident memory in MiB."""
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return output, child.returncode, usage.ru_maxrss / 1024


def measure(command, read, fnv, limit):
    """The cell of the table, and whether a larger instance is worth a try."""
    runs = []
    while True:
        output, code, peak = run_child(command)
        print(" ".join(command[1:]), code, output.decode().strip(), f"{peak:.0f} MiB",
              file=sys.stderr)
        if code == -signal.SIGALRM:
            return f"> {limit} s", False
        if code == OUT_OF_MEMORY:
            return f"> {MEMORY_MAX >> 30} GiB", False
        if code != 0:
            return "failed", False
        build, solve, found = read(json.loads(output))
        if found != fnv:
            return "another matching", False
        runs.append((build, solve, peak))
        if build + solve >= QUICK_SECONDS or len(runs) == QUICK_RUNS:
            build, solve, peak = map(statistics.median, zip(*runs))
            return f"{spent(build, solve)}, {memory(peak)}", True


def spent(build, solve):
    """Both in the unit that fits their sum."""
    unit, scale = ("s", 1) if build + solve >= 1 else ("ms", 1000)
    return " + ".join(digits(value * scale) for value in (build, solve)) + f" {unit}"


def digits(value):
    if value >= 1:
        return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
    return f"{value:.2g}" if value >= 0.01 else "0"


def memory(mebibytes):
    """A process is charged with no less than the one that started it had at its start."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return f"{mebibytes:,.0f} MiB" if mebibytes > own + 1 else f"< {own + 1:.0f} MiB"


def row(title, command_for, read, instances, limit):
    cells, going = [], True
    for name in instances:
        cell = "not tried"
        if going:
            cell, going = measure(command_for(name), read, INSTANCES[name].fnv1a64, limit)
        cells.append(cell)
    return [title, *cells]


def table(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    for cells in rows:
        rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:]))
        print("|", " | ".join([cells[0].ljust(widths[0]), *rest]), "|")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("gale", help="the binary")
    parser.add_argument("--instances", default="abcd")
    parser.add_argument("--programs", nargs="*", default=list(PROGRAMS), choices=list(PROGRAMS))
    parser.add_argument("--limit", type=int, default=300, help="seconds for build and solve")
    given = parser.parse_args()

    rows = [["program", *given.instances]]
    rows.append(row(
        "gale, Rust",
        lambda name: [given.gale, "bench", "lists", "--instance", name, "--json"],
        lambda out: (out["rank_build_ms"] / 1000, out["solve_ms"] / 1000, out["fnv1a64"]),
        given.instances, given.limit,
    ))
    for name in given.programs:
        package = PROGRAMS[name].package
        version = importlib.metadata.version(package) if package else "in benches/peers"
        rows.append(row(
            f"{name} {version}, Python",
            lambda instance: [sys.executable, __file__, "--run", name, instance, str(given.limit)],
            lambda out: (out["build"], out["solve"], out["fnv1a64"]),
            given.instances, given.limit,
        ))
    print(f"Python {platform.python_version()}; build + solve, peak memory\n")
    table(rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run_once(*sys.argv[2:4], int(sys.argv[4]))
    else:
        main()
