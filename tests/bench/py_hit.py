"""py_hit.py - a cached hit in Python, beside the alternatives of a Python program.

The value is a next-token distribution of 256 entries in the caller's own dataclass. All rows give
the caller such an object, and all except the in-process one decode it from the same encoding. They
are measured on one CPU in rounds: half of each turn singly, for the percentiles, and half in
blocks, for the rate. A ratio is the median of the ratios of each round, because the turns of a round
are close in time and other load changes from round to round. README.md has the details.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fcached

OP, VIEW, TOP_K = "next_token_dist", "base", 256
N_PROMPTS = 1000
BLOCK = 16  # hits between two reads of the clock, for the rate
START_S = 20.0

Hit = Callable[[str], Any]  # returns the stored value of a prompt


@dataclass(frozen=True, slots=True)
class TokenDist:
    """Has the fields of dlm-sway's class of that name."""

    token_ids: np.ndarray[Any, np.dtype[np.int64]]
    logprobs: np.ndarray[Any, np.dtype[np.float32]]
    vocab_size: int
    tail_logprob: float | None = field(default=None)


fcached.register(TokenDist)


def make_value(seed: int) -> TokenDist:
    random = np.random.default_rng(seed)
    ids = random.permutation(32_000)[:TOP_K].astype(np.int64)
    scores = np.sort(random.normal(size=TOP_K))[::-1]
    logprobs = (scores - np.log(np.exp(scores).sum()) - 0.05).astype(np.float32)
    return TokenDist(ids, logprobs, 32_000, -3.0)


def make_prompt(seed: int) -> str:
    """Makes one or two sentences, as a probe's prompt has."""
    return (
        f"Question {seed}: a worker on this machine has asked for the capital of country number "
        f"{seed * 7919 % 1000}. Answer in one word. The answer is"
    )


def is_same(a: TokenDist, b: TokenDist) -> bool:
    return (
        type(a) is type(b)
        and a.token_ids.dtype == b.token_ids.dtype
        and a.logprobs.dtype == b.logprobs.dtype
        and a.token_ids.tobytes() == b.token_ids.tobytes()
        and a.logprobs.tobytes() == b.logprobs.tobytes()
        and (a.vocab_size, a.tail_logprob) == (b.vocab_size, b.tail_logprob)
    )


def not_a_hit() -> TokenDist:
    raise AssertionError("a value that was stored is not there any more")


# ---- servers ----------------------------------------------------------------


@contextmanager
def server(command: list[str], socket: Path, libraries: Path | None = None) -> Iterator[Path]:
    """Runs ``command`` until the block ends. Enters the block when ``socket`` exists."""
    environment = dict(os.environ)
    if libraries is not None:
        environment["LD_LIBRARY_PATH"] = str(libraries)
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + START_S
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"py_hit: {command[0]} did not start")
            time.sleep(0.01)
        yield socket
    finally:
        process.terminate()
        process.wait(START_S)


@dataclass
class Scene:
    """Paths and servers of the rows, which end with the bench."""

    directory: Path
    fcached: str
    peers: Path
    stack: ExitStack
    daemon: str | None = None

    def daemon_socket(self) -> str:
        """Returns the daemon of all rows of fcached."""
        if self.daemon is None:
            path = self.directory / "fcached.sock"
            command = [self.fcached, "--socket", str(path), "--max-bytes", "256M"]
            self.daemon = str(self.stack.enter_context(server(command, path)))
        return self.daemon

    def peer(self, program: str, socket: Path, *options: str) -> Path:
        command = [str(self.peers / "bin" / program), *options]
        return self.stack.enter_context(server(command, socket, self.peers / "libs"))


# ---- rows: each stores all values and returns its hit -------------------------

Values = dict[str, TokenDist]
Shares = Callable[[], float]  # the share of a row's hits that came from shared memory


@dataclass
class Row:
    name: str
    hit: Hit
    region_share: Shares | None = None


def store_key(prompt: str) -> str:
    """Returns the key as text, for stores with text keys."""
    return f"{OP}:{VIEW}:{fcached.prompt_hash(prompt)}:{TOP_K}"


def row_fcached(scene: Scene, values: Values) -> Row:
    client = scene.stack.enter_context(fcached.Client("py_hit", socket=scene.daemon_socket()))
    for prompt, value in values.items():
        client.put(OP, VIEW, prompt, TOP_K, value)

    def region_share() -> float:
        counters = client.stats()
        return float(counters.region_hits / counters.cache_hits)

    cached = client.cached
    return Row("fcached", lambda prompt: cached(OP, VIEW, prompt, TOP_K, not_a_hit), region_share)


def instrumented(instrumentation: Any, values: Values) -> Hit:
    for prompt, value in values.items():
        instrumentation.cached(OP, VIEW, prompt, TOP_K, lambda value=value: value)
    cached = instrumentation.cached
    return lambda prompt: cached(OP, VIEW, prompt, TOP_K, not_a_hit)


def row_fcached_instrumentation(scene: Scene, values: Values) -> Row:
    from fcached.instrumentation import BackendInstrumentation

    os.environ["FCACHE_SOCKET"] = scene.daemon_socket()
    shared = BackendInstrumentation(cache_maxsize=1, namespace="py_hit_instrumentation")
    scene.stack.callback(shared.close)
    return Row("fcached_instrumentation", instrumented(shared, values))


def row_inprocess(scene: Scene, values: Values) -> Row:
    from dlm_sway.backends._instrumentation import BackendInstrumentation

    return Row("inprocess", instrumented(BackendInstrumentation(cache_maxsize=N_PROMPTS), values))


def row_diskcache(scene: Scene, values: Values) -> Row:
    import diskcache

    cache = scene.stack.enter_context(diskcache.Cache(str(scene.directory / "diskcache")))
    for prompt, value in values.items():
        cache.set(store_key(prompt), fcached.encode(value))
    return Row("diskcache", lambda prompt: fcached.decode(cache.get(store_key(prompt))))


def row_redis(scene: Scene, values: Values) -> Row:
    import redis

    path = scene.directory / "redis.sock"
    scene.peer("redis-server", path, "--port", "0", "--unixsocket", str(path), "--save", "")
    client = scene.stack.enter_context(redis.Redis(unix_socket_path=str(path)))
    for prompt, value in values.items():
        client.set(store_key(prompt), fcached.encode(value))
    return Row("redis", lambda prompt: fcached.decode(client.get(store_key(prompt))))


def row_pymemcache(scene: Scene, values: Values) -> Row:
    from pymemcache.client.base import Client

    path = scene.directory / "memcached.sock"
    scene.peer("memcached", path, "-s", str(path), "-t", "1", "-m", "256", "-u", "root")
    client = Client(str(path))
    scene.stack.callback(client.close)
    for prompt, value in values.items():
        client.set(store_key(prompt), fcached.encode(value), noreply=False)
    return Row("pymemcache", lambda prompt: fcached.decode(client.get(store_key(prompt))))


ROWS: dict[str, Callable[[Scene, Values], Row]] = {
    "py_hit/fcached": row_fcached,
    "py_hit/fcached_instrumentation": row_fcached_instrumentation,
    "py_hit/inprocess": row_inprocess,
    "py_hit/diskcache": row_diskcache,
    "py_hit/redis": row_redis,
    "py_hit/pymemcache": row_pymemcache,
}
OURS = "py_hit/fcached"


# ---- measuring ----------------------------------------------------------------

clock = time.perf_counter_ns


@dataclass
class Clock:
    """What a read of the clock takes, and the step in which it advances, in nanoseconds."""

    reading_ns: float
    step_ns: int

    @staticmethod
    def measure() -> Clock:
        pairs = []
        for _ in range(10_001):
            begin = clock()
            pairs.append(clock() - begin)
        different = sorted(set(pairs))
        steps = [b - a for a, b in zip(different, different[1:])]
        return Clock(statistics.median(pairs), min(steps, default=1))


def burst(hit: Hit, prompts: list[str], seconds: float, of: Clock) -> dict[str, float]:
    """Runs one turn of one row."""
    half_ns = int(seconds * 1e9 / 2)
    single: list[int] = []
    end = clock() + half_ns
    while clock() < end:
        for prompt in prompts[: BLOCK * 4]:
            begin = clock()
            hit(prompt)
            single.append(clock() - begin)
        prompts = prompts[BLOCK * 4 :] + prompts[: BLOCK * 4]
    hits, began = 0, clock()
    while (took := clock() - began) < half_ns:
        for prompt in prompts[:BLOCK]:
            hit(prompt)
        hits += BLOCK
        prompts = prompts[BLOCK:] + prompts[:BLOCK]
    single.sort()

    def quantile_us(share: float) -> float:
        found = single[min(len(single) - 1, int(share * len(single)))]
        return max(0.0, found - of.reading_ns) / 1000

    def median_us() -> float:
        """The mean of the samples within a step of the clock around the median, as
        samples_median_us in samples.c: it is finer than a step."""
        middle = single[len(single) // 2]
        low = bisect_left(single, middle - of.step_ns)
        high = bisect_right(single, middle + of.step_ns)
        return max(0.0, statistics.fmean(single[low:high]) - of.reading_ns) / 1000

    return {
        "p50_us": median_us(),
        "p99_us": quantile_us(0.99),
        "p999_us": quantile_us(0.999),
        "per_s": hits / (took / 1e9),
    }


@dataclass
class Result:
    """A row's metrics in each round."""

    rounds: list[dict[str, float]] = field(default_factory=list)
    once: dict[str, float] = field(default_factory=dict)  # metrics of all rounds together

    def median(self, metric: str) -> float:
        if metric in self.once:
            return self.once[metric]
        return statistics.median(of[metric] for of in self.rounds)

    def metrics(self) -> dict[str, float]:
        return {name: self.median(name) for name in (*self.rounds[0], *self.once)}


Results = dict[str, Result]


@dataclass
class Spread:
    """A median, and the quartiles: half of the values are from ``low`` to ``high``."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: list[float]) -> Spread:
        if len(values) == 1:
            return Spread(*values * 3)
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return Spread(median, low, high)

    def __str__(self) -> str:
        return f"{cell(self.low)} to {cell(self.high)}" if self.low < self.high else ""


def ratio(one: Result, other: Result, metric: str) -> Spread:
    """Returns the ratio of the two rows' metrics, compared within each round."""
    return Spread.of([a[metric] / b[metric] for a, b in zip(one.rounds, other.rounds)])


def measure(rows: dict[str, Row], values: Values, rounds: int, seconds: float) -> Results:
    """Measures all rows in each round. Every second round goes backwards."""
    prompts = list(values)
    for name, row in rows.items():
        for prompt in prompts:
            if not is_same(row.hit(prompt), values[prompt]):
                raise SystemExit(f"py_hit: {name} gave another value than was stored")
    of = Clock.measure()
    results: Results = {name: Result() for name in rows}
    for number in range(rounds):
        for name in list(rows)[:: -1 if number % 2 else 1]:
            results[name].rounds.append(burst(rows[name].hit, prompts, seconds, of))
    for name, row in rows.items():
        if row.region_share is not None:
            results[name].once["region_share"] = row.region_share()
    return results


# ---- the report, in the form of bench_report.c -----------------------------------


def cell(value: float) -> str:
    return f"{value:.{3 if value < 10 else 1 if value < 100_000 else 0}f}"


def print_table(results: Results) -> None:
    print("\nHits in Python, all processes on one CPU (these are judged)")
    head = ("p50 us", "p99 us", "p99.9 us", "per s", "p50/ours")
    print(
        f"{'row':<32} {head[0]:>9} {head[1]:>9} {head[2]:>9} {head[3]:>10} {head[4]:>9}  "
        "half of the rounds"
    )
    ours = results.get(OURS)
    for name, result in results.items():
        of = result.metrics()
        last = "ours" if name == OURS else "-"
        if ours is not None and name != OURS:
            compared = ratio(result, ours, "p50_us")
            last = f"{cell(compared.median):>9}  {compared}"
        print(
            f"{name:<32} {cell(of['p50_us']):>9} {cell(of['p99_us']):>9} "
            f"{cell(of['p999_us']):>9} {of['per_s']:>10.0f} {last:>9}"
        )


@dataclass
class Requirement:
    """A bound on a metric of a row, or on its ratio to another row's."""

    row: str
    metric: str
    against: str | None
    at_most: bool
    bound: float

    def line(self, results: Results) -> str | None:
        """Returns None if a row was not measured."""
        if self.row not in results or (self.against is not None and self.against not in results):
            return None
        row, of = results[self.row], ""
        if self.against is None:
            found = Spread.of([row.median(self.metric)])
        else:
            found, of = ratio(row, results[self.against], self.metric), f" of {self.against}'s"
        met = found.median <= self.bound if self.at_most else found.median >= self.bound
        side = "at most" if self.at_most else "at least"
        around = f" [{found}]" if str(found) else ""
        return (
            f"{self.row} {self.metric} is {cell(found.median)}{around}{of} "
            f"({side} {cell(self.bound)}): {'ok' if met else 'FAIL'}"
        )


REQUIREMENTS = [
    Requirement(OURS, "region_share", None, False, 0.999),
    Requirement(OURS, "p50_us", "py_hit/inprocess", True, 0.3),
    Requirement("py_hit/fcached_instrumentation", "p50_us", "py_hit/inprocess", True, 0.5),
    Requirement("py_hit/diskcache", "p50_us", OURS, False, 12),
    Requirement("py_hit/redis", "p50_us", OURS, False, 30),
    Requirement("py_hit/pymemcache", "p50_us", OURS, False, 28),
]


def wanted(name: str, patterns: str) -> bool:
    """Returns True if the name contains or matches one of the patterns, as for the rows in C."""
    parts = [part for part in patterns.split(",") if part]
    return not parts or any(part in name or fnmatch.fnmatchcase(name, part) for part in parts)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures a cached hit in Python.")
    parser.add_argument("--fcached", required=True, help="the daemon")
    parser.add_argument("--peers", required=True, type=Path, help="what fetch-peers.sh unpacked")
    parser.add_argument("--json", required=True, type=Path, help="where the metrics go")
    parser.add_argument("--rows", default="", help="patterns, with commas; all rows by default")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--seconds", type=float, default=0.1, help="a row's turn in a round")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    names = [name for name in ROWS if wanted(name, arguments.rows)]
    if not names:
        print(f"py_hit: no row has a name like '{arguments.rows}'", file=sys.stderr)
        return 1
    for name in [name for name in os.environ if name.startswith("FCACHE_")]:
        del os.environ[name]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the servers inherit it
    values = {make_prompt(seed): make_value(seed) for seed in range(N_PROMPTS)}
    directory = Path(tempfile.mkdtemp(prefix="fcached-bench-"))
    try:
        with ExitStack() as stack:
            scene = Scene(directory, arguments.fcached, arguments.peers.resolve(), stack)
            rows = {name: ROWS[name](scene, values) for name in names}
            results = measure(rows, values, arguments.rounds, arguments.seconds)
    finally:
        shutil.rmtree(directory)
    print_table(results)
    print(f"\nMedians of {arguments.rounds} rounds. Ratios are compared within each round.\n")
    for line in filter(None, (need.line(results) for need in REQUIREMENTS)):
        print(line)
    metrics = {name: result.metrics() for name, result in results.items()}
    arguments.json.write_text(json.dumps(metrics, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
